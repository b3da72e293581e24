package treemove

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// wide is a bucket with so many objects under d/ that their keys must not be held.
type wide struct {
	t  *testing.T
	mu sync.Mutex // guards what follows
	// at tells of each object under which of the two prefixes it is.
	at     []struct{ old, new bool }
	copies int
	lists  int
	heap   uint64 // the most that was in use when a listing was asked for
	refuse int    // the object that can't be copied; below 0: none
}

func newWide(t *testing.T, n int) *wide {
	t.Helper()
	w := &wide{t: t, at: make([]struct{ old, new bool }, n), refuse: -1}
	for i := range w.at {
		w.at[i].old = true
	}
	return w
}

func (w *wide) index(key string) int {
	i, err := strconv.Atoi(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		w.t.Error(err)
	}
	return i
}

func (w *wide) List(_ context.Context, q object.Query) (p object.Page, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lists++; w.lists%50 == 0 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.heap = max(w.heap, m.HeapAlloc)
	}
	from := 0
	if q.Token != "" {
		from = w.index(q.Token) + 1
	}
	for i := from; i < len(w.at); i++ {
		if q.Prefix == "d/" && !w.at[i].old || q.Prefix == "n/" && !w.at[i].new {
			continue
		}
		if len(p.Objects) == 1000 {
			p.Next = p.Objects[999].Key
			break
		}
		p.Objects = append(p.Objects, object.Info{Key: fmt.Sprintf("%s%08d", q.Prefix, i), ETag: "e", LastModified: time.Unix(1, 0)})
	}
	return p, nil
}

func (w *wide) Head(_ context.Context, key string) (object.Info, error) {
	return object.Info{}, object.Errorf(object.KindNotFound, "HeadObject", key, "")
}

func (w *wide) Copy(_ context.Context, src object.ID, dst string, _ object.CopyOptions) (object.Info, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.index(src.Key)
	if i == w.refuse {
		return object.Info{}, object.Errorf(object.KindPermission, "CopyObject", dst, "")
	}
	w.copies++
	w.at[i].new = true
	return object.Info{Key: dst, ETag: src.ETag}, nil
}

func (w *wide) DeleteMany(_ context.Context, keys []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		i := w.index(key)
		if !w.at[i].old || !w.at[i].new {
			w.t.Errorf("%s is deleted, and is under one name only", key)
		}
		if strings.HasPrefix(key, "d/") {
			w.at[i].old = false
		} else {
			w.at[i].new = false
		}
	}
	return nil
}

// A folder of very many files is moved, and a move that fails is undone, in memory that
// does not grow with them.
func TestMemoryOfAVeryLargeMove(t *testing.T) {
	const files = 150_000
	const most = 4 << 20 // bytes beyond what was in use before; the keys alone are more
	for _, fails := range []bool{false, true} {
		w := newWide(t, files)
		if fails {
			w.refuse = files - 10
		}
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		v := New(Options{Store: w, Dir: recordDir(t)}).Begin("d/", "n/")
		err := v.Copy(t.Context())
		if fails != (err != nil) {
			t.Fatal(err)
		}
		if !fails {
			if err := v.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
			if keys, ok := v.Keys(); ok || len(keys) > 0 {
				t.Errorf("%d keys are held", len(keys))
			}
		}
		for i, at := range w.at {
			if at.old != fails || at.new == fails {
				t.Fatalf("file %d: %+v", i, at)
			}
		}
		if w.heap > before.HeapAlloc+most {
			t.Errorf("%d files took %d KiB", files, (w.heap-before.HeapAlloc)>>10)
		}
	}
}
