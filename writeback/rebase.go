package writeback

// Rebase replaces the base by another one with the same bytes, after the object was
// renamed. It takes over base. A file that is wholly local needs none and closes it.
// The caller sees to it that no upload runs.
func (s *Staged) Rebase(base Base) {
	use := &baseUse{Base: base, shared: newShared(base.Close)}
	if old := s.swapBase(use); old != nil {
		old.drop()
	}
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
