package vfs

import (
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// Who holds a file open that somebody else replaces or removes hears of it when he
// writes, or wins the name: what he wrote does not go nowhere.
func TestWritesToAFileThatLostItsNameElsewhereFail(t *testing.T) {
	for what, change := range map[string]func(*memStore){
		"replaced": func(m *memStore) { m.put("f", "version two", nil) },
		"removed":  func(m *memStore) { _ = m.Delete(t.Context(), "f") },
	} {
		m := newMemStore()
		m.put("f", "version one", nil)
		w := newWorld(t, m)
		h := w.open("f", true)
		change(m)
		w.pass(time.Minute)
		_, _ = w.lookup("f") // the name is another file's now, or nobody's
		if _, err := h.WriteAt(w.ctx(), []byte("VERSION ONE"), 0); !object.Is(err, object.KindStale) {
			t.Errorf("%s: a write says %v", what, err)
		}
		if err := h.Truncate(w.ctx(), 0); !object.Is(err, object.KindStale) {
			t.Errorf("%s: a truncation says %v", what, err)
		}
		h.Release()
	}
}

func TestTruncatingAFileThatIsRemovedLeavesNothing(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	w.write("f", "data")
	e, err := w.lookup("f")
	w.must(err)
	w.must(w.unlink("f"))
	size := int64(2)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &size})
	w.must(err)
	if left := w.staged(); len(left) != 0 {
		t.Errorf("left in staging: %q", left)
	}
	w.keys()
}

func TestEmptyFileThatIsOnlyReadIsNotStoredAgain(t *testing.T) {
	m := newMemStore()
	m.put("f", "", nil)
	w := newWorld(t, m)
	h := w.open("f", false)
	m.fail = func(op, key string) error {
		if op != "Delete" {
			return nil
		}
		m.putLocked(key, []byte("somebody else's"), object.PutOptions{})
		return object.Errorf(object.KindTimeout, op, key, "")
	}
	w.want(w.unlink("f"), object.KindTimeout)
	m.fail = nil
	h.Release()
	w.stored("f", "somebody else's")
}
