package writeback

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/s3mount/s3mount/object"
)

// blockSize is the unit in which disk space is accounted, in bytes.
const blockSize = 4096

// maxExtents bounds the ranges that are kept of one file. A set of so many takes 1 MiB.
const maxExtents = 1 << 16

// Staged is a local file over an optional base: an edit on its way to become a version.
// All methods may be called concurrently. After Discard, Detach or Keep it is finished,
// and every method that can fail does so with KindBadHandle.
//
// Invariants, while it is not finished:
//   - the local file is exactly size bytes long; what was never written in it is a hole;
//   - a byte is read from the base if it lies below baseEnd and is not in present, else
//     from the local file;
//   - baseEnd <= size, and base is nil exactly if baseEnd is 0 or present covers it;
//   - dirty is a subset of present;
//   - reserved is blockSize times the number of blocks in blocks, which covers present.
type Staged struct {
	q    *Queue
	path string
	file *os.File
	mine bool    // nobody else has ever had the file open
	uses *shared // of file; closing it gives the budget back, as fate says
	gate gate    // held by whoever changes the content, and by a running upload

	mu struct {
		sync.RWMutex
		fate    fate
		size    int64
		base    *baseUse
		baseEnd int64 // where the bytes of the base end: its size, or less after Truncate

		present  extents // bytes, valid in the local file
		dirty    extents // bytes, written since the last upload; may include unchanged ones
		blocks   extents // blocks of the local file that are paid for
		reserved int64   // bytes taken from the disk budget
		high     int64   // end of the farthest write since the last upload

		// source is the version at the store that the content was made from: outside of
		// dirty it has the same bytes, up to kept. An empty ETag: there is none.
		source     object.ID
		sourceSize int64
		kept       int64
		open       Open // nil: there never was a base

		gen      uint64    // counts modifications
		savedGen uint64    // gen of the last version that was uploaded; valid if saved
		saved    bool      // false: never uploaded
		since    time.Time // of the first modification behind savedGen
		stored   *stored   // the version at the store, nil: none known
		claims   []claim   // what may be at the store, since nobody knows how storing it ended

		given     bool   // a Promiser has the file: it must not change
		name      string // the key for messages
		target    target
		scanned   bool // all parts up to high were offered to the multipart upload
		multipart *multipart
		uploading bool      // a ticket has taken hold; it alone changes multipart
		tickets   []*Ticket // that still have to take hold, or hold
		lastErr   error     // of the last upload
	}
}

// fate is what becomes of the local file.
type fate uint8

const (
	fateOpen    fate = iota // in use
	fateDeleted             // deleted, its space given back
	fateLeft                // left where it is or moved, its space given back
	fateAdopted             // the caller's, with the space
)

// baseUse is a base with the count of its users.
type baseUse struct {
	*shared
	Base
	size int64 // bytes
}

func newBaseUse(base Base, size int64) *baseUse {
	return &baseUse{Base: base, size: size, shared: newShared(base.Close)}
}

// stored is a version at the store with the bytes of a generation.
type stored struct {
	gen  uint64
	info object.Info
	opts object.PutOptions
}

// target is where the next version will go, as far as it was told.
type target struct {
	told bool
	key  string // empty: nowhere
	opts object.PutOptions
}

// Stage makes a new, empty file. It counts as modified, since it was never uploaded.
func (q *Queue) Stage() (*Staged, error) { return q.stage(nil, 0) }

// StageOver makes an edit of an existing version of size bytes, which open reads, as it
// does the versions that come of the edit. The edit counts as unmodified.
func (q *Queue) StageOver(id object.ID, size int64, open Open) (*Staged, error) {
	use := newBaseUse(open(id, size), size)
	s, err := q.stage(use, size)
	if err != nil || size == 0 {
		use.drop()
	}
	if err == nil {
		s.mu.source, s.mu.sourceSize, s.mu.kept, s.mu.open = id, size, size, open
	}
	return s, err
}

func (q *Queue) stage(base *baseUse, size int64) (*Staged, error) {
	if size < 0 || size > q.layout.capacity() {
		return nil, object.Errorf(object.KindTooLarge, "stage", "", "%d bytes are over the limit of %d",
			size, q.layout.capacity())
	}
	path, file, err := q.newFile()
	if err != nil {
		return nil, localError("stage", "", err)
	}
	s := &Staged{q: q, path: path, file: file, mine: true, gate: newGate()}
	s.uses = newShared(s.closeFile)
	s.mu.since = q.Clock()
	s.mu.size = size
	if s.mu.saved = base != nil; size > 0 {
		s.mu.base, s.mu.baseEnd = base, size
	}
	if size > 0 { // ext4 writes a file to the disk at close that was once truncated to nothing
		err = file.Truncate(size)
	}
	if err != nil {
		s.finish(fateDeleted)
		return nil, localError("stage", "", err)
	}
	if !q.register(s) {
		s.finish(fateDeleted)
		return nil, errClosed("stage", "")
	}
	return s, nil
}

func (q *Queue) register(s *Staged) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closing {
		return false
	}
	q.mu.staged[s] = struct{}{}
	return true
}

func (q *Queue) unregister(s *Staged) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.mu.staged, s)
}

// Size returns the size in bytes.
func (s *Staged) Size() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.size
}

// Modified reports whether the content differs from the last version that was uploaded
// with its metadata, or was never uploaded.
func (s *Staged) Modified() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.modifiedLocked()
}

func (s *Staged) modifiedLocked() bool { return !s.mu.saved || s.mu.gen != s.mu.savedGen }

// Generation counts the modifications of the content.
func (s *Staged) Generation() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.gen
}

// enter takes the gate and a use of the file; leave gives them back.
func (s *Staged) enter(ctx context.Context, op string) error {
	if err := s.gate.lock(ctx); err != nil {
		return wrap(op, s.nameNow(), err)
	}
	if !s.uses.acquire() {
		s.gate.unlock()
		return s.errFinished(op)
	}
	return nil
}

func (s *Staged) leave() {
	s.uses.release()
	s.gate.unlock()
}

func (s *Staged) errFinished(op string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.errFinishedLocked(op)
}

func (s *Staged) errFinishedLocked(op string) error {
	return object.Errorf(object.KindBadHandle, op, s.mu.name, "the staged file is finished")
}

// nameNow is the key for messages.
func (s *Staged) nameNow() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.name
}

func (s *Staged) pending() (Pending, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := Pending{Key: s.mu.name, Bytes: s.mu.size, Since: s.mu.since, Err: s.mu.lastErr}
	wanted := s.mu.fate == fateOpen && s.mu.name != ""
	return p, wanted && (s.modifiedLocked() || len(s.mu.tickets) > 0)
}

// running returns the tickets that are not done.
func (s *Staged) running() []*Ticket {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.mu.tickets)
}

// Discard gives the file up: running uploads are canceled, parts that went up early are
// aborted in the background, the file is deleted and its space given back. Discarding
// again does nothing.
func (s *Staged) Discard() { s.finish(fateDeleted) }

// Detach gives the local file to the caller, with the reserved bytes that it has taken
// from the disk budget. It fails with KindBusy, and changes nothing, unless the file is
// wholly local, not modified and not being uploaded.
func (s *Staged) Detach() (path string, reserved int64, err error) {
	select {
	case s.gate <- struct{}{}:
	default:
		return "", 0, s.errBusy()
	}
	defer s.gate.unlock()
	if !s.uses.acquire() {
		return "", 0, s.errFinished("detach")
	}
	defer s.uses.release()
	if !s.mayDetach() {
		return "", 0, s.errBusy()
	}
	if !s.finish(fateAdopted) {
		return "", 0, s.errFinished("detach")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.path, s.mu.reserved, nil
}

func (s *Staged) errBusy() error {
	return object.Errorf(object.KindBusy, "detach", s.nameNow(), "modified, incomplete or in use")
}

func (s *Staged) mayDetach() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.base == nil && !s.modifiedLocked() && len(s.mu.tickets) == 0
}

// leaveBehind finishes a file that its owner left open when the queue closes.
func (s *Staged) leaveBehind() {
	p, pending := s.pending()
	if !pending {
		s.finish(fateDeleted)
		return
	}
	if s.finish(fateLeft) {
		s.q.Log.Error("a modified file was not uploaded", "key", p.Key, "bytes", p.Bytes, "file", s.path, "err", p.Err)
	}
}

// finish ends the use of s; false: it was finished already. It does not wait for the
// calls that run: the file is closed after the last of them.
func (s *Staged) finish(f fate) bool {
	base, up, tickets, ok := s.takeAll(f)
	if !ok {
		return false
	}
	for _, t := range tickets {
		t.cancel()
	}
	if up != nil {
		up.abandon()
	}
	if base != nil {
		base.drop()
	}
	s.uses.drop()
	s.q.unregister(s)
	return true
}

func (s *Staged) takeAll(f fate) (*baseUse, *multipart, []*Ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.fate != fateOpen {
		return nil, nil, nil, false
	}
	s.mu.fate = f
	up := s.mu.multipart
	s.mu.multipart = nil
	return s.mu.base, up, slices.Clone(s.mu.tickets), true // base stays: reads that run must not see zeros
}

// closeFile runs when the last user of the file is gone.
func (s *Staged) closeFile() {
	s.mu.RLock()
	fate, reserved, alone := s.mu.fate, s.mu.reserved, s.mine && !s.mu.given
	s.mu.RUnlock()
	if fate != fateDeleted || !alone || !s.q.leaveSpare(spareFile{s.path, s.file}) {
		if fate == fateDeleted {
			s.q.remove(s.path)
		}
		if err := s.file.Close(); err != nil {
			s.q.Log.Warn("cannot close a staged file", "file", s.path, "err", err)
		}
	}
	if fate != fateAdopted {
		s.q.Disk.Release(reserved)
	}
}
