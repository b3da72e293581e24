package vfs

import (
	"testing"

	"github.com/s3mount/s3mount/object"
)

// refusePuts makes the store refuse whatever is put; during is called in the middle of
// each such request.
func (w *world) refusePuts(during func()) {
	w.m.fail = func(op, key string) error {
		if op != "Put" {
			return nil
		}
		w.m.mu.Unlock()
		during()
		w.m.mu.Lock()
		return object.Errorf(object.KindPermission, op, key, "")
	}
}

func TestFileThatIsOpenedAgainWhileItIsGivenUpIsNotLost(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "refused", 0)
	var again *Handle
	w.refusePuts(func() {
		var err error
		again, _, err = w.fs.Open(w.ctx(), h.Node(), true)
		w.must(err)
	})
	h.Release()
	m.fail = nil
	w.must(again.Truncate(w.ctx(), 0))
	w.writeAt(again, "accepted", 0)
	w.must(again.Flush(w.ctx()))
	w.stored("f", "accepted")
	again.Release()
	w.stored("f", "accepted")
}

func TestOldNodeOfAGoneNameCannotBeWritten(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	h := w.create("f")
	w.refusePuts(func() {})
	w.want(h.Flush(w.ctx()), object.KindPermission)
	h.Release()
	m.fail = nil
	_, _, err := w.fs.Open(w.ctx(), h.Node(), true)
	w.want(err, object.KindStale)
	w.write("f", "new")
	w.stored("f", "new")
}
