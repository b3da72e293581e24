package objcache

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxDamageLines bounds the lines in the log about damaged blocks.
const maxDamageLines = 20

// session is the open files of an entry. A nil session has no blocks. The files stay
// readable when the entry is removed; one goroutine uses a session.
type session struct {
	d     *diskCache
	e     *entry
	size  int64
	data  *os.File
	index *os.File // nil: an adopted file that had no checksums as yet
}

// open opens what the disk has of a version; nil if that is nothing.
func (d *diskCache) open(n name, size int64) *session {
	e := d.find(n, size)
	if e == nil {
		return nil
	}
	return d.openEntry(e)
}

// openEntry opens the files of a live entry; nil if it is not, or they are not there.
func (d *diskCache) openEntry(e *entry) *session {
	s := &session{d: d, e: e}
	var err error
	if s.data, err = os.OpenFile(d.path(e.name, dataSuffix), os.O_RDWR, 0); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			d.giveUp(e) // somebody else has cleaned up
		}
		return nil
	}
	s.openIndex()
	// The files at these paths belong to e only while it is live.
	d.mu.Lock()
	alive, whole := e.state == live, e.whole
	s.size = e.size
	stale := time.Since(e.used) > touchAfter
	if stale {
		e.used = time.Now()
	}
	d.mu.Unlock()
	if s.index == nil && !whole {
		s.openIndex() // it was adopted, and has its checksums just now
	}
	if s.index != nil && !s.rightIndex() {
		s.index.Close() // that of an adopted file may be just in the making
		s.index = nil
	}
	if !alive || s.index == nil && !whole {
		s.close()
		return nil
	}
	if stale && s.index != nil {
		now := unix.NsecToTimeval(time.Now().UnixNano())
		_ = unix.Futimes(int(s.index.Fd()), []unix.Timeval{now, now}) // the order of eviction is a hint
	}
	return s
}

func (s *session) close() {
	if s == nil {
		return
	}
	s.data.Close() // nothing is lost with an error: every block has its checksum
	if s.index != nil {
		s.index.Close()
	}
}

// blockLen returns the length of a block in bytes.
func (s *session) blockLen(index int64) int64 {
	return min(s.d.blockSize, s.size-index*s.d.blockSize)
}

// crc returns the checksum of a block as recorded; false if there is none.
func (s *session) crc(index int64) (uint32, bool) {
	if s == nil || s.index == nil {
		return 0, false
	}
	var r record
	if _, err := s.index.ReadAt(r[:], recordOffset(index)); err != nil {
		return 0, false
	}
	return r.crc(index)
}

// has reports whether the block is said to be there.
func (s *session) has(index int64) bool {
	if _, ok := s.crc(index); ok {
		return true
	}
	if s.trusted() {
		return true
	}
	_, ok := s.lateCRC(index)
	return ok
}

// lateCRC is crc for an adopted file that was opened before it had checksums. They are
// complete once it is no longer trusted without.
func (s *session) lateCRC(index int64) (uint32, bool) {
	if s == nil || s.index != nil {
		return s.crc(index)
	}
	if s.openIndex(); s.index != nil && !s.rightIndex() {
		s.index.Close() // it was only read
		s.index = nil
	}
	return s.crc(index)
}

func (s *session) openIndex() {
	if f, err := os.OpenFile(s.d.path(s.e.name, indexSuffix), os.O_RDWR, 0); err == nil {
		s.index = f
	}
}

// rightIndex reports whether the index is that of the version.
func (s *session) rightIndex() bool {
	size, ok := readHeader(s.index, s.e.name, s.d.blockSize)
	return ok && size == s.size
}

// trusted reports whether blocks without a record are valid, too.
func (s *session) trusted() bool {
	if s == nil {
		return false
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return s.e.state == live && s.e.whole
}

// read fills p, which is as long as the block, and returns whether the bytes are those
// of the object. A block that is not right is given up.
func (s *session) read(index int64, p []byte) bool {
	want, recorded := s.crc(index)
	if !recorded && !s.trusted() {
		if want, recorded = s.lateCRC(index); !recorded {
			return false
		}
	}
	at := s.look()
	_, err := s.data.ReadAt(p, index*s.d.blockSize)
	if err == nil && !recorded {
		if s.trusted() {
			return true
		}
		// Its checksums are complete by now, or it was taken from the cache and changed.
		if want, recorded = s.lateCRC(index); !recorded {
			return false
		}
	}
	switch {
	case err == nil && crc32.Checksum(p, castagnoli) == want:
		s.found(index, at)
		return true
	case !s.alive():
		return false // it is no longer the cache's
	}
	if s.d.damaged.Add(1) <= maxDamageLines {
		s.d.log.Warn("a block of the disk cache is damaged and will be fetched again",
			"file", s.data.Name(), "block", index, "err", err)
	}
	s.discard(index)
	return false
}

// discard gives up a block whose bytes are wrong. In an adopted file, whose blocks are
// believed without a record, that means all.
func (s *session) discard(index int64) {
	d, e := s.d, s.e
	e.io.Lock()
	defer e.io.Unlock()
	d.mu.Lock()
	if e.whole {
		retired := d.retireLocked(e)
		d.mu.Unlock()
		if retired {
			d.remove(e)
		}
		return
	}
	gone := e.state != live
	d.mu.Unlock()
	if _, ok := s.crc(index); !ok || gone {
		return
	}
	var none record
	if err := d.pwrite(s.index, recordOffset(index), none[:]); err != nil {
		return // it is found damaged again next time
	}
	s.changing()
	s.punch(index)
	s.changed(index, 1, false)
	d.credit(e, -pages(s.blockLen(index)))
}

// punch gives the space of a block back to the file system, which may not be able to.
func (s *session) punch(index int64) {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	_ = unix.Fallocate(int(s.data.Fd()), mode, index*s.d.blockSize, s.blockLen(index))
}

// credit adds n bytes, already reserved, to what a live entry holds of the budget. Of
// one that is gone, they go back. A negative n is released.
func (d *diskCache) credit(e *entry, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case e.state == live:
		e.reserved += n
		if n < 0 {
			d.budget.Release(-n)
		}
	case n > 0:
		d.budget.Release(n)
	}
}

// summed is the content of a block with its checksum.
type summed struct {
	bytes []byte
	crc   uint32
}

// write stores adjacent blocks from index on, those that are not there yet, as far as the
// budget has room.
func (s *session) write(index int64, run []summed) error {
	s.e.io.Lock()
	defer s.e.io.Unlock()
	if s.index == nil || !s.alive() || s.trusted() {
		return nil
	}
	there := s.records(index, len(run))
	for i := 0; i < len(run); {
		n := 0
		for i+n < len(run) && !there[i+n] {
			n++
		}
		if n > 0 {
			if err := s.writeRun(index+int64(i), run[i:i+n]); err != nil {
				return err
			}
		}
		i += max(n, 1)
	}
	return nil
}

// writeRun is write for blocks that are not there.
func (s *session) writeRun(index int64, run []summed) error {
	cost := costOf(run)
	for !s.d.reserve(cost, s.e) {
		if run = run[:len(run)-1]; len(run) == 0 {
			return nil
		}
		cost = costOf(run)
	}
	s.changing()
	err := s.writeReserved(index, run)
	if err != nil {
		for i := range run {
			s.punch(index + int64(i))
		}
	}
	s.changed(index, len(run), err == nil)
	if err != nil {
		s.d.budget.Release(cost)
		return err
	}
	s.d.credit(s.e, cost)
	return nil
}

func (s *session) writeReserved(index int64, run []summed) error {
	bufs := make([][]byte, len(run))
	for i, p := range run {
		bufs[i] = p.bytes
	}
	if err := s.d.pwrite(s.data, index*s.d.blockSize, bufs...); err != nil {
		return err
	}
	records := make([]byte, 0, recordSize*len(run))
	for i, p := range run {
		r := makeRecord(index+int64(i), p.crc)
		records = append(records, r[:]...)
	}
	return s.d.pwrite(s.index, recordOffset(index), records)
}

// costOf returns what blocks cost of the disk budget.
func costOf(run []summed) (cost int64) {
	for _, p := range run {
		cost += pages(int64(len(p.bytes)))
	}
	return cost
}

// records tells which of n blocks from index on have a record.
func (s *session) records(index int64, n int) []bool {
	there := make([]bool, n)
	b := make([]byte, n*recordSize)
	k, _ := s.index.ReadAt(b, recordOffset(index)) // what is not read is not there
	for i := range k / recordSize {
		_, there[i] = record(b[i*recordSize:]).crc(index + int64(i))
	}
	return there
}

// pwrite writes the concatenation of bufs.
func pwrite(f *os.File, off int64, bufs ...[]byte) error {
	if len(bufs) == 1 {
		_, err := f.WriteAt(bufs[0], off)
		return err
	}
	for len(bufs) > 0 {
		n, err := unix.Pwritev(int(f.Fd()), bufs, off)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return &fs.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		}
		off += int64(n)
		bufs = behind(bufs, n)
	}
	return nil
}

// behind returns what is left of bufs after their first n bytes. It changes bufs.
func behind(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// tooBig reports whether an error is about one file only: it is over the limit of the
// file system.
func tooBig(err error) bool { return errors.Is(err, syscall.EFBIG) }
