package vfs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestReplacedObjectIsNeverMixed(t *testing.T) {
	m := newMemStore()
	m.put("f", strings.Repeat("1", 100), nil)
	w := newWorld(t, m)
	old := w.open("f", false)
	defer old.Release()
	m.put("f", strings.Repeat("2", 100), nil)
	if s, err := w.readHandle(old); err == nil {
		t.Errorf("an open file reads %q of a replaced object", s)
	} else {
		w.want(err, object.KindStale)
	}
	w.pass(time.Minute)
	if got := w.read("f"); got != strings.Repeat("2", 100) {
		t.Errorf("a new open reads %q", got)
	}
}

func TestOpenHandleKeepsItsInodeWhenTheObjectIsReplaced(t *testing.T) {
	m := newMemStore()
	m.put("f", "one", nil)
	w := newWorld(t, m)
	h := w.open("f", false)
	defer h.Release()
	m.put("f", "two!", nil)
	w.pass(time.Minute)
	_, _, err := w.fs.Open(w.ctx(), h.Node(), false)
	w.want(err, object.KindStale)
	e, err := w.lookup("f")
	w.must(err)
	if e.Node == h.Node() || e.Attr.Size != 4 {
		t.Errorf("the name has inode %d (the handle's: %d) of size %d", e.Node, h.Node(), e.Attr.Size)
	}
}

func TestUnlinkWhileOpen(t *testing.T) {
	m := newMemStore()
	m.put("f", "precious", nil)
	w := newWorld(t, m)
	h := w.open("f", false)
	w.must(w.unlink("f"))
	w.keys()
	s, err := w.readHandle(h)
	w.must(err)
	if s != "precious" {
		t.Errorf("read %q after unlink", s)
	}
	h.Release()

	h = w.create("g")
	w.writeAt(h, "temp", 0)
	w.must(w.unlink("g"))
	w.must(h.Flush(w.ctx()))
	w.keys()
	if s, _ := w.readHandle(h); s != "temp" {
		t.Errorf("read %q after unlink", s)
	}
	h.Release()
	if left := w.staged(); len(left) != 0 {
		t.Errorf("staged files are left: %q", left)
	}
}

func TestFolders(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	w.mkdir("d")
	w.keys("d/")
	w.write("d/f", "x")
	d, n := w.dirOf("d")
	w.want(w.fs.Rmdir(w.ctx(), d, n), object.KindNotEmpty)
	w.want(w.unlink("d"), object.KindIsDir)
	w.must(w.unlink("d/f"))
	w.must(w.fs.Rmdir(w.ctx(), d, n))
	w.keys()
	_, err := w.lookup("d")
	w.want(err, object.KindNotFound)
}

func TestEmptiedFolderStays(t *testing.T) {
	m := newMemStore()
	m.put("d/only", "x", nil)
	w := newWorld(t, m)
	w.must(w.unlink("d/only"))
	w.keys("d/")
	if _, err := w.lookup("d"); err != nil {
		t.Errorf("the folder vanished with its last file: %v", err)
	}
}

func TestChangesFromElsewhereAreSeenInTime(t *testing.T) {
	m := newMemStore()
	m.put("f", "1", nil)
	w := newWorld(t, m)
	w.read("f")
	m.put("g", "2", nil)
	_, err := w.lookup("g")
	w.want(err, object.KindNotFound)
	w.pass(10 * time.Second)
	_, err = w.lookup("g")
	w.must(err)
	w.must(m.Delete(w.ctx(), "f"))
	w.pass(10 * time.Second)
	_, err = w.lookup("f")
	w.want(err, object.KindNotFound)
}

func TestReadOnlyRefusesChanges(t *testing.T) {
	m := newMemStore()
	m.put("f", "x", nil)
	w := newWorld(t, m, func(o *Options) { o.ReadOnly = true })
	e, err := w.lookup("f")
	w.must(err)
	_, _, err = w.fs.Open(w.ctx(), e.Node, true)
	w.want(err, object.KindReadOnly)
	_, _, err = w.fs.Create(w.ctx(), RootID, "g", 0o644, false, Caller{})
	w.want(err, object.KindReadOnly)
	w.want(w.unlink("f"), object.KindReadOnly)
	w.want(w.rename("f", "g"), object.KindReadOnly)
	size := int64(0)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &size})
	w.want(err, object.KindReadOnly)
	w.stored("f", "x")
}

func TestForgottenInodesAreFreed(t *testing.T) {
	m := newMemStore()
	m.put("d/e/f", "x", nil)
	w := newWorld(t, m)
	var nodes []NodeID
	parent := RootID
	for _, name := range []string{"d", "e", "f"} {
		e, err := w.fs.Lookup(w.ctx(), parent, name)
		w.must(err)
		parent = e.Node
		nodes = append(nodes, e.Node)
	}
	h, _, err := w.fs.Open(w.ctx(), parent, false)
	w.must(err)
	for _, n := range nodes {
		w.fs.Forget(n, 1)
	}
	h.Release()
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	listed := 1 + len(w.fs.root.t.listing.byName)
	for e := w.fs.tree.foreseen.order.Front(); e != nil; e = e.Next() {
		listed += e.Value.(*forecast).entries() // the first to go
	}
	if len(w.fs.tree.nodes) != 1 || len(w.fs.tree.inos) != 1 || w.fs.tree.listed != listed {
		t.Errorf("%d nodes, %d inode numbers, %d listed entries are left", len(w.fs.tree.nodes), len(w.fs.tree.inos), w.fs.tree.listed)
	}
}

func TestErrorsNameTheKey(t *testing.T) {
	w := newWorld(t, newMemStore())
	_, err := w.lookup("missing")
	var e *object.Error
	if !errors.As(err, &e) || e.Key != "missing" {
		t.Errorf("error %v names no key", err)
	}
	_, _, err = w.fs.Create(w.ctx(), RootID, "%s3-x", 0, false, Caller{})
	w.want(err, object.KindInvalid)
	_, _, err = w.fs.Create(w.ctx(), RootID, strings.Repeat("x", 256), 0, false, Caller{})
	w.want(err, object.KindNameTooLong)
}
