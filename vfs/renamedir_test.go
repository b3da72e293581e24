package vfs

import (
	"testing"

	"github.com/s3mount/s3mount/object"
)

// setMode is chmod by path.
func (w *world) setMode(p string, mode uint32) {
	w.t.Helper()
	e, err := w.lookup(p)
	w.must(err)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode})
	w.must(err)
}

// What is known of a copied object, its ETag, size and time, may be that of the original.
func TestFilesOfARenamedFolderAreReadUnderTheirNewKeys(t *testing.T) {
	m := newMemStore()
	m.put("d/", "marker with data", object.Meta{"mode": "16832"})
	m.put("d/sub/", "", nil)
	w := newWorld(t, m)
	w.write("d/f", "data")
	w.setMode("d/sub", 0o700)
	w.must(w.rename("d", "n"))
	if got := w.read("n/f"); got != "data" {
		t.Errorf("read %q", got)
	}
	w.setMode("n", 0o750)
	w.setMode("n/sub", 0o750)
	w.keys("n/", "n/f", "n/sub/")
	w.stored("n/", "marker with data")
	for _, key := range []string{"n/", "n/sub/"} {
		if info, _ := m.Head(w.ctx(), key); info.Meta["mode"] != "16872" {
			t.Errorf("the metadata of %s: %v", key, info.Meta)
		}
	}
}
