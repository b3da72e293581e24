package vfs

import (
	"slices"
	"testing"

	"github.com/s3mount/s3mount/object"
)

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

// A folder that goes takes nothing away from what is known of the one above, but where a file
// of the same name comes out from behind it.
func TestFoldersThatGoLeaveTheListingAbove(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"d/a/", "d/b/", "d/c", "d/c/"} {
		m.put(k, "", nil)
	}
	w := newWorld(t, m)
	if got := w.list("d"); !slices.Equal(got, []string{"%s3-file-c", "a", "b", "c"}) {
		t.Fatalf("lists %q", got)
	}
	w.must(w.rmdir("d/a"))
	lists := m.requests("List")
	if got := w.list("d"); !slices.Equal(got, []string{"%s3-file-c", "b", "c"}) {
		t.Errorf("lists %q", got)
	}
	if n := m.requests("List") - lists; n > 0 {
		t.Errorf("%d LISTs after a folder went", n)
	}
	w.must(w.rmdir("d/c"))
	if got := w.list("d"); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("lists %q", got)
	}
	if e, err := w.lookup("d/c"); err != nil || e.Attr.IsDir() {
		t.Errorf("the file that the folder hid: %v, %v", e, err)
	}
}
