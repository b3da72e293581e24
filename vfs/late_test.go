package vfs

import (
	"context"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// lateStore answers one HEAD with what was there before something happened.
type lateStore struct {
	*memStore
	key    string
	during func()
}

func (s *lateStore) Head(ctx context.Context, key string) (object.Info, error) {
	info, err := s.memStore.Head(ctx, key)
	if during := s.during; key == s.key && during != nil {
		s.during = nil
		during()
	}
	return info, err
}

func TestLateAnswerToALookupDoesNotBringAnOldVersionBack(t *testing.T) {
	m := newMemStore()
	m.pageMax = 2 // too big a folder for one listing: names are asked for one by one
	for _, k := range []string{"a", "b", "c", "f"} {
		m.put(k, "old content", nil)
	}
	late := &lateStore{memStore: m, key: "f"}
	w := newWorld(t, m, func(o *Options) { o.Store = late })
	if got := w.read("f"); got != "old content" {
		t.Fatalf("read %q", got)
	}
	w.now = w.now.Add(time.Minute)
	h := w.open("f", true)
	w.now = w.now.Add(time.Minute)
	late.during = func() {
		w.writeAt(h, "new content", 0)
		w.closeFile(h)
	}
	_, err := w.lookup("f")
	w.must(err)
	if late.during != nil {
		t.Fatal("the lookup asked nobody")
	}
	again := w.open("f", true)
	w.writeAt(again, "N", 0)
	w.closeFile(again)
	w.stored("f", "New content")
}

func TestLateAnswerThatAFileIsGoneDoesNotHideIt(t *testing.T) {
	m := newMemStore()
	m.pageMax = 2
	for _, k := range []string{"a", "b", "c", "f"} {
		m.put(k, "old", nil)
	}
	late := &lateStore{memStore: m, key: "f"}
	w := newWorld(t, m, func(o *Options) { o.Store = late })
	h := w.open("f", true)
	w.must(m.Delete(w.ctx(), "f"))
	w.now = w.now.Add(time.Minute)
	late.during = func() {
		m.put("f", "old", nil)
		w.writeAt(h, "new", 0)
		w.must(h.Flush(w.ctx()))
		h.Release()
	}
	_, err := w.lookup("f")
	w.must(err)
	w.stored("f", "new")
}
