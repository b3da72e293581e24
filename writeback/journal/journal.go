package journal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/durable"
)

// Options configure a Journal. Dir is required, and belongs to one process at a time.
type Options struct {
	Dir string
	// SegmentSize is the size of one file in bytes; default 8 MiB. A record is smaller.
	SegmentSize int64
	// Keep is how many segments may wait for old records, before those are written again;
	// default 8.
	Keep int
	// Look leaves the folder as it is: nothing can be appended, and damage is not set aside.
	Look bool
	Log  *slog.Logger // nil: nothing is logged
}

// Journal is an open log. Its methods may be called concurrently.
type Journal struct {
	o  Options
	mu struct {
		sync.Mutex
		segments []*segment // the oldest first; the last one takes records
		appended int64      // bytes of frames ever appended, over all segments
		synced   int64      // of these, how many are durable
		base     int64      // appended when the last segment began
		syncing  bool
		changed  *sync.Cond // the end of a sync
		spare    *segment   // made ahead
		making   bool
		soon     bool // a lazy sync is on its way
		failed   error
		closed   bool
	}
	tasks sync.WaitGroup
}

// Record is one entry of the log, live until it is released.
type Record struct {
	seg        *segment // guarded by Journal.mu, as it may be written again elsewhere
	off        int64
	head, data int
	position   int64 // of its end, as Journal.appended counts
}

// DamageError says that the disk lost records that it had promised to keep.
type DamageError struct {
	Aside  []string // the files that hold what could not be read, under new names
	Offset int64    // of the damage in the first of them, in bytes
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("the journal is damaged at byte %d of %s: what was written before that is used, the rest is kept in that file%s",
		e.Offset, e.Aside[0], map[bool]string{true: " and those after it"}[len(e.Aside) > 1])
}

// ErrTooLarge is for a record that no segment could hold.
var ErrTooLarge = errors.New("the record is larger than a segment of the journal")

// Open reads the log in a folder, which is made if it is missing, and gives the head of
// each record to each, in the order of their appending; a head is valid until each
// returns. A record that was written again comes twice. A *DamageError comes with a
// Journal that works.
func Open(o Options, each func(r *Record, head []byte)) (*Journal, error) {
	if o.SegmentSize == 0 {
		o.SegmentSize = 8 << 20
	}
	if o.Keep == 0 {
		o.Keep = 8
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{o: o}
	j.mu.changed = sync.NewCond(&j.mu.Mutex)
	j.mu.closed = o.Look
	if !o.Look {
		if err := tidy(o.Dir); err != nil {
			return nil, err
		}
	}
	numbers, err := segmentNumbers(o.Dir)
	if err != nil {
		return nil, err
	}
	damage, err := j.read(numbers, each)
	if err == nil && !o.Look {
		next := uint64(1)
		if len(numbers) > 0 {
			next = numbers[len(numbers)-1] + 1
		}
		var s *segment
		if s, err = newSegment(o.Dir, next, o.SegmentSize); err == nil {
			j.mu.segments = append(j.mu.segments, s)
		}
	}
	if err != nil {
		for _, s := range j.mu.segments {
			s.file.Close()
		}
		return nil, err
	}
	if damage != nil {
		return j, damage
	}
	return j, nil
}

// read reads all segments up to the first damage.
func (j *Journal) read(numbers []uint64, each func(*Record, []byte)) (*DamageError, error) {
	end := len(numbers) - 1 // where the log ends; behind that are segments that were made ahead
	for ; end > 0; end-- {
		if unused, err := unusedSegment(j.o.Dir, numbers[end]); err != nil || !unused {
			break
		}
	}
	for i, n := range numbers {
		last := i >= end
		s, damaged, err := readSegment(j.o.Dir, n, last, each)
		if err != nil {
			return nil, err
		}
		if damaged > 0 {
			s.synced, s.end = damaged, damaged
			d, err := j.damaged(s, numbers[i:], damaged)
			j.mu.segments = append(j.mu.segments, s)
			return d, err
		}
		j.mu.segments = append(j.mu.segments, s)
		if last && !j.o.Look {
			if err := s.cut(); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// damaged tells of damage in the first of some segments, after setting them aside.
func (j *Journal) damaged(s *segment, numbers []uint64, at int64) (*DamageError, error) {
	if !j.o.Look {
		return j.setAside(s, numbers, at)
	}
	d := &DamageError{Offset: at}
	for _, n := range numbers {
		d.Aside = append(d.Aside, segmentPath(j.o.Dir, n))
	}
	return d, nil
}

// setAside gives damaged segments another name. The first one's sound part is copied, to
// be read from there.
func (j *Journal) setAside(s *segment, numbers []uint64, at int64) (*DamageError, error) {
	d := &DamageError{Offset: at}
	sound := make([]byte, max(at, segmentHeader))
	if _, err := s.file.ReadAt(sound, 0); err != nil && err != io.EOF {
		return nil, err
	}
	copy(sound, segmentMagic)
	temp := s.path + ".tmp"
	if err := os.WriteFile(temp, sound, 0o600); err != nil {
		return nil, err
	}
	for _, n := range numbers {
		to := segmentPath(j.o.Dir, n) + asideSuffix + time.Now().UTC().Format("-20060102T150405.000")
		if err := os.Rename(segmentPath(j.o.Dir, n), to); err != nil {
			return nil, err
		}
		d.Aside = append(d.Aside, to)
	}
	s.file.Close()
	if err := os.Rename(temp, s.path); err != nil {
		return nil, err
	}
	var err error
	if s.file, err = os.OpenFile(s.path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	s.size = int64(len(sound))
	return d, errors.Join(s.file.Sync(), durable.SyncDir(j.o.Dir))
}

// Append adds a record behind all others. It survives the end of the process; after Sync,
// that of the machine. It must be released when it is no longer needed.
func (j *Journal) Append(head, data []byte) (*Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appendLocked(head, data)
}

func (j *Journal) appendLocked(head, data []byte) (*Record, error) {
	if err := j.usableLocked(); err != nil {
		return nil, err
	}
	n := frameSize(len(head), len(data))
	if n > j.o.SegmentSize-segmentHeader {
		return nil, ErrTooLarge
	}
	s := j.lastLocked()
	for s.end+n > s.size {
		if err := j.rollLocked(); err != nil {
			return nil, err
		}
		s = j.lastLocked()
	}
	b := makeFrame(s.salt, s.synced, head, data)
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		return nil, err // what was written of it is written over, or is a torn tail
	}
	r := &Record{seg: s, off: s.end, head: len(head), data: len(data)}
	s.end += n
	s.live[r] = struct{}{}
	j.mu.appended += n
	r.position = j.mu.appended
	if s.end > s.size/2 {
		j.prepareLocked(s.number + 1)
	}
	return r, nil
}

func (j *Journal) usableLocked() error {
	if j.mu.closed {
		return os.ErrClosed
	}
	return j.mu.failed
}

func (j *Journal) lastLocked() *segment { return j.mu.segments[len(j.mu.segments)-1] }

// prepareLocked makes the next segment in the background.
func (j *Journal) prepareLocked(number uint64) {
	if j.mu.making || j.mu.spare != nil {
		return
	}
	j.mu.making = true
	j.tasks.Go(func() {
		s, err := newSegment(j.o.Dir, number, j.o.SegmentSize)
		j.mu.Lock()
		defer j.mu.Unlock()
		j.mu.making = false
		if err == nil {
			j.mu.spare = s // a failure comes again when the segment is needed
		}
		j.mu.changed.Broadcast()
	})
}

// rollLocked syncs the last segment, and begins the next one; or it waits for what is in the
// way of that, and is to be called again if there is still need.
func (j *Journal) rollLocked() error {
	if j.mu.syncing || j.mu.making {
		j.mu.changed.Wait()
		return j.usableLocked()
	}
	old := j.lastLocked()
	if err := j.wroteLocked(old, old.end, j.mu.appended, unix.Fdatasync(int(old.file.Fd()))); err != nil {
		return err
	}
	next := j.mu.spare
	j.mu.spare = nil
	if next == nil {
		var err error
		if next, err = newSegment(j.o.Dir, old.number+1, j.o.SegmentSize); err != nil {
			return err
		}
	}
	j.mu.segments = append(j.mu.segments, next)
	j.dropLocked()
	if len(j.mu.segments) > j.o.Keep {
		if err := j.rewriteLocked(j.mu.segments[0]); err != nil {
			j.o.Log.Warn("the journal cannot be shortened", "dir", j.o.Dir, "err", err)
		}
	}
	return nil
}

// wroteLocked notes the result of a sync of a segment up to an end.
func (j *Journal) wroteLocked(s *segment, end, appended int64, err error) error {
	if err != nil {
		j.mu.failed = fmt.Errorf("the journal %s can't be written, and takes nothing more: %w", s.path, err)
		j.o.Log.Error("the journal of writes can't be written: nothing more is taken; check the disk of --cache-dir and mount again",
			"file", s.path, "err", err)
		return j.mu.failed
	}
	s.synced = max(s.synced, end)
	j.mu.synced = max(j.mu.synced, appended)
	j.dropLocked()
	return nil
}

// rewriteLocked writes the live records of the oldest segment again, behind all others, if
// they are few, and deletes the segment.
func (j *Journal) rewriteLocked(s *segment) error {
	var bytes int64
	for r := range s.live {
		bytes += frameSize(r.head, r.data)
	}
	last := j.lastLocked()
	if bytes > j.o.SegmentSize/4 || last.end+bytes > last.size {
		return nil // much of it is needed: the limit is that of what is pending
	}
	for r := range s.live {
		now, err := j.copyLocked(r)
		if err != nil {
			return err
		}
		delete(last.live, now)
		r.seg, r.off, r.position = now.seg, now.off, now.position
		last.live[r] = struct{}{}
		delete(s.live, r)
	}
	if err := j.wroteLocked(last, last.end, j.mu.appended, unix.Fdatasync(int(last.file.Fd()))); err != nil {
		return err
	}
	return nil
}

// dropLocked deletes the oldest segments that nobody needs, not after a crash either, but not
// the last one.
func (j *Journal) dropLocked() {
	for len(j.mu.segments) > 1 && len(j.mu.segments[0].live) == 0 && j.mu.segments[0].freed <= j.mu.synced {
		if err := j.mu.segments[0].remove(); err != nil {
			j.o.Log.Warn("a file of the journal can't be deleted", "file", j.mu.segments[0].path, "err", err)
		}
		j.mu.segments = j.mu.segments[1:]
	}
}

// Release says that a record is no longer needed. It may come again at the next Open, as
// long as its segment is there. notes are live records that say what has become of it: as
// long as it may come again, they do as well, also if they are released right after it.
func (j *Journal) Release(r *Record, notes ...*Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.mu.closed {
		j.putBehindLocked(r, notes)
	}
	delete(r.seg.live, r)
	r.seg.freed = j.mu.appended
	if !j.mu.closed {
		j.dropLocked()
	}
}

// putBehindLocked writes notes again that are in an older segment than the record which they
// are about, since that was written again itself: theirs would go first.
func (j *Journal) putBehindLocked(r *Record, notes []*Record) {
	for _, n := range notes {
		if n.seg.number >= r.seg.number {
			continue
		}
		again, err := j.copyLocked(n)
		if err != nil {
			j.o.Log.Warn("what has become of a change can't be noted once more; it may be repeated at the next mount", "dir", j.o.Dir, "err", err)
			return
		}
		delete(again.seg.live, again)
		again.seg.freed = j.mu.appended
	}
}

// copyLocked appends a live record once more.
func (j *Journal) copyLocked(r *Record) (*Record, error) {
	head, data := make([]byte, r.head), make([]byte, r.data)
	if err := r.readLocked(head, data); err != nil {
		return nil, err
	}
	return j.appendLocked(head, data)
}

// Read reads data of a live record from an offset on, as io.ReaderAt does.
func (j *Journal) Read(r *Record, p []byte, off int64) (int, error) {
	j.mu.Lock()
	seg, at, size := r.seg, r.off+frameHeader+int64(r.head), int64(r.data)
	_, live := seg.live[r]
	j.mu.Unlock()
	if !live {
		return 0, os.ErrClosed
	}
	if off >= size {
		return 0, io.EOF
	}
	short := int64(len(p)) > size-off
	if short {
		p = p[:size-off]
	}
	n, err := seg.file.ReadAt(p, at+off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

func (r *Record) readLocked(head, data []byte) error {
	b := make([]byte, frameSize(r.head, r.data))
	if _, err := r.seg.file.ReadAt(b, r.off); err != nil {
		return err
	}
	f, state := parseFrame(b, r.seg.salt)
	if state != frameWhole {
		return fmt.Errorf("the record at byte %d of %s can't be read again", r.off, r.seg.path)
	}
	copy(head, f.head)
	copy(data, f.data)
	return nil
}

// DataSize is how many bytes of data a record carries.
func (r *Record) DataSize() int64 { return int64(r.data) }

// Sync returns once a record, and all that were appended before it, are durable.
func (j *Journal) Sync(r *Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.syncLocked(r.position)
}

// SyncAll returns once all that was appended is durable.
func (j *Journal) SyncAll() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.syncLocked(j.mu.appended)
}

func (j *Journal) syncLocked(upto int64) error {
	for j.mu.synced < upto {
		if err := j.usableLocked(); err != nil {
			return err
		}
		if j.mu.syncing {
			j.mu.changed.Wait()
			continue
		}
		s, end, appended := j.lastLocked(), j.lastLocked().end, j.mu.appended
		j.mu.syncing = true
		j.mu.Unlock()
		err := unix.Fdatasync(int(s.file.Fd()))
		j.mu.Lock()
		j.mu.syncing = false
		j.wroteLocked(s, end, appended, err)
		j.mu.changed.Broadcast()
	}
	return nil
}

// SyncSoon makes what was appended durable within a time.
func (j *Journal) SyncSoon(within time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.soon || j.mu.closed || j.mu.synced == j.mu.appended {
		return
	}
	j.mu.soon = true
	j.tasks.Go(func() {
		time.Sleep(within)
		j.mu.Lock()
		defer j.mu.Unlock()
		j.mu.soon = false
		j.syncLocked(j.mu.appended) // a failure is final, and comes with the next call
	})
}

// Empty reports whether no record is live.
func (j *Journal) Empty() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.mu.segments {
		if len(s.live) > 0 {
			return false
		}
	}
	return true
}

// Close syncs and ends the use of the folder; an empty log leaves no file.
func (j *Journal) Close() error {
	j.mu.Lock()
	err := j.syncLocked(j.mu.appended)
	j.mu.closed = true
	j.mu.Unlock()
	j.tasks.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	empty := true
	for _, s := range j.mu.segments {
		empty = empty && len(s.live) == 0
	}
	all := j.mu.segments
	if j.mu.spare != nil {
		all = append(all, j.mu.spare)
	}
	for _, s := range all {
		if empty && err == nil && !j.o.Look || s == j.mu.spare {
			err = errors.Join(err, s.remove())
		} else {
			err = errors.Join(err, s.file.Close())
		}
	}
	j.mu.segments = nil
	return err
}

// Extent tells where the log ends: the last file, up to which of its bytes it is durable, and
// where its last record ends.
func (j *Journal) Extent() (path string, synced, end int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.lastLocked()
	return s.path, s.synced, s.end
}
