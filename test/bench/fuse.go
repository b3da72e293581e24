package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// fuseOptions say how much runFuse does.
type fuseOptions struct {
	runs, entries int
	size, small   int64 // bytes read or written in a run with 1 MiB, and with 4 KiB at a time
	drop          bool  // empty the kernel's caches before each run, where this process may
}

// fuseBench is a run of the benchmark: what it measured, and where.
type fuseBench struct {
	fuseOptions
	out          io.Writer
	dir, backing string // mount point and backing file
}

// workload does one run on the mount at dir and returns its figure.
type workload func(ctx context.Context, dir string) (float64, error)

// variant is one of the things that are compared in a row of a table.
type variant struct {
	lib library
	run workload
}

func runFuse(ctx context.Context, args []string, out io.Writer) (err error) {
	var o fuseOptions
	flags := flag.NewFlagSet("fuse", flag.ContinueOnError)
	flags.IntVar(&o.runs, "runs", 5, "runs of each measurement; the table shows the median")
	flags.IntVar(&o.entries, "entries", 50_000, "entries of the directory that is listed")
	sizeMiB := flags.Int64("size", 1024, "MiB read or written with 1 MiB at a time")
	smallMiB := flags.Int64("small", 128, "MiB written with 4 KiB at a time")
	flags.BoolVar(&o.drop, "drop", true, "empty the kernel's caches before each run, as root")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.size, o.small = *sizeMiB<<20, *smallMiB<<20
	if o.runs < 1 || o.entries < 1 || o.entries > 1_000_000 || o.size < 1 || o.size > zerosSize || o.small < 1 || o.small > o.size {
		return errors.New("a flag is out of range")
	}
	if err := canFuse(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "bench-fuse-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	b := &fuseBench{fuseOptions: o, out: out, dir: filepath.Join(tmp, "mnt"), backing: filepath.Join(tmp, "backing")}
	if err := errors.Join(os.Mkdir(b.dir, 0o700), os.WriteFile(b.backing, nil, 0o600)); err != nil {
		return err
	}
	fmt.Fprintf(out, "kernel %s, %d CPUs, %s; medians of %d runs, each on a new mount; %s\n\n",
		kernel(), runtime.NumCPU(), runtime.Version(), o.runs, cacheWord(o.drop))
	if err := b.compare(ctx); err != nil {
		return err
	}
	return b.passthrough(ctx)
}

// compare prints the table of both libraries.
func (b *fuseBench) compare(ctx context.Context) error {
	t := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "same null file system\tratio\tgo-fuse\tbazil\t")
	for _, row := range []struct {
		name, unit string
		lowWins    bool
		run        workload
	}{
		{fmt.Sprintf("list and stat %d entries, cold", b.entries), "s", true, b.list},
		{"read, 1 MiB at a time", "MB/s", false, b.reader(zerosName)},
		{"write, 1 MiB at a time", "MB/s", false, b.writer(sinkName, b.size, maxIO)},
		{"write, 4 KiB at a time", "MB/s", false, b.writer(sinkName, b.small, 4<<10)},
	} {
		figures, err := b.medians(ctx, variant{goFuse, row.run}, variant{bazil, row.run})
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		ratio := figures[0] / figures[1]
		if row.lowWins {
			ratio = 1 / ratio
		}
		fmt.Fprintf(t, "%s\t%.1f×\t%s\t%s\t\n", row.name, ratio, show(figures[0], row.unit), show(figures[1], row.unit))
	}
	return t.Flush()
}

// passthrough prints the table of one file in three ways: opened with passthrough,
// served by requests, and without FUSE.
func (b *fuseBench) passthrough(ctx context.Context) error {
	if err := b.fill(); err != nil {
		return err
	}
	m, err := mount(ctx, goFuse, b.dir, b.backing, b.entries)
	if err != nil {
		return err
	}
	can := m.passthrough
	if err := m.unmount(); err != nil {
		return err
	}
	fmt.Fprintln(b.out)
	if !can {
		fmt.Fprintln(b.out, "passthrough: not here; it needs CAP_SYS_ADMIN and Linux 6.9 (bazil.org/fuse has none)")
		return nil
	}
	t := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "go-fuse, one real file (bazil has no passthrough)\tratio\tpassthrough\tby requests\twithout FUSE\t")
	for _, row := range []struct {
		name string
		of   func(file string) workload
	}{
		{"read, 1 MiB at a time, file in memory", b.reader},
		{"write, 1 MiB at a time", func(file string) workload { return b.writer(file, b.size, maxIO) }},
		{"write, 4 KiB at a time", func(file string) workload { return b.writer(file, b.small, 4<<10) }},
	} {
		figures, err := b.medians(ctx, variant{goFuse, row.of(passName)}, variant{goFuse, row.of(relayName)}, variant{goFuse, row.of(b.backing)})
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		fmt.Fprintf(t, "%s\t%.1f×\t%s\t%s\t%s\t\n", row.name, figures[0]/figures[1],
			show(figures[0], "MB/s"), show(figures[1], "MB/s"), show(figures[2], "MB/s"))
	}
	return t.Flush()
}

// medians runs the variants in turns, so that a slow spell of the machine meets all of
// them, each time on a new mount, and returns the median of each one's figures.
func (b *fuseBench) medians(ctx context.Context, variants ...variant) ([]float64, error) {
	figures := make([][]float64, len(variants))
	for range b.runs {
		for i, v := range variants {
			f, err := b.once(ctx, v)
			if err != nil {
				return nil, fmt.Errorf("with %s: %w", v.lib, err)
			}
			figures[i] = append(figures[i], f)
		}
	}
	medians := make([]float64, len(variants))
	for i, f := range figures {
		slices.Sort(f)
		medians[i] = f[len(f)/2]
	}
	return medians, nil
}

func (b *fuseBench) once(ctx context.Context, v variant) (_ float64, err error) {
	if b.drop {
		dropCaches()
	}
	m, err := mount(ctx, v.lib, b.dir, b.backing, b.entries)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, m.unmount()) }()
	return v.run(ctx, b.dir)
}

// list lists the directory and asks for the attributes of each entry, like ls -l; it
// returns seconds.
func (b *fuseBench) list(ctx context.Context, dir string) (float64, error) {
	start := time.Now()
	path := filepath.Join(dir, dirName)
	d, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return 0, err
	}
	if len(names) != b.entries {
		return 0, fmt.Errorf("%d entries, not %d", len(names), b.entries)
	}
	for _, n := range names {
		fi, err := os.Lstat(filepath.Join(path, n))
		if err = errors.Join(err, ctx.Err()); err != nil {
			return 0, err
		}
		if fi.Size() != entrySize {
			return 0, fmt.Errorf("%s has %d bytes", n, fi.Size())
		}
	}
	return time.Since(start).Seconds(), nil
}

// reader returns the workload of reading a file from its begin; it returns MB/s. The
// backing file is brought into memory first, since a disk is not what is measured.
func (b *fuseBench) reader(file string) workload {
	return func(ctx context.Context, dir string) (float64, error) {
		buf := make([]byte, maxIO)
		if file != zerosName {
			if err := b.readAll(ctx, b.backing, buf); err != nil {
				return 0, err
			}
		}
		start := time.Now()
		err := b.readAll(ctx, place(dir, file), buf)
		return mbPerSecond(b.size, start), err
	}
}

func (b *fuseBench) readAll(ctx context.Context, path string, buf []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for left := b.size; left > 0; {
		n, err := f.Read(buf[:min(int64(len(buf)), left)])
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// writer returns the workload of writing over the begin of a file; it returns MB/s. The
// disk isn't waited for.
func (b *fuseBench) writer(file string, size int64, chunk int) workload {
	return func(ctx context.Context, dir string) (float64, error) {
		f, err := os.OpenFile(place(dir, file), os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		buf := make([]byte, chunk)
		start := time.Now()
		for off := int64(0); off < size; off += int64(chunk) {
			_, err := f.Write(buf)
			if err = errors.Join(err, ctx.Err()); err != nil {
				return 0, err
			}
		}
		return mbPerSecond(size, start), nil
	}
}

// fill gives the backing file its size.
func (b *fuseBench) fill() error {
	f, err := os.OpenFile(b.backing, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	buf := make([]byte, maxIO)
	for off := int64(0); off < b.size && err == nil; off += maxIO {
		_, err = f.WriteAt(buf, off)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// place is the path of a name of the null file system, or of a file outside it.
func place(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

func mbPerSecond(bytes int64, start time.Time) float64 {
	return float64(bytes) / 1e6 / time.Since(start).Seconds()
}

func show(v float64, unit string) string {
	if v < 100 {
		return fmt.Sprintf("%.2f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

const dropFile = "/proc/sys/vm/drop_caches"

// dropCaches empties the kernel's caches, where it may: a new mount is cold in any case.
func dropCaches() {
	unix.Sync()
	_ = os.WriteFile(dropFile, []byte("3"), 0)
}

func cacheWord(drop bool) string {
	switch {
	case !drop:
		return "caches not dropped"
	case unix.Access(dropFile, unix.W_OK) != nil:
		return "caches not dropped (needs root)"
	}
	return "caches dropped before each"
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
