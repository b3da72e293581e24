package vfs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// lateStore answers one HEAD with what was there before something happened.
type lateStore struct {
	*memStore
	key    string
	during func()
}

func (s *lateStore) Head(ctx context.Context, key string) (object.Info, error) {
	info, err := s.memStore.Head(ctx, key)
	if during := s.during; key == s.key && during != nil {
		s.during = nil
		during()
	}
	return info, err
}

func TestLateAnswerToALookupDoesNotBringAnOldVersionBack(t *testing.T) {
	m := newMemStore()
	m.pageMax = 2 // too big a folder for one listing: names are asked for one by one
	for _, k := range []string{"a", "b", "c", "f"} {
		m.put(k, "old content", nil)
	}
	late := &lateStore{memStore: m, key: "f"}
	w := newWorld(t, m, func(o *Options) { o.Store = late })
	if got := w.read("f"); got != "old content" {
		t.Fatalf("read %q", got)
	}
	w.pass(time.Minute)
	h := w.open("f", true)
	w.pass(time.Minute)
	late.during = func() {
		w.writeAt(h, "new content", 0)
		w.closeFile(h)
	}
	_, err := w.lookup("f")
	w.must(err)
	if late.during != nil {
		t.Fatal("the lookup asked nobody")
	}
	again := w.open("f", true)
	w.writeAt(again, "N", 0)
	w.closeFile(again)
	w.stored("f", "New content")
}

func TestLateAnswerThatAFileIsGoneDoesNotHideIt(t *testing.T) {
	m := newMemStore()
	m.pageMax = 2
	for _, k := range []string{"a", "b", "c", "f"} {
		m.put(k, "old", nil)
	}
	late := &lateStore{memStore: m, key: "f"}
	w := newWorld(t, m, func(o *Options) { o.Store = late })
	h := w.open("f", true)
	w.must(m.Delete(w.ctx(), "f"))
	w.pass(time.Minute)
	late.during = func() {
		m.put("f", "old", nil)
		w.writeAt(h, "new", 0)
		w.must(h.Flush(w.ctx()))
		h.Release()
	}
	_, err := w.lookup("f")
	w.must(err)
	w.stored("f", "new")
}

// What somebody else stores is seen by the opens that come after it, whatever answers to
// earlier questions arrive meanwhile.
func TestLateAnswerToALookupDoesNotHideANewVersion(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", nil)
	late := &lateStore{memStore: m, key: "f"}
	w := newWorld(t, m, func(o *Options) { o.Store, o.DirCacheTime = late, 0 })
	n := w.node("f")
	late.during = func() {
		m.put("f", "new", nil)
		w.pass(time.Second)
		h, _, err := w.fs.Open(w.ctx(), n, false)
		w.must(err)
		h.Release()
	}
	e, err := w.lookup("f")
	w.must(err)
	if late.during != nil {
		t.Fatal("the lookup asked nobody")
	}
	if e.Node != n || e.Attr.Size != 3 {
		t.Errorf("inode %d with %+v, not %d", e.Node, e.Attr, n)
	}
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	if got, now := w.fs.tree.nodes[n].t.info, m.objects["f"].info; got.ETag != now.ETag {
		t.Errorf("the inode went back to %q from %q", got.ETag, now.ETag)
	}
}

func TestLateAnswerThatAFileIsGoneDoesNotHideANewVersion(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", nil)
	late := &lateStore{memStore: m, key: "f"}
	w := newWorld(t, m, func(o *Options) { o.Store, o.DirCacheTime = late, 0 })
	n := w.node("f")
	w.must(m.Delete(w.ctx(), "f"))
	late.during = func() {
		m.put("f", "new", nil)
		w.pass(time.Second)
		h, _, err := w.fs.Open(w.ctx(), n, false)
		w.must(err)
		h.Release()
	}
	if e, err := w.lookup("f"); err != nil || e.Node != n {
		t.Errorf("inode %d, not %d: %v", e.Node, n, err)
	}
	if late.during != nil {
		t.Fatal("the lookup asked nobody")
	}
}

// guessedLink is a link in a folder that was renamed and listed since, so that its inode has
// the attributes that a listing tells. The store has it as a local version; stored makes it
// the one that it becomes, and says so.
func guessedLink(t *testing.T) (w *world, late *lateStore, node NodeID, stored func(known bool)) {
	t.Helper()
	m := newMemStore()
	m.put("d/l", "target", object.Meta{"mode": "41471"})
	late = &lateStore{memStore: m, key: "n/l"}
	w = newWorld(t, m, func(o *Options) { o.Store = late })
	node = w.node("d/l")
	w.must(w.rename("d", "n"))
	now := m.objects["n/l"]
	local := now
	local.info.ETag = object.LocalETag("1")
	m.objects["n/l"] = local
	w.list("n")
	return w, late, node, func(known bool) {
		m.objects["n/l"] = now
		told := now.info
		if !known {
			told.Meta = nil
		}
		w.fs.Stored(local.info.ID(), told)
	}
}

func TestGuessedAttributesAreNotKeptWhenAVersionIsStored(t *testing.T) {
	w, _, node, stored := guessedLink(t)
	stored(true)
	if got, err := w.fs.Readlink(w.ctx(), node); got != "target" || err != nil {
		t.Errorf("the link says %q, %v", got, err)
	}
	if a, err := w.fs.GetAttr(w.ctx(), node); !a.IsSymlink() || err != nil {
		t.Errorf("mode %o, %v", a.Mode, err)
	}
}

// The kernel gives an inode up, with EIO, whose type is another one suddenly.
func TestGuessedAttributesAreNotShownWhenAVersionIsStoredMeanwhile(t *testing.T) {
	for _, known := range []bool{false, true} {
		w, late, node, stored := guessedLink(t)
		late.during = func() { stored(known) }
		a, err := w.fs.GetAttr(w.ctx(), node)
		if !a.IsSymlink() || err != nil {
			t.Errorf("mode %o, %v", a.Mode, err)
		}
		if late.during != nil {
			t.Error("nobody was asked")
		}
	}
}

// heldStore runs one HEAD, and holds its answer back.
type heldStore struct {
	*memStore
	key  string
	hold chan struct{}
	once bool
}

func (s *heldStore) Head(ctx context.Context, key string) (object.Info, error) {
	info, err := s.memStore.Head(ctx, key)
	s.mu.Lock()
	mine := key == s.key && !s.once && s.hold != nil
	s.once = s.once || mine
	s.mu.Unlock()
	if mine {
		<-s.hold
	}
	return info, err
}

// joined has somebody ask for a key, somebody else store another version, and a lookup that
// comes after that join the first one's request. It returns what the lookup found.
func joined(t *testing.T, w *world, s *heldStore, first func() error, then func(), name string) (e Entry, err error) {
	t.Helper()
	s.hold = make(chan struct{})
	ended := make(chan error)
	go func() { ended <- first() }()
	synctest.Wait()
	then()
	w.pass(time.Second)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		e, err = w.lookup(name)
	}()
	synctest.Wait()
	close(s.hold)
	<-ended
	<-looked
	return e, err
}

// getAttr asks for an inode's attributes.
func (w *world) getAttr(n NodeID) func() error {
	return func() error {
		_, err := w.fs.GetAttr(w.ctx(), n)
		return err
	}
}

func TestRegressionAJoinedAnswerThatAFileIsGoneDoesNotHideANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		m.put("f", "old", object.Meta{"a": "b"})
		s := &heldStore{memStore: m, key: "f"}
		w := newWorld(t, m, func(o *Options) { o.Store = s })
		n := w.node("f")
		w.must(m.Delete(w.ctx(), "f"))
		w.pass(time.Minute)
		_, err := joined(t, w, s, w.getAttr(n), func() { m.put("f", "newer", object.Meta{"a": "b"}) }, "f")
		w.must(err)
		w.pass(5 * time.Second)
		_, err = w.lookup("f")
		w.must(err)
	})
}

func TestRegressionAJoinedAnswerDoesNotBringAnOldVersionBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		m.put("f", "old", object.Meta{"a": "b"})
		s := &heldStore{memStore: m, key: "f"}
		w := newWorld(t, m, func(o *Options) { o.Store = s })
		n := w.node("f")
		w.pass(time.Minute)
		for range 2 {
			e, err := joined(t, w, s, w.getAttr(n), func() { m.put("f", "newer", object.Meta{"a": "b"}) }, "f")
			if err != nil || e.Attr.Size != 5 {
				t.Errorf("size %d, %v", e.Attr.Size, err)
			}
		}
	})
}

func TestRegressionAJoinedAnswerDoesNotBringAnOldMarkerBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		m.put("d/", "", object.Meta{"mode": "0700"})
		m.put("d/f", "x", nil)
		s := &heldStore{memStore: m, key: "d/"}
		w := newWorld(t, m, func(o *Options) { o.Store, o.DirCacheTime = s, 0 })
		lookup := func() error {
			_, err := w.lookup("d")
			return err
		}
		e, err := joined(t, w, s, lookup, func() { m.put("d/", "", object.Meta{"mode": "0755"}) }, "d")
		if err != nil || e.Attr.Mode&0o777 != 0o755 {
			t.Errorf("the folder's mode is %o, %v", e.Attr.Mode&0o777, err)
		}
	})
}

func TestRegressionALateNotFoundDoesNotTakeAwayWhatALookupConfirmed(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", object.Meta{"a": "b"})
	late := &lateStore{memStore: m, key: "f"}
	w := newWorld(t, m, func(o *Options) { o.Store, o.DirCacheTime = late, 0 })
	n := w.node("f")
	w.must(m.Delete(w.ctx(), "f"))
	late.during = func() {
		m.put("f", "newer", object.Meta{"a": "b"})
		w.pass(time.Second)
		e, err := w.lookup("f")
		w.must(err)
		if e.Node != n {
			t.Fatal("another inode")
		}
	}
	_, err := w.fs.GetAttr(w.ctx(), n)
	w.must(err)
	h, _, err := w.fs.Open(w.ctx(), n, false)
	w.must(err)
	h.Release()
}
