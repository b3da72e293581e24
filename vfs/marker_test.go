package vfs

import "testing"

func (w *world) rmdir(p string) error {
	w.t.Helper()
	d, n := w.dirOf(p)
	return w.fs.Rmdir(w.ctx(), d, n)
}

func TestRmdirRemovesAMarkerThatSomebodyElseMade(t *testing.T) {
	m := newMemStore()
	m.put("d/x", "", nil)
	w := newWorld(t, m)
	if got := w.list("d"); len(got) != 1 {
		t.Fatalf("lists %q", got)
	}
	m.put("d/", "", nil)
	w.must(m.Delete(w.ctx(), "d/x"))
	w.must(w.rmdir("d"))
	w.keys()
}

func TestLastFileOfARenamedFolderLeavesItsMarkersData(t *testing.T) {
	m := newMemStore()
	m.put("d/", "marker with data", nil)
	m.put("d/x", "", nil)
	w := newWorld(t, m, func(o *Options) { o.DirCacheTime = 0 })
	e, err := w.lookup("d")
	w.must(err)
	w.must(w.rename("d", "n"))
	w.must(w.fs.Unlink(w.ctx(), e.Node, "x"))
	w.keys("n/")
	w.stored("n/", "marker with data")
}
