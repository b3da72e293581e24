package writeback

import (
	"context"
	"time"
)

const (
	hydrateChunk = 1 << 20 // bytes that one read asks of the base
	hydrateEdit  = 2 << 20 // bytes, the same where an edit needs only some places
	// hydrateAlign is the unit in bytes, a power of two, at which one of these ends and the
	// next begins, so that a cache that reads in units does not read any twice.
	hydrateAlign = 64 << 10
	// hydrateParallel is how many such reads there are at once.
	hydrateParallel = 8
	// hydrateBridge is up to how many bytes between two gaps such a read asks for as well,
	// which costs less than another request.
	hydrateBridge  = 128 << 10
	hydrateTimeout = 5 * time.Minute // for one chunk; the base has nearer deadlines of its own
	coalesceWindow = 1 << 20         // bytes, the smallest range that is made whole to save extents
)

// MissingBytes is how much Hydrate would read from the base.
func (s *Staged) MissingBytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.base == nil {
		return 0
	}
	return s.mu.present.missing(0, s.mu.baseEnd)
}

// Hydrate makes the file wholly local; afterwards the base is closed. Readers and
// writers go on meanwhile. When it fails, what was fetched stays.
func (s *Staged) Hydrate(ctx context.Context) error {
	if !s.uses.acquire() {
		return s.errFinished("hydrate")
	}
	defer s.uses.release()
	buf := []byte(nil)
	for {
		gap, base, err := s.nextGap(0, maxObjectSize, hydrateChunk)
		if base == nil {
			return err
		}
		if buf == nil {
			buf = make([]byte, hydrateChunk)
		}
		if err := fetch(ctx, base, Base.ReadAt, buf[:gap.len()], gap.off); err != nil {
			return wrap("hydrate", s.nameNow(), err)
		}
		if err := s.placeShared(ctx, buf[:gap.len()], gap.off); err != nil {
			return err
		}
	}
}

// hydrateHeld makes [off, end) local, for a caller that holds the gate.
func (s *Staged) hydrateHeld(ctx context.Context, off, end int64) error {
	buf := []byte(nil)
	for {
		gap, base, err := s.nextGap(off, end, hydrateChunk)
		if base == nil {
			return err
		}
		if buf == nil {
			buf = make([]byte, min(hydrateChunk, end-off))
		}
		if err := fetch(ctx, base, Base.ReadAt, buf[:gap.len()], gap.off); err != nil {
			return err
		}
		if err := s.place(buf[:gap.len()], gap.off); err != nil {
			return err
		}
	}
}

// hydrateOnly is hydrateHeld for a few places of a file: nothing beyond [off, end), of at
// most hydrateEdit bytes, is read. Several may run at once, on ranges that do not meet.
func (s *Staged) hydrateOnly(ctx context.Context, off, end int64) error {
	buf := []byte(nil)
	for {
		gap, base, err := s.nextGap(off, end, end-off)
		if base == nil {
			return err
		}
		if buf == nil {
			buf = make([]byte, end-gap.off)
		}
		gap.end = s.bridged(gap.end, end)
		if err := fetch(ctx, base, Base.ReadOnly, buf[:gap.len()], gap.off); err != nil {
			return err
		}
		if err := s.place(buf[:gap.len()], gap.off); err != nil {
			return err
		}
	}
}

// bridged returns the end of the last gap up to end that is no farther than hydrateBridge
// from the one before it, the first of which ends at off.
func (s *Staged) bridged(off, end int64) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	end = min(end, s.mu.baseEnd)
	for {
		gap, ok := s.mu.present.gap(off, end)
		if !ok || gap.off-off > hydrateBridge {
			return off
		}
		off = gap.end
	}
}

// nextGap returns the first range inside [off, end), of chunk bytes at most, that only the
// base has, and the base in use; the base is nil if there is none, or with an error.
func (s *Staged) nextGap(off, end, chunk int64) (extent, *baseUse, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.base == nil {
		return extent{}, nil, nil
	}
	gap, ok := s.mu.present.gap(off, min(end, s.mu.baseEnd))
	if !ok {
		return extent{}, nil, nil
	}
	if !s.mu.base.acquire() {
		return extent{}, nil, s.errFinishedLocked("hydrate")
	}
	gap.end = min(gap.end, gap.off+chunk)
	return gap, s.mu.base, nil
}

// fetch reads from the base by one of its ways, within a deadline, and releases it.
func fetch(ctx context.Context, base *baseUse, read baseRead, p []byte, off int64) error {
	defer base.release()
	ctx, cancel := context.WithTimeout(ctx, hydrateTimeout)
	defer cancel()
	return readBase(ctx, base, read, p, off)
}

// placeShared is place for a caller that does not hold the gate.
func (s *Staged) placeShared(ctx context.Context, p []byte, off int64) error {
	if err := s.enter(ctx, "hydrate"); err != nil {
		return err
	}
	defer s.leave()
	return wrap("hydrate", s.nameNow(), s.place(p, off))
}

// place puts bytes of the base into the local file, where they are still missing: what
// was written or cut off since they were fetched stays as it is. Gate held.
func (s *Staged) place(p []byte, off int64) error {
	end := off + int64(len(p))
	for {
		gap, base, err := s.nextGap(off, end, end-off)
		if base == nil {
			return err
		}
		base.release() // the bytes are here already
		if err := s.placeGap(p[gap.off-off:gap.end-off], gap); err != nil {
			return err
		}
	}
}

func (s *Staged) placeGap(p []byte, gap extent) error {
	paid, err := s.reserve(gap.off, gap.end)
	if err != nil {
		return err
	}
	n, err := s.file.WriteAt(p, gap.off)
	left, base := s.markPlaced(gap.off, gap.off+int64(n), paid)
	if left > 0 {
		s.q.Disk.Release(left * blockSize)
	}
	if base != nil {
		base.drop()
	}
	return localError("hydrate", "", err)
}

func (s *Staged) markPlaced(off, end, paid int64) (left int64, base *baseUse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.placedLocked(off, end, paid), s.spareBaseLocked()
}

// boundExtents keeps the number of ranges under maxExtents: when it is reached, the most
// crowded windows of the file are made whole, so that an eighth of the ranges goes away.
// Their gaps are read from the base; where a hole is in them, its blocks are paid for,
// though the disk does not hold them. It does nothing most of the time. Gate held.
func (s *Staged) boundExtents(ctx context.Context) error {
	for _, w := range s.crowdedWindows() {
		if err := s.hydrateHeld(ctx, w.off, w.end); err != nil {
			return err
		}
		if err := s.makeWhole(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *Staged) crowdedWindows() []extent {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, set := range []*extents{&s.mu.present, &s.mu.dirty} {
		if set.count() >= s.q.extentLimit {
			windows := set.windows(coalesceWindow, set.count()/8)
			for i := range windows {
				windows[i] = windows[i].clip(0, s.mu.size)
			}
			return windows
		}
	}
	return nil
}

// makeWhole declares a range, whose base bytes are local, one written extent.
func (s *Staged) makeWhole(w extent) error {
	paid, err := s.reserve(w.off, w.end)
	if err != nil {
		return err
	}
	left, base := s.markWhole(w, paid)
	if left > 0 {
		s.q.Disk.Release(left * blockSize)
	}
	if base != nil {
		base.drop()
	}
	return nil
}

func (s *Staged) markWhole(w extent, paid int64) (left int64, base *baseUse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.dirty.add(w.off, w.end)
	return s.placedLocked(w.off, w.end, paid), s.spareBaseLocked()
}
