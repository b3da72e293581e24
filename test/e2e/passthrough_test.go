package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
)

// without runs f while the mount's process is stopped: what f does, the kernel does
// alone. It reports whether f came to its end so within patience.
func without(t testing.TB, m *mounts.Mount, patience time.Duration, f func() error) bool {
	t.Helper()
	m.Stop()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		m.Signal(syscall.SIGCONT)
		must(t, err)
		return true
	case <-time.After(patience):
		m.Signal(syscall.SIGCONT)
		must(t, <-done)
		return false
	}
}

// passedThrough opens a file of the mount, again and again until the kernel reads it
// without the mount. The caller closes it.
func passedThrough(t testing.TB, m *mounts.Mount, name string) *os.File {
	t.Helper()
	path := filepath.Join(m.Dir, name)
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned
	must(t, err)
	defer unix.Munmap(page)
	var f *os.File
	eventually(t, name+" is passed through", func() bool {
		// No page that the kernel has answers a direct read. The mount stands only for a
		// moment, since it may have to write the file to the cache still.
		direct, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECT, 0)
		must(t, err)
		defer direct.Close()
		if !without(t, m, 100*time.Millisecond, func() error { _, err := direct.ReadAt(page, 0); return err }) {
			return false
		}
		f, err = os.Open(path) // as direct is
		must(t, err)
		return true
	})
	return f
}

// forgetPages makes the kernel forget what it has of a file of the mount.
func forgetPages(t testing.TB, f *os.File) {
	t.Helper()
	must(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}

// cachedFile mounts a bucket with a file of size bytes, and reads it once.
func cachedFile(t *testing.T, size int64, args ...string) (*mounts.Mount, *s3fake.Server, *s3fake.Bucket, s3fake.Pattern) {
	t.Helper()
	m, fake, b := fakeMount(t, args...)
	p := s3fake.NewPattern(11)
	b.PutPattern("f", size, p, nil)
	must(t, checkPattern(m.Dir+"/f", p, size))
	return m, fake, b, p
}

func TestCachedFileIsReadWithoutTheMount(t *testing.T) {
	semantics.Claim(t, "A file of 1 MiB and more that is wholly in the cache, and found right there since the mount began, is read by the kernel from the cache's disk without asking the mount (Linux 6.9, as root).")
	const size = 33<<20 + 17
	m, fake, _, p := cachedFile(t, size)
	f := passedThrough(t, m, "f")
	defer f.Close()
	before := fake.Stats().Requests[s3fake.GetObject]
	forgetPages(t, f)
	if !without(t, m, 20*time.Second, func() error { return checkRead(io.NewSectionReader(f, 0, 1<<40), p, 0) }) {
		t.Error("reading all of it needs the mount")
	}
	same(t, "GETs", fake.Stats().Requests[s3fake.GetObject], before)
	again, err := os.Open(m.Dir + "/f")
	must(t, err)
	defer again.Close()
	if !without(t, m, 20*time.Second, func() error { return checkRead(io.NewSectionReader(again, 0, 1<<40), p, 0) }) {
		t.Error("a second handle needs the mount")
	}
	m2, err := unix.Mmap(int(again.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(m2)
	must(t, p.Check(m2, 0))
}

func TestWrittenFileIsReadWithoutTheMount(t *testing.T) {
	m, fake, _ := fakeMount(t)
	p := s3fake.NewPattern(12)
	const size = 9 << 20
	must(t, copyPattern(m.Dir+"/f", p, size))
	f := passedThrough(t, m, "f")
	defer f.Close()
	must(t, checkRead(io.NewSectionReader(f, 0, size), p, 0))
	same(t, "GETs", fake.Stats().Requests[s3fake.GetObject], 0)
}

func TestReaderPastTheMountSeesWhatIsWritten(t *testing.T) {
	semantics.Claim(t, "Who has a file open, or mapped, sees what this mount writes to it at once, also where the kernel reads it from the cache.")
	const size = 8 << 20
	m, _, b, p := cachedFile(t, size)
	r := passedThrough(t, m, "f")
	defer r.Close()
	view, err := unix.Mmap(int(r.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(view)
	want := make([]byte, size, size+100)
	p.ReadAt(want, 0)

	w, err := os.OpenFile(m.Dir+"/f", os.O_RDWR, 0)
	must(t, err)
	defer w.Close()
	change := func(data string, off int64) {
		t.Helper()
		_, err := w.WriteAt([]byte(data), off)
		must(t, err)
		want = want[:max(int64(len(want)), off+int64(len(data)))]
		copy(want[off:], data)
		got, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<40))
		must(t, err)
		same(t, "the reader sees the writer's bytes", bytes.Equal(got, want), true)
		same(t, "and in its mapping", bytes.Equal(view, want[:size]), true)
	}
	change("first", 3<<20)
	change("appended", size)
	must(t, w.Sync())
	got, _ := b.Get("f")
	same(t, "stored by fsync", bytes.Equal(got, want), true)
	change("second", 5<<20-2)
	must(t, w.Close())
	got, _ = b.Get("f")
	same(t, "stored by close", bytes.Equal(got, want), true)

	// Once more, over what has come back into the cache.
	w, err = os.OpenFile(m.Dir+"/f", os.O_RDWR, 0)
	must(t, err)
	change("third", 0)
	must(t, w.Close())
	eventually(t, "the reader's fstat tells the size", func() bool {
		st, err := r.Stat()
		must(t, err)
		return st.Size() == int64(len(want))
	})
	must(t, os.Truncate(m.Dir+"/f", size-10))
	st, err := r.Seek(0, io.SeekEnd)
	must(t, err)
	_ = st
	n, err := r.ReadAt(make([]byte, 100), size-20)
	same(t, "bytes before the end that truncate made", n, 10)
	same(t, "error there", err, io.EOF)
	must(t, r.Close())
	got, err = os.ReadFile(m.Dir + "/f")
	must(t, err)
	same(t, "a new reader", bytes.Equal(got, want[:size-10]), true)
	got, _ = b.Get("f")
	same(t, "the object", bytes.Equal(got, want[:size-10]), true)
}

func TestMappingPastTheMountOutlivesItsHandle(t *testing.T) {
	const size = 2 << 20
	m, _, b, p := cachedFile(t, size)
	r := passedThrough(t, m, "f")
	view, err := unix.Mmap(int(r.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(view)
	must(t, r.Close())
	must(t, p.Check(view, 0))
	w, err := os.OpenFile(m.Dir+"/f", os.O_RDWR, 0)
	must(t, err)
	_, err = w.WriteAt([]byte("new"), 1000)
	must(t, err)
	same(t, "in the mapping", string(view[1000:1003]), "new")
	must(t, w.Close())
	got, _ := b.Get("f")
	same(t, "in the object", bytes.Equal(got, view), true)
}

// The mount keeps a file that is mapped, and gives it to the next reader, but not one
// that somebody has changed.
func TestMappedFileIsDamagedInTheCache(t *testing.T) {
	const size = 2 << 20
	m, _, _, p := cachedFile(t, size)
	r := passedThrough(t, m, "f")
	view, err := unix.Mmap(int(r.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(view)
	must(t, r.Close())
	must(t, checkPattern(m.Dir+"/f", p, size))
	flip(t, cacheData(t, m.Cache)[0], 1<<20)
	must(t, checkPattern(m.Dir+"/f", p, size))
}

func TestFileReadPastTheMountIsRemovedAndReplaced(t *testing.T) {
	const size = 3 << 20
	m, _, b, p := cachedFile(t, size, "--dir-cache-time=0", "--attr-timeout=0")
	whole := func(r io.ReaderAt) {
		t.Helper()
		must(t, checkRead(io.NewSectionReader(r, 0, size), p, 0))
	}
	r := passedThrough(t, m, "f")
	defer r.Close()
	b.Put("f", bytes.Repeat([]byte("x"), 100), nil) // elsewhere
	same(t, "a new reader", read(t, m.Dir+"/f"), strings.Repeat("x", 100))
	whole(r)

	b.PutPattern("g", size, p, nil)
	must(t, checkPattern(m.Dir+"/g", p, size))
	g := passedThrough(t, m, "g")
	defer g.Close()
	must(t, os.Remove(m.Dir+"/g"))
	whole(g)
	write(t, m.Dir+"/g", "another")
	whole(g)
	same(t, "a new file of the name", read(t, m.Dir+"/g"), "another")

	b.PutPattern("h", size, p, nil)
	must(t, checkPattern(m.Dir+"/h", p, size))
	h := passedThrough(t, m, "h")
	defer h.Close()
	write(t, m.Dir+"/new", "new")
	must(t, os.Rename(m.Dir+"/new", m.Dir+"/h"))
	whole(h)
	same(t, "what was renamed over it", read(t, m.Dir+"/h"), "new")
}

func TestMixedOpensOfACachedFile(t *testing.T) {
	const size = 2 << 20
	m, _, _, p := cachedFile(t, size)
	passedThrough(t, m, "f").Close()
	w, err := os.OpenFile(m.Dir+"/f", os.O_RDWR, 0)
	must(t, err)
	defer w.Close()
	for i, open := range []func() (*os.File, error){ // by requests, since w is
		func() (*os.File, error) { return os.Open(m.Dir + "/f") },
		func() (*os.File, error) { return os.OpenFile(m.Dir+"/f", os.O_RDWR, 0) },
		func() (*os.File, error) { return os.OpenFile(m.Dir+"/f", os.O_CREATE|os.O_RDWR, 0o644) },
		func() (*os.File, error) { return os.OpenFile(m.Dir+"/f", os.O_WRONLY|syscall.O_DIRECT, 0) },
		func() (*os.File, error) { return os.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd())) },
	} {
		f, err := open()
		must(t, err)
		if i != 3 {
			must(t, checkRead(io.NewSectionReader(f, 0, size), p, 0))
		}
		defer f.Close()
	}
	for i := range 20 { // readers and writers in all orders
		r, err := os.Open(m.Dir + "/f")
		must(t, err)
		w, err := os.OpenFile(m.Dir+"/f", os.O_RDWR|os.O_APPEND, 0)
		must(t, err)
		same, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", r.Fd()))
		must(t, err)
		must(t, checkRead(io.NewSectionReader(same, 0, size), p, 0))
		for _, f := range [][]*os.File{{r, w, same}, {w, r, same}, {same, r, w}}[i%3] {
			must(t, f.Close())
		}
	}
}

func TestFileOpenPastTheMountCanBeCreatedOver(t *testing.T) {
	m, _, _, _ := cachedFile(t, 2<<20, "--dir-cache-time=0", "--attr-timeout=0")
	r := passedThrough(t, m, "f")
	defer r.Close()
	write(t, m.Dir+"/f", "short") // O_CREATE|O_TRUNC
	same(t, "the reader", readFrom(t, r), "short")
	same(t, "a new one", read(t, m.Dir+"/f"), "short")
}

func TestLocksOfReadersPastTheMount(t *testing.T) {
	semantics.Claim(t, "A lock that was taken through a handle for reading only of a file that the kernel reads from the cache is not seen by who opens the file for writing after that.")
	m, _, _, _ := cachedFile(t, 2<<20)
	r := passedThrough(t, m, "f")
	defer r.Close()
	must(t, unix.Flock(int(r.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	other, err := os.Open(m.Dir + "/f")
	must(t, err)
	defer other.Close()
	wantErrno(t, "the lock of another reader", unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	var writers []*os.File
	for range 2 {
		w, err := os.OpenFile(m.Dir+"/f", os.O_RDWR, 0)
		must(t, err)
		defer w.Close()
		writers = append(writers, w)
	}
	must(t, unix.Flock(int(writers[0].Fd()), unix.LOCK_EX|unix.LOCK_NB))
	wantErrno(t, "the lock of another writer", unix.Flock(int(writers[1].Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func readFrom(t testing.TB, f *os.File) string {
	t.Helper()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	must(t, err)
	return string(data)
}
