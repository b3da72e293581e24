package mountbench

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/s3mount/s3mount/test/s3fake"
)

// edits are the workloads that write one large file.
func (b *bench) edits() []workload {
	z := b.sizes
	whole := planting{Prefix: "d/", Files: 1, Size: z.write}
	old := planting{Prefix: "d/", Files: 1, Size: z.edit}
	edited, appended := old, old
	const edits, appends = 5, 3
	for i := range int64(edits) {
		edited.Patches = append(edited.Patches, patch{Off: z.edit/edits*i&^4095 + 64<<10, Len: smallSize, Seed: uint64(1000 + i)})
	}
	for i := range int64(appends) {
		appended.Patches = append(appended.Patches, patch{Off: z.edit + i*smallSize, Len: smallSize, Seed: uint64(2000 + i)})
	}
	appended.Size += appends * smallSize
	// The bar of an edit is five parts of the least size, 26 MB, and what is around them.
	return []workload{
		{
			name: "write", title: fmt.Sprintf("write %s + fsync", sizeWord(z.write)), writes: true, settled: holds(whole),
			run: func(ctx context.Context, s *session) error { return s.write(ctx, whole) },
			limit: func(ctx context.Context, c *client) error {
				return c.upload(ctx, whole.key(0), z.write, whole.pattern(0))
			},
			bar: bar{seconds: 0.9, memory: 256 << 20}, back: bar{seconds: 0.6},
		},
		{
			name: "edit", title: fmt.Sprintf("%d × 4 KiB into a %s file + fsync", edits, sizeWord(z.edit)), tree: old, writes: true, settled: holds(edited),
			run: func(_ context.Context, s *session) error { return s.edit(edited) },
			bar: bar{seconds: 0.8, sent: 26.4e6}, back: bar{seconds: 0.1},
		},
		{
			name: "append", title: fmt.Sprintf("%d × open, append 4 KiB, close, same file of %s", appends, sizeWord(z.edit)), tree: old, writes: true, settled: holds(appended),
			run: func(_ context.Context, s *session) error { return s.append(appended) },
			bar: bar{seconds: 1}, back: bar{seconds: 0.05, settled: 0.6},
		},
	}
}

// write writes a new file in order, waits for the disk, and closes it.
func (s *session) write(ctx context.Context, tree planting) (err error) {
	if err := os.MkdirAll(s.at(tree.Prefix), 0o755); err != nil {
		return err
	}
	f, err := os.Create(s.at(tree.key(0)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, 1<<20)
	for off := int64(0); off < tree.Size; off += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece := buf[:min(int64(len(buf)), tree.Size-off)]
		tree.pattern(0).ReadAt(piece, off)
		if _, err := f.Write(piece); err != nil {
			return err
		}
	}
	return f.Sync()
}

// edit writes the patches over a file.
func (s *session) edit(tree planting) (err error) {
	f, err := os.OpenFile(s.at(tree.key(0)), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, p := range tree.Patches {
		if _, err := f.WriteAt(p.data(), p.Off); err != nil {
			return err
		}
	}
	return f.Sync()
}

func (p patch) data() []byte {
	data := make([]byte, p.Len)
	s3fake.NewPattern(p.Seed).ReadAt(data, 0)
	return data
}

// append opens and closes a file for each patch.
func (s *session) append(tree planting) error {
	for _, p := range tree.Patches {
		f, err := os.OpenFile(s.at(tree.key(0)), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(p.data())
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
