package vfs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
)

// farStore is a memStore whose answers take their time, in a bubble of synctest.
type farStore struct {
	*memStore
	busy, most atomic.Int64 // HEADs at a time
}

const (
	farHead = 20 * time.Millisecond
	farList = 40 * time.Millisecond
)

func (s *farStore) Head(ctx context.Context, key string) (object.Info, error) {
	n := s.busy.Add(1)
	defer s.busy.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	time.Sleep(farHead)
	return s.memStore.Head(ctx, key)
}

func (s *farStore) List(ctx context.Context, q object.Query) (object.Page, error) {
	time.Sleep(farList)
	return s.memStore.List(ctx, q)
}

// newFarWorld is a world in a bubble, with the bubble's clock.
func newFarWorld(t *testing.T, m *memStore, change ...func(*Options)) (*world, *farStore) {
	far := &farStore{memStore: m}
	change = append(change, func(o *Options) {
		o.Store, o.Now, o.MaxListed, o.Meta = far, time.Now, 50_000, objcache.NewMetadata(20_000)
	})
	return newWorld(t, m, change...), far
}

// All folders that a walk finds have their attributes asked for, and as many at a time as
// may be, whoever has taken the first places.
func TestAWalkAsksForAllAttributesInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, all := treeStore(100, 20)
		w, far := newFarWorld(t, m)
		start := time.Now()
		if n := w.find(RootID); n != len(all)+101 {
			t.Errorf("%d names", n)
		}
		took := time.Since(start)
		// 2,000 HEADs, 128 at a time, are 16 in turn; before that come the root, the folder, two
		// folders in it and two files that tell that this is a walk with stat.
		if limit := 16*farHead + 5*farList + 8*farHead; took > limit {
			t.Errorf("find took %v, want at most %v", took, limit)
		}
		if n := far.most.Load(); n > 130 || n < 100 {
			t.Errorf("%d HEADs at a time", n)
		}
		t.Log(took, m.requests("List"), m.requests("Head"))
	})
}

// What runs ahead goes on with names that come later.
func TestStatOfALargeFolderIsParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		const files = 5000
		for i := range files {
			m.put(fmt.Sprintf("d/f%05d", i), "x", object.Meta{"mtime": "1"})
		}
		w, _ := newFarWorld(t, m)
		start := time.Now()
		if n := w.find(RootID); n != files+1 {
			t.Errorf("%d names", n)
		}
		took := time.Since(start)
		if limit := files/128*farHead + 6*farList + 12*farHead; took > limit {
			t.Errorf("took %v, want at most %v", took, limit)
		}
		t.Log(took, m.requests("List"), m.requests("Head"))
	})
}

// With --writeback uploads end while listed files are fetched ahead.
func TestFetchingAheadWhileUploadsEnd(t *testing.T) {
	m := newMemStore()
	for i := range 200 {
		m.put(fmt.Sprintf("f%03d", i), fmt.Sprint(i), nil)
	}
	w := newWorld(t, m)
	w.list("")
	w.fs.tree.Lock()
	l := w.fs.root.t.listing
	var stored []object.Info
	for _, name := range l.names {
		stored = append(stored, l.byName[name].info)
	}
	along := &trail{l: l, until: len(l.names)}
	w.fs.tree.Unlock()
	var g sync.WaitGroup
	g.Go(func() {
		for _, info := range stored {
			w.fs.Stored(info.ID(), info)
		}
	})
	w.fs.fetchAlong(w.fs.root, along)
	g.Wait()
	w.fs.wg.Wait()
}
