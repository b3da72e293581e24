package vfs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// visit looks a path up and gives all references back, as a kernel that is short of memory.
func (w *world) visit(p string) error {
	w.t.Helper()
	var held []NodeID
	defer func() {
		slices.Reverse(held)
		for _, id := range held {
			w.fs.Forget(id, 1)
		}
	}()
	at := NodeID(RootID)
	for _, name := range strings.Split(p, "/") {
		e, err := w.fs.Lookup(w.ctx(), at, name)
		if err != nil {
			return err
		}
		at = e.Node
		held = append(held, at)
	}
	return nil
}

func (m *memStore) asked() int { return m.requests("List") + m.requests("Head") }

// What the kernel forgets, it may ask for again at once: that costs no request as long as
// the folder's listing is trusted.
func TestForgottenFoldersAreKnown(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"plain/sub/f", "marked/", "marked/f", "marked/sub/f"} {
		m.put(k, strings.TrimSuffix(k, "/")[len(k)-1:], nil)
	}
	w := newWorld(t, m)
	paths := []string{"plain/sub/f", "marked/f", "marked/sub/f"}
	for _, p := range paths {
		w.must(w.visit(p))
	}
	if n := len(w.fs.tree.nodes); n != 1 {
		t.Fatalf("%d inodes are left", n)
	}
	w.fs.wg.Wait() // a walk may still ask
	before := m.asked()
	for range 3 {
		for _, p := range paths {
			w.must(w.visit(p))
		}
	}
	if n := m.asked() - before; n != 0 {
		t.Errorf("%d requests", n)
	}
	m.put("plain/sub/g", "x", nil)
	w.want(w.visit("plain/sub/g"), object.KindNotFound)
	w.pass(11 * time.Second)
	w.must(w.visit("plain/sub/g"))
}

// What this mount changes in a folder that was forgotten shows at once.
func TestForgottenFoldersThatAreChanged(t *testing.T) {
	m := newMemStore()
	m.put("d/sub/f", "1", nil)
	w := newWorld(t, m)
	w.must(w.visit("d/sub/f"))
	w.write("d/sub/new", "x")
	w.must(w.visit("d/sub/new"))
	w.must(w.unlink("d/sub/f"))
	w.want(w.visit("d/sub/f"), object.KindNotFound)
	e, err := w.lookup("d")
	w.must(err)
	w.must(w.fs.Rename(w.ctx(), RootID, "d", RootID, "e", false))
	w.fs.Forget(e.Node, 100)
	w.want(w.visit("d/sub/new"), object.KindNotFound)
	w.must(w.visit("e/sub/new"))
	m.put("d/sub/other", "x", nil)
	w.pass(11 * time.Second)
	w.must(w.visit("d/sub/other"))
	w.want(w.visit("d/sub/new"), object.KindNotFound)
}
