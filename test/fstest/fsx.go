package fstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// FSX is what a file must survive: random reads, writes, truncations, mappings and
// allocations, through several handles, compared with a local file after each of them.
type FSX struct {
	Seed  uint64
	Steps int
	// Target and Reference are folders: the mount, and one on a local disk.
	Target, Reference string
	MaxSize           int64 // bytes, of the file
	// Stored compares the store's bytes with those of the reference. It is called when the
	// file was closed.
	Stored func(key string, want []byte) error
	// StoredEvery is after how many closes that is done. 0: at the end only.
	StoredEvery int
}

// fsx is a run of FSX.
type fsx struct {
	FSX
	*rand.Rand
	t       testing.TB
	name    string      // the file's, now
	f       [2]*os.File // open for reading and writing, on the target and the reference
	readers []*os.File  // of the target, which may be passed through
	scratch *os.File
	size    int64 // of the reference
	step    int
	closes  int
	done    []string // the last operations
}

// Run runs it, and fails at the first difference.
func (o FSX) Run(t testing.TB) {
	t.Helper()
	t.Logf("fsx: seed %d, %d steps", o.Seed, o.Steps)
	x := &fsx{FSX: o, Rand: rand.New(rand.NewPCG(o.Seed, 1)), t: t, name: "fsx-a"}
	var err error
	if x.scratch, err = os.CreateTemp("", "fsx"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		x.scratch.Close()
		os.Remove(x.scratch.Name())
	}()
	x.open(os.O_CREATE | os.O_TRUNC)
	defer func() {
		for _, f := range append(x.readers, x.f[:]...) {
			f.Close()
		}
	}()
	for x.step = range o.Steps {
		x.one()
	}
	x.reopen(0)
	x.readAll(x.f[0])
	x.stored()
}

// operations are as often as they stand here. Those that wait for the store are rare.
var operations = [...]struct {
	weight int
	do     func(*fsx)
}{
	{30, (*fsx).write}, {6, (*fsx).append}, {25, (*fsx).read}, {6, (*fsx).readElsewhere}, {8, (*fsx).mapRead},
	{10, (*fsx).mapWrite}, {6, (*fsx).truncate}, {2, (*fsx).truncateByName}, {3, (*fsx).allocate}, {2, (*fsx).punch},
	{3, (*fsx).forget}, {3, (*fsx).stat}, {2, (*fsx).fsync}, {2, func(x *fsx) { x.reopen(0) }}, {1, (*fsx).anew},
	{1, (*fsx).openReader}, {1, (*fsx).closeReader}, {1, (*fsx).rename},
}

func (x *fsx) one() {
	sum := 0
	for _, o := range operations {
		sum += o.weight
	}
	n := x.IntN(sum)
	for _, o := range operations {
		if n -= o.weight; n < 0 {
			o.do(x)
			return
		}
	}
}

// note remembers an operation for the failure's message.
func (x *fsx) note(format string, args ...any) {
	if x.done = append(x.done, fmt.Sprintf("%d: ", x.step)+fmt.Sprintf(format, args...)); len(x.done) > 60 {
		x.done = x.done[1:]
	}
}

func (x *fsx) fatal(format string, args ...any) {
	x.t.Helper()
	x.t.Fatalf("seed %d, step %d: %s\nthe last operations:\n  %s", x.Seed, x.step, fmt.Sprintf(format, args...), strings.Join(x.done, "\n  "))
}

// both runs an operation on the target and the reference, and compares the errnos.
func (x *fsx) both(what string, do func(f *os.File) error) {
	x.t.Helper()
	var errs [2]error
	for i, f := range x.f {
		errs[i] = do(f)
	}
	if no(errs[0]) != no(errs[1]) {
		x.fatal("%s: %v, the local file says %v", what, errs[0], errs[1])
	}
	if st, err := x.f[1].Stat(); err == nil {
		x.size = st.Size()
	}
}

func (x *fsx) path(i int) string { return filepath.Join([2]string{x.Target, x.Reference}[i], x.name) }

func (x *fsx) open(flags int) {
	x.t.Helper()
	for i := range x.f {
		f, err := os.OpenFile(x.path(i), os.O_RDWR|flags, 0o644)
		if err != nil {
			x.fatal("open %x: %v", flags, err)
		}
		x.f[i] = f
	}
	if st, err := x.f[1].Stat(); err == nil {
		x.size = st.Size()
	}
}

// place chooses a range of up to most bytes that begins below limit.
func (x *fsx) place(limit int64, most int) (off int64, n int) {
	off = x.Int64N(max(limit, 1))
	switch x.IntN(4) {
	case 0:
		off &^= 4095
	case 1:
		off = max(0, min(off, limit-int64(x.IntN(100)))) // near the end
	}
	n = 1 + x.IntN(most)
	if x.IntN(4) == 0 {
		n = 4096
	}
	return off, n
}

// data makes bytes that tell where and when they were written.
func (x *fsx) data(n int, off int64) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(x.step>>(i%2*8)) ^ byte((off+int64(i))>>9)
	}
	return p
}

func (x *fsx) write() {
	off, n := x.place(x.MaxSize-70_000, 65_000)
	x.note("write %d at %d", n, off)
	p := x.data(n, off)
	x.both("write", func(f *os.File) error { _, err := f.WriteAt(p, off); return err })
}

// append writes through handles of their own, which are closed.
func (x *fsx) append() {
	if x.size > x.MaxSize-70_000 {
		return
	}
	n := 1 + x.IntN(5000)
	x.note("append %d to %d", n, x.size)
	p := x.data(n, x.size)
	i := 0
	x.both("append", func(*os.File) error {
		f, err := os.OpenFile(x.path(i), os.O_WRONLY|os.O_APPEND, 0)
		if i++; err != nil {
			return err
		}
		_, err = f.Write(p)
		return errors.Join(err, f.Close())
	})
}

func (x *fsx) read() { x.readFrom(x.f[0], "read") }

func (x *fsx) readElsewhere() {
	if len(x.readers) > 0 {
		x.readFrom(x.readers[x.IntN(len(x.readers))], "read through another handle")
	}
}

func (x *fsx) readFrom(f *os.File, what string) {
	off, n := x.place(x.size, 65_000)
	x.note("%s %d at %d", what, n, off)
	got, want := make([]byte, n), make([]byte, n)
	k, err := f.ReadAt(got, off)
	l, wantErr := x.f[1].ReadAt(want, off)
	if k != l || no(err) != no(wantErr) {
		x.fatal("%s: %d bytes, %v, the local file gives %d, %v", what, k, err, l, wantErr)
	}
	x.equal(what, got[:k], want[:l], off)
}

func (x *fsx) equal(what string, got, want []byte, off int64) {
	x.t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	x.fatal("%s: byte %d differs: %x, not %x (%d bytes, not %d)", what, off+int64(at), head(got[at:]), head(want[at:]), len(got), len(want))
}

func head(p []byte) []byte { return p[:min(len(p), 16)] }

// readAll compares the whole file.
func (x *fsx) readAll(f *os.File) {
	got, err := io.ReadAll(io.NewSectionReader(f, 0, x.MaxSize*2))
	want, wantErr := os.ReadFile(x.path(1))
	if err != nil || wantErr != nil {
		x.fatal("read all: %v, %v", err, wantErr)
	}
	x.equal("read all", got, want, 0)
}

// mapping maps pages of the file that it has in full. Only system calls may touch the
// memory: a goroutine that waits for a page can't be stopped, and would keep the garbage
// collector, and so a store in this process, from going on.
func (x *fsx) mapping(prot int) (mem []byte, off int64) {
	pages := x.size / 4096
	if pages == 0 {
		return nil, 0
	}
	first := x.Int64N(pages)
	n := 1 + x.Int64N(min(pages-first, 16))
	off = first * 4096
	mem, err := unix.Mmap(int(x.f[0].Fd()), off, int(n*4096), prot, unix.MAP_SHARED)
	if err != nil {
		x.fatal("map %d at %d: %v", n*4096, off, err)
	}
	return mem, off
}

func (x *fsx) unmap(mem []byte) {
	if err := unix.Munmap(mem); err != nil {
		x.fatal("unmap: %v", err)
	}
}

func (x *fsx) mapRead() {
	mem, off := x.mapping(unix.PROT_READ)
	if mem == nil {
		return
	}
	x.note("map and read %d at %d", len(mem), off)
	got, want := make([]byte, len(mem)), make([]byte, len(mem))
	_, err := x.f[1].ReadAt(want, off)
	if err == nil {
		_, err = x.scratch.WriteAt(mem, 0) // see mapping
	}
	if err == nil {
		_, err = x.scratch.ReadAt(got, 0)
	}
	if err != nil {
		x.fatal("read: %v", err)
	}
	x.equal("a mapping", got, want, off)
	x.unmap(mem)
}

func (x *fsx) mapWrite() {
	mem, off := x.mapping(unix.PROT_READ | unix.PROT_WRITE)
	if mem == nil {
		return
	}
	from := x.IntN(len(mem))
	to := from + 1 + x.IntN(len(mem)-from)
	p := x.data(to-from, off+int64(from))
	x.note("map and write %d at %d", len(p), off+int64(from))
	_, err := x.f[1].WriteAt(p, off+int64(from))
	if err == nil {
		_, err = x.f[1].ReadAt(mem[from:to], off+int64(from))
	}
	if err != nil {
		x.fatal("write: %v", err)
	}
	if x.IntN(8) == 0 {
		x.note("msync")
		if err := unix.Msync(mem, unix.MS_SYNC); err != nil {
			x.fatal("msync: %v", err)
		}
	}
	x.unmap(mem)
}

func (x *fsx) newSize() int64 {
	switch x.IntN(6) {
	case 0:
		return 0
	case 1:
		return x.size
	case 2:
		return x.Int64N(x.MaxSize) &^ 4095
	}
	return x.Int64N(x.MaxSize)
}

func (x *fsx) truncate() {
	size := x.newSize()
	x.note("ftruncate %d to %d", x.size, size)
	x.both("ftruncate", func(f *os.File) error { return f.Truncate(size) })
}

func (x *fsx) truncateByName() {
	size, i := x.newSize(), 0
	x.note("truncate %d to %d", x.size, size)
	x.both("truncate", func(*os.File) error { i++; return os.Truncate(x.path(i-1), size) })
}

func (x *fsx) allocate() {
	off, n := x.place(x.MaxSize-70_000, 65_000)
	mode := uint32(0)
	if x.IntN(2) == 0 {
		mode = unix.FALLOC_FL_KEEP_SIZE
	}
	x.note("fallocate %x %d at %d", mode, n, off)
	x.both("fallocate", func(f *os.File) error { return unix.Fallocate(int(f.Fd()), mode, off, int64(n)) })
}

// punch makes a hole, where the target can: where it says that it can't, it must not.
func (x *fsx) punch() {
	off, n := x.place(x.size, 65_000)
	x.note("punch %d at %d", n, off)
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	err := unix.Fallocate(int(x.f[0].Fd()), mode, off, int64(n))
	if errors.Is(err, unix.EOPNOTSUPP) {
		return
	}
	if err == nil {
		err = unix.Fallocate(int(x.f[1].Fd()), mode, off, int64(n))
	}
	if err != nil {
		x.fatal("punch: %v", err)
	}
}

// forget has the kernel drop its pages of the file, so that reads reach the mount.
func (x *fsx) forget() {
	x.note("drop pages")
	if err := unix.Fadvise(int(x.f[0].Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		x.fatal("fadvise: %v", err)
	}
}

func (x *fsx) stat() {
	x.note("stat")
	byHandle, err := x.f[0].Stat()
	byName, nameErr := os.Stat(x.path(0))
	if err != nil || nameErr != nil || byHandle.Size() != x.size || byName.Size() != x.size {
		x.fatal("stat: %v, %v, %v and %v, want %d bytes", byHandle, err, byName, nameErr, x.size)
	}
}

func (x *fsx) fsync() {
	x.note("fsync")
	x.both("fsync", func(f *os.File) error { return f.Sync() })
}

// reopen closes the file, and opens it with flags.
func (x *fsx) reopen(flags int) {
	x.note("close, open %x", flags)
	x.both("close", func(f *os.File) error { return f.Close() })
	x.open(flags)
	if x.closes++; x.StoredEvery > 0 && x.closes%x.StoredEvery == 0 && flags == 0 {
		x.stored()
	}
}

func (x *fsx) stored() {
	want, err := os.ReadFile(x.path(1))
	if err == nil {
		err = x.Stored(x.name, want)
	}
	if err != nil {
		x.fatal("in the store: %v", err)
	}
}

// anew writes the file from the begin, in order, as most programs write.
func (x *fsx) anew() {
	x.reopen(os.O_TRUNC)
	size := x.Int64N(x.MaxSize)
	x.note("write %d in order", size)
	for off := int64(0); off < size; off += 128 << 10 {
		p := x.data(int(min(128<<10, size-off)), off)
		x.both("write", func(f *os.File) error { _, err := f.WriteAt(p, off); return err })
	}
}

func (x *fsx) openReader() {
	if len(x.readers) > 2 {
		return
	}
	x.note("open for reading")
	f, err := os.Open(x.path(0))
	if err != nil {
		x.fatal("open: %v", err)
	}
	x.readers = append(x.readers, f)
	if x.IntN(2) == 0 { // alone: the kernel may read it from the cache
		x.reopen(0)
	}
}

func (x *fsx) closeReader() {
	if len(x.readers) == 0 {
		return
	}
	x.note("close a reader")
	f := x.readers[0]
	x.readers = x.readers[1:]
	if err := f.Close(); err != nil {
		x.fatal("close: %v", err)
	}
}

func (x *fsx) rename() {
	to, i := map[string]string{"fsx-a": "fsx-b", "fsx-b": "fsx-a"}[x.name], 0
	x.note("rename to %s", to)
	x.both("rename", func(*os.File) error {
		i++
		return os.Rename(x.path(i-1), filepath.Join(filepath.Dir(x.path(i-1)), to))
	})
	x.name = to
}
