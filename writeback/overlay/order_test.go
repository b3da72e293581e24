package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/writeback"
)

// simple is an Overlay on a store that works, of which nothing is sent before start.
type simple struct {
	t     *testing.T
	store *memStore
	*Overlay
	send *writeback.Queue
}

func newSimple(t *testing.T, change func(*Options)) *simple {
	s := &simple{t: t, store: newMemStore()}
	dir, disk := scratch(t), budget.NewDisk(1<<20)
	var err error
	s.send, err = writeback.NewQueue(writeback.Options{Dir: dir + "/sending", Uploader: s.store, Disk: disk})
	s.check(err)
	o := Options{Dir: dir + "/journal", Store: s.store, Sender: s.send, Disk: disk, Quiet: time.Millisecond, Retry: time.Millisecond, SegmentSize: 64 << 10}
	if change != nil {
		change(&o)
	}
	s.Overlay, err = Open(o)
	s.check(err)
	t.Cleanup(func() {
		s.check(s.Close())
		s.check(s.send.Close(context.Background()))
	})
	return s
}

func (s *simple) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *simple) put(key, data string, c object.Condition) object.Info {
	s.t.Helper()
	info, err := s.tryPut(key, data, c)
	s.check(err)
	return info
}

func (s *simple) tryPut(key, data string, c object.Condition) (object.Info, error) {
	return s.Put(context.Background(), key, io.NewSectionReader(bytes.NewReader([]byte(data)), 0, int64(len(data))),
		object.PutOptions{Meta: object.Meta{"of": data}, Condition: c})
}

func (s *simple) rename(from object.Info, to string) object.Info {
	s.t.Helper()
	info, err := s.Copy(context.Background(), from.ID(), to, object.CopyOptions{Size: from.Size})
	s.check(err)
	s.check(s.Delete(context.Background(), from.Key))
	return info
}

// sent starts, waits for all, and returns the writes that the store got.
func (s *simple) sent() string {
	s.t.Helper()
	s.Start()
	s.check(s.Flush(context.Background()))
	return strings.Join(s.store.log, ", ")
}

var fresh = object.Condition{IfAbsent: true}

func TestOrder(t *testing.T) {
	semantics.Claim(t, "What is sent to S3 later is sent in an order that S3 may show: a delete after all that was written before it, a file after its folder, and of several versions of a file that wait the last one alone.")
	for name, c := range map[string]struct {
		do   func(s *simple)
		want string
	}{
		"the last version alone": {func(s *simple) {
			s.put("f", "1", fresh)
			s.put("f", "2", object.Condition{})
			s.put("f", "3", object.Condition{})
		}, "put f"},
		"a file that is gone again": {func(s *simple) {
			s.put("f", "1", fresh)
			s.check(s.Delete(context.Background(), "f"))
		}, ""},
		"a temporary name": {func(s *simple) {
			s.put("f", "old", object.Condition{})
			s.rename(s.put(".f.tmp", "new", fresh), "f")
		}, "put f"},
		"a temporary name that may be there": {func(s *simple) {
			s.rename(s.put(".f.tmp", "new", object.Condition{}), "f")
		}, "put f, delete .f.tmp"},
		"a rename of what is stored": {func(s *simple) {
			s.store.mu.Lock()
			info := s.store.putLocked("a", []byte("data"), object.Meta{"of": "data"}, "")
			s.store.mu.Unlock()
			s.rename(info, "b")
		}, "copy b, delete a"},
		"a folder before its file": {func(s *simple) {
			s.put("d/", "", fresh)
			s.put("d/f", "1", fresh)
		}, "put d/, put d/f"},
		"a delete behind what was written": {func(s *simple) {
			s.put("new", "1", fresh)
			s.check(s.Delete(context.Background(), "old"))
			s.put("newer", "1", fresh)
		}, "put new, delete old, put newer"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, nil)
			c.do(s)
			if got := s.sent(); got != c.want {
				t.Errorf("sent: %s; want %s", got, c.want)
			}
		})
	}
}

func TestDeletesGoTogether(t *testing.T) {
	s := newSimple(t, nil)
	for i := range 500 {
		s.check(s.Delete(context.Background(), fmt.Sprint(i)))
	}
	s.sent()
	if s.store.batches != 1 {
		t.Errorf("%d requests for 500 deletes", s.store.batches)
	}
}

// TestRefusedHoldsBackOnlyWhatNeedsIt refuses one key.
func TestRefusedHoldsBackOnlyWhatNeedsIt(t *testing.T) {
	s := newSimple(t, nil)
	s.store.fail = func(_, key string) outcome {
		if key == "no" {
			return denied
		}
		return works
	}
	s.store.mu.Lock()
	source := s.store.putLocked("source", []byte("data"), object.Meta{"of": "data"}, "")
	s.store.mu.Unlock()
	s.rename(source, "no") // the source must stay
	s.put("yes", "1", fresh)
	s.check(s.Delete(context.Background(), "other"))
	s.Start()
	err := s.Flush(context.Background())
	var pending *PendingError
	if !errors.As(err, &pending) || pending.Count != 2 || !object.Is(err, object.KindPermission) {
		t.Fatalf("flush: %v", err)
	}
	if got := strings.Join(s.store.log, ", "); got != "put yes, delete other" {
		t.Errorf("sent: %s", got)
	}
	if st := s.Status(10); st.Failing != 1 || st.Pending != 2 || st.Changes[0].Key != "no" || !strings.Contains(st.Changes[0].Error, "access denied") {
		t.Errorf("%+v", st)
	}
	if s.State("no") != "failing" || s.State("yes") != "stored" {
		t.Errorf("states: %s, %s", s.State("no"), s.State("yes"))
	}
	if err := s.TakeFailure("no"); !object.Is(err, object.KindPermission) || s.TakeFailure("no") != nil {
		t.Errorf("the failure: %v", err)
	}
	s.store.mu.Lock()
	s.store.fail = nil
	s.store.mu.Unlock()
	s.check(s.Flush(context.Background()))
	if got := slices.Sorted(func(yield func(string) bool) {
		for k := range s.store.content() {
			if !yield(k) {
				return
			}
		}
	}); !slices.Equal(got, []string{"no", "yes"}) {
		t.Errorf("the store has %v", got)
	}
}

// TestBound fills the Overlay while nothing is sent.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimple(t, func(o *Options) { o.MaxOps, o.Patience = 3, time.Minute })
		for i := range 3 {
			s.put(fmt.Sprint(i), "x", fresh)
		}
		began := time.Now()
		if _, err := s.tryPut("more", "x", fresh); !object.Is(err, object.KindNoSpace) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		s.Start()
		s.put("more", "x", fresh)
		s.check(s.Flush(context.Background()))
	})
}

// TestUnanswered ends a flush when the store does not answer.
func TestUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimple(t, func(o *Options) { o.Patience = time.Minute })
		s.store.fail = func(string, string) outcome { return lost }
		s.put("f", "x", fresh)
		s.Start()
		began := time.Now()
		err := s.Flush(context.Background())
		if !object.Is(err, object.KindUnavailable) || time.Since(began) < time.Minute || time.Since(began) > 2*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// TestConflict has somebody else store an object while a change of it waits.
func TestConflict(t *testing.T) {
	other := func(s *simple, key string) {
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		s.store.putLocked(key, []byte("theirs"), object.Meta{"of": "theirs"}, "")
	}
	theirs := describe([]byte("theirs"), object.Meta{"of": "theirs"})
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	options := func(o *Options) {
		o.Host, o.Clock = "host", func() time.Time { return at }
		o.Quiet = -1 // the clock stands
		o.Unsent = t.TempDir()
	}
	for name, c := range map[string]struct {
		do      func(s *simple)
		want    map[string]string
		failing string
	}{
		"a new file": {func(s *simple) {
			s.put("f", "ours", fresh)
			other(s, "f")
		}, map[string]string{"f": theirs, "f.conflict-host-20261128T120000Z": describe([]byte("ours"), object.Meta{"of": "ours"})}, "f"},
		"a changed file": {func(s *simple) {
			s.store.mu.Lock()
			old := s.store.putLocked("f", []byte("old"), nil, "")
			s.store.mu.Unlock()
			s.put("f", "ours", object.Condition{IfMatch: old.ETag})
			other(s, "f")
		}, map[string]string{"f": theirs, "f.conflict-host-20261128T120000Z": describe([]byte("ours"), object.Meta{"of": "ours"})}, "f"},
		"a folder": {func(s *simple) {
			s.put("d/", "", fresh)
			other(s, "d/")
		}, map[string]string{"d/": theirs, "d.conflict-host-20261128T120000Z/": describe(nil, object.Meta{"of": ""})}, "d/"},
		"a rename whose source they replaced": {func(s *simple) {
			s.store.mu.Lock()
			old := s.store.putLocked("a", []byte("old"), object.Meta{"of": "old"}, "")
			s.store.mu.Unlock()
			s.rename(old, "b")
			other(s, "a")
		}, map[string]string{"a": theirs}, "b"},
		"a rename to a name that they made": {func(s *simple) {
			s.store.mu.Lock()
			old := s.store.putLocked("a", []byte("old"), object.Meta{"of": "old"}, "")
			s.store.mu.Unlock()
			_, err := s.Copy(context.Background(), old.ID(), "b", object.CopyOptions{Size: old.Size, IfAbsent: true})
			s.check(err)
			s.check(s.Delete(context.Background(), "a"))
			other(s, "b")
		}, map[string]string{"b": theirs, "b.conflict-host-20261128T120000Z": describe([]byte("old"), object.Meta{"of": "old"})}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, options)
			c.do(s)
			s.sent()
			s.check(s.Flush(context.Background())) // of what was moved aside
			if got := s.store.content(); !maps.Equal(got, c.want) {
				t.Errorf("the store has %v, want %v", got, c.want)
			}
			if err := s.TakeFailure(c.failing); !object.Is(err, object.KindStale) {
				t.Errorf("the failure: %v", err)
			}
			if s.Pending() > 0 || !s.log.Empty() {
				t.Errorf("%d are pending", s.Pending())
			}
		})
	}
}

// TestConflictWithoutRoomForAName has somebody else store an object under a key that is too
// long for a name beside it: what was written here is kept in a file.
func TestConflictWithoutRoomForAName(t *testing.T) {
	dir := t.TempDir()
	s := newSimple(t, func(o *Options) { o.Unsent = dir })
	key := strings.Repeat("d/", 505) + "f"
	s.put(key, "ours", object.Condition{IfAbsent: true})
	s.store.mu.Lock()
	s.store.putLocked(key, []byte("theirs"), object.Meta{"of": "theirs"}, "")
	s.store.mu.Unlock()
	s.sent()
	if got := s.store.content(); len(got) != 1 || !strings.Contains(got[key], "theirs") {
		t.Errorf("the store has %v", got)
	}
	if err := s.TakeFailure(key); !object.Is(err, object.KindStale) {
		t.Errorf("the failure: %v", err)
	}
	files, err := filepath.Glob(dir + "/*")
	s.check(err)
	found := false
	for _, f := range files {
		data, err := os.ReadFile(f)
		s.check(err)
		found = found || string(data) == "ours"
	}
	if !found {
		t.Errorf("kept: %v", files)
	}
}

// TestBaseReplaced has somebody else replace an object of which a part was changed: the part
// is kept.
func TestBaseReplaced(t *testing.T) {
	dir := t.TempDir()
	s := newSimple(t, func(o *Options) { o.Unsent = dir })
	s.store.mu.Lock()
	old := s.store.putLocked("f", []byte("0123456789"), object.Meta{"of": "old"}, "")
	s.store.mu.Unlock()
	_, _, err := s.Promise(context.Background(), "f", object.PutOptions{Meta: object.Meta{"of": "new"}},
		writeback.Edit{Size: 10, Ranges: []object.Range{{Off: 3, Len: 2}}, Content: strings.NewReader("...ab....."), Base: old.ID(), BaseEnd: 10})
	s.check(err)
	s.store.mu.Lock()
	s.store.putLocked("f", []byte("theirs"), object.Meta{"of": "theirs"}, "")
	s.store.mu.Unlock()
	s.sent()
	files, err := filepath.Glob(dir + "/f.*")
	s.check(err)
	if len(files) != 2 {
		t.Fatalf("kept: %v", files)
	}
	kept, err := os.ReadFile(files[0])
	s.check(err)
	if string(kept) != "\x00\x00\x00ab\x00\x00\x00\x00\x00" {
		t.Errorf("kept: %q", kept)
	}
	if got := s.store.content(); len(got) != 1 || !strings.Contains(got["f"], "theirs") {
		t.Errorf("the store has %v", got)
	}
}

// TestSyncedAgainAndAgain edits a file many times while nothing can be sent: what is kept of
// it stays small.
func TestSyncedAgainAndAgain(t *testing.T) {
	s := newSimple(t, nil)
	s.store.mu.Lock()
	want := bytes.Repeat([]byte("0123456789"), 1000)
	old := s.store.putLocked("f", bytes.Clone(want), object.Meta{"of": "old"}, "")
	s.store.mu.Unlock()
	info := old
	for i := range 400 {
		at := i * 37 % 9990
		part := fmt.Appendf(nil, "%06d", i)
		copy(want[at:], part)
		content := make([]byte, len(want))
		copy(content[at:], part)
		var err error
		info, _, err = s.Promise(context.Background(), "f", object.PutOptions{Meta: object.Meta{"of": fmt.Sprint(i)}},
			writeback.Edit{Size: 10000, Ranges: []object.Range{{Off: int64(at), Len: 6}}, Content: bytes.NewReader(content), Base: info.ID(), BaseEnd: 10000})
		s.check(err)
	}
	s.mu.Lock()
	n := len(s.mu.versions)
	s.mu.Unlock()
	if n > 2*maxDepth {
		t.Errorf("%d versions are kept", n)
	}
	s.sent()
	if got := s.store.content()["f"]; got != describe(want, object.Meta{"of": "399"}) {
		t.Error("the store has another content")
	}
}

// TestCopyOntoWhatIsPromised refuses, as a store does.
func TestCopyOntoWhatIsPromised(t *testing.T) {
	s := newSimple(t, nil)
	a := s.put("a", "1", fresh)
	s.put("b", "2", fresh)
	_, err := s.Copy(context.Background(), a.ID(), "b", object.CopyOptions{Size: a.Size, IfAbsent: true})
	if !object.Is(err, object.KindExists) {
		t.Errorf("copied onto b: %v", err)
	}
	_, err = s.Copy(context.Background(), a.ID(), "b", object.CopyOptions{Size: a.Size, IfMatch: "another"})
	if !object.Is(err, object.KindExists) {
		t.Errorf("copied onto another version of b: %v", err)
	}
	if _, err := s.tryPut("a", "3", fresh); !object.Is(err, object.KindConflict) {
		t.Errorf("put onto a: %v", err)
	}
	if _, err := s.tryPut("a", "3", object.Condition{IfMatch: "another"}); !object.Is(err, object.KindConflict) {
		t.Errorf("put onto another version of a: %v", err)
	}
	s.put("a", "4", object.Condition{IfMatch: a.ETag})
	s.sent()
	if got := s.store.content(); got["a"] != describe([]byte("4"), object.Meta{"of": "4"}) || len(got) != 2 {
		t.Errorf("the store has %v", got)
	}
}

// TestListingWhileAKeyGoesAndComes stores a key again, wholly, while a listing is under way
// that began when the key was about to go.
func TestListingWhileAKeyGoesAndComes(t *testing.T) {
	s := newSimple(t, nil)
	s.store.mu.Lock()
	s.store.putLocked("f", []byte("old"), nil, "")
	s.store.mu.Unlock()
	s.check(s.Delete(context.Background(), "f"))
	s.Start()
	s.store.listed = func() {
		s.check(s.Flush(context.Background()))
		s.put("f", "new", fresh)
		s.check(s.Flush(context.Background()))
	}
	page, err := s.List(context.Background(), object.Query{})
	s.check(err)
	if len(page.Objects) != 1 || page.Objects[0].Size != 3 || page.Objects[0].ETag != s.store.objects["f"].info.ETag {
		t.Errorf("the listing shows %+v", page.Objects)
	}
	if len(s.mu.old.ended)+len(s.mu.young.ended) > 0 {
		t.Errorf("kept: %v, %v", s.mu.old.ended, s.mu.young.ended)
	}
}

// TestHeadWhileTheSourceMoves asks for the metadata of a file that was renamed twice, while
// the first of these renames reaches the store: its old name goes, and the second waits.
func TestHeadWhileTheSourceMoves(t *testing.T) {
	s := newSimple(t, nil)
	s.store.mu.Lock()
	info := s.store.putLocked("e", []byte("data"), object.Meta{"of": "data"}, "")
	s.store.mu.Unlock()
	last := s.rename(s.rename(info, "f"), "g")
	moved := make(chan struct{})
	once := sync.OnceFunc(func() { close(moved) })
	s.store.fail = func(op, key string) outcome {
		if op == "copy" && key == "g" {
			once()
			return lost
		}
		return works
	}
	var asked []string
	s.store.asked = func(key string) {
		if asked = append(asked, key); len(asked) == 1 {
			s.Start()
			<-moved
		}
	}
	got, err := s.Head(context.Background(), "g")
	if err != nil || got.ETag != last.ETag || got.Meta["of"] != "data" {
		t.Errorf("g is %+v, %v", got, err)
	}
	if want := []string{"e", "f"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

// TestLostAnswerOfACopyIsNoConflict loses the answer to the copy of a rename that must replace
// nothing: what is there when it is sent again is its own.
func TestLostAnswerOfACopyIsNoConflict(t *testing.T) {
	for name, meta := range map[string]object.Meta{"with metadata": {"of": "data"}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, nil)
			s.store.mu.Lock()
			info := s.store.putLocked("a", []byte("data"), meta, "")
			s.store.mu.Unlock()
			tries := 0
			s.store.fail = func(op, key string) outcome {
				if op == "copy" && key == "b" {
					if tries++; tries == 1 {
						return unanswered
					}
					if made := s.store.objects["b"]; meta == nil {
						made.info.ETag = info.ETag // as stores do where it is the content's MD5
						s.store.objects["b"] = made
					}
				}
				return works
			}
			_, err := s.Copy(context.Background(), info.ID(), "b", object.CopyOptions{Size: info.Size, IfAbsent: true})
			s.check(err)
			s.check(s.Delete(context.Background(), "a"))
			if got := s.sent(); got != "copy b, delete a" {
				t.Errorf("the store got %q", got)
			}
			if got := s.store.content(); len(got) != 1 || got["b"] == "" {
				t.Errorf("the store has %v", got)
			}
			s.check(s.TakeFailure("b"))
		})
	}
}

// TestListingsWithoutAPauseKeepNothing has one listing begin before the last one ends, again
// and again: what is kept of changes is for those under way alone.
func TestListingsWithoutAPauseKeepNothing(t *testing.T) {
	s := newSimple(t, nil)
	last := s.beginList()
	for i := range 50 {
		next := s.beginList()
		s.put(fmt.Sprintf("f%d", i), "data", fresh)
		s.sent()
		s.endList(last)
		last = next
		s.mu.Lock()
		n := len(s.mu.old.ended) + len(s.mu.young.ended)
		s.mu.Unlock()
		if n > 3 {
			t.Fatalf("after %d changes %d are kept", i+1, n)
		}
	}
	s.endList(last)
	if n := len(s.mu.old.ended) + len(s.mu.young.ended); n > 0 {
		t.Errorf("at the end %d are kept", n)
	}
}

// A file that was cut off is read from the version beneath as that is: a cache that is told
// another size forgets what it has of it.
func TestRegressionTheVersionBeneathIsReadInItsSize(t *testing.T) {
	s := newSimple(t, nil)
	s.store.mu.Lock()
	old := s.store.putLocked("f", []byte("0123456789"), object.Meta{"of": "old"}, "")
	s.store.mu.Unlock()
	var sizes sync.Map
	s.SetCache(nil, func(id object.ID, size int64) writeback.Base {
		sizes.Store(size, id)
		return s.plainBase(id, size)
	})
	info, _, err := s.Promise(context.Background(), "f", object.PutOptions{Meta: object.Meta{"of": "new"}},
		writeback.Edit{Size: 6, Content: strings.NewReader("......"), Base: old.ID(), BaseEnd: 6, BaseSize: 10})
	s.check(err)
	body, err := s.Get(context.Background(), info.ID(), object.Range{Off: 0, Len: 6})
	s.check(err)
	if got, err := io.ReadAll(body); err != nil || string(got) != "012345" {
		t.Errorf("read: %q, %v", got, err)
	}
	s.sent()
	if got := s.store.content()["f"]; got != describe([]byte("012345"), object.Meta{"of": "new"}) {
		t.Errorf("the store has %q", got)
	}
	sizes.Range(func(size, id any) bool {
		if id == old.ID() && size != int64(10) {
			t.Errorf("the version beneath was read as one of %d bytes", size)
		}
		return true
	})
}

// TestRegressionDeletesNameAllThatTheyTakeOut deletes a copy together with what it was copied
// from. After a crash neither may be sent, since what they were made from may be gone.
func TestRegressionDeletesNameAllThatTheyTakeOut(t *testing.T) {
	s := newSimple(t, nil)
	src := s.stored("s", "data")
	c, err := s.Copy(context.Background(), src.ID(), "c", object.CopyOptions{Size: src.Size})
	s.check(err)
	_, err = s.Copy(context.Background(), c.ID(), "a", object.CopyOptions{Size: c.Size})
	s.check(err)
	s.check(s.DeleteMany(context.Background(), []string{"a", "c"}))
	s.check(s.Sync(context.Background()))
	path, _, _ := s.log.Extent()
	journal, err := os.ReadFile(path)
	s.check(err)
	dir := scratch(t)
	s.check(os.MkdirAll(dir+"/log", 0o700))
	s.check(os.WriteFile(dir+"/log/"+filepath.Base(path), journal, 0o600))
	o, err := Open(Options{Dir: dir, Store: s.store, Sender: s.send, Disk: budget.NewDisk(1 << 20), SegmentSize: 64 << 10})
	s.check(err)
	for _, p := range o.mu.ops {
		if p.kind != opDelete {
			t.Errorf("%s %q is to be sent", opNames[p.kind], p.key)
		}
	}
	s.check(o.Close())
}
