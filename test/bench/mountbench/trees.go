package mountbench

import (
	"context"
	"fmt"
	"path/filepath"
)

// trees are the workloads that write, rename and remove many small files.
func (b *bench) trees() []workload {
	z := b.sizes
	tree := planting{Prefix: "d/", Dirs: z.smallDirs, Files: z.small, Size: smallSize, Times: true}
	flat := planting{Prefix: "d/", Files: z.small, Size: smallSize, Times: true}
	source := func(_ context.Context, s *session) error { return tree.local(s.source()) }
	rsync := func(ctx context.Context, s *session) error {
		_, err := s.command(ctx, "rsync", "-rt", s.source()+"/", s.at("d")+"/")
		return err
	}
	synced := func(ctx context.Context, s *session) error {
		if err := source(ctx, s); err != nil {
			return err
		}
		if err := rsync(ctx, s); err != nil {
			return err
		}
		if err := s.settle(ctx, workload{settled: holds(tree)}); err != nil {
			return err
		}
		return s.b.store.calm(ctx) // the folders' times, too
	}
	putAll := func(ctx context.Context, c *client) error {
		data := make([]byte, smallSize)
		return each(ctx, 1, z.small, func(ctx context.Context, i int) error {
			tree.pattern(i).ReadAt(data, 0)
			return c.put(ctx, tree.key(i), data)
		})
	}
	again := bar{seconds: 0.1, nothing: true}
	return []workload{
		{
			name: "cp", title: fmt.Sprintf("cp -r of %d small files", z.small), writes: true, before: source, settled: holds(tree), limit: putAll,
			run: func(ctx context.Context, s *session) error {
				_, err := s.command(ctx, "cp", "-r", s.source(), s.at("d"))
				return err
			},
			bar: bar{seconds: 17}, back: bar{seconds: 0.6, settled: 1.5},
		},
		{name: "rsync", title: "rsync -rt of them", writes: true, before: source, run: rsync, settled: holds(tree), limit: putAll, back: bar{seconds: 0.8, settled: 2}},
		{name: "rsync-again", title: "the second rsync -rt", writes: true, before: synced, run: rsync, settled: holds(tree), bar: again, back: again},
		{name: "rsync-remount", title: "the second rsync -rt, after a remount", writes: true, before: synced, remount: true, run: rsync, settled: holds(tree), bar: again, back: again},
		{
			name: "rename", title: fmt.Sprintf("rename a directory of %d files", z.small), tree: flat, writes: true,
			run: func(ctx context.Context, s *session) error {
				_, err := s.command(ctx, "mv", s.at("d"), s.at("e"))
				return err
			},
			settled: all(holds(planting{Prefix: "d/"}), holds(flat.in("e/"))),
			limit:   func(ctx context.Context, c *client) error { return c.rename(ctx, flat, flat.in("e/")) },
			bar:     bar{seconds: 0.8}, back: bar{seconds: 0.1, settled: 0.8},
		},
		{
			name: "rm", title: fmt.Sprintf("rm -rf of %d files", z.small), tree: flat, writes: true,
			run: func(ctx context.Context, s *session) error {
				_, err := s.command(ctx, "rm", "-rf", s.at("d"))
				return err
			},
			settled: holds(planting{Prefix: "d/"}),
			limit: func(ctx context.Context, c *client) error {
				return each(ctx, 1, z.small, func(ctx context.Context, i int) error {
					_, err := c.do(ctx, "DELETE", "/"+flat.key(i), nil, nil, nil)
					return err
				})
			},
			bar: bar{seconds: 17}, back: bar{seconds: 0.15, settled: 0.4, most: 10},
		},
	}
}

// source is the local tree that is copied.
func (s *session) source() string { return filepath.Join(s.scratch, "source") }

// at is a path in the mount.
func (s *session) at(name string) string { return filepath.Join(s.dir, name) }

// in is the same planting under another prefix.
func (p planting) in(prefix string) planting {
	p.Prefix = prefix
	return p
}

// holds says nil once the bucket has what was planted, and no more under its prefix.
func holds(p planting) func(context.Context, *session) error {
	return func(_ context.Context, s *session) error {
		_, err := s.b.store.ask(question{Op: "compare", Bucket: bucketName, Planting: p})
		return err
	}
}

func all(checks ...func(context.Context, *session) error) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		for _, check := range checks {
			if err := check(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// rename copies every object in parallel, and then deletes the old ones in one request.
func (c *client) rename(ctx context.Context, from, to planting) error {
	const parallel = 32
	err := each(ctx, parallel, from.Files, func(ctx context.Context, i int) error {
		_, err := c.do(ctx, "PUT", "/"+to.key(i), map[string]string{"X-Amz-Copy-Source": "/" + bucketName + "/" + from.key(i)}, nil, nil)
		return err
	})
	if err != nil {
		return err
	}
	doc := "<Delete><Quiet>true</Quiet>"
	for i := range from.Files {
		doc += "<Object><Key>" + from.key(i) + "</Key></Object>"
	}
	_, err = c.do(ctx, "POST", "?delete", nil, []byte(doc+"</Delete>"), nil)
	return err
}
