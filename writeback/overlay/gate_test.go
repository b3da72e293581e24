package overlay

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/s3mount/s3mount/object"
)

// gate holds the writes of the store until the test lets them go, and decides how they end.
type gate struct {
	mu      sync.Mutex
	changed *sync.Cond
	open    bool // all go, and work
	dead    bool // none goes, ever: the process is dead
	tokens  int
	waiting int
	rnd     *rand.Rand
}

func (g *gate) pass(op, key string) outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	for !g.open && !g.dead && g.tokens == 0 {
		g.changed.Wait()
	}
	g.waiting--
	if g.dead {
		return lost
	}
	if g.open {
		return works
	}
	g.tokens--
	switch n := g.rnd.IntN(20); {
	case n < 2:
		return unanswered
	case n < 4:
		return lost
	case n < 5:
		return denied
	}
	return works
}

// heldStore is a memStore whose writes go through a gate of one process.
type heldStore struct {
	*memStore
	g *gate
}

func (h heldStore) held(op, key string, do func() error) error {
	how := h.g.pass(op, key)
	if how == lost {
		return object.Errorf(object.KindUnavailable, op, key, "")
	}
	if how == denied {
		return object.Errorf(object.KindPermission, op, key, "")
	}
	err := do()
	if err == nil && how == unanswered {
		h.g.mu.Lock()
		h.g.waiting++
		for !h.g.open && !h.g.dead && h.g.tokens == 0 { // a crash finds it done, and not noted
			h.g.changed.Wait()
		}
		h.g.waiting--
		h.g.mu.Unlock()
		return object.Errorf(object.KindUnavailable, op, key, "")
	}
	return err
}

func (h heldStore) Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (info object.Info, err error) {
	err = h.held("put", key, func() (err error) {
		info, err = h.memStore.Put(ctx, key, body, o)
		return err
	})
	return info, err
}

func (h heldStore) CreateUpload(ctx context.Context, key string, o object.PutOptions) (string, error) {
	h.g.mu.Lock()
	defer h.g.mu.Unlock()
	if h.g.dead {
		return "", object.Errorf(object.KindUnavailable, "create", key, "")
	}
	return h.memStore.CreateUpload(ctx, key, o)
}

func (h heldStore) CompleteUpload(ctx context.Context, key, id string, parts []object.Part, c object.Condition) (info object.Info, err error) {
	err = h.held("complete", key, func() (err error) {
		info, err = h.memStore.CompleteUpload(ctx, key, id, parts, c)
		return err
	})
	return info, err
}

func (h heldStore) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (info object.Info, err error) {
	err = h.held("copy", dst, func() (err error) {
		info, err = h.memStore.Copy(ctx, src, dst, o)
		return err
	})
	return info, err
}

func (h heldStore) DeleteMany(ctx context.Context, keys []string) error {
	var errs []error
	for _, key := range keys {
		errs = append(errs, h.held("delete", key, func() error { return h.memStore.DeleteMany(ctx, []string{key}) }))
	}
	return joined(errs)
}
