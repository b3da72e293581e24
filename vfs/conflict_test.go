package vfs

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// aside returns the key and the content of the one version that is kept beside key.
func (w *world) aside(key string) (string, string) {
	w.t.Helper()
	var found []string
	for _, k := range w.m.keys() {
		if strings.HasPrefix(k, key+".conflict-") {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%q: %d versions are kept beside it: %q", key, len(found), w.m.keys())
	}
	data, _ := w.m.get(found[0])
	return found[0], data
}

// loggedWorld is a world with a log that can be read.
func loggedWorld(t *testing.T, m *memStore) (*world, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return newWorld(t, m, func(o *Options) {
		o.Host = "box"
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	}), log
}

func TestLostRaceKeepsBothVersions(t *testing.T) {
	for name, change := range map[string]func(*memStore){
		"replaced": func(m *memStore) { m.put("d/f", "theirs", nil) },
		"deleted":  func(m *memStore) { m.Delete(t.Context(), "d/f") },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemStore()
			m.put("d/f", "old", nil)
			w, log := loggedWorld(t, m)
			h, reader := w.open("d/f", true), w.open("d/f", false)
			w.writeAt(h, "mine", 0)
			change(m)
			w.want(h.Flush(w.ctx()), object.KindStale)
			key, data := w.aside("d/f")
			if data != "mine" || !strings.HasPrefix(key, "d/f.conflict-box-2027") {
				t.Errorf("%q holds %q", key, data)
			}
			if n := strings.Count(log.String(), key); n != 1 || !strings.Contains(log.String(), "d/f") {
				t.Errorf("the log names it %d times:\n%s", n, log)
			}
			// The name is the other's, at once; who had the file open reads on.
			if _, err := w.lookup("d/f"); (err == nil) != (name == "replaced") {
				t.Errorf("lookup: %v", err)
			}
			if name == "replaced" && w.read("d/f") != "theirs" {
				t.Error("the name does not show the other version")
			}
			if got, err := w.readHandle(reader); err != nil || got != "mine" {
				t.Errorf("%q, %v", got, err)
			}
			// Nothing more comes of this handle.
			_, err := h.WriteAt(w.ctx(), []byte("late"), 0)
			w.want(err, object.KindStale)
			w.want(h.Fsync(w.ctx()), object.KindStale)
			h.Release()
			reader.Release()
			if got := w.read(key); got != "mine" {
				t.Errorf("read back: %q", got)
			}
			// What was written is in the cache, but a read may overtake the sums of it.
			if n, least := m.requests("Get"), map[string]int{"replaced": 1, "deleted": 0}[name]; n < least || n > least+1 {
				t.Errorf("%d downloads", n)
			}
		})
	}
}

func TestNewFileOverOneThatSomebodyMade(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "mine", 0)
	m.put("f", "theirs", nil)
	w.want(h.Flush(w.ctx()), object.KindStale)
	h.Release()
	w.stored("f", "theirs")
	if _, data := w.aside("f"); data != "mine" {
		t.Errorf("kept: %q", data)
	}
	if got := w.read("f"); got != "theirs" {
		t.Errorf("%q", got)
	}
	// What is opened now is edited without a conflict.
	again := w.open("f", true)
	w.writeAt(again, "ours", 0)
	w.closeFile(again)
	w.stored("f", "oursrs")
}

// Names are given out until one is free; where the store takes none, the version is kept
// locally.
func TestLostRaceWithoutAPlace(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "mine", 0)
	m.put("f", "theirs", nil)
	m.fail = func(op, key string) error {
		if op == "Put" && key != "f" {
			return object.Errorf(object.KindPermission, op, key, "")
		}
		return nil
	}
	w.want(h.Flush(w.ctx()), object.KindStale)
	h.Release()
	w.keys("f")
	kept, err := os.ReadDir(w.dir + "/unsent")
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v", kept, err)
	}
	if data, err := os.ReadFile(w.dir + "/unsent/" + kept[0].Name()); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v", data, err)
	}
	if got := w.read("f"); got != "theirs" {
		t.Errorf("%q", got)
	}
}

func TestLostRaceFindsAFreeName(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	const taken = "f.conflict-box-20270115T080000Z"
	m.put(taken, "of an earlier race", nil)
	h := w.create("f")
	w.writeAt(h, "mine", 0)
	m.put("f", "theirs", nil)
	w.want(h.Flush(w.ctx()), object.KindStale)
	h.Release()
	w.stored(taken, "of an earlier race")
	w.stored(taken+"-2", "mine")
}

// This mount's own changes are nobody's else, whatever ETag they leave behind.
func TestOwnChangesAreNoConflict(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	w.write("f", "one")
	h := w.open("f", true)
	w.writeAt(h, "two", 0)
	w.must(h.Fsync(w.ctx()))
	e, err := w.lookup("f")
	w.must(err)
	mode := uint32(0o600)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode})
	w.must(err)
	w.must(w.rename("f", "g"))
	w.writeAt(h, "three", 0)
	w.closeFile(h)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode})
	w.must(err)
	size := int64(2)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &size})
	w.must(err)
	w.must(w.unlink("g"))
	w.write("g", "four")
	w.mkdir("d")
	w.must(w.rename("g", "d/g"))
	h = w.open("d/g", true)
	w.must(w.rename("d", "e"))
	w.writeAt(h, "five", 0)
	w.closeFile(h)
	w.keys("e/", "e/g")
	w.stored("e/g", "five")
}

func TestMakingWhatSomebodyMade(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	w.list("")
	m.put("d/", "", nil)
	m.put("l", "theirs", nil)
	_, err := w.fs.Mkdir(w.ctx(), RootID, "d", 0o755, Caller{})
	w.want(err, object.KindExists)
	_, err = w.fs.Symlink(w.ctx(), RootID, "l", "target", Caller{})
	w.want(err, object.KindExists)
	w.stored("l", "theirs")
	if e, err := w.lookup("d"); err != nil || !e.Attr.IsDir() {
		t.Errorf("%+v, %v", e, err)
	}
	if got := w.read("l"); got != "theirs" {
		t.Errorf("%q", got)
	}
}

func TestRenameOntoWhatSomebodyMade(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	w.write("f", "mine")
	w.list("")
	m.put("g", "theirs", nil)
	w.want(w.rename("f", "g"), object.KindExists)
	w.stored("f", "mine")
	w.stored("g", "theirs")
	w.must(w.rename("f", "g")) // it is known by now: rename replaces
	w.stored("g", "mine")
}

// A truncation by name is repeated by the kernel on what is there now: it leaves no version
// beside it.
func TestTruncationThatLostTheRace(t *testing.T) {
	m := newMemStore()
	m.put("f", "old content", nil)
	w, _ := loggedWorld(t, m)
	e, err := w.lookup("f")
	w.must(err)
	m.put("f", "theirs", nil)
	size := int64(3)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &size})
	if !object.Is(err, object.KindConflict) && !object.Is(err, object.KindStale) {
		t.Errorf("%v", err)
	}
	w.keys("f")
	w.stored("f", "theirs")
	if e, err = w.lookup("f"); err != nil || e.Attr.Size != 6 {
		t.Errorf("%+v, %v", e, err)
	}
}

// Who removes a name while its file loses it to somebody else removes neither version.
func TestUnlinkBesideALostRace(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "mine", 0)
	m.put("f", "theirs", nil)
	waiting, done := make(chan struct{}), make(chan error, 1)
	m.fail = func(op, key string) error {
		if op == "Put" && key == "f" {
			m.fail = nil
			go func() {
				close(waiting)
				done <- w.fs.Unlink(w.ctx(), RootID, "f")
			}()
			<-waiting
		}
		return nil
	}
	w.want(h.Flush(w.ctx()), object.KindStale)
	if err := <-done; err == nil {
		w.keys(strings.Split("f.conflict-box-20270115T080000Z", " ")...) // it came later: theirs was meant
	} else {
		w.want(err, object.KindStale)
		w.stored("f", "theirs")
	}
	w.aside("f")
	h.Release()
}

// The other names of a linked file are files of their own once one of them is lost.
func TestLostRaceOfALinkedFile(t *testing.T) {
	m := newMemStore()
	w, _ := loggedWorld(t, m)
	w.write("f", "old")
	e, err := w.lookup("f")
	w.must(err)
	_, err = w.fs.Link(w.ctx(), e.Node, RootID, "g")
	w.must(err)
	h := w.open("f", true)
	w.writeAt(h, "mine", 0)
	m.put("f", "theirs", nil)
	w.want(h.Flush(w.ctx()), object.KindStale)
	h.Release()
	if _, data := w.aside("f"); data != "mine" {
		t.Errorf("kept: %q", data)
	}
	for name, want := range map[string]string{"f": "theirs", "g": "old"} {
		w.stored(name, want)
		if got := w.read(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	w.write("g", "new")
	w.stored("f", "theirs")
}

// A copy within the store overwrites nothing that somebody made meanwhile either.
func TestCopyOntoWhatSomebodyMade(t *testing.T) {
	for _, there := range []bool{false, true} {
		m := newMemStore()
		big := strings.Repeat("x", minStoreCopy)
		m.put("from", big, nil)
		if there {
			m.put("to", "old", nil)
		}
		w, _ := loggedWorld(t, m)
		from := w.open("from", false)
		var to *Handle
		if there {
			to = w.open("to", true)
			w.must(to.Truncate(w.ctx(), 0))
		} else {
			to = w.create("to")
		}
		m.put("to", "theirs", nil)
		_, err := w.fs.CopyRange(w.ctx(), from, 0, to, 0, int64(len(big)))
		w.want(err, object.KindUnsupported)
		w.losesByHand(from, to, big)
	}
}

// losesByHand copies what the store did not, as cp does then, onto a name that is theirs.
func (w *world) losesByHand(from, to *Handle, data string) {
	w.t.Helper()
	w.writeAt(to, data, 0)
	w.want(to.Flush(w.ctx()), object.KindStale)
	to.Release()
	from.Release()
	w.stored("to", "theirs")
	if _, kept := w.aside("to"); kept != data {
		w.t.Errorf("kept: %d bytes", len(kept))
	}
}

// TestRegressionCopyOntoWhatSomebodyStoresJustThen: between a look and the copy there is no
// gap in which another version could be overwritten.
func TestRegressionCopyOntoWhatSomebodyStoresJustThen(t *testing.T) {
	m := newMemStore()
	big := strings.Repeat("x", minStoreCopy)
	m.put("from", big, nil)
	m.put("to", "old", nil)
	w, _ := loggedWorld(t, m)
	from, to := w.open("from", false), w.open("to", true)
	w.must(to.Truncate(w.ctx(), 0))
	m.fail = func(op, key string) error {
		if op == "Copy" {
			m.putLocked("to", []byte("theirs"), object.PutOptions{})
		}
		return nil
	}
	_, err := w.fs.CopyRange(w.ctx(), from, 0, to, 0, int64(len(big)))
	w.want(err, object.KindUnsupported)
	w.stored("to", "theirs")
	w.losesByHand(from, to, big)
}
