package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
)

// A file that is tried again is not written over what could not be looked at: there may
// be something newer by now, or something to keep a copy of.
func TestARetryNeedsToSeeTheDestination(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "new text")
	s.b().Put("to/a", []byte("old"), nil)
	s.Fail(s3fake.Rule{Op: s3fake.PutObject, Key: "to/a", Count: 1, Fault: s3fake.SlowDown()},
		s3fake.Rule{Op: s3fake.HeadObject, Key: "to/a", Fault: s3fake.SlowDown()})
	_, err := Copy(t.Context(), up.ep(), s.at("to"), Options{Retries: 2})
	if !object.Is(err, object.KindUnavailable) {
		t.Errorf("%v", err)
	}
	equal(t, "store", s.tree("to/"), "a=old")
	s.Heal()
	must[Summary](t)(Copy(t.Context(), up.ep(), s.at("to"), Options{Retries: 2}))
	equal(t, "store", s.tree("to/"), "a=new text")
}

func listOf(paths ...string) *Filter {
	f := &Filter{}
	f.Files(paths...)
	return f
}

// A source that is not there has none of the listed files; that does not mean that they
// are to be deleted.
func TestAnExactListOfASourceThatIsNotThere(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	gone := folder{t, filepath.Join(up.dir, "gone")}
	noBucket, err := NewBucket(s.bucketStore("nowhere"), "", BucketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.b().Put("to/a", []byte("1"), nil)
	for name, src := range map[string]Endpoint{"folder": gone.ep(), "bucket": noBucket, "prefix": s.at("typo")} {
		sum, err := Sync(t.Context(), src, s.at("to"), Options{Filter: listOf("a", "b"), Retries: 1})
		if err == nil || sum.Deleted != 0 {
			t.Errorf("%s: %v, %+v", name, err, sum)
		}
		equal(t, name, s.tree("to/"), "a=1")
	}
	for name, src := range map[string]Endpoint{"folder": gone.ep(), "bucket": noBucket} {
		for what, call := range map[string]func(Options) (Summary, error){
			"copy":   func(o Options) (Summary, error) { return Copy(t.Context(), src, s.at("to"), o) },
			"check":  func(o Options) (Summary, error) { return Check(t.Context(), src, s.at("to"), false, o) },
			"delete": func(o Options) (Summary, error) { return Delete(t.Context(), src, o) },
		} {
			if _, err := call(Options{Filter: listOf("a"), Retries: 1}); err == nil {
				t.Errorf("%s, %s: no error", name, what)
			}
		}
	}
	up.write("a", "1")
	sum := must[Summary](t)(Sync(t.Context(), up.ep(), s.at("to"), Options{Filter: listOf("a", "b"), SizeOnly: true}))
	equal(t, "listed and not there", sum, Summary{Same: 1})
	s.b().Put("to/b", []byte("1"), nil)
	sum = must[Summary](t)(Sync(t.Context(), up.ep(), s.at("to"), Options{Filter: listOf("a", "b"), SizeOnly: true}))
	equal(t, "deleted", sum, Summary{Same: 1, Deleted: 1})
}

// Files that are on the disk's part of the list of deletes get their backup, too.
func TestABackupOfManyDeletes(t *testing.T) {
	down, old := newFolder(t), newFolder(t)
	down.write("a", "1", "b", "22", "c", "333")
	o, err := Options{BackupDir: old.ep()}.withDefaults(), error(nil)
	r := &runner{src: newFolder(t).ep(), dst: down.ep(), o: o, sync: true, deletes: newSpool(t.TempDir()), stop: func(error) {}}
	defer r.deletes.close()
	r.deletes.limit = 1
	if err = r.run(t.Context()); err != nil {
		t.Error(err)
	}
	equal(t, "backup", old.tree(), "a=1 b=22 c=333")
	equal(t, "left", down.tree(), "")
}

// Places are compared by where they are, not by what they are called.
func TestPlacesByOtherNames(t *testing.T) {
	f := newFolder(t)
	f.write("dst/a", "1", "dst/bak/b", "1", "src/a", "1")
	link := filepath.Join(f.dir, "link")
	if err := os.Symlink("dst", link); err != nil {
		t.Fatal(err)
	}
	at := func(path string) Endpoint { return folder{t, filepath.Join(f.dir, path)}.ep() }
	for _, c := range []struct{ src, dst, backup string }{
		{"src", "dst", "link/bak"}, {"src", "dst", "link/not/yet"}, {"dst/bak", "link", ""}, {"link", "dst/new", ""}, {"link", "dst", ""},
	} {
		o := Options{}
		if c.backup != "" {
			o.BackupDir = at(c.backup)
		}
		if _, err := Sync(t.Context(), at(c.src), at(c.dst), o); !object.Is(err, object.KindInvalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
	equal(t, "files", f.tree(), "dst/a=1 dst/bak/b=1 src/a=1")
}

// Many failed deletes are a short line each, and those that worked are told as done.
func TestManyDeletesFail(t *testing.T) {
	s := newStore(t)
	const n = 60
	for i := range n {
		s.b().Put(fmt.Sprintf("p/%02d", i), nil, nil)
	}
	s.Fail(s3fake.Rule{Op: s3fake.DeleteObjects, Key: "p/0*", Fault: s3fake.Denied()}, s3fake.Rule{Op: s3fake.DeleteObjects, Key: "p/1*", Fault: s3fake.Denied()},
		s3fake.Rule{Op: s3fake.DeleteObjects, Key: "p/2*", Fault: s3fake.Denied()})
	longest := 0
	sum, err := Delete(t.Context(), s.at("p"), Options{Report: func(a Action) {
		if a.Err != nil {
			longest = max(longest, len(a.Err.Error()))
		}
	}})
	var f *Failures
	if !errors.As(err, &f) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if sum.Deleted != 30 || sum.Errors != 30 || longest > 300 {
		t.Errorf("%+v, a message of %d bytes", sum, longest)
	}
}
