package e2e

import (
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

func TestParallelWriters(t *testing.T) {
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, _ := newMount(t, s)
		const writers, size = 5, 12 << 20
		all := s3fake.NewPattern(99)
		whole, err := os.Create(m.Dir + "/one file")
		must(t, err)
		must(t, whole.Close())
		var g errgroup.Group
		for i := range int64(writers) {
			g.Go(func() error {
				return writePattern(fmt.Sprintf("%s/file %d", m.Dir, i), s3fake.NewPattern(uint64(i)), 0, 1, size)
			})
			// Each writer of the one file has every fifth piece of it.
			g.Go(func() error { return writePattern(m.Dir+"/one file", all, i, writers, size) })
		}
		must(t, g.Wait())
		for range 2 {
			for i := range writers {
				must(t, checkPattern(fmt.Sprintf("%s/file %d", m.Dir, i), s3fake.NewPattern(uint64(i)), size))
			}
			must(t, checkPattern(m.Dir+"/one file", all, size))
			m.Remount(true)
		}
	})
}

// writePattern writes every n-th piece of a pattern, from the first-th on, into a file.
func writePattern(path string, p s3fake.Pattern, first, n, size int64) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	buf := make([]byte, 96<<10)
	for off := first * int64(len(buf)); off < size; off += n * int64(len(buf)) {
		piece := buf[:min(size-off, int64(len(buf)))]
		p.ReadAt(piece, off) // never fails
		if _, err := f.WriteAt(piece, off); err != nil {
			return err
		}
	}
	return nil
}

// checkPattern returns an error unless a file holds the first size bytes of a pattern.
func checkPattern(path string, p s3fake.Pattern, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for off := int64(0); ; {
		n, err := f.ReadAt(buf, off)
		if bad := p.Check(buf[:n], off); bad != nil {
			return fmt.Errorf("%s: %w", path, bad)
		}
		off += int64(n)
		switch {
		case err == io.EOF && off != size:
			return fmt.Errorf("%s ends at byte %d instead of %d", path, off, size)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func TestMmap(t *testing.T) {
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, b := newMount(t, s)
		const size = 12 << 20
		p := s3fake.NewPattern(7)
		must(t, writePattern(m.Dir+"/from", p, 0, 1, size))
		m.Remount(true)
		from, closeFrom := mmap(t, m.Dir+"/from", unix.PROT_READ, size)
		must(t, os.WriteFile(m.Dir+"/to", nil, 0o644))
		must(t, os.Truncate(m.Dir+"/to", size))
		to, closeTo := mmap(t, m.Dir+"/to", unix.PROT_READ|unix.PROT_WRITE, size)
		for off := size; off > 0; off -= 64 << 10 { // backwards
			copy(to[off-64<<10:off], from[off-64<<10:])
		}
		must(t, unix.Msync(to, unix.MS_SYNC))
		must(t, checkPattern(m.Dir+"/to", p, size))
		closeFrom()
		closeTo()
		must(t, p.Check([]byte(get(t, b, "to")), 0))

		again, closeAgain := mmap(t, m.Dir+"/to", unix.PROT_READ|unix.PROT_WRITE, size)
		copy(again[5<<20-3:], "across the pages")
		closeAgain()
		same(t, "changed through the mapping, without msync", get(t, b, "to")[5<<20-3:][:16], "across the pages")
	})
}

// mmap maps a whole file, shared. end unmaps it and then closes it, which waits for the
// upload of what was changed.
//
// The pages are faulted in by the system call: a page fault of Go code stops the garbage
// collector, and with it the embedded server in this process, which the fault may need.
func mmap(t testing.TB, path string, prot, size int) (data []byte, end func()) {
	t.Helper()
	f, err := os.OpenFile(path, map[bool]int{true: os.O_RDWR, false: os.O_RDONLY}[prot&unix.PROT_WRITE != 0], 0)
	must(t, err)
	data, err = unix.Mmap(int(f.Fd()), 0, size, prot, unix.MAP_SHARED|unix.MAP_POPULATE)
	must(t, err)
	return data, func() {
		must(t, unix.Munmap(data))
		must(t, f.Close())
	}
}
