package vfs

import (
	"fmt"
	"slices"
	"testing"
)

func TestANameMadeAgainIsListedOnce(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.mkdir("d")
	w.write("d/a", "1")
	w.list("d") // caches the listing
	for range 3 {
		w.write("d/b", "2")
		w.must(w.unlink("d/a"))
		w.must(w.rename("d/b", "d/a"))
	}
	if got := w.list("d"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("lists %q", got)
	}
}

func TestListingMemoryIsBoundedWhileNamesAreMade(t *testing.T) {
	w := newWorld(t, newMemStore(), func(o *Options) { o.MaxListed = 20 })
	w.mkdir("d")
	w.list("d")
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("%02d", i))
		w.write("d/"+want[i], "")
		w.fs.tree.Lock()
		if n := w.fs.tree.listed; n > 20 {
			t.Errorf("%d entries are cached after %d files, the limit is 20", n, i+1)
		}
		w.fs.tree.Unlock()
	}
	if got := w.list("d"); !slices.Equal(got, want) {
		t.Errorf("lists %q", got)
	}
}
