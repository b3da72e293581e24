package transfer

import (
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// randomKeys makes keys whose folders differ much in size, with names around "/".
func randomKeys(rnd *rand.Rand, n int) []string {
	names := []string{"a", "b", "a.b", "a-b", "a!", "a0", "ä", "c d", "e", "f", "~", "\U0010FFFF", "x", "y"}
	seen := map[string]bool{}
	for len(seen) < n {
		depth := 1 + rnd.IntN(4)
		var parts []string
		for range depth {
			parts = append(parts, names[rnd.IntN(1+rnd.IntN(len(names)))])
		}
		key := strings.Join(parts, "/")
		if rnd.IntN(3) > 0 {
			key += fmt.Sprintf("/f%d", rnd.IntN(n))
		}
		seen[key] = true
	}
	var keys []string
	for k := range seen {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// pagedStore answers with small pages, so that few keys make many shards.
type pagedStore struct {
	Store
	max int
}

func (p pagedStore) List(ctx ctxT, q object.Query) (object.Page, error) {
	q.Max = p.max
	return p.Store.List(ctx, q)
}

func TestWalkYieldsEveryKeyInOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for round := range 4 {
		s := newStore(t)
		keys := randomKeys(rnd, 400)
		for _, k := range keys {
			s.b().Put("p/"+k, nil, nil)
			s.b().Put("q/"+k, nil, nil)
		}
		ep, _ := NewBucket(pagedStore{s.bucketStore("bkt"), 1 + rnd.IntN(60)}, "p", BucketOptions{Checkers: 1 + round%4})
		if got := collect(t, ep, WalkOptions{}); !slices.Equal(got, keys) {
			t.Fatalf("shards: %d keys, want %d: %q", len(got), len(keys), firstDifference(got, keys))
		}
		if got := collect(t, ep, WalkOptions{Fast: true}); !slices.Equal(got, keys) {
			t.Fatalf("fast: %q", firstDifference(got, keys))
		}
		skip := func(dir string) bool { return strings.HasSuffix(dir, "b") }
		want := slices.DeleteFunc(slices.Clone(keys), func(k string) bool {
			return slices.ContainsFunc(strings.Split(k, "/")[:strings.Count(k, "/")], func(c string) bool { return strings.HasSuffix(c, "b") })
		})
		if got := collect(t, ep, WalkOptions{Skip: skip}); !slices.Equal(got, want) {
			t.Fatalf("with folders passed over: %q", firstDifference(got, want))
		}
		for depth := range 4 {
			want := withDirs(keys, depth)
			if got := collect(t, ep, WalkOptions{Dirs: true, Depth: depth}); !slices.Equal(got, want) {
				t.Fatalf("depth %d: %q", depth, firstDifference(got, want))
			}
		}
	}
}

// withDirs adds the folders that keys imply, down to a depth.
func withDirs(keys []string, depth int) []string {
	seen := map[string]bool{}
	for _, k := range keys {
		parts := strings.SplitAfter(k, "/")
		for i := range parts {
			if p := strings.Join(parts[:i+1], ""); depth == 0 || i < depth {
				seen[p] = true
			}
		}
	}
	var out []string
	for p := range seen {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("at %d: %q, want %q", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d and %d", len(a), len(b))
}

// TestRequestsOfAWalk bounds what walks of typical trees cost, against one request a
// folder and page, which is what a listing folder by folder takes.
func TestRequestsOfAWalk(t *testing.T) {
	for _, c := range []struct {
		name          string
		folders, each int
		flat, shards  int64 // requests: Fast, and the bound without
	}{
		{"one folder of 10,000", 1, 10_000, 10, 12},
		{"100 folders of 1,000", 100, 1000, 100, 103},
		{"100 folders of 10", 100, 10, 1, 1},
		{"2,000 folders of 10", 2000, 10, 20, 25},
		{"10 folders of 5,000", 10, 5000, 50, 70},
	} {
		s := &listStore{page: 1000}
		for i := range c.folders {
			for j := range c.each {
				s.keys = append(s.keys, fmt.Sprintf("p/%04d/%05d", i, j))
			}
		}
		ep, _ := NewBucket(s, "p", BucketOptions{})
		for _, fast := range []bool{true, false} {
			s.requests.Store(0)
			s.peak.Store(0)
			if n := len(collect(t, ep, WalkOptions{Fast: fast})); n != c.folders*c.each {
				t.Errorf("%s: %d keys", c.name, n)
			}
			got := s.requests.Load()
			t.Logf("%s, fast=%v: %d requests, %d at a time", c.name, fast, got, s.peak.Load())
			if want := map[bool]int64{true: c.flat, false: c.shards}[fast]; got > want {
				t.Errorf("%s, fast=%v: %d requests, want at most %d", c.name, fast, got, want)
			}
		}
	}
}

// heldMemory calls next until it is false, and returns the most bytes that were held
// meanwhile.
func heldMemory(next func() bool) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, uint64(0)
	for n := 0; next(); n++ {
		if n%250_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc-min(m.HeapAlloc, before))
		}
	}
	return most
}

func TestAMillionKeysAreJoinedInLittleMemory(t *testing.T) {
	s := &listStore{page: 1000}
	for i := range 1_000_000 {
		s.keys = append(s.keys, fmt.Sprintf("p/%03d/%d", i/3000, 100_000+i))
	}
	for _, fast := range []bool{true, false} {
		ep, _ := NewBucket(s, "p", BucketOptions{})
		walk := func() iter.Seq2[File, error] { return ep.Walk(t.Context(), WalkOptions{Fast: fast}) }
		next, stop := iter.Pull2(Merge(walk(), walk()))
		n := 0
		most := heldMemory(func() bool {
			p, err, ok := next()
			if err != nil || ok && (p.Src == nil || p.Dst == nil) {
				t.Fatalf("%v, %+v", err, p)
			}
			n++
			return ok
		})
		stop()
		equal(t, "pairs", n-1, len(s.keys))
		t.Logf("fast=%v: %d MB held", fast, most>>20)
		if most > 80<<20 {
			t.Errorf("fast=%v: %d MB were held", fast, most>>20)
		}
	}
}

func TestAWalkThatIsLeftEndsItsRequests(t *testing.T) {
	s := &listStore{page: 10, wait: make(chan struct{}, 3)}
	for i := range 1000 {
		s.keys = append(s.keys, fmt.Sprintf("%03d/x", i))
	}
	for range 3 {
		s.wait <- struct{}{}
	}
	ep, _ := NewBucket(s, "", BucketOptions{Checkers: 4})
	for range ep.Walk(t.Context(), WalkOptions{}) {
		break
	}
	equal(t, "under way", s.now.Load(), 0)
	if peak := s.peak.Load(); peak > 4 {
		t.Errorf("%d requests at a time", peak)
	}
}

func TestAFailedShardEndsTheWalkInItsPlace(t *testing.T) {
	s := &listStore{page: 10}
	for i := range 1000 {
		s.keys = append(s.keys, fmt.Sprintf("%03d/x", i))
	}
	s.broken = func(n int64) error {
		if n == 20 {
			return object.Errorf(object.KindPermission, "list", "", "")
		}
		return nil
	}
	ep, _ := NewBucket(s, "", BucketOptions{})
	n, failed := 0, error(nil)
	for f, err := range ep.Walk(t.Context(), WalkOptions{}) {
		if failed = err; err == nil && f.Path != s.keys[n] {
			t.Fatalf("%q, want %q", f.Path, s.keys[n])
		}
		n++
	}
	if !object.Is(failed, object.KindPermission) || n == 1001 {
		t.Errorf("%d files, then %v", n, failed)
	}
}

func TestLocalWalkHasTheOrderOfKeys(t *testing.T) {
	f := newFolder(t)
	f.write("a/x", "", "a.b/y", "", "a-b", "", "a0", "", "b", "", "a/y/z", "", "c/.hidden", "")
	equal(t, "files", strings.Join(collect(t, f.ep(), WalkOptions{}), " "), "a-b a.b/y a/x a/y/z a0 b c/.hidden")
	equal(t, "folders", strings.Join(collect(t, f.ep(), WalkOptions{Dirs: true, Depth: 1}), " "), "a-b a.b/ a/ a0 b c/")
	equal(t, "below", strings.Join(collect(t, f.ep(), WalkOptions{Dirs: true, Dir: "a"}), " "), "a/x a/y/ a/y/z")
}

// brokenFS cannot read one folder.
type brokenFS struct {
	localFS
	dir string
}

func (b brokenFS) Open(name string) (*os.File, error) {
	if name == b.dir {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return b.localFS.Open(name)
}

func TestAnUnreadableFolderKeepsItsFiles(t *testing.T) {
	up, down := newFolder(t), newFolder(t)
	up.write("a", "1", "locked/b", "2", "z", "3")
	down.write("locked/b", "2", "locked/c", "4", "x", "5")
	src := up.ep().(*local)
	root, _ := os.OpenRoot(up.dir)
	defer root.Close()
	src.mu.fs = brokenFS{root, "locked"}
	var n notes
	_, err := Sync(t.Context(), src, down.ep(), Options{Report: n.report})
	if !object.Is(err, object.KindPermission) {
		t.Errorf("%v", err)
	}
	equal(t, "reports", n.String(), "copy a\ncopy z\nerror locked: access denied")
	equal(t, "tree", down.tree(), "a=1 locked/b=2 locked/c=4 x=5 z=3")
}

func TestARootThatIsNotThere(t *testing.T) {
	f := newFolder(t)
	gone, _ := NewLocal(filepath.Join(f.dir, "gone"), LocalOptions{})
	f.write("a/b", "1")
	if _, err := Sync(t.Context(), gone, f.ep(), Options{}); err == nil {
		t.Error("no error inside of the destination")
	}
	s := newStore(t)
	s.b().Put("x", nil, nil)
	if _, err := Sync(t.Context(), gone, s.at(""), Options{}); !object.Is(err, object.KindNotFound) {
		t.Errorf("%v", err)
	}
	equal(t, "store", s.tree(""), "x=")
	a, _ := NewLocal(filepath.Join(f.dir, "a"), LocalOptions{})
	to, _ := NewLocal(filepath.Join(f.dir, "new/deep"), LocalOptions{})
	must[Summary](t)(Sync(t.Context(), a, to, Options{}))
	equal(t, "new folder", f.tree(), "a/b=1 new/deep/b=1")
	if _, err := NewLocal(filepath.Join(f.dir, "a/b"), LocalOptions{}); !object.Is(err, object.KindNotDir) {
		t.Errorf("%v", err)
	}
}
