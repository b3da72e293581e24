package overlay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/diskimage"
)

// theyPut has somebody else store an object.
func (s *simple) theyPut(key string) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.putLocked(key, []byte("theirs"), object.Meta{"of": "theirs"}, "")
}

// remove is unlink by a file system.
func (s *simple) remove(info object.Info) {
	s.t.Helper()
	s.check(s.DeleteVersion(context.Background(), info.ID()))
}

// kept returns the keys that a store has, and which of them are somebody else's.
func (m *memStore) kept() string {
	var all []string
	for key, what := range m.content() {
		if strings.Contains(what, "theirs") {
			key += "=theirs"
		}
		all = append(all, key)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// What somebody else stores under a key before its delete is sent stays.
func TestDeletesLeaveWhatOthersStoreMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *simple)
		want string
	}{
		"a file": {func(s *simple) {
			s.remove(s.stored("f", "1"))
			s.theyPut("f")
		}, "f=theirs"},
		"nobody did": {func(s *simple) {
			s.remove(s.stored("f", "1"))
		}, ""},
		"they removed it too": {func(s *simple) {
			s.remove(s.stored("f", "1"))
			delete(s.store.objects, "f")
		}, ""},
		"some of many": {func(s *simple) {
			for i := range 40 {
				s.remove(s.stored(fmt.Sprintf("d/%02d", i), "1"))
			}
			for _, i := range []int{0, 17, 39} {
				s.theyPut(fmt.Sprintf("d/%02d", i))
			}
		}, "d/00=theirs d/17=theirs d/39=theirs"},
		"some of many, far apart": {func(s *simple) {
			for i := range 40 {
				for j := range 10 {
					s.stored(fmt.Sprintf("%02d/%d", i, j), "1")
				}
				s.remove(s.stored(fmt.Sprintf("%02d/last", i), "1"))
			}
			s.theyPut("00/last")
			s.theyPut("39/last")
			for i := range 40 {
				for j := range 10 {
					delete(s.store.objects, fmt.Sprintf("%02d/%d", i, j))
				}
			}
		}, "00/last=theirs 39/last=theirs"},
		"a file that was changed here": {func(s *simple) {
			old := s.stored("f", "1")
			s.remove(s.put("f", "2", object.Condition{IfMatch: old.ETag}))
			s.theyPut("f")
		}, "f=theirs"},
		"a file that was never sent": {func(s *simple) {
			old := s.stored("f", "1")
			s.remove(old)
			s.remove(s.put("f", "2", fresh))
			delete(s.store.objects, "f")
			s.theyPut("f")
		}, "f=theirs"},
		"the old names of a folder": {func(s *simple) {
			a, b := s.stored("d/a", "1"), s.stored("d/b", "2")
			s.move("e/", a, b)
			s.store.asked = func(key string) { // the copies stand
				if key == "d/a" {
					s.theyPut("d/a")
				}
			}
		}, "d/a=theirs e/a e/b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, nil)
			lost := make(lostNames, 100)
			s.SetListener(lost)
			s.store.page = 7
			c.do(s)
			s.sent()
			if got := s.store.kept(); got != c.want {
				t.Errorf("the store has %q, want %q", got, c.want)
			}
			for range strings.Count(c.want, "=theirs") {
				<-lost // a moment after all is sent
			}
			if len(lost) > 0 {
				t.Errorf("the file system was told of %q", <-lost)
			}
			if s.Pending() > 0 || !s.log.Empty() {
				t.Errorf("%d are pending", s.Pending())
			}
		})
	}
}

type lostNames chan string

func (lostNames) Stored(object.ID, object.Info) {}
func (l lostNames) Lost(id object.ID)           { l <- id.Key }

// A delete that waits behind an upload means what that has stored; where somebody else was
// faster than the upload, their version is none of its business.
func TestDeleteBehindAnUpload(t *testing.T) {
	for name, theirs := range map[string]bool{"that is stored": false, "that lost a race": true} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, func(o *Options) { o.Host = "host" })
			began, goOn := make(chan struct{}), make(chan struct{})
			s.store.fail = func(op, key string) outcome {
				if op == "put" && key == "f" {
					close(began)
					s.store.fail = nil
					s.store.mu.Unlock()
					<-goOn
					s.store.mu.Lock()
				}
				return works
			}
			ours := s.put("f", "1", fresh)
			s.Start()
			<-began
			s.remove(ours)
			if theirs {
				s.theyPut("f")
			}
			close(goOn)
			s.check(s.Flush(context.Background()))
			s.check(s.Flush(context.Background())) // of what was moved aside
			got := s.store.kept()
			if !theirs && got != "" || theirs && (!strings.HasPrefix(got, "f.conflict-host-") && !strings.HasPrefix(got, "f=theirs f.conflict-host-")) {
				t.Errorf("the store has %q", got)
			}
			if theirs && !strings.Contains(got, "f=theirs") {
				t.Errorf("what somebody else stored is gone: %q", got)
			}
		})
	}
}

// What a delete means outlives the process; a journal of before says nothing of it.
func TestDeletesAfterACrash(t *testing.T) {
	for name, c := range map[string]struct {
		old  bool
		want string
	}{
		"as it was promised":        {false, "a=theirs b=theirs"},
		"by a version that was not": {true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, nil)
			a, b := s.stored("a", "1"), s.stored("b", "1")
			if c.old {
				s.check(s.DeleteMany(context.Background(), []string{"a", "b"}))
			} else {
				s.remove(a)
				s.remove(s.put("b", "2", object.Condition{IfMatch: b.ETag}))
			}
			s.check(s.Sync(context.Background()))
			s.theyPut("a")
			s.theyPut("b")
			dir := scratch(t)
			s.check(diskimage.Copy(dir, s.Dir))
			o, err := Open(Options{Dir: dir, Store: s.store, Sender: s.send, Disk: budget.NewDisk(1 << 20), SegmentSize: 64 << 10, Quiet: time.Millisecond})
			s.check(err)
			o.Start()
			s.check(o.Flush(context.Background()))
			if got := s.store.kept(); got != c.want {
				t.Errorf("the store has %q, want %q", got, c.want)
			}
			s.check(o.Close())
		})
	}
}

// Finding out costs a listing for many files of a folder, and a HEAD for one.
func TestWhatItCostsToDeleteWhatIsMeant(t *testing.T) {
	s := newSimple(t, nil)
	lists, heads := 0, 0
	s.store.listed = func() { lists++ }
	s.store.asked = func(string) { heads++ }
	for i := range 500 {
		s.stored(fmt.Sprintf("d/a%03d", i), "1")
	}
	for key, o := range maps.Clone(s.store.objects) {
		s.remove(object.Info{Key: key, ETag: o.info.ETag})
	}
	s.sent()
	if lists != 1 || heads != 0 || s.store.batches != 1 || len(s.store.objects) > 0 {
		t.Errorf("%d listings, %d HEADs and %d requests for 500 deletes leave %d", lists, heads, s.store.batches, len(s.store.objects))
	}
	s.remove(s.stored("f", "1"))
	s.check(s.Flush(context.Background()))
	if lists != 1 || heads != 1 || s.store.batches != 2 {
		t.Errorf("%d listings, %d HEADs and %d requests more for one", lists-1, heads, s.store.batches-1)
	}
}

func TestBefore(t *testing.T) {
	for key, want := range map[string]string{
		"d/a": "d/`\U0010FFFF", "b": "a\U0010FFFF", "d/ ": "d/", "d/é": "d/è\U0010FFFF", "\uE000": "\uD7FF\U0010FFFF", "\x01": "", "x\xff": "x",
	} {
		if got := before(key); got != want || got >= key {
			t.Errorf("before %q: %q, want %q", key, got, want)
		}
	}
}

// Who may delete and not look, or has lost the key that an object is encrypted with, deletes.
func TestDeletesOfWhatMayNotBeLookedAt(t *testing.T) {
	s := newSimple(t, func(o *Options) { o.Store = blindStore{o.Store.(*memStore)} })
	for i := range 20 {
		s.remove(s.stored(fmt.Sprintf("d/%d", i), "1"))
	}
	s.sent()
	s.remove(s.stored("f", "1"))
	s.check(s.Flush(context.Background()))
	if got := s.store.kept(); got != "" {
		t.Errorf("the store has %q", got)
	}
}

// blindStore refuses to be looked at.
type blindStore struct{ *memStore }

func (blindStore) Head(_ context.Context, key string) (object.Info, error) {
	return object.Info{}, object.Errorf(object.KindPermission, "head", key, "")
}

func (blindStore) List(_ context.Context, q object.Query) (object.Page, error) {
	return object.Page{}, object.Errorf(object.KindPermission, "list", q.Prefix, "")
}
