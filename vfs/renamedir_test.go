package vfs

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs/treemove"
)

// setMode is chmod by path.
func (w *world) setMode(p string, mode uint32) {
	w.t.Helper()
	e, err := w.lookup(p)
	w.must(err)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode})
	w.must(err)
}

// What is known of a copied object, its ETag, size and time, may be that of the original.
func TestFilesOfARenamedFolderAreReadUnderTheirNewKeys(t *testing.T) {
	m := newMemStore()
	m.put("d/", "marker with data", object.Meta{"mode": "16832"})
	m.put("d/sub/", "", nil)
	w := newWorld(t, m)
	w.write("d/f", "data")
	w.setMode("d/sub", 0o700)
	w.must(w.rename("d", "n"))
	if got := w.read("n/f"); got != "data" {
		t.Errorf("read %q", got)
	}
	w.setMode("n", 0o750)
	w.setMode("n/sub", 0o750)
	w.keys("n/", "n/f", "n/sub/")
	w.stored("n/", "marker with data")
	for _, key := range []string{"n/", "n/sub/"} {
		if info, _ := m.Head(w.ctx(), key); info.Meta["mode"] != "16872" {
			t.Errorf("the metadata of %s: %v", key, info.Meta)
		}
	}
}

func TestRenameFolder(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"d/1", "d/sub/2", "d/sub/", "e"} {
		m.put(k, "data of "+k, nil)
	}
	w := newWorld(t, m)
	h := w.open("d/1", false)
	edit := w.open("d/sub/2", true)
	w.writeAt(edit, "DATA", 0)
	fresh := w.create("d/fresh")
	w.writeAt(fresh, "fresh", 0)
	w.must(w.rename("d", "n"))
	w.keys("e", "n/1", "n/sub/", "n/sub/2")
	if s, err := w.readHandle(h); s != "data of d/1" || err != nil {
		t.Errorf("an open file reads %q, %v after the rename", s, err)
	}
	h.Release()
	w.closeFile(edit)
	w.closeFile(fresh)
	w.stored("n/sub/2", "DATA of d/sub/2")
	w.stored("n/fresh", "fresh")
	if got := w.list("n"); !slices.Equal(got, []string{"1", "fresh", "sub"}) {
		t.Errorf("the new folder lists %q", got)
	}
	if _, err := w.lookup("d"); !object.Is(err, object.KindNotFound) {
		t.Errorf("the old folder: %v", err)
	}
	w.want(w.rename("n", "n/sub/x"), object.KindLoop)
	w.mkdir("full")
	w.write("full/x", "")
	w.want(w.rename("n", "full"), object.KindNotEmpty)
	w.mkdir("empty")
	w.must(w.rename("n", "empty"))
	w.stored("empty/fresh", "fresh")
}

func TestFailedRenameOfAFolderChangesNothing(t *testing.T) {
	m := newMemStore()
	for _, k := range []string{"d/1", "d/2", "d/3"} {
		m.put(k, k, nil)
	}
	w := newWorld(t, m)
	m.fail = func(op, key string) error {
		if op == "Copy" && key == "n/2" {
			return object.Errorf(object.KindPermission, "CopyObject", key, "")
		}
		return nil
	}
	err := w.rename("d", "n")
	m.fail = nil
	w.want(err, object.KindPermission)
	w.keys("d/1", "d/2", "d/3")
	if got := w.read("d/2"); got != "d/2" {
		t.Errorf("read %q", got)
	}
}

func TestModeOfAnOpenFileOutlivesTheRenameOfItsFolder(t *testing.T) {
	m := newMemStore()
	m.put("d/f", "data", nil)
	w := newWorld(t, m)
	h := w.open("d/f", true)
	w.writeAt(h, "DATA", 0)
	w.must(h.Fsync(w.ctx()))
	w.setMode("d/f", 0o600)
	w.must(w.rename("d", "n"))
	w.closeFile(h)
	if info, _ := m.Head(w.ctx(), "n/f"); info.Meta["mode"] != "33152" {
		t.Errorf("the metadata after the rename: %v", info.Meta)
	}
}

// A store's times are of whole seconds: metadata that was seen under a key before may look
// like that of what was moved there.
func TestMetadataOfAMovedAwayKeyIsForgotten(t *testing.T) {
	m := newMemStore()
	m.tick = 0
	m.put("b/a", "data", object.Meta{"mode": "33204"})
	w := newWorld(t, m)
	if _, err := w.lookup("b/a"); err != nil {
		t.Fatal(err)
	}
	w.must(w.rename("b", "c"))
	w.setMode("c/a", 0o600)
	w.must(w.rename("c", "b"))
	e, err := w.lookup("b/a")
	w.must(err)
	if e.Attr.Mode&0o777 != 0o600 {
		t.Errorf("mode %o", e.Attr.Mode)
	}
}

func TestFilesThatWereReplacedElsewhereAreNoMixAfterAFolderRename(t *testing.T) {
	m := newMemStore()
	m.put("d/read", "version one", nil)
	m.put("d/edit", "version one", nil)
	w := newWorld(t, m)
	h := w.open("d/read", false)
	edit := w.open("d/edit", true)
	w.writeAt(edit, "VERSION", 0)
	m.put("d/read", "another one", nil)
	m.put("d/edit", "another one", nil)
	w.must(w.rename("d", "n"))
	if s, err := w.readHandle(h); err == nil {
		t.Errorf("an open file reads %q of another version", s)
	}
	if err := edit.Flush(w.ctx()); err == nil {
		t.Errorf("an edit of a version that is gone was stored")
	}
	edit.Release()
	w.stored("n/edit", "another one")
	if got := w.read("n/read"); got != "another one" {
		t.Errorf("the new name reads %q", got)
	}
	h.Release()
}

func TestLinkInARenamedFolderIsReadWithoutALookup(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.mkdir("d")
	d, name := w.dirOf("d/link")
	e, err := w.fs.Symlink(w.ctx(), d, name, "target", Caller{})
	w.must(err)
	w.must(w.rename("d", "n"))
	if got, err := w.fs.Readlink(w.ctx(), e.Node); got != "target" || err != nil {
		t.Errorf("the link says %q, %v", got, err)
	}
}

func TestFolderIsNotRenamedOverOneThatSomebodyElseJustMade(t *testing.T) {
	m := newMemStore()
	m.put("d/1", "mine", nil)
	m.put("d/2", "mine", nil)
	w := newWorld(t, m)
	_ = w.list("")
	m.put("n/1", "theirs", nil)
	m.fail = func(op, key string) error {
		if op == "Copy" {
			return object.Errorf(object.KindUnavailable, op, key, "")
		}
		return nil
	}
	w.want(w.rename("d", "n"), object.KindNotEmpty)
	w.keys("d/1", "d/2", "n/1")
	w.stored("n/1", "theirs")
}

// recordsOf makes renames of folders keep their records, in a folder of its own.
func recordsOf(t *testing.T, m *memStore, keep int) (dir string, change func(*Options)) {
	t.Helper()
	dir = t.TempDir()
	return dir, func(o *Options) {
		o.Mover = treemove.New(treemove.Options{Store: m, Dir: dir, Keep: keep, Now: o.Now})
	}
}

// What is open and known beneath a folder of many files goes with it, though their keys
// are not held.
func TestRenameOfAFolderWithManyFiles(t *testing.T) {
	m := newMemStore()
	m.pageMax = 7
	want := []string{}
	for i := range 40 {
		m.put(fmt.Sprintf("d/%02d", i), fmt.Sprint("data ", i), object.Meta{"mode": "33152"})
		want = append(want, fmt.Sprintf("n/%02d", i))
	}
	dir, keep := recordsOf(t, m, 10)
	w := newWorld(t, m, keep)
	h := w.open("d/17", true)
	w.writeAt(h, "DATA", 0)
	_, err := w.lookup("d/03")
	w.must(err)
	w.must(w.rename("d", "n"))
	w.keys(want...)
	w.closeFile(h)
	w.stored("n/17", "DATA 17")
	if got := w.read("n/03"); got != "data 3" {
		t.Errorf("read %q", got)
	}
	if _, err := w.lookup("d"); !object.Is(err, object.KindNotFound) {
		t.Errorf("the old folder: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("records left: %v, %v", left, err)
	}
}

// A failed rename leaves the empty folder that it was to replace, with its attributes.
func TestFailedRenameLeavesTheTarget(t *testing.T) {
	m := newMemStore()
	m.put("d/", "", object.Meta{"mode": "16832"})
	m.put("d/1", "data", nil)
	m.put("n/", "", object.Meta{"mode": "16872"})
	w := newWorld(t, m)
	m.fail = func(op, key string) error {
		if op == "Copy" && key == "n/1" {
			return object.Errorf(object.KindPermission, "CopyObject", key, "")
		}
		return nil
	}
	err := w.rename("d", "n")
	m.fail = nil
	w.want(err, object.KindPermission)
	w.keys("d/", "d/1", "n/")
	if info, _ := m.Head(w.ctx(), "n/"); info.Meta["mode"] != "16872" {
		t.Errorf("the metadata of the target: %v", info.Meta)
	}
	w.must(w.rename("d", "n"))
	w.keys("n/", "n/1")
	if info, _ := m.Head(w.ctx(), "n/"); info.Meta["mode"] != "16832" {
		t.Errorf("the metadata after the rename: %v", info.Meta)
	}
}

// A marker that holds data is a file in its folder.
func TestFolderIsNotRenamedOverAMarkerWithData(t *testing.T) {
	m := newMemStore()
	m.put("d/1", "mine", nil)
	w := newWorld(t, m)
	_ = w.list("")
	_, err := w.lookup("n")
	w.want(err, object.KindNotFound)
	m.put("n/", "theirs", nil)
	w.want(w.rename("d", "n"), object.KindNotEmpty)
	w.stored("n/", "theirs")
}

// leavingStore runs something before the old keys of a renamed folder are deleted.
type leavingStore struct {
	*memStore
	before func()
}

func (s *leavingStore) DeleteMany(ctx context.Context, keys []string) error {
	s.before()
	return s.memStore.DeleteMany(ctx, keys)
}

func TestRenamedFolderIsNotShownOnceMore(t *testing.T) {
	for name, look := range map[string]func(w *world, in NodeID){
		"by a listing that ran ahead": func(w *world, _ NodeID) {
			w.fs.tree.Lock()
			walk := w.fs.beginWalkLocked("", "")
			for !walk.ended {
				news := walk.news
				w.fs.tree.Unlock()
				<-news
				w.fs.tree.Lock()
			}
			w.fs.tree.Unlock()
		},
		"by a listing that somebody read": func(w *world, in NodeID) {
			d, err := w.fs.OpenDir(w.ctx(), in)
			w.must(err)
			defer w.fs.ReleaseDir(d)
			w.must(d.Read(w.ctx(), 2, true, func(DirEntry) bool { return true }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemStore()
			for _, k := range []string{"t/", "t/a", "t/b/", "t/b/x"} {
				m.put(k, "", object.Meta{"mode": "33152"})
			}
			s := &leavingStore{memStore: m}
			w := newWorld(t, m, func(o *Options) { o.Store = s })
			w.list("t")
			in := w.node("t")
			s.before = func() {
				w.pass(11 * time.Second) // what is known of the folder is too old
				look(w, in)
				w.pass(time.Second)
			}
			w.must(w.rename("t/b", "t/c"))
			if got := w.list("t"); !slices.Equal(got, []string{"a", "c"}) {
				t.Errorf("the folder lists %q", got)
			}
			_, err := w.lookup("t/b")
			w.want(err, object.KindNotFound)
			_, err = w.lookup("t/b/x")
			w.want(err, object.KindNotFound)
			w.keys("t/", "t/a", "t/c/", "t/c/x")
		})
	}
}

// passer passes all files through.
type passer struct{}

func (passer) Able() bool                  { return true }
func (passer) Pass(*os.File) (int32, bool) { return 1, true }
func (passer) Unpass(int32)                {}

// A folder's rename that is undone leaves the cache as it was: a file that is read past the
// mount is that which the next write goes to.
func TestRegressionAFolderRenameThatFailsLeavesThePassedFile(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	w.fs.SetPasser(passer{})
	w.mkdir("d")
	w.write("d/f", strings.Repeat("x", 1<<20+5))
	m.put("d/g", "x", nil)
	info, err := m.Head(w.ctx(), "d/f")
	w.must(err)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if whole := w.cache.Whole(info.ID(), info.Size); whole != nil {
			whole.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the cache does not have the file")
		}
		runtime.Gosched()
	}
	h := w.open("d/f", false)
	if _, ok := h.Backing(); !ok {
		t.Fatal("it is not passed through")
	}
	m.mu.Lock()
	m.fail = func(op, key string) error {
		if op == "Copy" && key == "n/g" {
			return object.Errorf(object.KindPermission, op, key, "no")
		}
		return nil
	}
	m.mu.Unlock()
	w.want(w.rename("d", "n"), object.KindPermission)
	e, err := w.lookup("d/f")
	w.must(err)
	_, _, err = w.fs.Open(w.ctx(), e.Node, true)
	w.want(err, object.KindStale) // under another number
	writer := w.open("d/f", true)
	w.writeAt(writer, "CHANGED", 0)
	w.fs.tree.Lock()
	f := h.through.whole.File()
	w.fs.tree.Unlock()
	got := make([]byte, 7)
	if _, err := f.ReadAt(got, 0); err != nil || string(got) != "CHANGED" {
		t.Errorf("who has it open sees %q, %v", got, err)
	}
	h.Release()
	w.closeFile(writer)
}

// A rename that fails after its copy forgets what it knew of both folders, also what was
// foreseen.
func TestRegressionAFailedRenameShowsNoOldForecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		m.put("src/f", "f", nil)
		m.put("src/g", "g", nil)
		m.put("to/x", "x", nil)
		s := &barredStore{memStore: m, name: "to"}
		w := newWorld(t, m, func(o *Options) { o.Store = s })
		src, to := w.node("src"), w.node("to")
		w.node("src/f")
		w.node("to/x")
		synctest.Wait()
		s.hold = make(chan struct{})
		w.pass(time.Minute)
		looked := make(chan error)
		go func() {
			_, err := w.lookup("to") // and a guess about it
			looked <- err
		}()
		synctest.Wait()
		_, err := w.fs.Lookup(w.ctx(), to, "x") // its own listing
		w.must(err)
		close(s.hold)
		w.must(<-looked)
		synctest.Wait()
		m.mu.Lock()
		m.fail = func(op, key string) error {
			if op == "Delete" {
				return object.Errorf(object.KindUnavailable, op, key, "no")
			}
			return nil
		}
		m.mu.Unlock()
		w.want(w.fs.Rename(w.ctx(), src, "f", to, "f", false), object.KindUnavailable)
		w.stored("to/f", "f")
		_, err = w.fs.Lookup(w.ctx(), to, "f")
		w.must(err)
	})
}

// TestRegressionAFolderRenameOverwritesNothing has another client store a file under the new
// name while the copies are made.
func TestRegressionAFolderRenameOverwritesNothing(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.mkdir("d")
	w.write("d/a", "ours a")
	w.write("d/b", "ours b")
	w.m.fail = func(op, key string) error {
		if op == "Copy" && key == "e/b" {
			w.m.putLocked(key, []byte("theirs"), object.PutOptions{})
		}
		return nil
	}
	w.want(w.rename("d", "e"), object.KindExists)
	w.m.fail = nil
	w.keys("d/", "d/a", "d/b", "e/b")
	w.stored("e/b", "theirs")
	if got := w.read("d/b"); got != "ours b" {
		t.Errorf("d/b reads %q", got)
	}
	if got := w.read("e/b"); got != "theirs" {
		t.Errorf("e/b reads %q", got)
	}
	w.want(w.rename("d", "e"), object.KindNotEmpty)
}
