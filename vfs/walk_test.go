package vfs

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
)

// oddKeys makes keys of few and odd components, so that they clash in all ways.
func oddKeys(r *rand.Rand, n int) []string {
	long := strings.Repeat("l", 300)
	parts := []string{"a", "b", "a.", "a-", "a0", "", ".", "..", "%s3-empty", "%s3-file-a", "x\x01", "ü", long, long + "2", long[:255]}
	var keys []string
	for range n {
		var comps []string
		for range 1 + r.IntN(4) {
			comps = append(comps, parts[r.IntN(len(parts))])
		}
		keys = append(keys, strings.Join(comps, "/"))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	return slices.DeleteFunc(keys, func(k string) bool { return k == "" || len(k) > 1000 })
}

// folders returns the prefixes of all folders beneath base.
func folders(keys []string, base string) []string {
	set := map[string]bool{}
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k, base)
		for i := range rest {
			if ok && rest[i] == '/' {
				set[base+rest[:i+1]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// A folder has the same names, forms and markers in a listing of all keys as in its own.
func TestAWalkFindsWhatListingsFind(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newMemStore()
		m.pageMax = 1 + r.IntN(30)
		keys := oddKeys(r, 5+r.IntN(120))
		for _, k := range keys {
			m.put(k, strings.Repeat("x", r.IntN(2)), nil)
		}
		w := newWorld(t, m)
		base := ""
		if all := folders(keys, ""); len(all) > 0 && seed%2 == 0 {
			base = all[r.IntN(len(all))]
		}
		split := splitter{base: base, max: 1 << 20}
		got := map[string]*building{}
		for q := (object.Query{Prefix: base}); ; {
			page, err := m.List(w.ctx(), q)
			w.must(err)
			split.page(page.Objects, w.fs.stamp())
			if q.Token = page.Next; q.Token == "" {
				split.end()
				break
			}
		}
		for _, b := range split.take() {
			got[b.prefix] = b
		}
		want := folders(keys, base)
		if !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			t.Fatalf("seed %d: found %q, want %q", seed, slices.Sorted(maps.Keys(got)), want)
		}
		for _, prefix := range want {
			l := w.fs.newLister(prefix, "")
			var names []string
			for done := false; !done; {
				var more []listed
				var err error
				more, done, err = l.next(w.ctx())
				w.must(err)
				for _, e := range more {
					names = append(names, describe(e))
				}
			}
			var found []string
			for _, e := range got[prefix].all {
				found = append(found, describe(e))
			}
			if !slices.Equal(found, names) {
				t.Fatalf("seed %d, %q: a walk finds\n%q, a listing\n%q", seed, prefix, found, names)
			}
			if got[prefix].namer.marker != l.namer.marker {
				t.Fatalf("seed %d, %q: marker %v, want %v", seed, prefix, got[prefix].namer.marker, l.namer.marker)
			}
		}
	}
}

func describe(e listed) string {
	return fmt.Sprintf("%s dir=%v piece=%q form=%d key=%q etag=%s", e.name, e.dir, e.piece, e.form, e.info.Key, e.info.ETag)
}

// tree makes a store with folders of files, and returns the files' paths.
func treeStore(dirs, files int) (*memStore, []string) {
	m := newMemStore()
	var all []string
	for d := range dirs {
		for f := range files {
			p := fmt.Sprintf("t/d%03d/f%02d", d, f)
			m.put(p, "x", object.Meta{"mtime": fmt.Sprint(d*100 + f)})
			all = append(all, p)
		}
	}
	return m, all
}

// find goes through a folder as find does: it lists it, looks each name up, and goes down.
func (w *world) find(id NodeID) (names int) {
	w.t.Helper()
	d, err := w.fs.OpenDir(w.ctx(), id)
	w.must(err)
	var all []string
	w.must(d.Read(w.ctx(), 2, false, func(e DirEntry) bool {
		all = append(all, e.Name)
		return true
	}))
	w.fs.ReleaseDir(d)
	for _, name := range all {
		e, err := w.fs.Lookup(w.ctx(), id, name)
		w.must(err)
		names++
		if e.Attr.IsDir() {
			names += w.find(e.Node)
		}
	}
	return names
}

func TestAWalkIsServedByListingsThatRunAhead(t *testing.T) {
	m, all := treeStore(100, 20)
	w := newWorld(t, m, func(o *Options) { o.MaxListed, o.Meta = 50_000, objcache.NewMetadata(10_000) })
	e, err := w.lookup("t")
	w.must(err)
	lists, heads := m.requests("List"), m.requests("Head")
	if n := w.find(e.Node); n != len(all)+100 {
		t.Errorf("%d names", n)
	}
	w.fs.wg.Wait()
	lists, heads = m.requests("List")-lists, m.requests("Head")-heads
	// The folder, its first two folders, and 2,000 keys by the thousand.
	if lists > 8 {
		t.Errorf("%d LISTs", lists)
	}
	// Each file, and the markers of the first two folders.
	if heads > len(all)+2 {
		t.Errorf("%d HEADs for %d files", heads, len(all))
	}
}

func TestTwoFoldersThatAreLookedAtCostNoWalkThroughTheBucket(t *testing.T) {
	m := newMemStore()
	for d := range 30 {
		for f := range 1000 {
			m.put(fmt.Sprintf("t/d%02d/%03d", d, f), "", nil)
		}
	}
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 50_000 })
	for _, d := range []string{"t/d01", "t/d02"} {
		if got := w.list(d); len(got) != 1000 {
			t.Errorf("%d names", len(got))
		}
	}
	w.fs.cancel() // the walk waits for somebody to ask
	w.fs.wg.Wait()
	// Of what a walk runs ahead, and a guess; the bucket has 30 pages and 30 folders.
	if n := m.requests("List"); n > 18 {
		t.Errorf("%d LISTs", n)
	}
}

func TestAWalkDoesNotHideWhatThisMountDoes(t *testing.T) {
	m, _ := treeStore(50, 3)
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 50_000 })
	w.list("t")
	w.list("t/d000")
	w.list("t/d001") // the walk has found all
	w.waitForWalks()
	w.write("t/d010/new", "data")
	w.must(w.unlink("t/d011/f00"))
	w.must(w.rename("t/d012", "t/moved"))
	w.must(w.rename("t/moved", "t/d013/deep"))
	_, err := w.fs.Mkdir(w.ctx(), w.node("t"), "d012", 0o700, Caller{})
	w.must(err)
	for p, want := range map[string][]string{
		"t/d010": {"f00", "f01", "f02", "new"}, "t/d011": {"f01", "f02"}, "t/d012": nil,
		"t/d013": {"deep", "f00", "f01", "f02"}, "t/d013/deep": {"f00", "f01", "f02"}, "t/d014": {"f00", "f01", "f02"},
	} {
		got := w.list(p)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %q, want %q", p, got, want)
		}
	}
	e, err := w.lookup("t/d012")
	w.must(err)
	if e.Attr.Mode&0o777 != 0o700 {
		t.Errorf("the new folder's mode is %o", e.Attr.Mode)
	}
}

// waitForWalks returns when no walk sends requests: it has ended, or waits to be asked.
func (w *world) waitForWalks() {
	for {
		w.fs.tree.Lock()
		var news chan struct{}
		for _, walk := range w.fs.tree.walks {
			if !walk.paused {
				news = walk.news
			}
		}
		w.fs.tree.Unlock()
		if news == nil {
			return
		}
		<-news
	}
}

func (w *world) node(p string) NodeID {
	w.t.Helper()
	e, err := w.lookup(p)
	w.must(err)
	return e.Node
}

func TestWhatAWalkFoundIsTrustedForDirCacheTimeOnly(t *testing.T) {
	m, _ := treeStore(50, 3)
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 50_000 })
	w.list("t")
	w.list("t/d000")
	w.list("t/d001")
	w.waitForWalks()
	m.put("t/d020/later", "", nil)
	w.pass(11 * time.Second)
	if got := w.list("t/d020"); !slices.Contains(got, "later") {
		t.Errorf("lists %q", got)
	}
}

func TestListingsThatNobodyAskedForGoFirst(t *testing.T) {
	m, _ := treeStore(300, 3)
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 1300 })
	w.list("t")
	w.list("t/d000")
	w.list("t/d001")
	w.waitForWalks()
	w.fs.tree.Lock()
	if w.fs.tree.listed > 1300 {
		t.Errorf("%d entries are held", w.fs.tree.listed)
	}
	w.fs.tree.Unlock()
	lists := m.requests("List")
	w.list("t")
	if n := m.requests("List") - lists; n != 0 {
		t.Errorf("the folder's own listing was dropped for foreseen ones: %d LISTs", n)
	}
	if n := w.find(w.node("t")); n != 300+900 {
		t.Errorf("%d names", n)
	}
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	if w.fs.tree.listed > 1300 {
		t.Errorf("%d entries are held", w.fs.tree.listed)
	}
}

// What is counted of listings is what is there, whatever comes and goes.
func TestListedEntriesAreCountedRight(t *testing.T) {
	m, _ := treeStore(40, 30)
	for i := range 200 {
		m.put(fmt.Sprintf("big/%03d", i), "", nil)
	}
	m.pageMax = 50
	w := newWorld(t, m, func(o *Options) { o.MaxListed = 300 })
	w.find(RootID)
	w.write("big/new", "x")
	w.must(w.unlink("big/007"))
	w.list("big")
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	sum := 0
	for _, n := range w.fs.tree.nodes {
		if l := n.t.listing; l != nil {
			sum += len(l.byName) + 1
			if !l.partial && len(l.names) != len(l.byName) {
				t.Errorf("%d names, %d by name", len(l.names), len(l.byName))
			}
		}
	}
	for _, e := range w.fs.tree.foreseen.byPrefix {
		sum += e.Value.(*forecast).entries()
	}
	if sum != w.fs.tree.listed || sum > 300 {
		t.Errorf("%d entries are held, %d counted", sum, w.fs.tree.listed)
	}
}

// rendezvous is a store of whose listings, once it is armed, two must be under way at the
// same time.
type rendezvous struct {
	*memStore
	armed chan struct{} // closed: by now
	met   chan struct{}
	t     *testing.T
}

func (r *rendezvous) List(ctx context.Context, q object.Query) (object.Page, error) {
	select {
	case <-r.armed:
		select {
		case r.met <- struct{}{}:
		case <-r.met:
		case <-time.After(10 * time.Second):
			r.t.Error("a listing waits for another")
		}
	default:
	}
	return r.memStore.List(ctx, q)
}

// Who goes through a tree again after a while waits for one round of requests: the folder
// that it is in and the tree are listed at the same time.
func TestSecondWalkAfterAWhile(t *testing.T) {
	m := newMemStore()
	for i := range 20 {
		for j := range 25 {
			m.put(fmt.Sprintf("d/%02d/%02d", i, j), "x", nil)
		}
	}
	r := &rendezvous{memStore: m, armed: make(chan struct{}), met: make(chan struct{}), t: t}
	w := newWorld(t, m, func(o *Options) { o.Store = r })
	walk := func() {
		_, err := w.lookup("d")
		w.must(err)
		for _, folder := range w.list("d") {
			for _, name := range w.list("d/" + folder) {
				_, err := w.lookup("d/" + folder + "/" + name)
				w.must(err)
			}
		}
		w.fs.wg.Wait()
	}
	walk()
	w.pass(11 * time.Second)
	asked := m.asked()
	close(r.armed)
	walk()
	if n := m.asked() - asked; n != 2 {
		t.Errorf("%d requests", n)
	}
}

// A page of a walk may be asked for before the page in front of it.
func TestFolderThatAWalkFindsIsAsOldAsTheOldestPage(t *testing.T) {
	w := newWorld(t, newMemStore())
	older := w.fs.stamp()
	newer := w.fs.stamp()
	split := splitter{max: 100}
	split.page([]object.Info{{Key: "d/1"}, {Key: "d/sub/1"}}, newer)
	split.page([]object.Info{{Key: "d/sub/2"}, {Key: "e/1"}}, older)
	split.page([]object.Info{{Key: "f/1"}}, newer)
	split.page(nil, nil) // the end, without a request
	split.end()
	for _, b := range split.take() {
		if want := map[string]*stamp{"d/": older, "d/sub/": older, "e/": older, "f/": newer}[b.prefix]; b.stamp != want {
			t.Errorf("%s has the stamp %d, want %d", b.prefix, b.stamp.order, want.order)
		}
	}
}

// A walk goes on behind a large folder at a key that is behind nearly all of its keys. Those
// few that are behind that make no folder of their own.
func TestAWalkThatPassesOverAFolderHidesNothingOfIt(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"t/a/x", "t/b/x", "t/big/\U0010FFFF9", "t/big/sub/\xff", "t/big/\xff/x", "t/c/x"} {
		m.put(k, "1", nil)
	}
	for i := range 4 * firstAllowance {
		m.put(fmt.Sprintf("t/big/f%04d", i), "1", nil)
	}
	w := newWorld(t, m)
	w.list("t")
	w.list("t/a")
	w.list("t/b")
	w.fs.wg.Wait() // for the walk, which has nobody who asks for more than it may find
	if got := w.list("t/big"); len(got) != 4*firstAllowance+3 {
		t.Errorf("%d names: %q", len(got), got[:min(len(got), 3)])
	}
	if got := w.list("t/big/\xff"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("%q", got)
	}
}
