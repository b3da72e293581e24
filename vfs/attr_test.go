package vfs

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSetAttrIsStored(t *testing.T) {
	m := newMemStore()
	m.put("f", "x", nil)
	w := newWorld(t, m)
	e, err := w.lookup("f")
	w.must(err)
	mode, at := uint32(0o600), time.Unix(123, 456)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode, Mtime: &at})
	w.must(err)
	copies := m.requests("Copy")
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode, Mtime: &at})
	w.must(err)
	if n := m.requests("Copy") - copies; n != 0 {
		t.Errorf("setting what is set sent %d requests", n)
	}
	again := newWorld(t, m)
	e, err = again.lookup("f")
	w.must(err)
	if e.Attr.Mode != unix.S_IFREG|0o600 || !e.Attr.Mtime.Equal(at) {
		t.Errorf("after a remount: mode %o, mtime %v", e.Attr.Mode, e.Attr.Mtime)
	}
}

func TestSetAttrOfAFileBeingWrittenGoesWithItsUpload(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "x", 0)
	at := time.Unix(99, 1)
	_, err := w.fs.SetAttr(w.ctx(), h.Node(), SetAttr{Mtime: &at})
	w.must(err)
	w.closeFile(h)
	if m.requests("Copy") != 0 || m.requests("Put") != 1 {
		t.Errorf("%d PUTs and %d copies, want one PUT", m.requests("Put"), m.requests("Copy"))
	}
	if info, _ := m.Head(w.ctx(), "f"); info.Meta["mtime"] != "99.000000001" {
		t.Errorf("mtime %q", info.Meta["mtime"])
	}
}

func TestSymlink(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	_, err := w.fs.Symlink(w.ctx(), RootID, "l", "../else where", Caller{})
	w.must(err)
	w.stored("l", "../else where")
	again := newWorld(t, m)
	e, err := again.lookup("l")
	w.must(err)
	target, err := again.fs.Readlink(w.ctx(), e.Node)
	w.must(err)
	if target != "../else where" || !e.Attr.IsSymlink() || e.Attr.Size != 13 {
		t.Errorf("link to %q, mode %o, size %d", target, e.Attr.Mode, e.Attr.Size)
	}
}
