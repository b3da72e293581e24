package transfer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
)

func TestUpAndDownAndNothingTheSecondTime(t *testing.T) {
	s, up, down := newStore(t), newFolder(t), newFolder(t)
	up.write("a.txt", "hello", "empty", "", "dir/b.json", "{}", "dir/deep/c", "x", "dir.x", "between")
	s.ResetStats()
	sum := must[Summary](t)(Copy(t.Context(), up.ep(), s.at("p"), Options{}))
	equal(t, "copied", sum.Copied, 5)
	equal(t, "bytes", sum.Bytes, int64(len("hello{}xbetween")))
	equal(t, "requests", s.Stats().Total(), 6) // one listing, one PUT a file
	equal(t, "store", s.tree("p/"), up.tree())
	o, _ := s.b().Head("p/dir/b.json")
	equal(t, "mtime", o.Meta["mtime"], "1700000000.123456789")
	equal(t, "type", o.ContentType, "application/json")

	s.ResetStats()
	sum = must[Summary](t)(Sync(t.Context(), up.ep(), s.at("p"), Options{}))
	equal(t, "same", sum.Same, 5)
	equal(t, "sent again", s.Stats().Requests[s3fake.PutObject], 0)
	equal(t, "requests", s.Stats().Total(), 6) // one listing, one HEAD a file

	s.ResetStats()
	must[Summary](t)(Copy(t.Context(), s.at("p"), down.ep(), Options{}))
	equal(t, "tree", down.tree(), up.tree())
	equal(t, "fetched", s.Stats().Requests[s3fake.GetObject], 4)
	equal(t, "times asked for", s.Stats().Requests[s3fake.HeadObject], 1) // of the empty file
	fi := must[os.FileInfo](t)(os.Stat(filepath.Join(down.dir, "dir/deep/c")))
	equal(t, "time", fi.ModTime().UnixNano(), epoch.UnixNano())
	s.ResetStats()
	sum = must[Summary](t)(Copy(t.Context(), s.at("p"), down.ep(), Options{}))
	equal(t, "same", sum.Same, 5)
	equal(t, "fetched again", s.Stats().Requests[s3fake.GetObject], 0)
}

func TestOnlyTheTimeIsSet(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "hello")
	must[Summary](t)(Copy(t.Context(), up.ep(), s.at(""), Options{}))
	later := epoch.Add(time.Hour)
	if err := os.Chtimes(filepath.Join(up.dir, "a"), later, later); err != nil {
		t.Fatal(err)
	}
	s.ResetStats()
	sum := must[Summary](t)(Copy(t.Context(), up.ep(), s.at(""), Options{}))
	equal(t, "summary", sum, Summary{TimesSet: 1})
	equal(t, "copies", s.Stats().Requests[s3fake.CopyObject], 1)
	f := must[File](t)(s.at("").Stat(t.Context(), "a"))
	equal(t, "time", f.ModTime.UnixNano(), later.UnixNano())

	if err := os.Chtimes(filepath.Join(up.dir, "a"), epoch, epoch); err != nil {
		t.Fatal(err)
	}
	sum = must[Summary](t)(Copy(t.Context(), s.at(""), up.ep(), Options{}))
	equal(t, "down", sum, Summary{TimesSet: 1})
}

func TestSyncDeletesAfterTheCopies(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "d/b", "2")
	s.b().Put("a", []byte("old"), nil)
	s.b().Put("x", []byte("extra"), nil)
	s.b().Put("d/y", []byte("extra"), nil)
	var n notes
	s.StartTrace()
	must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{Report: n.report}))
	equal(t, "tree", s.tree(""), up.tree())
	equal(t, "reports", n.String(), "copy a\ncopy d/b\ndelete d/y\ndelete x")
	trace := s.Trace()
	if last := trace[len(trace)-1]; !strings.HasPrefix(last, "DeleteObjects") {
		t.Errorf("the delete is not the last: %q", trace)
	}
}

func TestSyncKeepsEverythingWhenACopyFails(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "b", "2")
	s.b().Put("x", []byte("extra"), nil)
	s.Fail(s3fake.Rule{Op: s3fake.PutObject, Key: "a", Fault: s3fake.Denied()})
	var n notes
	sum, err := Sync(t.Context(), up.ep(), s.at(""), Options{Report: n.report})
	if err == nil || !strings.Contains(err.Error(), "nothing was deleted") || !object.Is(err, object.KindPermission) {
		t.Errorf("%v", err)
	}
	equal(t, "errors", sum.Errors, 1)
	equal(t, "tree", s.tree(""), "b=2 x=extra")
}

func TestSyncKeepsEverythingWhenAListingFails(t *testing.T) {
	for _, side := range []string{"src/", "dst/"} {
		for _, fast := range []bool{false, true} {
			s := newStore(t)
			s.b().Put("src/a", []byte("1"), nil)
			s.b().Put("dst/x", []byte("extra"), nil)
			for i := range 3000 {
				s.b().Put(side+"many/"+time.Duration(i).String(), nil, nil)
			}
			s.Fail(s3fake.Rule{Op: s3fake.ListObjectsV2, Skip: 3, Fault: s3fake.Denied()})
			sum, err := Sync(t.Context(), s.at("src"), s.at("dst"), Options{Fast: fast})
			if err == nil || sum.Deleted > 0 {
				t.Errorf("%s fast=%v: %v, %+v", side, fast, err, sum)
			}
			if _, ok := s.b().Head("dst/x"); !ok {
				t.Errorf("%s fast=%v: deleted", side, fast)
			}
		}
	}
}

func TestAPrefixThatIsNotThereDeletesNothing(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	down.write("a", "1")
	s.b().Put("right/x.bin", nil, nil)
	_, err := Sync(t.Context(), s.at("wrong"), down.ep(), Options{})
	if !object.Is(err, object.KindNotFound) {
		t.Errorf("%v", err)
	}
	equal(t, "kept", down.tree(), "a=1")
	f := &Filter{}
	f.Exclude("*.bin")
	must[Summary](t)(Sync(t.Context(), s.at("right"), down.ep(), Options{Filter: f}))
	equal(t, "only excluded files", down.tree(), "")
}

func TestAFailureIsTriedAgain(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "b", "2")
	s.b().Put("x", []byte("extra"), nil)
	s.Fail(s3fake.Rule{Op: s3fake.PutObject, Key: "a", Count: 2, Fault: s3fake.Fault{Act: s3fake.Status, Code: "InternalError"}})
	sum := must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{Retries: 10}))
	equal(t, "tree", s.tree(""), up.tree())
	equal(t, "summary", sum, Summary{Bytes: 2, Copied: 2, Deleted: 1})
}

func TestMaxDeleteDeletesNothing(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1")
	s.b().Put("x", []byte("1"), nil)
	s.b().Put("y", []byte("2"), nil)
	most := int64(1)
	sum, err := Sync(t.Context(), up.ep(), s.at(""), Options{MaxDelete: &most})
	if err == nil || !strings.Contains(err.Error(), "--max-delete") {
		t.Errorf("%v", err)
	}
	equal(t, "deleted", sum.Deleted, 0)
	equal(t, "tree", s.tree(""), "a=1 x=1 y=2")
	most = 2
	must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{MaxDelete: &most}))
	equal(t, "tree", s.tree(""), "a=1")
}

func TestBackupDirGetsWhatIsLostOtherwise(t *testing.T) {
	for _, local := range []bool{false, true} {
		s, up, down := newStore(t), newFolder(t), newFolder(t)
		up.write("a", "new", "same", "s")
		backup := newFolder(t)
		var dst, bak Endpoint = s.at("dst"), s.at("bak")
		tree := func() (string, string) { return s.tree("dst/"), s.tree("bak/") }
		if local {
			dst, bak = down.ep(), backup.ep()
			tree = func() (string, string) { return down.tree(), backup.tree() }
			down.write("a", "old!", "d/x", "extra", "same", "s")
		} else {
			s.b().Put("dst/a", []byte("old!"), nil)
			s.b().Put("dst/d/x", []byte("extra"), nil)
			s.b().Put("dst/same", []byte("s"), map[string]string{"mtime": "1700000000.123456789"})
		}
		sum := must[Summary](t)(Sync(t.Context(), up.ep(), dst, Options{BackupDir: bak}))
		d, b := tree()
		equal(t, "destination", d, "a=new same=s")
		equal(t, "backup", b, "a=old! d/x=extra")
		equal(t, "summary", sum.BackedUp, 2)
	}
}

func TestDryRunTellsAndDoesNothing(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "b", "2")
	s.b().Put("b", []byte("old"), nil)
	s.b().Put("x", []byte("extra"), nil)
	var n notes
	s.ResetStats()
	must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{DryRun: true, Report: n.report}))
	equal(t, "reports", n.String(), "copy a\ncopy b\ndelete x")
	equal(t, "tree", s.tree(""), "b=old x=extra")
	equal(t, "requests", s.Stats().Total(), 1)
}

func TestConfirmIsAskedAndKept(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "b", "2")
	s.b().Put("x", []byte("extra"), nil)
	yes := func(a Action) (bool, error) { return a.Path == "a", nil }
	sum := must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{Confirm: yes}))
	equal(t, "tree", s.tree(""), "a=1 x=extra")
	equal(t, "skipped", sum.Skipped, 2)
	quit := func(a Action) (bool, error) { return false, object.Errorf(object.KindCanceled, "ask", "", "") }
	if _, err := Sync(t.Context(), up.ep(), s.at(""), Options{Confirm: quit}); !object.Is(err, object.KindCanceled) {
		t.Errorf("%v", err)
	}
}

// A quit ends the asking; what was agreed to before is done.
func TestQuittingKeepsWhatWasAgreedTo(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "b", "2", "c", "3")
	quit := object.Errorf(object.KindCanceled, "ask", "", "")
	asked, quitting := 0, make(chan struct{})
	answer := func(Action) (bool, error) {
		if asked++; asked <= 2 {
			return true, nil
		}
		close(quitting)
		return false, quit
	}
	if _, err := Copy(t.Context(), up.ep(), gated{s.at(""), quitting}, Options{Confirm: answer}); !errors.Is(err, quit) {
		t.Errorf("%v", err)
	}
	equal(t, "copied", len(strings.Fields(s.tree(""))), 2)
	equal(t, "questions", asked, 3)

	asked, quitting = 0, make(chan struct{})
	up = newFolder(t)
	up.write("a", "1", "b", "2", "c", "3", "d", "4")
	if _, err := Delete(t.Context(), up.ep(), Options{Confirm: answer}); !errors.Is(err, quit) {
		t.Errorf("%v", err)
	}
	equal(t, "deleted", len(strings.Fields(up.tree())), 2)
	equal(t, "questions", asked, 3)
}

// gated stores nothing before it is opened.
type gated struct {
	Endpoint
	open chan struct{}
}

func (g gated) Put(ctx context.Context, path string, c Content, o PutOptions) (File, error) {
	<-g.open
	return g.Endpoint.Put(ctx, path, c, o)
}

func TestNothingEscapesTheDestination(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	out := filepath.Join(filepath.Dir(down.dir), "escaped")
	for _, k := range []string{"../escaped", "a/../../escaped", "/abs", "a//b", ".", "..", "a/./b", "full/", strings.Repeat("n", 300), "link/x", "ok"} {
		s.b().Put("p/"+k, []byte("data"), nil)
	}
	s.b().Put("p/marker/", nil, nil)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(down.dir, "link")); err != nil {
		t.Fatal(err)
	}
	var n notes
	sum, err := Copy(t.Context(), s.at("p"), down.ep(), Options{Report: n.report})
	if err == nil {
		t.Fatal("no error")
	}
	equal(t, "tree", down.tree(), "ok=data")
	equal(t, "errors", sum.Errors, 10)
	if _, err := os.Lstat(out); err == nil {
		t.Error("a file escaped")
	}
	if list, _ := os.ReadDir(outside); len(list) > 0 {
		t.Errorf("through a link: %v", list)
	}
	for _, a := range n.all {
		if a.Err != nil && !strings.Contains(a.Err.Error(), a.Path) {
			t.Errorf("the error does not name the key: %v", a.Err)
		}
	}
}

func TestWhatAFolderHoldsBesideFiles(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "target/t", "2", "bad\xff", "3")
	for _, err := range []error{
		unix.Mkfifo(filepath.Join(up.dir, "fifo"), 0o666),
		os.Symlink("a", filepath.Join(up.dir, "link")),
		os.Symlink("target", filepath.Join(up.dir, "dirlink")),
		os.Symlink("nowhere", filepath.Join(up.dir, "dangling")),
		os.Symlink(".", filepath.Join(up.dir, "loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var n notes
	_, err := Copy(t.Context(), up.ep(), s.at(""), Options{Report: n.report})
	if !object.Is(err, object.KindNotUTF8) {
		t.Errorf("%v", err)
	}
	equal(t, "without links", s.tree(""), "a=1 target/t=2")
	n = notes{}
	Copy(t.Context(), up.ep(LocalOptions{CopyLinks: true}), s.at(""), Options{Report: n.report})
	equal(t, "with links", s.tree(""), "a=1 dirlink/t=2 link=1 target/t=2")
	if got := n.String(); !strings.Contains(got, "error dangling: not found") || !strings.Contains(got, "error loop: directory loop") {
		t.Error(got)
	}
}

func TestAFolderInTheWayOfAFile(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	s.b().Put("a", []byte("file now"), nil)
	s.b().Put("b/c", []byte("folder now"), nil)
	down.write("a/x/y", "was a folder", "b", "was a file")
	_, err := Copy(t.Context(), s.at(""), down.ep(), Options{})
	if err == nil {
		t.Error("copy overwrote a folder")
	}
	equal(t, "after copy", down.tree(), "a/x/y=was a folder b=was a file")
	must[Summary](t)(Sync(t.Context(), s.at(""), down.ep(), Options{}))
	equal(t, "after sync", down.tree(), "a=file now b/c=folder now")
}

func TestServerSideCopy(t *testing.T) {
	s := newStore(t)
	s.b().Put("src/a", []byte("1"), map[string]string{"mtime": "1700000000.5", "mine": "kept"})
	s.b().Put("src/d/b", []byte("2"), nil) // has the store's own time only
	s.ResetStats()
	must[Summary](t)(Sync(t.Context(), s.at("src"), s.at("dst"), Options{}))
	equal(t, "tree", s.tree("dst/"), s.tree("src/"))
	equal(t, "gets", s.Stats().Requests[s3fake.GetObject], 0)
	o, _ := s.b().Head("dst/a")
	equal(t, "metadata", o.Meta["mine"], "kept")
	sum := must[Summary](t)(Sync(t.Context(), s.at("src"), s.at("dst"), Options{}))
	equal(t, "again", sum, Summary{Same: 2})
}

func TestBetweenStoresBytesGoThroughHere(t *testing.T) {
	a, b := newStore(t), newStore(t)
	pattern := s3fake.NewPattern(7)
	big := make([]byte, 13<<20)
	pattern.ReadAt(big, 0)
	a.b().Put("big", big, map[string]string{"mtime": "1700000000.5", "mine": "kept"})
	a.b().Put("small", []byte("x"), nil)
	o := BucketOptions{Cutoff: 6 << 20, PartSize: 5 << 20}
	must[Summary](t)(Sync(t.Context(), a.at(""), b.at("", o), Options{}))
	data, _ := b.b().Get("big")
	if err := pattern.Check(data, 0); err != nil || len(data) != 13<<20 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	head, _ := b.b().Head("big")
	equal(t, "parts", head.Parts, 3)
	equal(t, "metadata", head.Meta["mine"], "kept")
	sum := must[Summary](t)(Sync(t.Context(), a.at(""), b.at("", o), Options{}))
	equal(t, "again", sum, Summary{Same: 2})
	sum = must[Summary](t)(Check(t.Context(), a.at(""), b.at(""), false, Options{}))
	equal(t, "check", sum, Summary{Same: 2})
}

func TestPlacesThatLieInEachOther(t *testing.T) {
	s, f := newStore(t), newFolder(t)
	f.write("in/a", "1")
	in, _ := NewLocal(filepath.Join(f.dir, "in"), LocalOptions{})
	for _, c := range []struct {
		src, dst Endpoint
		o        Options
		sync, ok bool
	}{
		{f.ep(), in, Options{}, false, false},
		{in, f.ep(), Options{}, false, true},
		{in, f.ep(), Options{}, true, false},
		{f.ep(), f.ep(), Options{}, false, false},
		{s.at("a"), s.at("a/b"), Options{}, false, false},
		{s.at("a"), s.at("ab"), Options{}, true, true},
		{in, s.at(""), Options{BackupDir: s.at("bak")}, true, false},
	} {
		_, err := run(t.Context(), c.src, c.dst, c.o, c.sync)
		if ok := !object.Is(err, object.KindInvalid); ok != c.ok {
			t.Errorf("%v to %v, sync %v: %v", c.src, c.dst, c.sync, err)
		}
	}
}
