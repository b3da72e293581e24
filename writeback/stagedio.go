package writeback

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/s3mount/s3mount/object"
)

// ReadAt has the meaning of io.ReaderAt: local bytes, else the base's, zeros in holes,
// io.EOF at the end. It never waits for writers or uploads of the file.
func (s *Staged) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, object.Errorf(object.KindInvalid, "read", s.nameNow(), "offset %d", off)
	}
	if !s.uses.acquire() {
		return 0, s.errFinished("read")
	}
	defer s.uses.release()
	n, stuck := 0, 0
	for n < len(p) {
		m, err := s.readRun(ctx, p[n:], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
		if m > 0 {
			stuck = 0
		} else if stuck++; stuck > 3 {
			return n, object.Errorf(object.KindCorrupt, "read", s.nameNow(),
				"the staged file %s ends before byte %d", s.path, off+int64(n))
		}
	}
	return n, nil
}

// readRun reads from off as far as one source goes. It returns 0 without an error when
// the file changed under its hands; then it is to be called again.
func (s *Staged) readRun(ctx context.Context, p []byte, off int64) (int, error) {
	want, base, err := s.source(off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	p = p[:want]
	if base != nil {
		defer base.release()
		if err := readBase(ctx, base, Base.ReadAt, p, off); err != nil {
			return 0, wrap("read", s.nameNow(), err)
		}
		return len(p), nil
	}
	n, err := s.file.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, localError("read", s.nameNow(), err)
	}
	return n, nil // short only where a Truncate overtook us
}

// source tells where the bytes from off on come from, and how many of at most n come
// from there: the base, which the caller must release, or, if it is nil, the local file.
func (s *Staged) source(off, n int64) (want int64, base *baseUse, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if off >= s.mu.size {
		return 0, nil, io.EOF
	}
	n = min(n, s.mu.size-off)
	if s.mu.base == nil || off >= s.mu.baseEnd {
		return n, nil, nil
	}
	local, until := s.mu.present.run(off, min(off+n, s.mu.baseEnd))
	if local {
		return until - off, nil, nil
	}
	if !s.mu.base.acquire() {
		return 0, nil, s.errFinishedLocked("read")
	}
	return until - off, s.mu.base, nil
}

// baseRead is one of the ways to read a Base.
type baseRead func(b Base, ctx context.Context, p []byte, off int64) (int, error)

// readBase fills p from off of the base, which must have that much.
func readBase(ctx context.Context, base Base, read baseRead, p []byte, off int64) error {
	for n := 0; n < len(p); {
		m, err := read(base, ctx, p[n:], off+int64(n))
		n += m
		switch {
		case n >= len(p):
			return nil
		case errors.Is(err, io.EOF) || err == nil && m == 0:
			return object.Errorf(object.KindCorrupt, "read", "",
				"the version beneath ends at byte %d, before its size", off+int64(n))
		case err != nil:
			return err
		}
	}
	return nil
}

// WriteAt writes p, extending the file where it must. It fails with KindNoSpace when the
// disk or its budget is full, and KindTooLarge behind the largest size of an object; n
// tells how much was written. p is not kept. It waits while the file is being uploaded.
func (s *Staged) WriteAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	if err := s.checkRange("write", off, int64(len(p))); err != nil {
		return 0, err
	}
	if err := s.enter(ctx, "write"); err != nil {
		return 0, err
	}
	defer s.leave()
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.mayChange("write"); err != nil {
		return 0, err
	}
	if err := s.boundExtents(ctx); err != nil {
		return 0, wrap("write", s.nameNow(), err)
	}
	paid, err := s.reserve(off, off+int64(len(p)))
	if err != nil {
		return 0, wrap("write", s.nameNow(), err)
	}
	n, err = s.file.WriteAt(p, off)
	s.wrote(off, off+int64(n), off+int64(len(p)), paid)
	s.beginSync(off, off+int64(n))
	return n, localError("write", s.nameNow(), err)
}

func (s *Staged) checkRange(op string, off, n int64) error {
	limit := s.q.layout.capacity()
	switch {
	case off < 0:
		return object.Errorf(object.KindInvalid, op, s.nameNow(), "offset %d", off)
	case off > limit-n:
		return object.Errorf(object.KindTooLarge, op, s.nameNow(), "over the limit of %d bytes", limit)
	}
	return nil
}

// blocksOf rounds a range of bytes to the blocks that it touches.
func blocksOf(off, end int64) (first, last int64) {
	return off / blockSize, (end + blockSize - 1) / blockSize
}

// reserve takes disk budget for the blocks of [off, end) that are not paid for, and
// returns how many those are. The caller holds the gate, and calls place or returns them.
func (s *Staged) reserve(off, end int64) (paid int64, err error) {
	first, last := blocksOf(off, end)
	s.mu.RLock()
	paid = s.mu.blocks.missing(first, last)
	s.mu.RUnlock()
	if paid == 0 {
		return 0, nil
	}
	return paid, s.q.Disk.Reserve(paid * blockSize)
}

// placedLocked accounts for [off, end), now valid in the local file, out of paid blocks,
// and returns how many of those are to be given back to the budget.
func (s *Staged) placedLocked(off, end, paid int64) (left int64) {
	if off >= end {
		return paid
	}
	first, last := blocksOf(off, end)
	used := s.mu.blocks.missing(first, last)
	s.mu.blocks.add(first, last)
	s.mu.reserved += used * blockSize
	s.mu.present.add(off, end)
	return paid - used
}

// wrote accounts for a write of [off, end) that was to reach until want; what lies
// between may hold anything of it. Gate held.
func (s *Staged) wrote(off, end, want, paid int64) {
	left, base := s.markWritten(off, end, want, paid)
	if left > 0 {
		s.q.Disk.Release(left * blockSize)
	}
	if base != nil {
		base.drop()
	}
}

func (s *Staged) markWritten(off, end, want, paid int64) (left int64, base *baseUse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left = s.placedLocked(off, end, paid)
	if s.mu.multipart != nil {
		s.mu.multipart.changed(off, want)
	}
	if off >= end {
		return left, nil
	}
	s.mu.dirty.add(off, end)
	s.mu.size = max(s.mu.size, end)
	s.mu.high = max(s.mu.high, end)
	s.modifiedNowLocked()
	s.offerPartsLocked(off, end)
	return left, s.spareBaseLocked()
}

func (s *Staged) modifiedNowLocked() {
	if !s.modifiedLocked() {
		s.mu.since = s.q.Clock()
	}
	s.mu.gen++
}

// spareBaseLocked takes the base away if all its bytes are local; the caller drops it
// without the lock.
func (s *Staged) spareBaseLocked() *baseUse {
	base := s.mu.base
	if base == nil || !s.mu.present.contains(0, s.mu.baseEnd) {
		return nil
	}
	s.mu.base, s.mu.baseEnd = nil, 0
	return base
}

// Truncate sets the size. What is cut off is gone: growing again shows zeros. It waits
// while the file is being uploaded. Setting the size that it has changes nothing.
func (s *Staged) Truncate(ctx context.Context, size int64) error {
	if err := s.checkRange("truncate", size, 0); err != nil {
		return err
	}
	if err := s.enter(ctx, "truncate"); err != nil {
		return err
	}
	defer s.leave()
	if err := s.mayChange("truncate"); err != nil {
		return err
	}
	freed, base, err := s.resize(size)
	if freed > 0 {
		s.q.Disk.Release(freed * blockSize)
	}
	if base != nil {
		base.drop()
	}
	return localError("truncate", s.nameNow(), err)
}

// resize holds the lock across the ftruncate, so that no reader sees the new length of
// the local file with the old size: a metadata operation, and the one system call that
// is made under it. Gate held.
func (s *Staged) resize(size int64) (freedBlocks int64, base *baseUse, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size == s.mu.size {
		return 0, nil, nil
	}
	if s.mu.multipart != nil {
		s.mu.multipart.cut(size)
	}
	if err := s.file.Truncate(size); err != nil {
		return 0, nil, err
	}
	s.modifiedNowLocked()
	shrunk := size < s.mu.size
	s.mu.size = size
	if !shrunk {
		return 0, nil, nil
	}
	s.mu.present.cut(size)
	s.mu.dirty.cut(size)
	s.mu.baseEnd = min(s.mu.baseEnd, size)
	s.mu.kept = min(s.mu.kept, size)
	s.mu.high = min(s.mu.high, size)
	_, last := blocksOf(0, size)
	freedBlocks = s.mu.blocks.covered(last, math.MaxInt64)
	s.mu.blocks.cut(last)
	s.mu.reserved -= freedBlocks * blockSize
	return freedBlocks, s.spareBaseLocked(), nil
}
