package mountbench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

// readers is how many readers share one file.
const readers = 8

// manyThreads is how many threads read small pieces and files at a time.
const manyThreads = 16

// reads are the workloads that read what was never read before.
func (b *bench) reads() []workload {
	z := b.sizes
	one := func(size int64) planting { return planting{Prefix: "d/", Files: 1, Size: size} }
	few, many := randomOffsets(z.randomFew, z.sequential, z.chunk), randomOffsets(z.randomMany, z.sequential, z.chunk)
	return []workload{
		{
			name: "seq", title: fmt.Sprintf("read %s in order, cold", sizeWord(z.sequential)), tree: one(z.sequential),
			run: func(ctx context.Context, s *session) error {
				return readRange(ctx, s.dir, one(z.sequential), 0, 0, z.sequential)
			},
			limit: func(ctx context.Context, c *client) error {
				return c.ranges(ctx, one(0).key(0), z.sequential)
			},
			bar: bar{times: 1.5, memory: 256 << 20},
		},
		{
			name: "readers", title: fmt.Sprintf("%d readers of one file, %s each", readers, sizeWord(z.segment)), tree: one(readers * z.segment),
			run: func(ctx context.Context, s *session) error {
				return each(ctx, readers, readers, func(ctx context.Context, i int) error {
					return readRange(ctx, s.dir, one(readers*z.segment), 0, int64(i)*z.segment, z.segment)
				})
			},
			limit: func(ctx context.Context, c *client) error { return c.ranges(ctx, one(0).key(0), readers*z.segment) },
			bar:   bar{times: 2, bytes: 1.05, needs: readers * z.segment},
		},
		b.random("random1", one(z.sequential), few, 1, bar{times: 1.05, bytes: 1.1, needs: int64(z.randomFew) * z.chunk}),
		b.random("random16", one(z.sequential), many, manyThreads, bar{times: 1.1}),
		b.files("files1", z.filesFew, 1),
		b.files("files16", z.filesMany, manyThreads),
	}
}

// random reads pieces of one file at given offsets.
func (b *bench) random(name string, tree planting, offsets []int64, threads int, bar bar) workload {
	chunk := b.sizes.chunk
	return workload{
		name: name, title: fmt.Sprintf("%d random %s reads, %s", len(offsets), sizeWord(chunk), threadsWord(threads)), tree: tree, bar: bar,
		run: func(ctx context.Context, s *session) error {
			f, err := os.Open(filepath.Join(s.dir, tree.key(0)))
			if err != nil {
				return err
			}
			defer f.Close()
			bufs := sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}
			return each(ctx, threads, len(offsets), func(ctx context.Context, i int) error {
				buf := bufs.Get().(*[]byte)
				defer bufs.Put(buf)
				if _, err := f.ReadAt(*buf, offsets[i]); err != nil {
					return err
				}
				return checkPattern(tree.pattern(0), *buf, offsets[i])
			})
		},
		limit: func(ctx context.Context, c *client) error {
			return each(ctx, threads, len(offsets), func(ctx context.Context, i int) error { return c.get(ctx, tree.key(0), offsets[i], chunk) })
		},
	}
}

// files reads small files whole, in the order of their names.
func (b *bench) files(name string, n, threads int) workload {
	tree := planting{Prefix: "d/", Files: n, Size: smallSize}
	title := fmt.Sprintf("read %d files of 4 KiB, %s", n, threadsWord(threads))
	return workload{
		name: name, title: title, tree: tree, bar: bar{seconds: 1.5},
		run: func(ctx context.Context, s *session) error {
			return each(ctx, threads, n, func(ctx context.Context, i int) error { return readWhole(s.dir, tree, i) })
		},
		limit: func(ctx context.Context, c *client) error {
			return each(ctx, threads, n, func(ctx context.Context, i int) error { return c.get(ctx, tree.key(i), 0, smallSize) })
		},
	}
}

// rereads are the workloads that read again what is on the local disk.
func (b *bench) rereads() []workload {
	z := b.sizes
	tree := planting{Prefix: "d/", Files: 1, Size: z.reread}
	read := func(ctx context.Context, s *session) error { return readRange(ctx, s.dir, tree, 0, 0, z.reread) }
	local := func(dir string) string { return filepath.Join(dir, "local") }
	first := func(ctx context.Context, s *session) error {
		if err := read(ctx, s); err != nil {
			return err
		}
		s.drop(true)
		return nil
	}
	return []workload{
		{
			name: "reread", title: fmt.Sprintf("re-read %s after the kernel's cache is dropped", sizeWord(z.reread)),
			tree: tree, before: first, run: read, bar: bar{times: 1.1},
			limit: func(ctx context.Context, _ *client) error {
				return readRange(ctx, local(b.tmp), tree, 0, 0, z.reread)
			},
			beforeLimit: func(context.Context) error {
				if err := (planting{Files: 1, Size: z.reread}).local(filepath.Join(local(b.tmp), "d")); err != nil {
					return err
				}
				if b.drop {
					dropCaches(true)
				}
				return nil
			},
		},
		{
			name: "reread-remount", title: fmt.Sprintf("the same %s after a remount", sizeWord(z.reread)),
			tree: tree, before: first, remount: true, run: read, bar: bar{},
		},
	}
}

// readRange reads n bytes of a file in order, and compares them.
func readRange(ctx context.Context, dir string, tree planting, i int, off, n int64) error {
	f, err := os.Open(filepath.Join(dir, tree.key(i)))
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for end := off + n; off < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, err := f.ReadAt(buf[:min(int64(len(buf)), end-off)], off)
		if err != nil {
			return err
		}
		if err := checkPattern(tree.pattern(i), buf[:got], off); err != nil {
			return err
		}
		off += int64(got)
	}
	return nil
}

// readWhole reads a whole file, and compares it.
func readWhole(dir string, tree planting, i int) error {
	f, err := os.Open(filepath.Join(dir, tree.key(i)))
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if int64(len(data)) != tree.Size {
		return fmt.Errorf("%s has %d bytes, not %d", tree.name(i), len(data), tree.Size)
	}
	return checkPattern(tree.pattern(i), data, 0)
}

// randomOffsets are offsets of pieces within a file, the same in every run: multiples of
// 4 KiB, as those of a database.
func randomOffsets(n int, size, piece int64) []int64 {
	const grain = 4 << 10
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]int64, n)
	for i := range out {
		out[i] = r.Int64N((size-piece)/grain) * grain
	}
	return out
}

func sizeWord(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func threadsWord(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}
