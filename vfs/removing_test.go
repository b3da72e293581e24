package vfs

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// A folder that this mount has just made has no names but those that it makes in it.
func TestNothingIsAskedAboutNamesInANewFolder(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	_, err := w.lookup("none")
	w.want(err, object.KindNotFound)
	w.fs.wg.Wait() // what was asked for ahead
	asked := m.requests("List") + m.requests("Head")
	w.mkdir("d")
	w.mkdir("d/e")
	for i := range 5 {
		w.write(fmt.Sprintf("d/e/f%d", i), "data")
	}
	if n := m.requests("List") + m.requests("Head") - asked; n != 0 {
		t.Errorf("%d requests that read", n)
	}
	if n := m.requests("Put"); n != 7 {
		t.Errorf("%d PUTs for 2 folders and 5 files", n)
	}
}

// What is not known of a new folder for longer than of the one that it is in is asked again.
func TestNewFolderIsBelievedEmptyNoLongerThanItsNameFree(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	_, err := w.lookup("none")
	w.want(err, object.KindNotFound)
	w.pass(6 * time.Second)
	w.mkdir("d")
	m.put("d/theirs", "data", nil)
	w.pass(6 * time.Second)
	if got := w.read("d/theirs"); got != "data" {
		t.Errorf("read %q", got)
	}
}

// One page shows a small folder, also when what was known of it has become old.
func TestSmallFolderIsRenewedByOneRequest(t *testing.T) {
	m := newMemStore()
	for i := range 50 {
		m.put(fmt.Sprintf("d/f%02d", i), "data", nil)
	}
	w := newWorld(t, m)
	for range 3 {
		_ = w.list("d")
		w.pass(11 * time.Second)
		asked := m.requests("List")
		for i := range 20 {
			_, err := w.lookup(fmt.Sprintf("d/g%02d", i))
			w.want(err, object.KindNotFound)
		}
		if n := m.requests("List") - asked; n > 2 { // of the root and of d
			t.Errorf("%d LISTs for 20 names that are not there", n)
		}
	}
}

// rm -rf needs no attributes: one DELETE each.
func TestRemovingManyFilesAsksForNoAttributes(t *testing.T) {
	m := newMemStore()
	big := strings.Repeat("x", maxLinkSize+1)
	for i := range 50 {
		m.put(fmt.Sprintf("d/f%02d", i), big, object.Meta{"mode": "33152"})
	}
	w := newWorld(t, m)
	for _, name := range w.list("d") {
		_, err := w.lookup("d/" + name) // as the kernel does
		w.must(err)
		w.must(w.unlink("d/" + name))
	}
	w.fs.wg.Wait()
	if n := m.requests("Head"); n > 2 { // the first file, and the folder's marker
		t.Errorf("%d HEADs", n)
	}
	if n := m.requests("Delete"); n != 50 {
		t.Errorf("%d DELETEs", n)
	}
}

// A file that is looked up among others that are removed shows what its object says to
// whoever asks.
func TestLookupWhileFilesAreRemoved(t *testing.T) {
	m := newMemStore()
	big := strings.Repeat("x", maxLinkSize+1)
	for _, name := range []string{"a", "b"} {
		m.put("d/"+name, big, object.Meta{"mode": "33152"})
	}
	m.put("d/link", "target", object.Meta{"mode": "41471"})
	w := newWorld(t, m)
	w.must(w.unlink("d/a"))
	e, err := w.lookup("d/b")
	w.must(err)
	if !e.Guessed || e.Attr.Mode&unix.S_IFMT != unix.S_IFREG || e.Attr.Size != maxLinkSize+1 {
		t.Errorf("looked up as %+v", e)
	}
	a, err := w.fs.GetAttr(w.ctx(), e.Node)
	w.must(err)
	if a.Mode != unix.S_IFREG|0o600 {
		t.Errorf("mode %o", a.Mode)
	}
	e, err = w.lookup("d/link")
	w.must(err)
	if e.Guessed || e.Attr.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Errorf("the link is looked up as %+v", e)
	}
	if e, err = w.lookup("d/b"); err != nil || e.Guessed {
		t.Errorf("known by now: %+v, %v", e, err)
	}
}

// A link's target is a path, and no object of more bytes than that is one.
func TestLargeObjectIsNoLink(t *testing.T) {
	m := newMemStore()
	m.put("f", strings.Repeat("x", maxLinkSize+1), object.Meta{"mode": "41471"})
	w := newWorld(t, m)
	e, err := w.lookup("f")
	w.must(err)
	if e.Attr.Mode&unix.S_IFMT != unix.S_IFREG {
		t.Errorf("mode %o", e.Attr.Mode)
	}
}

// rm -rf of small files, which may be links, waits for the attributes of the first few
// only: those of the others come ahead of it.
func TestAttributesRunAheadOfRemoving(t *testing.T) {
	m := newMemStore()
	for i := range 200 {
		m.put(fmt.Sprintf("d/f%03d", i), "small", nil)
	}
	w := newWorld(t, m)
	names := w.list("d")
	now, waited := "", 0
	for _, name := range names {
		w.fs.wg.Wait() // what runs ahead has come
		m.mu.Lock()
		now = "d/" + name
		m.fail = func(op, key string) error {
			if op == "Head" && key == now {
				waited++
			}
			return nil
		}
		m.mu.Unlock()
		_, err := w.lookup(now)
		w.must(err)
		w.must(w.unlink(now))
	}
	w.fs.wg.Wait()
	if waited > 5 {
		t.Errorf("%d of %d waited for attributes", waited, len(names))
	}
	if n := m.requests("Head"); n > len(names)+2 {
		t.Errorf("%d HEADs for %d files", n, len(names))
	}
}

// rm -rf of a tree sends, beside a DELETE for each file, what each folder needs: its
// listing, the one that tells that it is empty now, and the removal of its marker. A
// folder that had none gets one with its last file, since nothing tells that it goes, too.
func TestRequestsOfRemovingATree(t *testing.T) {
	for _, marked := range []bool{false, true} {
		m := newMemStore()
		const folders, files = 20, 25
		big := strings.Repeat("x", maxLinkSize+1)
		for i := range folders {
			for j := range files {
				m.put(fmt.Sprintf("d/%02d/%02d", i, j), big, nil)
			}
			if marked {
				m.put(fmt.Sprintf("d/%02d/", i), "", nil)
			}
		}
		m.put("d/", "", nil)
		w := newWorld(t, m)
		for _, folder := range w.list("d") {
			dir := "d/" + folder
			for _, name := range w.list(dir) {
				_, err := w.lookup(dir + "/" + name)
				w.must(err)
				w.must(w.unlink(dir + "/" + name))
			}
			w.must(w.rmdir(dir))
		}
		w.must(w.rmdir("d"))
		w.fs.wg.Wait()
		w.keys()
		puts := folders
		if marked {
			puts = 0
		}
		if n := m.requests("Put"); n != puts {
			t.Errorf("markers %v: %d PUTs, want %d", marked, n, puts)
		}
		if n := m.requests("Delete"); n != folders*files+folders+1 {
			t.Errorf("markers %v: %d DELETEs", marked, n)
		}
		// Markers that are asked for ahead may be those of folders that go just then.
		if n := m.requests("Head"); n > 2*folders+4+minHorizon {
			t.Errorf("markers %v: %d HEADs", marked, n)
		}
		if n := m.requests("List"); n > 3*folders+4 {
			t.Errorf("markers %v: %d LISTs", marked, n)
		}
	}
}

// TestRegressionUnlinkRemovesWhatMayBeStored: an upload that failed may have made the object
// all the same.
func TestRegressionUnlinkRemovesWhatMayBeStored(t *testing.T) {
	t.Run("a rename without an answer", func(t *testing.T) {
		w := newWorld(t, newMemStore())
		h := w.create("f")
		w.writeAt(h, "data", 0)
		w.m.fail = func(op, key string) error {
			if op != "Put" {
				return nil
			}
			w.m.putLocked(key, []byte("data"), object.PutOptions{})
			return object.Errorf(object.KindUnavailable, op, key, "")
		}
		w.want(w.rename("f", "g"), object.KindUnavailable)
		w.m.fail = nil
		w.must(w.unlink("f"))
		h.Release()
		w.keys()
	})
	t.Run("metadata that are refused", func(t *testing.T) {
		w := newWorld(t, newMemStore())
		sent, once := make(chan struct{}), sync.Once{}
		w.m.fail = func(op, _ string) error {
			if op == "UploadPart" { // one of its first ones, of an earlier time
				once.Do(func() { close(sent) })
			}
			return nil
		}
		h := w.create("f")
		for i := range int64(18) {
			w.writeAt(h, strings.Repeat("x", 1<<20), i<<20)
			w.pass(time.Second)
		}
		<-sent
		w.m.mu.Lock() // parts may be under way
		w.m.fail = func(op, key string) error {
			if op == "Copy" {
				return object.Errorf(object.KindPermission, op, key, "")
			}
			return nil
		}
		w.m.mu.Unlock()
		w.want(h.Flush(w.ctx()), object.KindPermission)
		w.keys("f")
		w.must(w.unlink("f"))
		h.Release()
		w.keys()
	})
}
