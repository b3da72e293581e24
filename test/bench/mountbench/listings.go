package mountbench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// headers is how many HEADs the limit has in flight: more make it no faster.
const headers = 128

// listings are the workloads that look at names and attributes.
func (b *bench) listings() []workload {
	z := b.sizes
	flat := planting{Prefix: "d/", Files: z.stat, Size: smallSize, Times: true}
	deep := planting{Prefix: "d/", Dirs: z.dirs, Files: z.find, Size: smallSize, Times: true}
	wide := planting{Prefix: "d/", Files: z.wide, Size: smallSize}
	stat := func(ctx context.Context, s *session) error { return s.listAndStat(ctx, flat) }
	find := func(ctx context.Context, s *session) error { return s.find(ctx, deep) }
	statName := fmt.Sprintf("list + stat %d files, true mtimes", z.stat)
	findName := fmt.Sprintf("find over %d directories, %d files, true mtimes", z.dirs, z.find)
	attributes := func(ctx context.Context, c *client) error { return c.attributes(ctx, "d/") }
	return []workload{
		{name: "stat", title: statName + ", cold", tree: flat, run: stat, limit: attributes, bar: bar{seconds: 2.5}},
		{name: "stat-remount", title: statName + ", after a remount", tree: flat, before: stat, remount: true, run: stat, bar: bar{seconds: 0.7, noHeads: true}},
		{name: "find", title: findName + ", cold", tree: deep, run: find, limit: attributes, bar: bar{seconds: 1}},
		{name: "find-remount", title: findName + ", after a remount", tree: deep, before: find, remount: true, run: find, bar: bar{seconds: 0.45, noHeads: true}},
		{
			name: "wide", title: fmt.Sprintf("list %d entries", z.wide), tree: wide, bar: bar{seconds: 5, memory: 256 << 20},
			run:   func(_ context.Context, s *session) error { return s.names(wide) },
			limit: func(ctx context.Context, c *client) error { return c.sharded(ctx, wide) },
		},
	}
}

// names lists a directory, and compares the names.
func (s *session) names(tree planting) error {
	d, err := os.Open(filepath.Join(s.dir, tree.Prefix))
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	seen := make([]bool, tree.Files)
	for _, n := range names {
		i, ok := tree.index(n)
		if !ok || seen[i] {
			return fmt.Errorf("%q is too much in the listing", n)
		}
		seen[i] = true
	}
	if len(names) != tree.Files {
		return fmt.Errorf("%d names, not %d", len(names), tree.Files)
	}
	return nil
}

// listAndStat lists a directory and asks for each entry's attributes, like ls -l.
func (s *session) listAndStat(ctx context.Context, tree planting) error {
	dir := filepath.Join(s.dir, tree.Prefix)
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	if len(names) != tree.Files {
		return fmt.Errorf("%d names, not %d", len(names), tree.Files)
	}
	wrong := 0
	for _, n := range names {
		fi, err := os.Lstat(filepath.Join(dir, n))
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		i, ok := tree.index(n)
		if !ok || fi.Size() != tree.Size {
			return fmt.Errorf("%s has %d bytes", n, fi.Size())
		}
		if !sameTime(fi.ModTime(), tree.time(i)) {
			wrong++
		}
	}
	return s.wrongTimes(wrong)
}

// find runs find, and compares what it prints.
func (s *session) find(ctx context.Context, tree planting) error {
	out, err := s.command(ctx, "find", filepath.Join(s.dir, tree.Prefix), "-type", "f", "-printf", `%P %s %T@\n`)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != tree.Files {
		return fmt.Errorf("%d files, not %d", len(lines), tree.Files)
	}
	wrong := 0
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("find says %q", line)
		}
		i, ok := tree.index(f[0])
		if !ok || f[1] != strconv.FormatInt(tree.Size, 10) {
			return fmt.Errorf("find says %q", line)
		}
		seconds, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return err
		}
		if math.Abs(seconds-float64(tree.time(i).UnixNano())/1e9) >= 1 {
			wrong++
		}
	}
	return s.wrongTimes(wrong)
}

// sameTime says whether two times are within a second: some peers keep no more.
func sameTime(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second }

// wrongTimes notes that a contender shows other modification times than those stored.
// With s3mount it is a failure, as measure sees to.
func (s *session) wrongTimes(n int) error {
	if n > 0 {
		s.note = fmt.Sprintf("%d wrong mtimes", n)
	}
	return nil
}

// attributes lists a prefix and sends a HEAD for each key, as the keys come in.
func (c *client) attributes(ctx context.Context, prefix string) error {
	keys := make(chan string, 10*headers)
	listed := make(chan error, 1)
	go func() {
		defer close(keys)
		listed <- c.list(ctx, prefix, "", "", func(page []string) {
			for _, k := range page {
				select {
				case keys <- k:
				case <-ctx.Done():
				}
			}
		})
	}()
	err := each(ctx, headers, headers, func(ctx context.Context, _ int) error {
		for k := range keys {
			if _, err := c.do(ctx, "HEAD", "/"+k, nil, nil, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for range keys { // so that the listing ends
		}
	}
	return errors.Join(err, <-listed)
}

// sharded lists a tree's keys in parallel over ranges of them.
func (c *client) sharded(ctx context.Context, tree planting) error {
	const shards = 16
	var mu sync.Mutex
	all := map[string]bool{}
	err := each(ctx, shards, shards, func(ctx context.Context, i int) error {
		after, before := "", ""
		if i > 0 {
			after = tree.key(tree.Files*i/shards - 1)
		}
		if i < shards-1 {
			before = tree.key(tree.Files*(i+1)/shards - 1)
		}
		return c.list(ctx, tree.Prefix, after, before, func(page []string) {
			mu.Lock()
			defer mu.Unlock()
			for _, k := range page {
				all[k] = true
			}
		})
	})
	if err == nil && len(all) != tree.Files {
		err = fmt.Errorf("%d keys, not %d", len(all), tree.Files)
	}
	return err
}
