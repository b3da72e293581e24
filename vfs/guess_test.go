package vfs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// asksNow is what was asked for, in order of the alphabet, with what runs ahead.
func asksNow(w *world, asked func() []string) []string {
	w.fs.wg.Wait()
	all := asked()
	slices.Sort(all)
	return all
}

func TestSmallTreeIsKnownAfterOneRound(t *testing.T) {
	m := newMemStore()
	m.put("a/", "", object.Meta{"mode": "0750"})
	m.put("a/b/c/d/f", "x", nil)
	m.put("a/b/g", "x", nil)
	asked := asks(m)
	w := newWorld(t, m)
	for _, p := range []string{"a/b/c/d/f", "a/b/g"} {
		_, err := w.lookup(p)
		w.must(err)
	}
	_, err := w.lookup("a/b/none")
	w.want(err, object.KindNotFound)
	if got := w.list("a/b"); !slices.Equal(got, []string{"c", "g"}) {
		t.Errorf("a/b lists %q", got)
	}
	if got, want := asksNow(w, asked), []string{"Head a/", "Head a/b/c/d/f", "Head a/b/g", "List ", "List a/"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, not %q", got, want)
	}
}

func TestTreeIsRenewedByOneRound(t *testing.T) {
	m := newMemStore()
	m.put("a/b/f", "x", nil)
	asked := asks(m)
	w := newWorld(t, m)
	_, err := w.lookup("a/b/f")
	w.must(err)
	w.now = w.now.Add(time.Minute)
	m.put("a/b/g", "from elsewhere", nil)
	before := len(asked())
	for _, name := range []string{"f", "g"} {
		_, err = w.lookup("a/b/" + name)
		w.must(err)
	}
	w.fs.wg.Wait()
	got := asked()[before:]
	slices.Sort(got)
	if want := []string{"Head a/b/g", "List ", "List a/"}; !slices.Equal(got, want) {
		t.Errorf("asked for %q, not %q", got, want)
	}
}

// What looks like a file's name is asked for alone, and so is any, once two guesses in the
// folder came to nothing.
func TestGuessesThatAreNotWorthIt(t *testing.T) {
	for name, want := range map[string]int{"file%d.txt": 0, "file%d": wrongGuesses, ".file%d": wrongGuesses} {
		m := newMemStore()
		asked := asks(m)
		w := newWorld(t, m)
		for i := range 9 {
			file := fmt.Sprintf(name, i)
			m.put(file, "x", nil)
			_, err := w.lookup(file)
			w.must(err)
			w.fs.wg.Wait()
			w.now = w.now.Add(time.Minute)
		}
		beneath := 0
		for _, r := range asked() {
			if strings.HasPrefix(r, "List ") && r != "List " {
				beneath++
			}
		}
		if beneath != want {
			t.Errorf("%s: %d listings beneath names, not %d", name, beneath, want)
		}
	}
}

// A tree of more than a page is not asked for again as a whole.
func TestVastTreeIsGuessedAtOnce(t *testing.T) {
	m := newMemStore()
	m.pageMax = 3
	for i := range 5 {
		m.put(fmt.Sprintf("d/e%d/f", i), "x", nil)
	}
	asked := asks(m)
	w := newWorld(t, m)
	for range 4 {
		_, err := w.lookup("d/e1/f")
		w.must(err)
		w.now = w.now.Add(time.Minute)
	}
	beneath := 0
	for _, r := range asksNow(w, asked) {
		if r == "List d/" {
			beneath++
		}
	}
	if beneath > 6 { // the guess, d's first page, and what renews it
		t.Errorf("%d listings of d", beneath)
	}
}

// slowStore holds the listings beneath one prefix back.
type slowStore struct {
	*memStore
	prefix string
	hold   chan struct{}
}

func (s *slowStore) List(ctx context.Context, q object.Query) (object.Page, error) {
	page, err := s.memStore.List(ctx, q)
	if q.Prefix == s.prefix && q.Delimiter == "" {
		<-s.hold
	}
	return page, err
}

// A guess that is under way does not hide what this mount does meanwhile, nobody waits for
// it who looks for something else, and an end of the one who waits ends his waiting.
func TestGuessUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		m.put("d/f", "x", nil)
		m.put("e/f", "x", nil)
		slow := &slowStore{memStore: m, prefix: "d/", hold: make(chan struct{})}
		w := newWorld(t, m, func(o *Options) { o.Store = slow })
		ctx, cancel := context.WithCancel(w.ctx())
		ended := make(chan error)
		go func() {
			_, err := w.fs.Lookup(ctx, RootID, "d")
			ended <- err
		}()
		synctest.Wait()
		_, err := w.lookup("e/f")
		w.must(err)
		cancel()
		w.want(<-ended, object.KindCanceled)
		go func() {
			_, err := w.lookup("d")
			ended <- err
		}()
		synctest.Wait()
		m.put("d/g", "x", nil)
		w.fs.tree.Lock()
		w.fs.changedLocked("d/g") // as a write of this mount does
		w.fs.tree.Unlock()
		close(slow.hold)
		w.must(<-ended)
		if got := w.list("d"); !slices.Equal(got, []string{"f", "g"}) {
			t.Errorf("d lists %q", got)
		}
	})
}

func TestGuessThatFailsIsNobodysError(t *testing.T) {
	m := newMemStore()
	m.put("d/f", "x", nil)
	failed := false
	m.fail = func(op, key string) error {
		if op == "List" && key == "d/" && !failed {
			failed = true
			return object.Errorf(object.KindUnavailable, "list", key, "no")
		}
		return nil
	}
	w := newWorld(t, m)
	_, err := w.lookup("d/f")
	w.must(err)
	w.fs.wg.Wait()
	if !failed {
		t.Error("nobody guessed")
	}
}
