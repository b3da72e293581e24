package vfs

import (
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestMetadataChangedElsewhereIsSeenInTime(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	w.write("f", "data")
	w.pass(11 * time.Second)
	if _, err := w.lookup("f"); err != nil {
		t.Fatal(err)
	}
	m.put("f", "data", object.Meta{"mode": "33152", "mtime": "5"})
	w.pass(11 * time.Second)
	e, err := w.lookup("f")
	w.must(err)
	if e.Attr.Mode != 0o100600 || e.Attr.Mtime.Unix() != 5 {
		t.Errorf("mode %o, mtime %v", e.Attr.Mode, e.Attr.Mtime)
	}
	m.put("f", "data", object.Meta{"mode": "33184", "mtime": "6"})
	w.pass(11 * time.Second)
	a, err := w.fs.GetAttr(w.ctx(), e.Node)
	w.must(err)
	if a.Mode != 0o100640 || a.Mtime.Unix() != 6 {
		t.Errorf("mode %o, mtime %v by getattr", a.Mode, a.Mtime)
	}
}

func TestMetadataChangedElsewhereRightAfterTheUploadIsSeenByGetAttr(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	w.write("f", "data")
	e, err := w.lookup("f")
	w.must(err)
	m.put("f", "data", object.Meta{"mode": "33152"})
	w.pass(11 * time.Second)
	a, err := w.fs.GetAttr(w.ctx(), e.Node)
	w.must(err)
	if a.Mode != 0o100600 {
		t.Errorf("mode %o", a.Mode)
	}
}

// The answer to a HEAD that was sent before a change is no news when it comes after.
func TestAnAnswerFromBeforeAChangeIsNotKept(t *testing.T) {
	m := newMemStore()
	info := m.put("f", "data", object.Meta{"mode": "33204"})
	w := newWorld(t, m)
	m.fail = func(op, _ string) error {
		if op == "Head" {
			m.fail = nil
			w.fs.tree.Lock()
			w.fs.changedLocked("f")
			w.fs.tree.Unlock()
		}
		return nil
	}
	if _, err := w.fs.headOnce(w.ctx(), "f"); err != nil {
		t.Fatal(err)
	}
	if kept, ok := w.fs.o.Meta.Get("f"); ok {
		t.Errorf("kept %+v of %+v", kept, info)
	}
}
