package fusefs

import (
	"sync"

	"github.com/s3mount/s3mount/object"
)

// handles numbers open files or folders for the kernel. Their count is the kernel's:
// it is bounded by the open files of all processes.
type handles[T any] struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]T
}

func newHandles[T any]() *handles[T] { return &handles[T]{open: map[uint64]T{}} }

func (h *handles[T]) add(v T) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.open[h.last] = v
	return h.last
}

func (h *handles[T]) get(fh uint64) (T, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.open[fh]
	if !ok {
		return v, object.Errorf(object.KindBadHandle, "use handle", "", "handle %d is not open", fh)
	}
	return v, nil
}

func (h *handles[T]) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

func (h *handles[T]) remove(fh uint64) (T, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.open[fh]
	delete(h.open, fh)
	return v, ok
}
