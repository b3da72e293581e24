package writeback

import "github.com/s3mount/s3mount/object"

// Rebase tells that the caller has had the store copy the version beneath, under another
// key or with other metadata: the edit is one of the copy now, of size bytes. The caller
// sees to it that no upload runs.
func (s *Staged) Rebase(id object.ID, size int64) {
	s.mu.Lock()
	if s.mu.source.ETag != "" {
		s.mu.source, s.mu.sourceSize = id, size
	}
	s.mu.stored, s.mu.claims = nil, nil
	s.mu.Unlock()
	s.reopen(id, size)
}

// reopen reads what is not local from another version, which has the same bytes there.
func (s *Staged) reopen(id object.ID, size int64) {
	s.mu.RLock()
	open, needed := s.mu.open, s.mu.base != nil
	s.mu.RUnlock()
	if !needed {
		return
	}
	use := newBaseUse(open(id, size), size)
	s.swapBase(use).drop()
}

// swapBase returns the base to drop: the old one, or the new one if none is needed.
func (s *Staged) swapBase(use *baseUse) (unneeded *baseUse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.base == nil || s.mu.fate != fateOpen {
		return use
	}
	unneeded, s.mu.base = s.mu.base, use
	return unneeded
}
