package vfs

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
)

// keep makes a world keep attributes in a folder.
func keep(t *testing.T, dir string, entries int) func(*Options) {
	t.Helper()
	a, err := objcache.OpenAttributes(objcache.AttributesOptions{Dir: dir, Limit: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return func(o *Options) {
		o.Meta = objcache.NewMetadata(entries)
		o.Meta.KeepOn(a)
	}
}

// remounted is a world on the same store and attributes.
func remounted(t *testing.T, m *memStore, dir string) *world {
	t.Helper()
	return newWorld(t, m, keep(t, dir, 1000))
}

func TestAttributesCostOneHeadInALifetime(t *testing.T) {
	m, _ := treeStore(5, 30)
	for i := range 30 {
		m.put(fmt.Sprintf("t/d001/f%02d", i), "x", object.Meta{"mode": "41453"}) // links
	}
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		w := remounted(t, m, dir)
		w.find(RootID)
	})
	heads := m.requests("Head")
	if heads < 150 {
		t.Fatalf("%d HEADs", heads)
	}
	w := remounted(t, m, dir)
	w.find(RootID)
	w.fs.wg.Wait()
	markers := 3 // of the folder, and of its first two before the walk is noticed
	if n := m.requests("Head") - heads; n > markers {
		t.Errorf("%d HEADs after a remount", n)
	}
	if e, err := w.lookup("t/d001/f07"); err != nil || !e.Attr.IsSymlink() {
		t.Errorf("%+v, %v", e.Attr, err)
	}
	if e, err := w.lookup("t/d002/f07"); err != nil || e.Attr.Mtime.Unix() != 207 {
		t.Errorf("%+v, %v", e.Attr, err)
	}
}

func TestWhatThisMountStoredCostsNoHeadAfterARemount(t *testing.T) {
	m := newMemStore()
	m.tick = 0
	m.clock = time.Now()
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		w := newWorld(t, m, keep(t, dir, 1000), func(o *Options) { o.Now = time.Now })
		w.write("f", "data")
		_, err := w.fs.Symlink(w.ctx(), RootID, "link", "f", Caller{})
		w.must(err)
	})
	w := newWorld(t, m, keep(t, dir, 1000), func(o *Options) { o.Now = time.Now })
	heads := m.requests("Head")
	e, err := w.lookup("f")
	w.must(err)
	if e.Attr.Mode&0o777 != 0o640 || e.Attr.UID != 10 {
		t.Errorf("%+v", e.Attr)
	}
	if e, err = w.lookup("link"); err != nil || !e.Attr.IsSymlink() {
		t.Errorf("%+v, %v", e.Attr, err)
	}
	if n := m.requests("Head") - heads; n != 0 {
		t.Errorf("%d HEADs", n)
	}
}

func TestAChangeOfMetadataAloneIsSeenAfterARemount(t *testing.T) {
	m := newMemStore()
	m.put("f", "data", object.Meta{"mode": "33152"})
	dir := t.TempDir()
	t.Run("first", func(t *testing.T) {
		w := remounted(t, m, dir)
		_, err := w.lookup("f")
		w.must(err)
	})
	m.put("f", "data", object.Meta{"mode": "33184"}) // a copy onto itself: the same ETag, a later second
	w := remounted(t, m, dir)
	if e, err := w.lookup("f"); err != nil || e.Attr.Mode != 0o100640 {
		t.Errorf("mode %o, %v", e.Attr.Mode, err)
	}
}

func TestListingNamesSendsNoHead(t *testing.T) {
	m, _ := treeStore(1, 50)
	w := newWorld(t, m)
	if got := w.list("t/d000"); len(got) != 50 {
		t.Errorf("%d names", len(got))
	}
	w.fs.wg.Wait()
	if n := m.requests("Head"); n > 2 { // the markers of the two folders on the way
		t.Errorf("%d HEADs", n)
	}
}

func TestStatRunsAheadInLargeFolders(t *testing.T) {
	m := newMemStore()
	const files = 3000
	for i := range files {
		m.put(fmt.Sprintf("d/%04d", i), "x", nil)
	}
	dir := t.TempDir()
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 4000 }, keep(t, dir, 5000)) // the folder is larger than half
	id := w.node("d")
	d, err := w.fs.OpenDir(w.ctx(), id)
	w.must(err)
	defer w.fs.ReleaseDir(d)
	lists, heads := m.requests("List"), m.requests("Head")
	names := 0
	for off := uint64(2); ; { // as ls -l: some names, and a stat of each
		var some []string
		w.must(d.Read(w.ctx(), off, true, func(e DirEntry) bool {
			if len(some) == 170 {
				return false
			}
			some, off = append(some, e.Name), e.Off
			return true
		}))
		for _, name := range some {
			_, err := w.fs.Lookup(w.ctx(), id, name)
			w.must(err)
			names++
		}
		if len(some) == 0 {
			break
		}
	}
	w.fs.wg.Wait()
	lists, heads = m.requests("List")-lists, m.requests("Head")-heads
	if names != files || heads > files || lists > 8 {
		t.Errorf("%d names, %d HEADs, %d LISTs", names, heads, lists)
	}
}

func TestAStatOfManyOutlastsTheirListing(t *testing.T) {
	m := newMemStore()
	const files = 2500
	for i := range files {
		m.put(fmt.Sprintf("d/%04d", i), "x", nil)
	}
	w := newWorld(t, m, func(o *Options) { o.MaxListed, o.Meta = 50_000, objcache.NewMetadata(10_000) })
	names := w.list("d")
	id := w.node("d")
	lists, heads := m.requests("List"), m.requests("Head")
	for i, name := range names {
		if i%500 == 499 {
			w.pass(11 * time.Second)
		}
		_, err := w.fs.Lookup(w.ctx(), id, name)
		w.must(err)
	}
	w.fs.wg.Wait()
	if l, h := m.requests("List")-lists, m.requests("Head")-heads; l > 20 || h > files+20 {
		t.Errorf("%d LISTs and %d HEADs for %d names", l, h, files)
	}
}

// Names that are looked up in no order are asked for one by one, not by pages.
func TestLookupsInNoOrderListNoPages(t *testing.T) {
	m := newMemStore()
	const files = 9000
	for i := range files {
		m.put(fmt.Sprintf("d/%05d", i), "x", nil)
	}
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 4000 })
	w.list("d")
	id := w.node("d")
	sent := 0
	m.fail = func(op, key string) error {
		if op == "List" && key == "d/" {
			sent++
		}
		return nil
	}
	for i := range 400 {
		_, err := w.fs.Lookup(w.ctx(), id, fmt.Sprintf("%05d", i*7919%files))
		w.must(err)
	}
	if sent > 40 {
		t.Errorf("%d pages were listed for 400 names", sent)
	}
}

func TestNamesThatAreNotThereAreRemembered(t *testing.T) {
	m := newMemStore()
	m.pageMax = 3
	for _, k := range []string{"a", "b", "c", "d"} {
		m.put(k, k, nil)
	}
	w := newWorld(t, m)
	for i := range 5 {
		before := m.requests("List") + m.requests("Head")
		_, err := w.lookup("none")
		w.want(err, object.KindNotFound)
		if n := m.requests("List") + m.requests("Head") - before; i > 0 && n != 0 {
			t.Fatalf("lookup %d sends %d requests", i, n)
		}
	}
	w.write("none", "x")
	if got := w.read("none"); got != "x" {
		t.Errorf("reads %q", got)
	}
	w.must(w.unlink("none"))
	_, err := w.lookup("none")
	w.want(err, object.KindNotFound)
	m.put("none", "y", nil)
	w.pass(11 * time.Second)
	if got := w.read("none"); got != "y" {
		t.Errorf("reads %q", got)
	}
}

func TestServerModTimeAsksForNoAttributes(t *testing.T) {
	m := newMemStore()
	for i := range 20 {
		m.put(fmt.Sprintf("d/%02d", i), "x", object.Meta{"mtime": "5", "mode": "33152"})
	}
	m.put("d/sub/x", "x", nil)
	w := newWorld(t, m, func(o *Options) { o.ServerModTime = true })
	if n := w.find(RootID); n != 23 {
		t.Errorf("%d names", n)
	}
	if n := m.requests("Head"); n != 0 {
		t.Errorf("%d HEADs", n)
	}
	e, err := w.lookup("d/03")
	w.must(err)
	if e.Attr.Mtime.Unix() < 1_700_000_000 || e.Attr.Mode != 0o100644 {
		t.Errorf("%+v", e.Attr)
	}
	w.setMode("d/03", 0o600) // keeps what it was not asked to change
	if got := m.objects["d/03"].info.Meta; got["mode"] != "33152" || got["mtime"] == "" {
		t.Errorf("metadata %v", got)
	}
	w.write("d/new", "data")
	if got := w.read("d/new"); got != "data" {
		t.Errorf("reads %q", got)
	}
	w.must(w.unlink("d/sub/x"))
	w.must(w.rmdir("d/sub"))
}

// kernel is an Invalidator that forgets, as a kernel does, all but what it was told to keep.
type kernel struct {
	w *world

	mu   sync.Mutex // guards what follows
	keep map[NodeID]bool
	told int
}

func (k *kernel) InvalidateEntry(NodeID, string) {}
func (k *kernel) InvalidateContent(NodeID)       {}

func (k *kernel) Forget(nodes []Forgettable) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told += len(nodes)
	for _, n := range nodes {
		if !k.keep[n.Node] {
			k.w.fs.Forget(n.Node, 1<<40)
		}
	}
}

func TestTheTableOfInodesIsBounded(t *testing.T) {
	m := newMemStore()
	const files, limit = 3000, 200
	for i := range files {
		m.put(fmt.Sprintf("d/%04d", i), "x", nil)
	}
	w := newWorld(t, m, func(o *Options) { o.MaxInodes, o.MaxListed = limit, 50_000 })
	k := &kernel{w: w, keep: map[NodeID]bool{}}
	w.fs.SetInvalidator(k)
	names := w.list("d")
	id := w.node("d")
	h := w.open("d/0007", true)
	w.writeAt(h, "y", 0)
	for i, name := range names {
		e, err := w.fs.Lookup(w.ctx(), id, name)
		w.must(err)
		if i%100 == 0 {
			k.mu.Lock()
			k.keep[e.Node] = true // a working directory, say
			k.mu.Unlock()
		}
		w.awaitForgetting()
		if n := w.inodes(); n > limit+limit/4+files/100 {
			t.Fatalf("%d inodes after %d names", n, i+1)
		}
	}
	if k.told > 2*files {
		t.Errorf("the kernel was asked %d times for %d inodes", k.told, files)
	}
	w.fs.tree.Lock()
	inOrder := 0
	for n := w.fs.tree.order.oldest; n != nil; n = n.t.newer {
		inOrder++
	}
	if inOrder != len(w.fs.tree.nodes)-1 { // the root is not to be forgotten
		t.Errorf("%d inodes are held, %d known", inOrder, len(w.fs.tree.nodes))
	}
	w.fs.tree.Unlock()
	w.closeFile(h)
	if got := w.read("d/0007"); got != "y" {
		t.Errorf("reads %q", got)
	}
}

// A kernel that keeps all is not asked at each name.
func TestAKernelThatForgetsNothingIsAskedSeldom(t *testing.T) {
	m := newMemStore()
	const files, limit = 2000, 100
	for i := range files {
		m.put(fmt.Sprintf("d/%04d", i), "x", nil)
	}
	w := newWorld(t, m, func(o *Options) { o.MaxInodes, o.MaxListed = limit, 50_000 })
	k := &kernel{w: w, keep: map[NodeID]bool{}}
	for i := range NodeID(files + 10) {
		k.keep[i] = true
	}
	w.fs.SetInvalidator(k)
	names := w.list("d")
	for _, name := range names {
		_, err := w.fs.Lookup(w.ctx(), w.node("d"), name)
		w.must(err)
		w.awaitForgetting()
	}
	if rounds := files / (limit / 8); k.told > rounds*files {
		t.Errorf("asked for %d inodes", k.told)
	}
}

func (w *world) inodes() int {
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	return len(w.fs.tree.nodes)
}

func (w *world) awaitForgetting() { w.fs.wg.Wait() }
