package vfs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

func (w *world) exchange(a, b string) error {
	w.t.Helper()
	ad, an := w.dirOf(a)
	bd, bn := w.dirOf(b)
	return w.fs.Exchange(w.ctx(), ad, an, bd, bn)
}

// tree describes all that is under a path.
func (w *world) tree(p string) string {
	w.t.Helper()
	e, err := w.lookup(p)
	w.must(err)
	if e.Attr.Mode&unix.S_IFMT != unix.S_IFDIR {
		return w.read(p)
	}
	var in []string
	for _, name := range w.list(p) {
		in = append(in, name+"="+w.tree(strings.TrimPrefix(p+"/"+name, "/")))
	}
	return "{" + strings.Join(in, " ") + "}"
}

func TestExchange(t *testing.T) {
	m := newMemStore()
	for _, key := range []string{"f", "g", "d/", "d/x", "d/sub/", "d/sub/y", "e/x", "in/f", "in/d/z", "empty/"} {
		m.put(key, map[bool]string{false: "of " + key}[strings.HasSuffix(key, "/")], object.Meta{"mtime": fmt.Sprint(len(key), ".5"), "key": key})
	}
	dir, records := recordsOf(t, m, 10)
	w := newWorld(t, m, records)
	for _, pair := range [][2]string{{"f", "g"}, {"f", "in/f"}, {"d", "e"}, {"d", "in/d"}, {"d", "empty"}, {"f", "d"}, {"in/d", "g"}, {"d", "g"}} {
		a, b := w.tree(pair[0]), w.tree(pair[1])
		ea, err := w.lookup(pair[0])
		w.must(err)
		eb, err := w.lookup(pair[1])
		w.must(err)
		n := len(m.keys())
		w.must(w.exchange(pair[0], pair[1]))
		if nowA, nowB := w.tree(pair[0]), w.tree(pair[1]); nowA != b || nowB != a {
			t.Errorf("%q: %s and %s became %s and %s", pair, a, b, nowA, nowB)
		}
		for i, was := range []Entry{eb, ea} {
			now, err := w.lookup(pair[i])
			w.must(err)
			if now.Node != was.Node || now.Attr.Ino != was.Attr.Ino || now.Attr.Mode != was.Attr.Mode || !now.Attr.Mtime.Equal(was.Attr.Mtime) && now.Attr.Mode&unix.S_IFDIR == 0 {
				t.Errorf("%q: %s is %+v, was %+v", pair, pair[i], now, was)
			}
		}
		if left := len(m.keys()); left != n {
			t.Errorf("%q: %d keys, before %d: %q", pair, left, n, m.keys())
		}
	}
	// Another mount sees the same.
	all := w.tree("")
	if got := newWorld(t, m).tree(""); got != all {
		t.Errorf("the mount shows\n%s\nanother one\n%s", all, got)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("records left: %v, %v", left, err)
	}
}

func TestExchangeIsRefused(t *testing.T) {
	m := newMemStore()
	m.put("d/e/f", "data", nil)
	m.put("g", "data", nil)
	m.put("x", "hidden", nil)
	m.put("x/y", "", nil)
	w := newWorld(t, m)
	before := m.keys()
	w.want(w.exchange("g", "none"), object.KindNotFound)
	w.want(w.exchange("none", "g"), object.KindNotFound)
	w.want(w.exchange("d", "d/e"), object.KindLoop)
	w.want(w.exchange("d/e/f", "d"), object.KindLoop)
	w.want(w.exchange("g", "%s3-file-x"), object.KindInvalid)
	w.must(w.exchange("g", "g"))
	if got := m.keys(); !slices.Equal(got, before) {
		t.Errorf("the keys are %q", got)
	}
	if n := m.requests("Copy"); n > 0 {
		t.Errorf("%d copies", n)
	}
}

// Handles keep their files: what is written through them goes to the new names.
func TestExchangeOfOpenFiles(t *testing.T) {
	for _, folders := range []bool{false, true} {
		m := newMemStore()
		m.put("a/f", "old a", nil)
		m.put("b/f", "old b", nil)
		w := newWorld(t, m)
		reads, edits := w.open("a/f", false), w.open("b/f", true)
		w.writeAt(edits, "new", 0)
		fresh := w.create("a/fresh")
		w.writeAt(fresh, "fresh", 0)
		if folders {
			w.must(w.exchange("a", "b"))
		} else {
			w.must(w.exchange("a/f", "b/f"))
			w.must(w.exchange("a/fresh", "b/f"))
			w.must(w.exchange("a/fresh", "b/f"))
		}
		if got, err := w.readHandle(reads); got != "old a" || err != nil {
			t.Errorf("the open file reads %q, %v", got, err)
		}
		reads.Release()
		w.writeAt(edits, "NEW", 0)
		w.closeFile(edits)
		w.closeFile(fresh)
		want := map[string]string{"a/f": "NEW b", "b/f": "old a", "a/fresh": "fresh"}
		if folders {
			want = map[string]string{"a/f": "NEW b", "b/f": "old a", "b/fresh": "fresh"}
		}
		for key, data := range want {
			w.stored(key, data)
			if got := w.read(key); got != data {
				t.Errorf("%s reads %q", key, got)
			}
		}
	}
}

// Each name of a linked file is exchanged alone, and the others stay its names.
func TestExchangeOfHardLinks(t *testing.T) {
	m := newMemStore()
	m.put("a", "linked", nil)
	m.put("z", "single", nil)
	w := newWorld(t, m)
	e, err := w.lookup("a")
	w.must(err)
	_, err = w.fs.Link(w.ctx(), e.Node, RootID, "b")
	w.must(err)
	copies := m.requests("Copy")
	w.must(w.exchange("a", "b"))
	if n := m.requests("Copy"); n != copies {
		t.Errorf("%d copies for two names of one file", n-copies)
	}
	w.must(w.exchange("b", "z"))
	h := w.open("z", true)
	w.writeAt(h, "LINKED", 0)
	w.closeFile(h)
	w.stored("a", "LINKED")
	w.stored("z", "LINKED")
	w.stored("b", "single")
	if e, err = w.lookup("a"); err != nil || e.Attr.Nlink != 2 {
		t.Errorf("%d links, %v", e.Attr.Nlink, err)
	}
	w.keys("a", "b", "z")
}

// Who replaces one of the two meanwhile has won: both names are as before, but for that.
func TestExchangeThatLosesARace(t *testing.T) {
	m := newMemStore()
	m.put("a", "of a", nil)
	m.put("b", "of b", nil)
	w := newWorld(t, m)
	h := w.open("a", false)
	defer h.Release()
	m.fail = func(op, key string) error {
		if op == "Copy" && key == "b" {
			m.fail = nil
			m.putLocked("b", []byte("theirs"), object.PutOptions{})
		}
		return nil
	}
	w.want(w.exchange("a", "b"), object.KindStale)
	w.keys("a", "b")
	w.stored("a", "of a")
	if got := w.read("a") + " " + w.read("b"); got != "of a theirs" {
		t.Errorf("read %q", got)
	}
	if s, err := w.readHandle(h); s != "of a" || err != nil {
		t.Errorf("the open file reads %q, %v", s, err)
	}
}

// A step that the store refuses leaves everything as it was.
func TestExchangeThatFailsChangesNothing(t *testing.T) {
	for _, at := range []string{"a.exchange-", "a", "b", "p.exchange-", "p/1", "q/1"} {
		m := newMemStore()
		for _, key := range []string{"a", "b", "p/", "p/0", "p/1", "q/", "q/1", "q/2"} {
			m.put(key, map[bool]string{false: "of " + key}[strings.HasSuffix(key, "/")], object.Meta{"mtime": "5.5"})
		}
		_, records := recordsOf(t, m, 10)
		w := newWorld(t, m, records)
		before, tree := m.keys(), w.tree("")
		m.fail = func(op, key string) error {
			if op == "Copy" && (key == at || strings.HasSuffix(at, "-") && strings.HasPrefix(key, at)) {
				m.fail = nil
				return object.Errorf(object.KindPermission, "CopyObject", key, "")
			}
			return nil
		}
		pair := [2]string{"a", "b"}
		if strings.HasPrefix(at, "p") || strings.HasPrefix(at, "q") {
			pair = [2]string{"p", "q"}
		}
		w.want(w.exchange(pair[0], pair[1]), object.KindPermission)
		if got := m.keys(); !slices.Equal(got, before) {
			t.Errorf("%s refused: the keys are %q", at, got)
		}
		if got := w.tree(""); got != tree {
			t.Errorf("%s refused: %s, before %s", at, got, tree)
		}
		w.must(w.exchange(pair[0], pair[1]))
	}
}
