package writeback

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// slots bounds the requests in flight. Waiters whose urgent flag is set go before all
// others; among equals the first comes first. Give a slot back with release.
type slots struct {
	mu struct {
		sync.Mutex
		limit        int
		free         int // under 0: so many have to be given back first, after resize
		urgent, idle []*slotWaiter
	}
}

// slotWaiter waits for a slot; ready is closed when it has one.
type slotWaiter struct {
	ready  chan struct{}
	urgent *atomic.Bool
}

func newSlots(n int) *slots {
	s := &slots{}
	s.mu.limit, s.mu.free = n, n
	return s
}

// resize changes how many requests may be in flight; those that are go on.
func (s *slots) resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.free += n - s.mu.limit
	s.mu.limit = n
	for s.mu.free > 0 && s.handLocked() {
		s.mu.free--
	}
}

// busy reports whether somebody waits for a slot.
func (s *slots) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.urgent)+len(s.mu.idle) > 0
}

// acquire takes a slot, or fails with the context's error. When urgent changes while
// somebody waits with it, call promote.
func (s *slots) acquire(ctx context.Context, urgent *atomic.Bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := s.enqueue(urgent)
	if w == nil {
		return nil
	}
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		s.leave(w)
		return ctx.Err()
	}
}

// enqueue takes a free slot and returns nil, or returns a waiter in the queue.
func (s *slots) enqueue(urgent *atomic.Bool) *slotWaiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.free > 0 {
		s.mu.free--
		return nil
	}
	w := &slotWaiter{ready: make(chan struct{}), urgent: urgent}
	if urgent.Load() {
		s.mu.urgent = append(s.mu.urgent, w)
	} else {
		s.mu.idle = append(s.mu.idle, w)
	}
	return w
}

// leave takes a waiter out of the queue; a slot that it was given meanwhile goes on.
func (s *slots) leave(w *slotWaiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.ready:
		s.releaseLocked()
		return
	default:
	}
	is := func(o *slotWaiter) bool { return o == w }
	s.mu.urgent = slices.DeleteFunc(s.mu.urgent, is)
	s.mu.idle = slices.DeleteFunc(s.mu.idle, is)
}

// promote moves the waiters whose flag became true to the urgent ones.
func (s *slots) promote(urgent *atomic.Bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.idle = slices.DeleteFunc(s.mu.idle, func(w *slotWaiter) bool {
		if w.urgent != urgent {
			return false
		}
		s.mu.urgent = append(s.mu.urgent, w)
		return true
	})
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked()
}

func (s *slots) releaseLocked() {
	if s.mu.free < 0 || !s.handLocked() {
		s.mu.free++
	}
}

// handLocked gives a slot to the first who waits; false: nobody does.
func (s *slots) handLocked() bool {
	for _, queue := range []*[]*slotWaiter{&s.mu.urgent, &s.mu.idle} {
		if len(*queue) > 0 {
			w := (*queue)[0]
			*queue = slices.Delete(*queue, 0, 1)
			close(w.ready)
			return true
		}
	}
	return false
}
