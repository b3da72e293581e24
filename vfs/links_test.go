package vfs

import (
	"errors"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func (w *world) link(from, to string) error {
	w.t.Helper()
	e, err := w.lookup(from)
	w.must(err)
	d, name := w.dirOf(to)
	_, err = w.fs.Link(w.ctx(), e.Node, d, name)
	return err
}

// links checks that names are one file, which has as many.
func (w *world) links(n uint32, names ...string) {
	w.t.Helper()
	first, err := w.lookup(names[0])
	w.must(err)
	for _, name := range names {
		e, err := w.lookup(name)
		w.must(err)
		if e.Node != first.Node || e.Attr.Nlink != n {
			w.t.Fatalf("%s is node %d with %d links, want node %d with %d", name, e.Node, e.Attr.Nlink, first.Node, n)
		}
	}
}

func TestALinkIsStoredUnderAllItsNames(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.mkdir("d")
	w.write("f", "one")
	w.must(w.link("f", "d/g"))
	w.links(2, "f", "d/g")
	w.stored("d/g", "one")

	h := w.open("d/g", true)
	w.writeAt(h, "two", 3)
	w.must(w.unlink("f")) // the name that leads, while the file is written
	w.links(1, "d/g")
	w.closeFile(h)
	w.keys("d/", "d/g")
	w.stored("d/g", "onetwo")

	w.must(w.link("d/g", "h"))
	mode := uint32(0o600)
	e, err := w.lookup("h")
	w.must(err)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode})
	w.must(err)
	for _, key := range []string{"d/g", "h"} {
		info, err := w.m.Head(w.ctx(), key)
		w.must(err)
		if info.Meta["mode"] != "33152" {
			t.Errorf("%s has the metadata %v", key, info.Meta)
		}
	}
	w.must(w.rename("h", "d/i"))
	w.links(2, "d/g", "d/i")
	w.write("new", "new")
	w.must(w.rename("new", "d/g"))
	w.links(1, "d/i")
	w.keys("d/", "d/g", "d/i")
	w.stored("d/g", "new")
	w.stored("d/i", "onetwo")
}

func TestALinkThatCannotBeStoredIsAnErrorOfClose(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.write("f", "one")
	w.must(w.link("f", "g"))
	h := w.open("f", true)
	w.writeAt(h, "two", 3)
	w.m.fail = func(op, key string) error {
		if op == "Copy" && key == "g" {
			return object.Errorf(object.KindPermission, "CopyObject", key, "denied")
		}
		return nil
	}
	err := h.Fsync(w.ctx())
	w.want(err, object.KindPermission)
	var e *object.Error
	if !errors.As(err, &e) || e.Key != "g" {
		t.Errorf("the error does not name the key: %v", err)
	}
	w.stored("f", "onetwo")
	w.stored("g", "one")
	w.m.fail = nil
	w.closeFile(h)
	w.stored("g", "onetwo")
}

func TestLinksAreBounded(t *testing.T) {
	w := newWorld(t, newMemStore(), func(o *Options) { o.MaxInodes = 8 })
	w.write("f", "x")
	w.must(w.link("f", "g"))
	w.must(w.link("f", "h"))
	w.want(w.link("f", "i"), object.KindTooManyLinks)
	w.must(w.unlink("g"))
	w.must(w.link("f", "i"))
	w.keys("f", "h", "i")
}

func TestANameThatSomebodyElseReplacesIsNoLink(t *testing.T) {
	for _, name := range []string{"f", "g"} {
		w := newWorld(t, newMemStore())
		w.write("f", "one")
		w.must(w.link("f", "g"))
		other := map[string]string{"f": "g", "g": "f"}[name]
		w.m.put(name, "theirs", nil)
		w.pass(time.Minute)
		if got := w.read(name); got != "theirs" {
			t.Errorf("%s reads %q", name, got)
		}
		w.links(1, other)
		if got := w.read(other); got != "one" {
			t.Errorf("%s reads %q", other, got)
		}
		w.write(other, "two")
		w.stored(name, "theirs")
	}
}

func TestALinkFollowsTheRenameOfAFolder(t *testing.T) {
	for _, lead := range []string{"d/f", "f"} { // the name that leads moves, or the other one
		w := newWorld(t, newMemStore())
		w.mkdir("d")
		other := map[string]string{"d/f": "f", "f": "d/f"}[lead]
		w.write(lead, "one")
		w.must(w.link(lead, other))
		w.must(w.rename("d", "e"))
		w.links(2, "f", "e/f")
		h := w.open("e/f", true)
		w.writeAt(h, "two", 3)
		w.closeFile(h)
		w.keys("e/", "e/f", "f")
		w.stored("e/f", "onetwo")
		w.stored("f", "onetwo")
		w.must(w.rename("e", "d"))
		w.must(w.unlink(lead))
		w.links(1, other)
		if got := w.read(other); got != "onetwo" {
			t.Errorf("%s reads %q", other, got)
		}
	}
}

func TestLinksInTheMovedFolderOnly(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.mkdir("d")
	w.write("d/f", "one")
	w.must(w.link("d/f", "d/g"))
	h := w.open("d/g", true)
	w.writeAt(h, "two", 3)
	w.must(w.rename("d", "e"))
	w.closeFile(h)
	w.links(2, "e/f", "e/g")
	w.keys("e/", "e/f", "e/g")
	w.stored("e/f", "onetwo")
	w.stored("e/g", "onetwo")
}

func TestNoLinksWithPromises(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.write("f", "x")
	w.fs.o.Promises = struct{ Promises }{}
	w.want(w.link("f", "g"), object.KindNoLinks)
	w.fs.o.Promises = nil
}

// TestRegressionALinkOfSomebodyElseIsNotOverwritten has another client replace or remove one
// of two names while the file is written by way of the other.
func TestRegressionALinkOfSomebodyElseIsNotOverwritten(t *testing.T) {
	for _, gone := range []bool{false, true} {
		for _, lead := range []string{"f", "g"} {
			w := newWorld(t, newMemStore())
			w.write("f", "one")
			w.must(w.link("f", "g"))
			h := w.open(lead, true)
			w.writeAt(h, "two", 3)
			w.m.put("g", "theirs", nil)
			if gone {
				w.must(w.m.Delete(w.ctx(), "g"))
			}
			w.closeFile(h)
			w.stored("f", "onetwo")
			if data, there := w.m.get("g"); there == gone || there && data != "theirs" {
				t.Errorf("g is %q, %t", data, there)
			}
			w.links(1, "f")
			if _, err := w.lookup("g"); gone != object.Is(err, object.KindNotFound) {
				t.Errorf("g: %v", err)
			}
			if !gone && w.read("g") != "theirs" {
				t.Errorf("g reads %q", w.read("g"))
			}
		}
	}
}

// TestRegressionALinkInAFolderIsNotOverwritten has another client replace a name before and
// after its folder is renamed.
func TestRegressionALinkInAFolderIsNotOverwritten(t *testing.T) {
	for _, key := range []string{"d/g", "e/g"} {
		w := newWorld(t, newMemStore())
		w.mkdir("d")
		w.write("f", "one")
		w.must(w.link("f", "d/g"))
		h := w.open("f", true)
		w.writeAt(h, "two", 3)
		if key == "d/g" {
			w.m.put(key, "theirs", nil)
		}
		w.must(w.rename("d", "e"))
		if key == "e/g" {
			w.m.put(key, "theirs", nil)
		}
		w.closeFile(h)
		w.stored("f", "onetwo")
		w.stored("e/g", "theirs")
		w.links(1, "f")
		if got := w.read("e/g"); got != "theirs" {
			t.Errorf("e/g reads %q", got)
		}
	}
}

// TestRegressionRemovingALinkThatIsNoneAnyMore has another client replace a name that moved
// with its folder: the file's other name is not what goes.
func TestRegressionRemovingALinkThatIsNoneAnyMore(t *testing.T) {
	for name, do := range map[string]func(w *world) error{
		"unlink": func(w *world) error { return w.unlink("e/g") },
		"rename": func(w *world) error { return w.rename("e/g", "h") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newMemStore())
			w.mkdir("d")
			w.write("f", "one")
			w.must(w.link("f", "d/g"))
			h := w.open("f", true)
			w.writeAt(h, "two", 3)
			w.must(w.rename("d", "e"))
			w.m.put("e/g", "theirs", nil)
			if err := do(w); err != nil { // the kernel tries again
				w.want(err, object.KindStale)
				w.must(do(w))
			}
			w.closeFile(h)
			w.stored("f", "onetwo")
			if got := w.read("f"); got != "onetwo" {
				t.Errorf("f reads %q", got)
			}
			if name == "rename" {
				w.stored("h", "theirs")
			}
		})
	}
}

// TestRegressionALinkOutlivesTheNameThatLed has another client replace or remove the leading
// name of a file, before or after the folder of that gets another name: the other name is
// still the file.
func TestRegressionALinkOutlivesTheNameThatLed(t *testing.T) {
	for _, gone := range []bool{false, true} {
		for _, key := range []string{"d/f", "e/f"} {
			for _, open := range []bool{false, true} {
				w := newWorld(t, newMemStore())
				w.mkdir("d")
				w.write("d/f", "one")
				w.must(w.link("d/f", "g"))
				var h *Handle
				if open {
					h = w.open("g", false)
				}
				change := func() {
					w.m.put(key, "theirs", nil)
					if gone {
						w.must(w.m.Delete(w.ctx(), key))
					}
				}
				if key == "d/f" {
					change()
				}
				w.must(w.rename("d", "e"))
				if key == "e/f" {
					change()
				}
				if open {
					h.Release()
				}
				w.pass(time.Minute)
				e, err := w.lookup("e/f")
				if gone != object.Is(err, object.KindNotFound) {
					t.Errorf("%v: e/f is %+v, %v", key, e, err)
				}
				if got := w.read("g"); got != "one" {
					t.Errorf("%v, gone %t, open %t: g reads %q", key, gone, open, got)
				}
				if !gone && w.read("e/f") != "theirs" {
					t.Errorf("%v: e/f reads %q", key, w.read("e/f"))
				}
				w.write("g", "two")
				w.links(1, "g")
				w.stored("g", "two")
			}
		}
	}
}
