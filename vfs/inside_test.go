package vfs

import (
	"slices"
	"sync"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// asks notes the requests that a store is asked, as "List d/" and "Head d/f".
func asks(m *memStore) func() []string {
	var mu sync.Mutex
	var all []string
	m.fail = func(op, key string) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, op+" "+key)
		return nil
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func TestEnteringAFolderIsOneListing(t *testing.T) {
	m := newMemStore()
	m.put("d/e/f", "x", nil)
	m.put("d/g", "x", nil)
	asked := asks(m)
	w := newWorld(t, m)
	w.guess()
	_, err := w.lookup("d/e/f")
	w.must(err)
	_, err = w.lookup("d/none")
	w.want(err, object.KindNotFound)
	got := asked()
	slices.Sort(got) // the first two are asked for at the same time
	if want := []string{"Head d/e/f", "List ", "List d/"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, not %q", got, want)
	}
}

func TestFolderThatIsEnteredHasItsMarkersAttributes(t *testing.T) {
	m := newMemStore()
	m.put("d/", "", object.Meta{"mode": "0750"})
	m.put("d/f", "x", nil)
	asked := asks(m)
	w := newWorld(t, m)
	w.guess()
	e, err := w.lookup("d")
	w.must(err)
	if e.Attr.Mode&0o7777 != 0o750 {
		t.Errorf("the folder's mode is %o", e.Attr.Mode)
	}
	got := asked()
	slices.Sort(got)
	if want := []string{"Head d/", "List ", "List d/"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, not %q", got, want)
	}
}

// largeFolder is a folder of several pages, of which the first is known.
func largeFolder(t *testing.T) (w *world, asked func() []string) {
	m := newMemStore()
	m.pageMax = 3
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		m.put("d/"+name, "x", nil)
	}
	asked = asks(m)
	w = newWorld(t, m)
	w.guess()
	_, err := w.lookup("d")
	w.must(err)
	return w, asked
}

func TestFirstPageOfALargeFolderIsAskedForOnce(t *testing.T) {
	w, asked := largeFolder(t)
	if got, want := w.list("d"), []string{"a", "b", "c", "d", "e", "f", "g"}; !slices.Equal(got, want) {
		t.Errorf("lists %q", got)
	}
	got := asked()
	slices.Sort(got)
	// A page of all that is beneath d, and the three of d itself.
	if want := []string{"List ", "List d/", "List d/", "List d/", "List d/"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, not %q", got, want)
	}
}

func TestFirstPageIsNoNewsAfterAChange(t *testing.T) {
	w, _ := largeFolder(t)
	w.must(w.unlink("d/b"))
	w.write("d/aa", "new")
	if got, want := w.list("d"), []string{"a", "aa", "c", "d", "e", "f", "g"}; !slices.Equal(got, want) {
		t.Errorf("lists %q after a change here", got)
	}
}

func TestFirstPageIsNoNewsForLong(t *testing.T) {
	w, _ := largeFolder(t)
	w.m.put("d/aa", "from elsewhere", nil)
	w.pass(w.fs.o.DirCacheTime + 1)
	if got, want := w.list("d"), []string{"a", "aa", "b", "c", "d", "e", "f", "g"}; !slices.Equal(got, want) {
		t.Errorf("lists %q after a change elsewhere", got)
	}
}

func TestWhoMayNotListAFolderIsToldByItsMarker(t *testing.T) {
	m := newMemStore()
	m.put("d/", "", object.Meta{"mode": "0750"})
	m.put("d/f", "x", nil)
	m.fail = func(op, key string) error {
		if op == "List" && key == "d/" {
			return object.Errorf(object.KindPermission, "list", key, "no")
		}
		return nil
	}
	w := newWorld(t, m)
	w.guess()
	e, err := w.lookup("d")
	w.must(err)
	if e.Attr.Mode&0o7777 != 0o750 {
		t.Errorf("the folder's mode is %o", e.Attr.Mode)
	}
}
