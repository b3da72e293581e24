package writeback

import (
	"context"
	"sync"
)

// shared counts the users of something that must not be closed under their hands: it
// is closed once its owner has dropped it and its last user has released it.
type shared struct {
	mu struct {
		sync.Mutex
		users   int
		dropped bool
		close   func() // nil once it ran
	}
}

func newShared(close func()) *shared {
	s := &shared{}
	s.mu.close = close
	return s
}

// acquire adds a user; false: it is dropped, and must not be used.
func (s *shared) acquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.dropped {
		return false
	}
	s.mu.users++
	return true
}

// release ends a use that acquire began.
func (s *shared) release() { s.change(-1, false) }

// drop ends the ownership. Dropping again does nothing.
func (s *shared) drop() { s.change(0, true) }

func (s *shared) change(users int, drop bool) {
	if last := s.changeLocked(users, drop); last != nil {
		last()
	}
}

// changeLocked takes the lock itself, and returns the function to call without it.
func (s *shared) changeLocked(users int, drop bool) (last func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.users += users
	s.mu.dropped = s.mu.dropped || drop
	if s.mu.dropped && s.mu.users == 0 {
		last, s.mu.close = s.mu.close, nil
	}
	return last
}

// gate is a lock whose waiters leave when their context ends. They get it in turn.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) lock(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	default:
	}
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) unlock() { <-g }
