package transfer

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
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
	for round := range 12 {
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
		s := newStore(t)
		for i := range c.folders {
			s.b().AddVirtual(s3fake.Virtual{Prefix: fmt.Sprintf("p/%04d/", i), N: c.each})
		}
		for _, fast := range []bool{true, false} {
			s.ResetStats()
			if n := len(collect(t, s.at("p"), WalkOptions{Fast: fast})); n != c.folders*c.each {
				t.Errorf("%s: %d keys", c.name, n)
			}
			got := s.Stats().Total()
			t.Logf("%s, fast=%v: %d requests, %d at a time", c.name, fast, got, s.Stats().Peak)
			if want := map[bool]int64{true: c.flat, false: c.shards}[fast]; got > want {
				t.Errorf("%s, fast=%v: %d requests, want at most %d", c.name, fast, got, want)
			}
		}
	}
}

func TestAMillionKeysAreWalkedInLittleMemory(t *testing.T) {
	s := newStore(t)
	for i := range 100 {
		s.b().AddVirtual(s3fake.Virtual{Prefix: fmt.Sprintf("p/%02d/", i), N: 3000})
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n, most := 0, uint64(0)
	for _, err := range s.at("p").Walk(t.Context(), WalkOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
	}
	equal(t, "keys", n, 300_000)
	if most > 60<<20 {
		t.Errorf("%d MB were held", most>>20)
	}
	t.Logf("%d MB, with the server's", most>>20)
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
