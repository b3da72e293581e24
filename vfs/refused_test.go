package vfs

import (
	"os"
	"path/filepath"
	"slices"
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

// kept returns the contents of the files in the folder for what S3 did not take.
func (w *world) kept() (contents []string) {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.dir, "unsent", "*"))
	w.must(err)
	for _, p := range paths {
		b, err := os.ReadFile(p)
		w.must(err)
		contents = append(contents, string(b))
	}
	return contents
}

// refusedAndRead makes a file whose upload was refused, closed by who wrote it and open
// for reading.
func (w *world) refusedAndRead(data string) *Handle {
	w.t.Helper()
	h := w.create("f")
	w.writeAt(h, data, 0)
	w.refusePuts(func() {})
	w.want(h.Flush(w.ctx()), object.KindPermission)
	r := w.open("f", false)
	h.Release()
	return r
}

func TestFailedChmodKeepsWhatWasRefused(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	r := w.refusedAndRead("precious")
	mode := uint32(0o600)
	_, err := w.fs.SetAttr(w.ctx(), r.Node(), SetAttr{Mode: &mode})
	w.want(err, object.KindPermission)
	if s, err := w.readHandle(r); s != "precious" || err != nil {
		t.Errorf("read %q, %v", s, err)
	}
	r.Release()
	m.fail = nil
	if got := w.kept(); !slices.Equal(got, []string{"precious"}) {
		t.Errorf("kept %q", got)
	}
}

func TestWhatWasRefusedAndThenStoredIsNotUnsent(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	r := w.refusedAndRead("precious")
	m.fail = nil
	w.setMode("f", 0o600)
	r.Release()
	w.stored("f", "precious")
	if got := w.kept(); len(got) != 0 {
		t.Errorf("kept %q", got)
	}
}

// The answer to an upload got lost: nobody knows whether the object is there.
func TestUnlinkRemovesWhatAFailedCloseMayHaveStored(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "data", 0)
	w.m.fail = func(op, key string) error {
		if op != "Put" {
			return nil
		}
		m.putLocked(key, []byte("data"), object.PutOptions{})
		return object.Errorf(object.KindTimeout, op, key, "")
	}
	w.want(h.Flush(w.ctx()), object.KindTimeout)
	m.fail = nil
	w.must(w.unlink("f"))
	h.Release()
	w.keys()
}
