package vfs

import (
	"fmt"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// The kernel looks a name up twice for an open, not more often: a program that meets two
// replacements in a row must not hear of that.
func TestANameThatIsReplacedAgainAndAgainCanBeOpened(t *testing.T) {
	for what, lose := range map[string]func(*world) error{
		"replaced": func(w *world) error {
			w.write("new", "third")
			return w.rename("new", "f")
		},
		"removed": func(w *world) error { return w.unlink("f") },
	} {
		for _, write := range []bool{false, true} {
			w := newWorld(t, newMemStore())
			w.write("f", "first")
			e, err := w.lookup("f")
			w.must(err)
			w.write("new", "second")
			w.must(w.rename("new", "f"))
			_, _, err = w.fs.Open(w.ctx(), e.Node, write)
			w.want(err, object.KindStale)
			e, err = w.lookup("f")
			w.must(err)
			w.must(lose(w))
			h, _, err := w.fs.Open(w.ctx(), e.Node, write)
			if err != nil {
				t.Fatalf("%s, write %t: the second open: %v", what, write, err)
			}
			got, err := w.readHandle(h)
			w.must(err)
			if got != "second" {
				t.Errorf("%s, write %t: read %q", what, write, got)
			}
			if write {
				_, err := h.WriteAt(w.ctx(), []byte("nobody's"), 0)
				w.must(err)
				w.must(h.Flush(w.ctx()))
			}
			h.Release()
			w.must(w.fs.Close(w.ctx())) // ends what is kept
			if left := w.staged(); len(left) != 0 {
				t.Errorf("%s, write %t: left in staging: %q", what, write, left)
			}
			if what == "replaced" {
				w.stored("f", "third")
			} else {
				w.keys()
			}
		}
	}
}

// Most names are not contested: what is removed from them is not fetched first.
func TestWhatNobodyOpensIsNotKept(t *testing.T) {
	m := newMemStore()
	m.put("f", "data", nil)
	w := newWorld(t, m)
	w.must(w.unlink("f"))
	if n := m.requests("Get"); n > 0 {
		t.Errorf("%d GETs", n)
	}
}

// However many names are contested, only so many files are kept at the same time.
func TestKeptFilesAreBounded(t *testing.T) {
	w := newWorld(t, newMemStore())
	kept := func() int {
		w.fs.tree.Lock()
		defer w.fs.tree.Unlock()
		return w.fs.tree.kept
	}
	w.fs.tree.Lock()
	w.fs.tree.kept = maxKept - 2 // as if so many were
	w.fs.tree.Unlock()
	for i := range 4 {
		name := fmt.Sprintf("f%d", i)
		w.write(name, "first")
		e, err := w.lookup(name)
		w.must(err)
		w.write("new", "second")
		w.must(w.rename("new", name))
		_, _, err = w.fs.Open(w.ctx(), e.Node, false)
		w.want(err, object.KindStale)
		e, err = w.lookup(name)
		w.must(err)
		w.must(w.unlink(name))
		h, _, err := w.fs.Open(w.ctx(), e.Node, false)
		if i >= 2 {
			w.want(err, object.KindStale)
			continue
		}
		w.must(err)
		h.Release()
	}
	if n := kept(); n > maxKept {
		t.Errorf("%d are kept", n)
	}
	w.must(w.fs.Close(w.ctx()))
	if n := kept(); n != maxKept-2 {
		t.Errorf("at the end %d more are kept than before", n-(maxKept-2))
	}
}
