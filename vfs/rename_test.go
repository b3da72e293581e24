package vfs

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestRenameFile(t *testing.T) {
	m := newMemStore()
	m.put("a", "data", object.Meta{"mtime": "5.000000000", "other": "kept"})
	m.put("b", "target", nil)
	w := newWorld(t, m)
	w.must(w.rename("a", "b"))
	w.keys("b")
	w.stored("b", "data")
	info, _ := m.Head(w.ctx(), "b")
	if info.Meta["other"] != "kept" || info.Meta["mtime"] != "5.000000000" {
		t.Errorf("metadata after rename: %v", info.Meta)
	}
	if got := w.read("b"); got != "data" {
		t.Errorf("read %q", got)
	}
	w.want(w.rename("nothing", "x"), object.KindNotFound)
	d, _ := w.dirOf("b")
	w.write("c", "c")
	w.want(w.fs.Rename(w.ctx(), d, "b", d, "c", true), object.KindExists)
}

func TestRenameOfAFileBeingWritten(t *testing.T) {
	w := newWorld(t, newMemStore())
	h := w.create("tmp")
	w.writeAt(h, "half", 0)
	w.must(w.rename("tmp", "final"))
	w.writeAt(h, " and half", 4)
	w.closeFile(h)
	w.keys("final")
	w.stored("final", "half and half")
}

func TestRenameOverAnOpenFile(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", nil)
	w := newWorld(t, m)
	h := w.open("f", false)
	defer h.Release()
	w.write("new", "new")
	w.must(w.rename("new", "f"))
	if s, err := w.readHandle(h); s != "old" || err != nil {
		t.Errorf("the open file reads %q, %v", s, err)
	}
	if got := w.read("f"); got != "new" {
		t.Errorf("the name reads %q", got)
	}
}

// The object under the new name must go with the name: when the file moves on, nothing
// may be left of it.
func TestRenameOfAnUnsentFileOverAStoredOneLeavesNoGhost(t *testing.T) {
	m := newMemStore()
	m.put("b", "old", nil)
	w := newWorld(t, m)
	h := w.create("a")
	w.writeAt(h, "new", 0)
	w.must(w.rename("a", "b"))
	w.stored("b", "new")
	w.must(w.rename("b", "c"))
	w.keys("c")
	w.closeFile(h)
	w.stored("c", "new")
}

func TestRenameOfAFileThatS3RefusesChangesNothing(t *testing.T) {
	m := newMemStore()
	m.put("b", "old", nil)
	w := newWorld(t, m)
	h := w.create("a")
	w.writeAt(h, "new", 0)
	w.refusePuts(func() {})
	w.want(w.rename("a", "b"), object.KindPermission)
	m.fail = nil
	w.stored("b", "old")
	w.closeFile(h)
	w.keys("a", "b")
	w.stored("a", "new")
}

// A folder that was moved into a younger one has the smaller id of the two.
func TestRmdirAndRenameOfParentAndChildDoNotWaitForEachOther(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	w.mkdir("a")
	w.mkdir("b")
	w.write("a/x", "")
	w.must(w.rename("a", "b/a"))
	w.pass(time.Minute)
	b, _ := w.dirOf("b/a")
	a, _ := w.dirOf("b/a/x")
	renamed := make(chan error)
	m.fail = func(op, key string) error {
		if op == "List" && key == "b/" { // rmdir has locked b, and looks for a
			m.fail = nil
			go func() { renamed <- w.fs.Rename(w.ctx(), a, "x", b, "x", false) }()
			m.mu.Unlock()
			for range 100 {
				runtime.Gosched()
			}
			m.mu.Lock()
		}
		return nil
	}
	w.pass(time.Minute)
	if err := w.fs.Rmdir(w.ctx(), b, "a"); err != nil {
		w.want(err, object.KindNotEmpty)
	}
	w.must(<-renamed)
}

// The old name may be gone although its removal failed: the new one is all there is.
func TestRenameWhoseLastAnswerGotLostLeavesItsContent(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", nil)
	m.put("tmp", "renamed", nil)
	w := newWorld(t, m)
	h := w.open("f", true)
	w.writeAt(h, "replaced", 0)
	m.fail = func(op, key string) error {
		if op != "Delete" {
			return nil
		}
		delete(m.objects, key)
		return object.Errorf(object.KindTimeout, op, key, "")
	}
	w.want(w.rename("tmp", "f"), object.KindTimeout)
	m.fail = nil
	w.closeFile(h)
	w.keys("f")
	w.stored("f", "renamed")
	if got := w.read("f"); got != "renamed" {
		t.Errorf("read %q", got)
	}
}

func TestRenameThatFailsAtItsEndShowsBothNames(t *testing.T) {
	m := newMemStore()
	m.put("tmp", "renamed", nil)
	m.put("d/x", "", nil)
	w := newWorld(t, m)
	_ = w.list("d")
	m.fail = func(op, key string) error {
		if op == "Delete" {
			return object.Errorf(object.KindPermission, op, key, "")
		}
		return nil
	}
	w.want(w.rename("tmp", "d/f"), object.KindPermission)
	m.fail = nil
	for _, name := range []string{"tmp", "d/f"} {
		if got := w.read(name); got != "renamed" {
			t.Errorf("%s reads %q", name, got)
		}
	}
}

// racedStore lets somebody else replace a key as soon as it was copied.
type racedStore struct {
	*memStore
	theirs string
}

func (s *racedStore) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	info, err := s.memStore.Copy(ctx, src, dst, o)
	if s.theirs != "" {
		s.put(src.Key, s.theirs, nil)
	}
	return info, err
}

func TestRegressionRenameLeavesWhatOthersStoreUnderTheOldName(t *testing.T) {
	m := newMemStore()
	m.put("f", "ours", nil)
	w := newWorld(t, m, func(o *Options) { o.Store = &racedStore{memStore: m, theirs: "theirs"} })
	w.must(w.rename("f", "g"))
	for name, want := range map[string]string{"f": "theirs", "g": "ours"} {
		w.stored(name, want)
		if got := w.read(name); got != want {
			t.Errorf("%s reads %q, not %q", name, got, want)
		}
	}
}
