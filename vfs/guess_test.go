package vfs

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// guess lets the world guess about unknown names. Others do not, since they change the clock
// and the store with nothing under way.
func (w *world) guess() {
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	w.fs.tree.guesses.wrong = 0
}

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
	w.guess()
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
	w.guess()
	_, err := w.lookup("a/b/f")
	w.must(err)
	w.pass(time.Minute)
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
	for name, want := range map[string]int{"file%d.txt": 0, "file%d": wrongInFolder, ".file%d": wrongInFolder} {
		m := newMemStore()
		asked := asks(m)
		w := newWorld(t, m)
		w.guess()
		for i := range 9 {
			file := fmt.Sprintf(name, i)
			m.put(file, "x", nil)
			_, err := w.lookup(file)
			w.must(err)
			w.fs.wg.Wait()
			w.pass(time.Minute)
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
	s := &barredStore{memStore: m}
	w := newWorld(t, m, func(o *Options) { o.Store = s })
	w.guess()
	for range 4 {
		_, err := w.lookup("d/e1/f")
		w.must(err)
		w.fs.wg.Wait()
		w.pass(time.Minute)
	}
	n := 0
	for _, prefix := range s.beneath() {
		if prefix == "d/" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d guesses about d: %q", n, s.beneath())
	}
}

// barredStore notes the listings of all keys beneath a prefix, refuses them, or holds back
// those beneath a name.
type barredStore struct {
	*memStore
	refuse error
	name   string
	hold   chan struct{}
	asked  []string
}

func (s *barredStore) beneath() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *barredStore) List(ctx context.Context, q object.Query) (object.Page, error) {
	all := q.Delimiter == "" && q.Max == 0
	if all {
		s.mu.Lock()
		s.asked = append(s.asked, q.Prefix)
		s.mu.Unlock()
	}
	if all && s.refuse != nil {
		return object.Page{}, s.refuse
	}
	page, err := s.memStore.List(ctx, q)
	if all && s.hold != nil && strings.HasSuffix(q.Prefix, s.name+"/") {
		select {
		case <-s.hold:
		case <-ctx.Done():
		}
	}
	return page, err
}

// A store that lets nobody list without a delimiter is not asked for that again and again.
func TestGuessesThatAreRefused(t *testing.T) {
	m := newMemStore()
	for i := range 20 {
		m.put(fmt.Sprintf("d%d/f", i), "x", nil)
	}
	s := &barredStore{memStore: m, refuse: object.Errorf(object.KindPermission, "list", "", "no")}
	w := newWorld(t, m, func(o *Options) { o.Store = s })
	w.guess()
	for range 2 {
		for i := range 20 {
			_, err := w.lookup(fmt.Sprintf("d%d", i))
			w.must(err)
			w.fs.wg.Wait()
			w.pass(time.Minute)
		}
	}
	if n := len(s.beneath()); n > wrongInFolder {
		t.Errorf("%d guesses that were all refused", n)
	}
}

func TestGuessesUnderWayAreBounded(t *testing.T) {
	m := newMemStore()
	const folders = 100
	for i := range folders {
		m.put(fmt.Sprintf("d%03d/Makefile", i), "x", nil)
	}
	s := &barredStore{memStore: m, name: "Makefile", hold: make(chan struct{})}
	w := newWorld(t, m, func(o *Options) { o.Store = s })
	w.guess()
	defer close(s.hold)
	for i := range folders {
		w.node(fmt.Sprintf("d%03d", i))
	}
	w.fs.wg.Wait()
	w.fs.tree.Lock()
	w.fs.tree.foreseen.dropAll(w.fs)                                              // as for want of memory
	w.fs.tree.walks = []*walk{newWalk(w.fs, "yy/", ""), newWalk(w.fs, "zz/", "")} // and no walk can begin
	w.fs.tree.Unlock()
	w.pass(time.Minute)
	for i := range folders {
		_, err := w.lookup(fmt.Sprintf("d%03d/Makefile", i))
		w.must(err)
	}
	n := 0
	for _, prefix := range s.beneath() {
		if strings.HasSuffix(prefix, "/Makefile/") {
			n++
		}
	}
	if n > maxGuesses {
		t.Errorf("%d guesses are under way", n)
	}
}

// Two stats in one folder of a tree that was guessed at are no walk through the tree; who goes
// from one folder to the next is on one.
func TestGuessedTreeIsNotStattedAsAWhole(t *testing.T) {
	m := newMemStore()
	const files = 300
	for i := range files {
		m.put(fmt.Sprintf("d/sub%02d/f%03d", i/10, i), "x", nil)
	}
	asked := asks(m)
	w := newWorld(t, m)
	w.guess()
	heads := func() (n int) {
		for _, r := range asksNow(w, asked) {
			if strings.HasPrefix(r, "Head ") {
				n++
			}
		}
		return n
	}
	for i := range 3 {
		_, err := w.lookup(fmt.Sprintf("d/sub00/f%03d", i))
		w.must(err)
	}
	if n := heads(); n > 10 {
		t.Errorf("%d HEADs for 3 files in a folder of 10", n)
	}
	for i := 10; i < 13; i++ {
		_, err := w.lookup(fmt.Sprintf("d/sub01/f%03d", i))
		w.must(err)
	}
	if n := heads(); n < files {
		t.Errorf("%d HEADs ahead of a walk through %d files", n, files)
	}
}

// Who waits for a guess holds names that others want to change. This one never ends.
func TestNobodyWaitsLongForAGuess(t *testing.T) {
	m := newMemStore()
	m.put("d/f", "x", nil)
	s := &barredStore{memStore: m, name: "d", hold: make(chan struct{})}
	w := newWorld(t, m, func(o *Options) { o.Store = s })
	w.guess()
	defer close(s.hold)
	ended := make(chan error, 2)
	go func() {
		_, err := w.lookup("d/f")
		ended <- err
	}()
	go func() {
		_, err := w.fs.Mkdir(w.ctx(), RootID, "new", 0o755, Caller{})
		ended <- err
	}()
	for range 2 {
		select {
		case err := <-ended:
			w.must(err)
		case <-time.After(20 * time.Second):
			t.Fatal("they wait for the guess")
		}
	}
}

// Who goes from folder to folder in a tree of which a guess has found a part is served by a
// walk that begins where the guess has ended, before he comes there.
func TestAWalkGoesOnBehindAGuess(t *testing.T) {
	m, _ := treeStore(100, 20) // two pages
	asked := asks(m)
	w := newWorld(t, m)
	w.guess()
	w.node("t/d000")
	w.node("t/d001/f00")
	before := len(asked())
	w.node("t/d002/f00")
	w.node("t/d003/f00")
	for deadline := time.Now().Add(20 * time.Second); !slices.Contains(asked()[before:], "List t/"); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is listed ahead: %q", asked()[before:])
		}
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
		w.guess()
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
	w.guess()
	_, err := w.lookup("d/f")
	w.must(err)
	w.fs.wg.Wait()
	if !failed {
		t.Error("nobody guessed")
	}
}
