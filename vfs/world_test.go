package vfs

import (
	"context"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// world is a file system on a memStore, with its clock, driven by paths.
type world struct {
	t     *testing.T
	m     *memStore
	fs    *FS
	disk  *budget.Disk
	mu    sync.Mutex
	now   time.Time // guarded by mu against what runs ahead
	queue *writeback.Queue
	cache *objcache.Cache
	dir   string
}

func newWorld(t *testing.T, m *memStore, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, m: m, now: time.Unix(1_800_000_000, 0), disk: budget.NewDisk(1 << 30)}
	dir := t.TempDir()
	w.dir = dir
	var err error
	if w.cache, err = objcache.New(objcache.Options{Fetcher: m, Dir: dir + "/blocks", Memory: 32 << 20, Disk: w.disk}); err != nil {
		t.Fatal(err)
	}
	if w.queue, err = writeback.NewQueue(writeback.Options{Dir: dir + "/staging", Uploader: m, Cache: w.cache, Disk: w.disk}); err != nil {
		t.Fatal(err)
	}
	o := Options{Store: m, Cache: w.cache, Meta: objcache.NewMetadata(1000), Queue: w.queue, UnsentDir: dir + "/unsent",
		DirCacheTime: 10 * time.Second, UID: 1, GID: 2, Now: w.clock}
	for _, c := range change {
		c(&o)
	}
	w.fs = New(o)
	w.fs.tree.guesses.wrong = wrongInAll // see guess
	t.Cleanup(w.close)
	return w
}

// clock is the time that the file system has, also in what runs ahead.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) close() {
	if err := w.fs.Close(context.Background()); err != nil {
		w.t.Errorf("close: %v", err)
	}
	if err := w.queue.Close(context.Background()); err != nil {
		w.t.Errorf("close queue: %v", err)
	}
	if err := w.cache.Close(); err != nil {
		w.t.Errorf("close cache: %v", err)
	}
}

func (w *world) ctx() context.Context { return context.Background() }

// must ends the test on an error.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// want ends the test unless err is of the kind.
func (w *world) want(err error, k object.Kind) {
	w.t.Helper()
	if !object.Is(err, k) {
		w.t.Fatalf("got %v, want %v", err, k)
	}
}

// lookup walks to a path. The references it takes are never given back: the kernel may
// keep them as long as it likes.
func (w *world) lookup(p string) (Entry, error) {
	e := Entry{Node: RootID}
	if p == "" {
		a, err := w.fs.GetAttr(w.ctx(), RootID)
		return Entry{Node: RootID, Attr: a}, err
	}
	for _, name := range strings.Split(p, "/") {
		var err error
		if e, err = w.fs.Lookup(w.ctx(), e.Node, name); err != nil {
			return Entry{}, err
		}
	}
	return e, nil
}

func (w *world) dirOf(p string) (NodeID, string) {
	w.t.Helper()
	d, name := path.Split(p)
	e, err := w.lookup(strings.TrimSuffix(d, "/"))
	w.must(err)
	return e.Node, name
}

func (w *world) create(p string) *Handle {
	w.t.Helper()
	d, name := w.dirOf(p)
	_, h, err := w.fs.Create(w.ctx(), d, name, 0o640, false, Caller{UID: 10, GID: 20})
	w.must(err)
	return h
}

func (w *world) open(p string, write bool) *Handle {
	w.t.Helper()
	e, err := w.lookup(p)
	w.must(err)
	h, _, err := w.fs.Open(w.ctx(), e.Node, write)
	w.must(err)
	return h
}

func (w *world) writeAt(h *Handle, data string, off int64) {
	w.t.Helper()
	n, err := h.WriteAt(w.ctx(), []byte(data), off)
	w.must(err)
	if n != len(data) {
		w.t.Fatalf("wrote %d of %d bytes", n, len(data))
	}
}

func (w *world) closeFile(h *Handle) {
	w.t.Helper()
	w.must(h.Flush(w.ctx()))
	h.Release()
}

func (w *world) write(p, data string) {
	w.t.Helper()
	h := w.create(p)
	w.writeAt(h, data, 0)
	w.closeFile(h)
}

func (w *world) readHandle(h *Handle) (string, error) {
	b := make([]byte, 1<<16)
	n, err := h.ReadAt(w.ctx(), b, 0)
	if err == io.EOF {
		err = nil
	}
	return string(b[:n]), err
}

func (w *world) read(p string) string {
	w.t.Helper()
	h := w.open(p, false)
	defer h.Release()
	s, err := w.readHandle(h)
	w.must(err)
	return s
}

func (w *world) list(p string) (names []string) {
	w.t.Helper()
	e, err := w.lookup(p)
	w.must(err)
	d, err := w.fs.OpenDir(w.ctx(), e.Node)
	w.must(err)
	defer w.fs.ReleaseDir(d)
	w.must(d.Read(w.ctx(), 2, false, func(e DirEntry) bool {
		names = append(names, e.Name)
		return true
	}))
	slices.Sort(names)
	return names
}

func (w *world) rename(from, to string) error {
	w.t.Helper()
	fd, fn := w.dirOf(from)
	td, tn := w.dirOf(to)
	return w.fs.Rename(w.ctx(), fd, fn, td, tn, false)
}

func (w *world) unlink(p string) error {
	w.t.Helper()
	d, n := w.dirOf(p)
	return w.fs.Unlink(w.ctx(), d, n)
}

func (w *world) mkdir(p string) {
	w.t.Helper()
	d, n := w.dirOf(p)
	_, err := w.fs.Mkdir(w.ctx(), d, n, 0o755, Caller{UID: 10, GID: 20})
	w.must(err)
}

// staged lists the files in the queue's folder.
func (w *world) staged() []string {
	w.t.Helper()
	left, err := filepath.Glob(filepath.Join(w.dir, "staging", "staged", "*"))
	w.must(err)
	return left
}

// stored checks what the bucket holds.
func (w *world) stored(key, want string) {
	w.t.Helper()
	if got, ok := w.m.get(key); !ok || got != want {
		w.t.Fatalf("object %q holds %q (there: %v), want %q", key, got, ok, want)
	}
}

func (w *world) keys(want ...string) {
	w.t.Helper()
	if got := w.m.keys(); !slices.Equal(got, want) {
		w.t.Fatalf("the bucket holds %q, want %q", got, want)
	}
}
