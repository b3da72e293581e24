package overlay

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/diskimage"
)

// crashed opens what a crash would leave now of a journal that is synced.
func (s *simple) crashed(o *Overlay) *Overlay {
	s.t.Helper()
	s.check(o.Sync(context.Background()))
	dir := scratch(s.t)
	s.check(diskimage.Copy(dir, o.Dir))
	next, err := Open(Options{Dir: dir, Store: s.store, Sender: s.send, Disk: budget.NewDisk(1 << 20),
		SegmentSize: s.SegmentSize, Quiet: s.Quiet, Retry: s.Retry})
	s.check(err)
	s.t.Cleanup(func() { s.check(next.Close()) })
	return next
}

// fill puts into an Overlay until the journal has come n segments further.
func (s *simple) fill(o *Overlay, n int) {
	s.t.Helper()
	number := func() (n int) {
		path, _, _ := o.log.Extent()
		fmt.Sscanf(filepath.Base(path), "%d", &n)
		return n
	}
	for until := number() + n; number() < until; {
		data := strings.Repeat("x", 300)
		_, err := o.Put(context.Background(), "filler", io.NewSectionReader(strings.NewReader(data), 0, int64(len(data))), object.PutOptions{Meta: object.Meta{"of": data}})
		s.check(err)
	}
}

// await waits until n operations are left.
func (s *simple) await(o *Overlay, n int) {
	for {
		o.mu.Lock()
		left, changed := len(o.mu.ops), o.mu.changed
		o.mu.Unlock()
		if left <= n {
			return
		}
		o.rouse()
		<-changed
	}
}

// refusals has the store refuse deletes of some keys, and not answer those of others.
func (s *simple) refusals(how map[string]outcome) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.fail = func(op, key string) outcome {
		if op != "delete" {
			return works
		}
		return how[key]
	}
}

// noDelete fails where a key is to be deleted.
func (s *simple) noDelete(o *Overlay, key string) {
	s.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.mu.ops {
		if p.kind == opDelete && p.key == key {
			s.t.Fatalf("%q is to be deleted once more", key)
		}
	}
}

// TestRegressionADeleteIsNotRepeated has a record of two deletes wait for the second one for
// so long that the journal writes it again, behind the note that the first is done. When the
// second is done as well, and a crash comes, the first is not to be sent once more: another
// file may have the name by now.
func TestRegressionADeleteIsNotRepeated(t *testing.T) {
	for n := range 12 { // segments until the second one is done
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := newSimple(t, func(o *Options) { o.SegmentSize = 4 << 10 })
			s.stored("a", "old")
			s.stored("b", "old")
			s.refusals(map[string]outcome{"a": lost, "b": denied})
			s.check(s.DeleteMany(context.Background(), []string{"a", "b"}))
			s.Start()
			s.fill(s.Overlay, 2)
			s.refusals(map[string]outcome{"b": denied})
			s.await(s.Overlay, 1)
			s.put("a", "new", fresh)
			s.fill(s.Overlay, n)
			s.await(s.Overlay, 1)
			s.refusals(nil)
			s.await(s.Overlay, 0)
			s.noDelete(s.crashed(s.Overlay), "a")
		})
	}
}

// TestRegressionANoteStaysForAllThatItIsAbout has the deletes of two records done together,
// and a crash: the note of that is needed until both records are gone.
func TestRegressionANoteStaysForAllThatItIsAbout(t *testing.T) {
	s := newSimple(t, func(o *Options) { o.SegmentSize = 4 << 10 })
	for _, key := range []string{"a", "b", "c", "d"} {
		s.stored(key, "old")
	}
	s.refusals(map[string]outcome{"b": denied, "d": denied})
	s.check(s.DeleteMany(context.Background(), []string{"a", "b"}))
	s.check(s.DeleteMany(context.Background(), []string{"c", "d"}))
	s.Start()
	s.await(s.Overlay, 2)
	o := s.crashed(s.Overlay)
	s.refusals(map[string]outcome{"d": denied})
	o.Start()
	s.await(o, 1)
	s.fill(o, 12)
	s.noDelete(s.crashed(o), "c")
	s.refusals(nil)
	s.await(o, 0)
	s.await(s.Overlay, 0)
}
