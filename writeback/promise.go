package writeback

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/durable"
	"github.com/s3mount/s3mount/object"
)

// Promiser makes versions stand before the store has them. With one, an upload is a promise.
type Promiser interface {
	// Promise returns once it is durable that key will be what the edit makes, with the
	// version's local ETag. took says that Edit.HandOver gave the file away: nothing may
	// change in it any more, and its space is no longer the edit's.
	Promise(ctx context.Context, key string, o object.PutOptions, e Edit) (info object.Info, took bool, err error)
}

// Edit is what a promised version consists of: Ranges of Content, else the bytes of Base up
// to BaseEnd, else zeros.
type Edit struct {
	Size    int64
	Ranges  []object.Range // sorted, apart from each other
	Content io.ReaderAt
	Base    object.ID
	BaseEnd int64
	// BaseSize is the size of Base in bytes.
	BaseSize int64
	// Reserved is what the file of Content has taken from the disk budget, in bytes.
	Reserved int64
	// HandOver gives the file of Content the name path as well, durably.
	HandOver func(path string) error
}

// identified is a Base that knows which version it reads.
type identified interface{ ID() object.ID }

// promise promises the content as it is. Gate held.
func (s *Staged) promise(ctx context.Context, key string, o object.PutOptions) (object.Info, error) {
	gen, e, err := s.edit()
	if err != nil {
		return object.Info{}, err
	}
	info, took, err := s.q.Promiser.Promise(ctx, key, o, e)
	if took {
		s.given()
	}
	if err != nil {
		return info, err
	}
	s.commit(&stored{gen: gen, info: described(info, o), opts: o})
	return info, nil
}

func (s *Staged) edit() (gen uint64, e Edit, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.given {
		return 0, e, object.Errorf(object.KindBadHandle, "upload", s.mu.name, "the staged file was given away")
	}
	e = Edit{Size: s.mu.size, Content: s.file, Reserved: s.mu.reserved, HandOver: s.handOver}
	for _, x := range s.mu.present.list {
		if x = x.clip(0, s.mu.size); x.len() > 0 {
			e.Ranges = append(e.Ranges, object.Range{Off: x.off, Len: x.len()})
		}
	}
	if s.mu.base != nil {
		b, ok := s.mu.base.Base.(identified)
		if !ok {
			return 0, e, object.Errorf(object.KindInvalid, "upload", s.mu.name, "the version beneath is not known")
		}
		e.Base, e.BaseEnd, e.BaseSize = b.ID(), s.mu.baseEnd, s.mu.base.size
	}
	return s.mu.gen, e, nil
}

func (s *Staged) handOver(path string) error {
	if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
		return err
	}
	if err := os.Link(s.path, path); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// given notes that the file is somebody else's, too, who pays for it.
func (s *Staged) given() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.given = true
	s.mu.reserved = 0
	s.mu.blocks.clear()
}

// Promised reports whether the file was given away as the version that it holds: what is
// written next goes into another one, over that version.
func (s *Staged) Promised() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.given && !s.modifiedLocked()
}

// LocalError gives a failure of the local file system its kind.
func LocalError(op, key string, err error) error { return localError(op, key, err) }

// mayChange fails for a file that was given away.
func (s *Staged) mayChange(op string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.given {
		return object.Errorf(object.KindBadHandle, op, s.mu.name, "the staged file was given away")
	}
	return nil
}

// syncStep is how much is written until the disk is told to begin with it, in bytes.
const syncStep = 8 << 20

// beginSync has the disk begin with what was written, where a promise will wait for it. Gate
// held.
func (s *Staged) beginSync(off, end int64) {
	if s.q.Promiser == nil || off/syncStep == end/syncStep {
		return
	}
	from := max(0, off/syncStep-1) * syncStep
	// A failure shows at the fdatasync.
	_ = unix.SyncFileRange(int(s.file.Fd()), from, end-from, unix.SYNC_FILE_RANGE_WRITE)
}
