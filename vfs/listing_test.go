package vfs

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestANameMadeAgainIsListedOnce(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.mkdir("d")
	w.write("d/a", "1")
	w.list("d") // caches the listing
	for range 3 {
		w.write("d/b", "2")
		w.must(w.unlink("d/a"))
		w.must(w.rename("d/b", "d/a"))
	}
	if got := w.list("d"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("lists %q", got)
	}
}

func TestListingMemoryIsBoundedWhileNamesAreMade(t *testing.T) {
	w := newWorld(t, newMemStore(), func(o *Options) { o.MaxListed = 20 })
	w.mkdir("d")
	w.list("d")
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("%02d", i))
		w.write("d/"+want[i], "")
		w.fs.tree.Lock()
		if n := w.fs.tree.listed; n > 20 {
			t.Errorf("%d entries are cached after %d files, the limit is 20", n, i+1)
		}
		w.fs.tree.Unlock()
	}
	if got := w.list("d"); !slices.Equal(got, want) {
		t.Errorf("lists %q", got)
	}
}

func TestRewinddirShowsTheFolderAsItIsByThen(t *testing.T) {
	m := newMemStore()
	m.put("a", "1", nil)
	w := newWorld(t, m)
	d, err := w.fs.OpenDir(w.ctx(), RootID)
	w.must(err)
	defer w.fs.ReleaseDir(d)
	read := func() (names []string) {
		w.must(d.Read(w.ctx(), 0, false, func(e DirEntry) bool {
			names = append(names, e.Name)
			return true
		}))
		slices.Sort(names)
		return names
	}
	read()
	w.write("b", "2")
	w.must(w.unlink("a"))
	if got := read(); !slices.Equal(got, []string{".", "..", "b"}) {
		t.Errorf("after a change here: %q", got)
	}
	m.put("c", "3", nil)
	w.pass(time.Minute)
	if got := read(); !slices.Equal(got, []string{".", "..", "b", "c"}) {
		t.Errorf("after a change elsewhere: %q", got)
	}
}

func TestTheRootHasNoFileWithoutAName(t *testing.T) {
	m := newMemStore()
	m.put("a", "1", nil)
	m.fail = func(op, key string) error {
		if op == "Head" && key == "" {
			return object.Errorf(object.KindInvalid, "HeadObject", key, "the key is empty")
		}
		return nil
	}
	w := newWorld(t, m, func(o *Options) { o.DirCacheTime = 0 })
	_, err := w.lookup("%s3-empty")
	w.want(err, object.KindNotFound)
	w.mkdir("%s3-empty")
	w.keys("/", "a")
}

// A program that reads the files of a folder for longer than its listing is trusted makes
// many listings of it. Those that are over are not held.
func TestListingsThatAreOverAreNotHeld(t *testing.T) {
	m := newMemStore()
	for i := range 100 {
		m.put(fmt.Sprintf("d/f%03d", i), "x", nil)
	}
	w := newWorld(t, m)
	for i := range 40 {
		w.list("d")
		w.read(fmt.Sprintf("d/f%03d", i))
		w.pass(11 * time.Second)
	}
	w.fs.wg.Wait()
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	held := map[*listing]bool{}
	for _, tr := range w.fs.tree.trails.list {
		held[tr.l] = true
	}
	if len(held) > 1 {
		t.Errorf("%d listings are held", len(held))
	}
}

// Many programs may have the same folder open, and each goes through it at its own pace.
func TestMemoryOfManyOpenFoldersWhoseListingIsCached(t *testing.T) {
	m := newMemStore()
	for i := range 3000 {
		m.put(fmt.Sprintf("f%04d", i), "1", nil)
	}
	w := newWorld(t, m)
	w.list("") // caches the listing
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	for range 200 {
		d, err := w.fs.OpenDir(w.ctx(), RootID)
		w.must(err)
		defer w.fs.ReleaseDir(d)
		w.must(d.Read(w.ctx(), 2, false, func(DirEntry) bool { return false }))
	}
	if grown := int64(heap() - before); grown > 20<<20 {
		t.Errorf("200 handles hold %d MiB", grown>>20)
	}
}
