package vfs

import (
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	now   time.Time
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
	if w.queue, err = writeback.NewQueue(writeback.Options{Dir: dir + "/staging", Uploader: m, Disk: w.disk}); err != nil {
		t.Fatal(err)
	}
	o := Options{Store: m, Cache: w.cache, Meta: objcache.NewMetadata(1000), Queue: w.queue, UnsentDir: dir + "/unsent",
		DirCacheTime: 10 * time.Second, UID: 1, GID: 2, Now: func() time.Time { return w.now }}
	for _, c := range change {
		c(&o)
	}
	w.fs = New(o)
	t.Cleanup(w.close)
	return w
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

func TestWhatIsClosedIsStored(t *testing.T) {
	w := newWorld(t, newMemStore())
	h := w.create("a")
	w.writeAt(h, "hello", 0)
	if _, ok := w.m.get("a"); ok {
		t.Error("the object is there before close")
	}
	if got, _ := w.readHandle(h); got != "hello" {
		t.Errorf("read %q before close", got)
	}
	w.must(h.Flush(w.ctx()))
	w.stored("a", "hello")
	h.Release()
	gets := w.m.requests("Get")
	if got := w.read("a"); got != "hello" {
		t.Errorf("read back %q", got)
	}
	if n := w.m.requests("Get") - gets; n != 0 {
		t.Errorf("reading back what was written sent %d GETs", n)
	}
	info, err := w.m.Head(w.ctx(), "a")
	w.must(err)
	want := object.Meta{"mtime": "1800000000.000000000", "mode": "33184", "uid": "10", "gid": "20"}
	for k, v := range want {
		if info.Meta[k] != v {
			t.Errorf("metadata %s is %q, want %q", k, info.Meta[k], v)
		}
	}
}

func TestEmptyFileIsStoredAtClose(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.write("empty", "")
	w.stored("empty", "")
}

func TestEditOfAnExistingObject(t *testing.T) {
	m := newMemStore()
	m.put("f", "0123456789", nil)
	w := newWorld(t, m)
	h := w.open("f", true)
	w.writeAt(h, "AB", 3)
	w.closeFile(h)
	w.stored("f", "012AB56789")
	h = w.open("f", true)
	w.writeAt(h, "end", 10)
	w.closeFile(h)
	w.stored("f", "012AB56789end")
	if got := w.read("f"); got != "012AB56789end" {
		t.Errorf("read %q", got)
	}
}

func TestTruncate(t *testing.T) {
	m := newMemStore()
	m.put("f", "0123456789", nil)
	w := newWorld(t, m)
	e, err := w.lookup("f")
	w.must(err)
	for _, c := range []struct {
		size int64
		want string
	}{{4, "0123"}, {6, "0123\x00\x00"}, {0, ""}, {2, "\x00\x00"}} {
		a, err := w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &c.size})
		w.must(err)
		w.stored("f", c.want)
		if a.Size != c.size {
			t.Errorf("size %d, want %d", a.Size, c.size)
		}
	}
	negative := int64(-1)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &negative})
	w.want(err, object.KindInvalid)
}

func TestOverwriteKeepsTheOldObjectUntilClose(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", nil)
	w := newWorld(t, m)
	h := w.open("f", true)
	zero := int64(0)
	_, err := w.fs.SetAttr(w.ctx(), h.Node(), SetAttr{Size: &zero}) // open(O_TRUNC)
	w.must(err)
	w.writeAt(h, "new", 0)
	w.stored("f", "old")
	w.closeFile(h)
	w.stored("f", "new")
}

func TestRefusedUploadIsAnErrorOfClose(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "data", 0)
	no := object.Errorf(object.KindPermission, "PutObject", "f", "")
	m.fail = func(op, _ string) error {
		if op == "Put" {
			return no
		}
		return nil
	}
	w.want(h.Flush(w.ctx()), object.KindPermission)
	h.Release()
	if _, err := w.lookup("f"); !object.Is(err, object.KindNotFound) {
		t.Errorf("a file that S3 refused still shows: %v", err)
	}
	m.fail = nil
}

func TestReplacedObjectIsNeverMixed(t *testing.T) {
	m := newMemStore()
	m.put("f", strings.Repeat("1", 100), nil)
	w := newWorld(t, m)
	old := w.open("f", false)
	defer old.Release()
	m.put("f", strings.Repeat("2", 100), nil)
	if s, err := w.readHandle(old); err == nil {
		t.Errorf("an open file reads %q of a replaced object", s)
	} else {
		w.want(err, object.KindStale)
	}
	w.now = w.now.Add(time.Minute)
	if got := w.read("f"); got != strings.Repeat("2", 100) {
		t.Errorf("a new open reads %q", got)
	}
}

func TestOpenHandleKeepsItsInodeWhenTheObjectIsReplaced(t *testing.T) {
	m := newMemStore()
	m.put("f", "one", nil)
	w := newWorld(t, m)
	h := w.open("f", false)
	defer h.Release()
	m.put("f", "two!", nil)
	w.now = w.now.Add(time.Minute)
	_, _, err := w.fs.Open(w.ctx(), h.Node(), false)
	w.want(err, object.KindStale)
	e, err := w.lookup("f")
	w.must(err)
	if e.Node == h.Node() || e.Attr.Size != 4 {
		t.Errorf("the name has inode %d (the handle's: %d) of size %d", e.Node, h.Node(), e.Attr.Size)
	}
}

func TestUnlinkWhileOpen(t *testing.T) {
	m := newMemStore()
	m.put("f", "precious", nil)
	w := newWorld(t, m)
	h := w.open("f", false)
	w.must(w.unlink("f"))
	w.keys()
	s, err := w.readHandle(h)
	w.must(err)
	if s != "precious" {
		t.Errorf("read %q after unlink", s)
	}
	h.Release()

	h = w.create("g")
	w.writeAt(h, "temp", 0)
	w.must(w.unlink("g"))
	w.must(h.Flush(w.ctx()))
	w.keys()
	if s, _ := w.readHandle(h); s != "temp" {
		t.Errorf("read %q after unlink", s)
	}
	h.Release()
	if left := w.staged(); len(left) != 0 {
		t.Errorf("staged files are left: %q", left)
	}
}

func TestFolders(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	w.mkdir("d")
	w.keys("d/")
	w.write("d/f", "x")
	d, n := w.dirOf("d")
	w.want(w.fs.Rmdir(w.ctx(), d, n), object.KindNotEmpty)
	w.want(w.unlink("d"), object.KindIsDir)
	w.must(w.unlink("d/f"))
	w.must(w.fs.Rmdir(w.ctx(), d, n))
	w.keys()
	_, err := w.lookup("d")
	w.want(err, object.KindNotFound)
}

func TestEmptiedFolderStays(t *testing.T) {
	m := newMemStore()
	m.put("d/only", "x", nil)
	w := newWorld(t, m)
	w.must(w.unlink("d/only"))
	w.keys("d/")
	if _, err := w.lookup("d"); err != nil {
		t.Errorf("the folder vanished with its last file: %v", err)
	}
}

func TestRenameFile(t *testing.T) {
	m := newMemStore()
	m.put("a", "data", object.Meta{"mtime": "5.000000000", "other": "kept"})
	m.put("b", "target", nil)
	w := newWorld(t, m)
	w.must(w.rename("a", "b"))
	w.keys("b")
	w.stored("b", "data")
	info, _ := m.Head(w.ctx(), "b")
	if info.Meta["other"] != "kept" || info.Meta["mtime"] != "5.000000000" {
		t.Errorf("metadata after rename: %v", info.Meta)
	}
	if got := w.read("b"); got != "data" {
		t.Errorf("read %q", got)
	}
	w.want(w.rename("nothing", "x"), object.KindNotFound)
	d, _ := w.dirOf("b")
	w.write("c", "c")
	w.want(w.fs.Rename(w.ctx(), d, "b", d, "c", true), object.KindExists)
}

func TestRenameOfAFileBeingWritten(t *testing.T) {
	w := newWorld(t, newMemStore())
	h := w.create("tmp")
	w.writeAt(h, "half", 0)
	w.must(w.rename("tmp", "final"))
	w.writeAt(h, " and half", 4)
	w.closeFile(h)
	w.keys("final")
	w.stored("final", "half and half")
}

func TestRenameOverAnOpenFile(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", nil)
	w := newWorld(t, m)
	h := w.open("f", false)
	defer h.Release()
	w.write("new", "new")
	w.must(w.rename("new", "f"))
	if s, err := w.readHandle(h); s != "old" || err != nil {
		t.Errorf("the open file reads %q, %v", s, err)
	}
	if got := w.read("f"); got != "new" {
		t.Errorf("the name reads %q", got)
	}
}

func TestRenameFolder(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"d/1", "d/sub/2", "d/sub/", "e"} {
		m.put(k, "data of "+k, nil)
	}
	w := newWorld(t, m)
	h := w.open("d/1", false)
	edit := w.open("d/sub/2", true)
	w.writeAt(edit, "DATA", 0)
	fresh := w.create("d/fresh")
	w.writeAt(fresh, "fresh", 0)
	w.must(w.rename("d", "n"))
	w.keys("e", "n/1", "n/sub/", "n/sub/2")
	if s, err := w.readHandle(h); s != "data of d/1" || err != nil {
		t.Errorf("an open file reads %q, %v after the rename", s, err)
	}
	h.Release()
	w.closeFile(edit)
	w.closeFile(fresh)
	w.stored("n/sub/2", "DATA of d/sub/2")
	w.stored("n/fresh", "fresh")
	if got := w.list("n"); !slices.Equal(got, []string{"1", "fresh", "sub"}) {
		t.Errorf("the new folder lists %q", got)
	}
	if _, err := w.lookup("d"); !object.Is(err, object.KindNotFound) {
		t.Errorf("the old folder: %v", err)
	}
	w.want(w.rename("n", "n/sub/x"), object.KindLoop)
	w.mkdir("full")
	w.write("full/x", "")
	w.want(w.rename("n", "full"), object.KindNotEmpty)
	w.mkdir("empty")
	w.must(w.rename("n", "empty"))
	w.stored("empty/fresh", "fresh")
}

func TestFailedRenameOfAFolderChangesNothing(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"d/1", "d/2", "d/3"} {
		m.put(k, k, nil)
	}
	w := newWorld(t, m)
	m.fail = func(op, key string) error {
		if op == "Copy" && key == "n/2" {
			return object.Errorf(object.KindPermission, "CopyObject", key, "")
		}
		return nil
	}
	err := w.rename("d", "n")
	m.fail = nil
	w.want(err, object.KindPermission)
	w.keys("d/1", "d/2", "d/3")
	if got := w.read("d/2"); got != "d/2" {
		t.Errorf("read %q", got)
	}
}

func TestSetAttrIsStored(t *testing.T) {
	m := newMemStore()
	m.put("f", "x", nil)
	w := newWorld(t, m)
	e, err := w.lookup("f")
	w.must(err)
	mode, at := uint32(0o600), time.Unix(123, 456)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode, Mtime: &at})
	w.must(err)
	copies := m.requests("Copy")
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode, Mtime: &at})
	w.must(err)
	if n := m.requests("Copy") - copies; n != 0 {
		t.Errorf("setting what is set sent %d requests", n)
	}
	again := newWorld(t, m)
	e, err = again.lookup("f")
	w.must(err)
	if e.Attr.Mode != unix.S_IFREG|0o600 || !e.Attr.Mtime.Equal(at) {
		t.Errorf("after a remount: mode %o, mtime %v", e.Attr.Mode, e.Attr.Mtime)
	}
}

func TestSetAttrOfAFileBeingWrittenGoesWithItsUpload(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "x", 0)
	at := time.Unix(99, 1)
	_, err := w.fs.SetAttr(w.ctx(), h.Node(), SetAttr{Mtime: &at})
	w.must(err)
	w.closeFile(h)
	if m.requests("Copy") != 0 || m.requests("Put") != 1 {
		t.Errorf("%d PUTs and %d copies, want one PUT", m.requests("Put"), m.requests("Copy"))
	}
	if info, _ := m.Head(w.ctx(), "f"); info.Meta["mtime"] != "99.000000001" {
		t.Errorf("mtime %q", info.Meta["mtime"])
	}
}

func TestSymlink(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	_, err := w.fs.Symlink(w.ctx(), RootID, "l", "../else where", Caller{})
	w.must(err)
	w.stored("l", "../else where")
	again := newWorld(t, m)
	e, err := again.lookup("l")
	w.must(err)
	target, err := again.fs.Readlink(w.ctx(), e.Node)
	w.must(err)
	if target != "../else where" || !e.Attr.IsSymlink() || e.Attr.Size != 13 {
		t.Errorf("link to %q, mode %o, size %d", target, e.Attr.Mode, e.Attr.Size)
	}
}

func TestOneListingAnswersForAFolder(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"d/a", "d/b", "d/c"} {
		m.put(k, k, nil)
	}
	w := newWorld(t, m)
	_, err := w.lookup("d/a")
	w.must(err)
	lists := m.requests("List")
	for _, name := range []string{"b", "c"} {
		_, err := w.lookup("d/" + name)
		w.must(err)
	}
	_, err = w.lookup("d/none")
	w.want(err, object.KindNotFound)
	if n := m.requests("List") - lists; n != 0 {
		t.Errorf("more lookups in a listed folder sent %d LISTs", n)
	}
}

func TestBigFoldersAreAskedByName(t *testing.T) {
	m := newMemStore()
	m.pageMax = 3
	for _, k := range []string{"a", "b", "c", "d", "e/x"} {
		m.put(k, k, nil)
	}
	w := newWorld(t, m)
	for _, name := range []string{"a", "d", "e", "e/x"} {
		if _, err := w.lookup(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.lookup("f")
	w.want(err, object.KindNotFound)
	if got := w.list(""); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("lists %q", got)
	}
}

func TestChangesFromElsewhereAreSeenInTime(t *testing.T) {
	m := newMemStore()
	m.put("f", "1", nil)
	w := newWorld(t, m)
	w.read("f")
	m.put("g", "2", nil)
	_, err := w.lookup("g")
	w.want(err, object.KindNotFound)
	w.now = w.now.Add(10 * time.Second)
	_, err = w.lookup("g")
	w.must(err)
	w.must(m.Delete(w.ctx(), "f"))
	w.now = w.now.Add(10 * time.Second)
	_, err = w.lookup("f")
	w.want(err, object.KindNotFound)
}

func TestDirCacheTimeZeroAsksAtEachOpen(t *testing.T) {
	m := newMemStore()
	m.put("f", "1", nil)
	w := newWorld(t, m, func(o *Options) { o.DirCacheTime = 0 })
	if got := w.read("f"); got != "1" {
		t.Fatalf("read %q", got)
	}
	m.put("f", "22", nil)
	if got := w.read("f"); got != "22" {
		t.Errorf("read %q after a change elsewhere", got)
	}
}

func TestStatOfManyRunsAhead(t *testing.T) {
	m := newMemStore()
	for i := range 50 {
		m.put("d/"+string(rune('a'+i/26))+string(rune('a'+i%26)), "x", nil)
	}
	w := newWorld(t, m)
	names := w.list("d")
	heads := m.requests("Head")
	for _, n := range names {
		_, err := w.lookup("d/" + n)
		w.must(err)
		w.fs.wg.Wait() // what runs ahead has landed
	}
	if n := m.requests("Head") - heads; n > len(names)+2 {
		t.Errorf("%d HEADs for %d files", n, len(names))
	}
}

func TestLookupOfOneAsksForOne(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"a", "b", "c", "d"} {
		m.put(k, k, nil)
	}
	w := newWorld(t, m)
	_, err := w.lookup("b")
	w.must(err)
	w.fs.wg.Wait()
	if n := m.requests("Head"); n != 1 {
		t.Errorf("%d HEADs for one file", n)
	}
}

func TestReadOnlyRefusesChanges(t *testing.T) {
	m := newMemStore()
	m.put("f", "x", nil)
	w := newWorld(t, m, func(o *Options) { o.ReadOnly = true })
	e, err := w.lookup("f")
	w.must(err)
	_, _, err = w.fs.Open(w.ctx(), e.Node, true)
	w.want(err, object.KindReadOnly)
	_, _, err = w.fs.Create(w.ctx(), RootID, "g", 0o644, false, Caller{})
	w.want(err, object.KindReadOnly)
	w.want(w.unlink("f"), object.KindReadOnly)
	w.want(w.rename("f", "g"), object.KindReadOnly)
	size := int64(0)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &size})
	w.want(err, object.KindReadOnly)
	w.stored("f", "x")
}

func TestForgottenInodesAreFreed(t *testing.T) {
	m := newMemStore()
	m.put("d/e/f", "x", nil)
	w := newWorld(t, m)
	var nodes []NodeID
	parent := RootID
	for _, name := range []string{"d", "e", "f"} {
		e, err := w.fs.Lookup(w.ctx(), parent, name)
		w.must(err)
		parent = e.Node
		nodes = append(nodes, e.Node)
	}
	h, _, err := w.fs.Open(w.ctx(), parent, false)
	w.must(err)
	for _, n := range nodes {
		w.fs.Forget(n, 1)
	}
	h.Release()
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	if len(w.fs.tree.nodes) != 1 || len(w.fs.tree.inos) != 1 || w.fs.tree.listed != 1+len(w.fs.root.t.listing.byName) {
		t.Errorf("%d nodes, %d inode numbers, %d listed entries are left", len(w.fs.tree.nodes), len(w.fs.tree.inos), w.fs.tree.listed)
	}
}

func TestListingMemoryIsBounded(t *testing.T) {
	m := newMemStore()
	for _, d := range []string{"a", "b", "c", "d"} {
		for _, f := range []string{"1", "2", "3", "4", "5"} {
			m.put(d+"/"+f, "", nil)
		}
	}
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 14 })
	for _, d := range []string{"a", "b", "c", "d", "a"} {
		if got := w.list(d); len(got) != 5 {
			t.Errorf("%s lists %q", d, got)
		}
	}
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	if w.fs.tree.listed > 14 {
		t.Errorf("%d entries are cached, the limit is 14", w.fs.tree.listed)
	}
}

func TestReaddirGoesOnWhereItWas(t *testing.T) {
	m := newMemStore()
	for i := range 100 {
		m.put(string(rune('0'+i/10))+string(rune('0'+i%10)), "", nil)
	}
	m.pageMax = 7
	w := newWorld(t, m)
	d, err := w.fs.OpenDir(w.ctx(), RootID)
	w.must(err)
	defer w.fs.ReleaseDir(d)
	var names []string
	off := uint64(0)
	for {
		got := 0
		w.must(d.Read(w.ctx(), off, true, func(e DirEntry) bool {
			if got == 3 {
				return false
			}
			got++
			names = append(names, e.Name)
			off = e.Off
			return true
		}))
		if got == 0 {
			break
		}
	}
	if len(names) != 102 || !slices.IsSorted(names[2:]) {
		t.Errorf("read %d names: %q", len(names), names)
	}
	first := ""
	w.must(d.Read(w.ctx(), 2, false, func(e DirEntry) bool { first = e.Name; return false }))
	if first != "00" {
		t.Errorf("after going back the first name is %q", first)
	}
}

func TestErrorsNameTheKey(t *testing.T) {
	w := newWorld(t, newMemStore())
	_, err := w.lookup("missing")
	var e *object.Error
	if !errors.As(err, &e) || e.Key != "missing" {
		t.Errorf("error %v names no key", err)
	}
	_, _, err = w.fs.Create(w.ctx(), RootID, "%s3-x", 0, false, Caller{})
	w.want(err, object.KindInvalid)
	_, _, err = w.fs.Create(w.ctx(), RootID, strings.Repeat("x", 256), 0, false, Caller{})
	w.want(err, object.KindNameTooLong)
}
