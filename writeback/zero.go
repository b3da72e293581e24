package writeback

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// Zero makes the bytes of [off, end) zeros, and extends the file where it must. Where the
// local file system can, they take no space on the disk, but they do in the budget. It
// fails, and waits, as WriteAt does.
func (s *Staged) Zero(ctx context.Context, off, end int64) error {
	if err := s.checkRange("zero", off, end-off); err != nil {
		return err
	}
	if err := s.enter(ctx, "zero"); err != nil {
		return err
	}
	defer s.leave()
	if off >= end {
		return nil
	}
	if err := s.mayChange("zero"); err != nil {
		return err
	}
	if err := s.boundExtents(ctx); err != nil {
		return wrap("zero", s.nameNow(), err)
	}
	paid, err := s.reserve(off, end)
	if err != nil {
		return wrap("zero", s.nameNow(), err)
	}
	size := s.Size()
	if err = s.punch(off, min(end, size)); err == nil && end > size {
		err = s.file.Truncate(end)
	}
	done := end
	if err != nil {
		done = off
	}
	s.wrote(off, done, end, paid)
	return localError("zero", s.nameNow(), err)
}

// punch makes a hole in the local file, or writes zeros where there can't be one.
func (s *Staged) punch(off, end int64) error {
	if off >= end {
		return nil
	}
	err := unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, end-off)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	zeros := make([]byte, min(end-off, 256<<10))
	for off < end {
		n, err := s.file.WriteAt(zeros[:min(end-off, int64(len(zeros)))], off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}
