package transfer

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/s3fake"
)

// modelFile is a file of a random tree: content and time.
type modelFile struct {
	data string
	at   time.Time
}

type modelTree map[string]modelFile

func randomTree(rnd *rand.Rand) modelTree {
	t := modelTree{}
	for range rnd.IntN(25) {
		path := fmt.Sprintf("d%d/f%d", rnd.IntN(3), rnd.IntN(8))
		switch rnd.IntN(4) {
		case 0:
			path = fmt.Sprintf("d%d.x/e/f%d", rnd.IntN(3), rnd.IntN(8))
		case 1:
			path = fmt.Sprintf("f%d", rnd.IntN(8))
		}
		t[path] = modelFile{strings.Repeat("ab", rnd.IntN(4)) + string(rune('0'+rnd.IntN(3))), epoch.Add(time.Duration(rnd.IntN(3)))}
	}
	return t
}

func (m modelTree) String() string {
	var out []string
	for path, f := range m {
		out = append(out, path+"="+f.data)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// after is what a destination must hold when a call without failures is over.
func after(src, dst modelTree, sync bool, o Options) modelTree {
	want := maps.Clone(dst)
	for path, s := range src {
		d, there := dst[path]
		switch {
		case !there, o.IgnoreTimes:
		case o.IgnoreExisting:
			continue
		case o.Update && d.at.After(s.at):
			continue
		case len(s.data) != len(d.data):
		case o.SizeOnly:
			continue
		case o.Checksum && s.data == d.data:
			continue
		case !o.Checksum && s.at.Equal(d.at):
			continue
		}
		want[path] = s
	}
	for path := range dst {
		if _, there := src[path]; sync && !there {
			delete(want, path)
		}
	}
	return want
}

// plant puts a tree in a folder or under a prefix.
func (m modelTree) plant(f *folder, s *store, prefix string) {
	for path, file := range m {
		if f == nil {
			sec := fmt.Sprintf("%d.%09d", file.at.Unix(), file.at.Nanosecond())
			s.b().Put(prefix+path, []byte(file.data), map[string]string{"mtime": sec})
			continue
		}
		f.write(path, file.data)
		if err := os.Chtimes(filepath.Join(f.dir, path), file.at, file.at); err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestRandomTrees compares copies and syncs of random trees, in all directions and with
// all ways to compare, with a model. In half of them requests fail now and then: then
// either the result is right, or there is an error and nothing is lost.
func TestRandomTrees(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	s := newStore(t)
	for round := range 150 {
		src, dst := randomTree(rnd), randomTree(rnd)
		src["always"] = modelFile{"x", epoch} // a prefix with nothing in it is not there
		o := []Options{{}, {}, {SizeOnly: true}, {Checksum: true}, {Update: true}, {IgnoreExisting: true}, {IgnoreTimes: true}}[rnd.IntN(7)]
		o.Fast, o.Transfers, o.Checkers = rnd.IntN(2) == 0, 1+rnd.IntN(4), 1+rnd.IntN(4)
		sync, faulty := rnd.IntN(2) == 0, rnd.IntN(2) == 0
		prefix := fmt.Sprintf("%d/", round)
		side := func(m modelTree, name string) (Endpoint, func() string) {
			if rnd.IntN(2) == 0 {
				f := newFolder(t)
				m.plant(&f, nil, "")
				return f.ep(), f.tree
			}
			m.plant(nil, s, prefix+name+"/")
			return s.at(prefix + name), func() string { return s.tree(prefix + name + "/") }
		}
		from, _ := side(src, "src")
		to, tree := side(dst, "dst")
		if faulty {
			s.Fail(s3fake.Rule{Probability: 0.1, Fault: s3fake.Denied()})
			s.Fail(s3fake.Rule{Op: s3fake.GetObject, Probability: 0.1, Fault: s3fake.Fault{Act: s3fake.Truncate}})
		}
		what := fmt.Sprintf("round %d: %s to %s, sync %v, %+v\nsource %v\nbefore %v", round, from, to, sync, o, src, dst)
		_, err := run(t.Context(), from, to, o, sync)
		s.Heal()
		want := after(src, dst, sync, o)
		switch {
		case err == nil:
			equal(t, what, tree(), want.String())
		case !faulty:
			t.Errorf("%s: %v", what, err)
		default:
			nothingLost(t, what, tree(), src, dst)
		}
		if faulty {
			continue
		}
		if sum, err := run(t.Context(), from, to, o, sync); err != nil || !o.IgnoreTimes && sum.Copied+sum.TimesSet+sum.Deleted > 0 {
			t.Errorf("%s\nonce more: %+v, %v", what, sum, err)
		}
	}
}

// nothingLost checks a destination after failures: each file is whole, the old or the
// new one, and unless only deletes failed, nothing is missing that was there.
func nothingLost(t *testing.T, what, tree string, src, dst modelTree) {
	t.Helper()
	for pair := range strings.FieldsSeq(tree) {
		path, data, _ := strings.Cut(pair, "=")
		if data != src[path].data && data != dst[path].data {
			t.Errorf("%s: %s is %q", what, path, data)
		}
	}
	for path := range dst {
		if _, extra := src[path]; extra && !strings.Contains(" "+tree, " "+path+"=") {
			t.Errorf("%s: %s is lost", what, path)
		}
	}
}
