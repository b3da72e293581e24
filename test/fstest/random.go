package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Random applies random operations to a file system and to the reference, and fails at
// the first difference: another errno, other bytes, another tree. The seed is printed,
// and makes the same operations again.
func Random(t testing.TB, seed uint64, steps int, target, reference Driver) {
	t.Helper()
	t.Logf("seed %d", seed)
	r := &random{t: t, Rand: rand.New(rand.NewPCG(seed, 0)), d: [2]Driver{target, reference}}
	for r.step = range steps {
		r.one()
	}
	r.closeAll()
	Compare(t, target, reference)
}

type random struct {
	*rand.Rand
	t    testing.TB
	d    [2]Driver // the target and the reference
	open []pair
	step int
}

// pair is one file, open on both sides.
type pair struct {
	path string
	f    [2]File
}

const (
	maxOpen = 8
	maxSize = 300_000
)

// path makes one of few paths, so that operations meet.
func (r *random) path() string {
	names := []string{"a", "b", "c"}
	p := names[r.IntN(3)]
	for r.IntN(3) == 0 {
		p = path.Join(p, names[r.IntN(3)])
	}
	return p
}

func (r *random) one() {
	ops := []func(){r.openFile, r.openFile, r.openFile, r.write, r.write, r.write, r.write, r.read, r.read, r.truncateOpen, r.sync,
		r.close, r.close, r.mkdir, r.mkdir, r.unlink, r.rmdir, r.rename, r.rename, r.exchange, r.symlink, r.truncate, r.chmod, r.chtimes, r.xattr, r.xattr, r.punch, r.stat, r.list}
	if d, ok := r.d[1].(OS); !ok || !d.NoLinks {
		ops = append(ops, r.link, r.link)
	}
	ops[r.IntN(len(ops))]()
	if len(r.open) > maxOpen {
		r.close()
	}
}

// both runs an operation on both sides, and compares the errnos and the results.
func (r *random) both(what string, f func(Driver) (any, error)) {
	r.t.Helper()

	got, gotErr := f(r.d[0])
	want, wantErr := f(r.d[1])
	if testing.Verbose() {
		r.t.Logf("%d: %s: %v, %v", r.step, what, short(want), wantErr)
	}
	if no(gotErr) != no(wantErr) || gotErr == nil && fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Fatalf("step %d: %s\n gives %v, %v\n  want %v, %v", r.step, what, short(got), gotErr, short(want), wantErr)
	}
}

func short(v any) string {
	s := fmt.Sprint(v)
	return s[:min(len(s), 200)]
}

// no returns an error's errno, 0 for none. An errno that rename(2) may give for the same
// reason as another counts as that.
func no(err error) unix.Errno {
	var n unix.Errno
	switch {
	case err == nil || err == io.EOF:
		return 0
	case !errors.As(err, &n):
		return unix.EIO
	case n == unix.EEXIST:
		return unix.ENOTEMPTY
	}
	return n
}

func (r *random) openFile() {
	p := r.path()
	flag := []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_CREATE | os.O_TRUNC,
		os.O_RDWR | os.O_CREATE | os.O_EXCL}[r.IntN(6)] | unix.O_NOFOLLOW
	var o pair
	i := 0
	r.both(fmt.Sprintf("open %s %x", p, flag), func(d Driver) (any, error) {
		f, err := d.Open(p, flag, 0o644)
		if err == nil {
			o.f[i] = f
		}
		i++
		return nil, err
	})
	if o.f[0] != nil {
		o.path = p
		r.open = append(r.open, o)
	}
}

// onOpen runs an operation on one of the open files.
func (r *random) onOpen(what string, f func(File) (any, error)) {
	if len(r.open) == 0 {
		return
	}
	o := r.open[r.IntN(len(r.open))]
	i := 0
	r.both(what+" "+o.path, func(Driver) (any, error) {
		i++
		return f(o.f[i-1])
	})
}

func (r *random) write() {
	off, n := r.Int64N(maxSize), r.IntN(20_000)+1
	if r.IntN(3) == 0 {
		off = 0
	}
	data := bytes.Repeat([]byte{byte(r.IntN(255) + 1)}, n)
	r.onOpen(fmt.Sprintf("write %d at %d", n, off), func(f File) (any, error) { return f.WriteAt(data, off) })
}

func (r *random) read() {
	off, n := r.Int64N(maxSize), r.IntN(100_000)+1
	r.onOpen(fmt.Sprintf("read %d at %d", n, off), func(f File) (any, error) {
		buf := make([]byte, n)
		k, err := f.ReadAt(buf, off)
		return buf[:k], err
	})
}

func (r *random) truncateOpen() {
	size := r.Int64N(maxSize)
	r.onOpen(fmt.Sprintf("ftruncate %d", size), func(f File) (any, error) { return nil, f.Truncate(size) })
}

func (r *random) sync() { r.onOpen("fsync", func(f File) (any, error) { return nil, f.Sync() }) }

func (r *random) close() {
	if len(r.open) == 0 {
		return
	}
	i := r.IntN(len(r.open))
	o := r.open[i]
	r.open = slices.Delete(r.open, i, i+1)
	k := 0
	r.both("close "+o.path, func(Driver) (any, error) {
		k++
		return nil, o.f[k-1].Close()
	})
}

func (r *random) closeAll() {
	for len(r.open) > 0 {
		r.close()
	}
}

func (r *random) mkdir() {
	p := r.path()
	r.both("mkdir "+p, func(d Driver) (any, error) { return nil, d.Mkdir(p, 0o755) })
}

func (r *random) unlink() {
	p := r.path()
	r.both("unlink "+p, func(d Driver) (any, error) { return nil, d.Unlink(p) })
}

func (r *random) rmdir() {
	p := r.path()
	r.both("rmdir "+p, func(d Driver) (any, error) { return nil, d.Rmdir(p) })
}

func (r *random) rename() {
	from, to := r.path(), r.path()
	r.both(fmt.Sprintf("rename %s %s", from, to), func(d Driver) (any, error) { return nil, d.Rename(from, to) })
}

func (r *random) exchange() {
	a, b := r.path(), r.path()
	r.both(fmt.Sprintf("exchange %s %s", a, b), func(d Driver) (any, error) { return nil, d.Exchange(a, b) })
}

func (r *random) link() {
	from, to := r.path(), r.path()
	r.both(fmt.Sprintf("link %s %s", from, to), func(d Driver) (any, error) { return nil, d.Link(from, to) })
}

func (r *random) symlink() {
	p := r.path()
	r.both("symlink "+p, func(d Driver) (any, error) { return nil, d.Symlink("to/"+p, p) })
}

func (r *random) truncate() {
	p, size := r.path(), r.Int64N(maxSize)
	if st, err := r.d[1].Lstat(p); err != nil || st.Mode&os.ModeSymlink != 0 {
		return // truncate(2) follows links
	}
	r.both(fmt.Sprintf("truncate %s %d", p, size), func(d Driver) (any, error) { return nil, d.Truncate(p, size) })
}

func (r *random) chmod() {
	p, mode := r.path(), os.FileMode(0o600|r.IntN(0o100))
	st, err := r.d[1].Lstat(p)
	if err != nil || !st.Mode.IsRegular() {
		return // chmod(2) follows links, and folders must stay searchable
	}
	r.both("chmod "+p, func(d Driver) (any, error) { return nil, d.Chmod(p, mode) })
}

func (r *random) chtimes() {
	p, at := r.path(), time.Unix(r.Int64N(2_000_000_000), r.Int64N(1e9))
	r.both("utimens "+p, func(d Driver) (any, error) { return nil, d.Chtimes(p, at) })
	r.both("stat "+p, func(d Driver) (any, error) {
		st, err := d.Lstat(p)
		return st.Mtime.UnixNano(), err
	})
}

// xattr sets, removes or lists attributes.
func (r *random) xattr() {
	p, name := r.path(), "user."+string(rune('x'+r.IntN(2)))
	st, err := r.d[1].Lstat(p)
	if err != nil || st.Mode&os.ModeSymlink != 0 {
		return // links have none
	}
	value := make([]byte, r.IntN(20))
	for i := range value {
		value[i] = byte(r.IntN(256))
	}
	switch r.IntN(4) {
	case 0:
		r.both("removexattr "+p+" "+name, func(d Driver) (any, error) { return nil, d.RemoveXattr(p, name) })
	case 1:
		r.both("xattrs "+p, func(d Driver) (any, error) { return d.Xattrs(p) })
	default:
		r.both(fmt.Sprintf("setxattr %s %s %q", p, name, value), func(d Driver) (any, error) { return nil, d.SetXattr(p, name, value) })
	}
}

func (r *random) punch() {
	off, n := r.Int64N(maxSize), r.Int64N(100_000)+1
	r.onOpen(fmt.Sprintf("punch %d at %d", n, off), func(f File) (any, error) { return nil, f.PunchHole(off, n) })
}

func (r *random) stat() {
	p := r.path()
	r.both("stat "+p, func(d Driver) (any, error) {
		st, err := d.Lstat(p)
		return fmt.Sprint(st.Mode, st.Size, st.Links), err
	})
}

func (r *random) list() {
	p := r.path()
	if r.IntN(2) == 0 {
		p = "."
	}
	if st, err := r.d[1].Lstat(p); err != nil || !st.Mode.IsDir() {
		return
	}
	r.both("list "+p, func(d Driver) (any, error) { return d.ReadDir(p) })
}

// Compare fails at the first difference between two trees: names, types, permissions,
// sizes, contents and targets.
func Compare(t testing.TB, target, reference Driver) {
	t.Helper()
	got, want := describe(t, target, "."), describe(t, reference, ".")
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("the trees differ:\n  have %s\n  want %s", short(g), short(w))
		}
	}
}

// describe returns a line for each file of a tree.
func describe(t testing.TB, d Driver, dir string) (lines []string) {
	t.Helper()
	names, err := d.ReadDir(dir)
	if err != nil {
		t.Fatalf("list %s: %v", dir, err)
	}
	for _, name := range names {
		p := path.Join(dir, name)
		st, err := d.Lstat(p)
		if err != nil {
			t.Fatalf("stat %s: %v", p, err)
		}
		line := fmt.Sprintf("%s %v %d", p, st.Mode, st.Size)
		if st.Mode&os.ModeSymlink == 0 {
			xattrs, err := d.Xattrs(p)
			line += fmt.Sprintf(" %q %v", xattrs, err)
		}
		switch {
		case st.Mode.IsDir():
			lines = append(append(lines, line), describe(t, d, p)...)
			continue
		case st.Mode&os.ModeSymlink != 0:
			target, err := d.Readlink(p)
			line += fmt.Sprintf(" -> %s %v", target, err)
		default:
			line += fmt.Sprintf(" %q", content(t, d, p, st.Size))
		}
		lines = append(lines, line)
	}
	return lines
}

func content(t testing.TB, d Driver, p string, size int64) []byte {
	t.Helper()
	f, err := d.Open(p, os.O_RDONLY, 0)
	if err != nil {
		t.Fatalf("open %s: %v", p, err)
	}
	defer f.Close()
	buf := make([]byte, size+1)
	n, err := f.ReadAt(buf, 0)
	if err != nil && err != io.EOF {
		t.Fatalf("read %s: %v", p, err)
	}
	return buf[:n]
}
