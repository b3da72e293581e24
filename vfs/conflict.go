package vfs

import (
	"context"
	"fmt"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// A file that is written here replaces the version that it was made from, or nothing where
// it is new: that is the condition of each upload. If somebody else has stored or removed
// the object meanwhile, the race is lost: the name is the other's, and what was written here
// is stored beside it under a name that tells so. Who had the file open goes on reading what
// was written, and gets ESTALE for everything else.

// ConflictError says that somebody else changed a file that was written here. It is logged
// when it arises.
type ConflictError struct {
	Key  string
	Kept string // the key under which the version of this mount is now
	Err  error
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%q was changed by somebody else; what was written here is kept as %q: %v", e.Key, e.Kept, e.Err)
}

// Unwrap gives the error its kind.
func (e *ConflictError) Unwrap() error {
	return &object.Error{Op: "store", Key: e.Key, Kind: object.KindStale, Err: e.Err}
}

// maxAside is how many names are tried for a version that lost a race.
const maxAside = 20

// lostRace keeps the content of an inode beside the name that it lost. If even that does
// not work, all is as before: the inode stays staged, and ends in Options.UnsentDir once
// nobody has it open. The caller holds n.mu.
func (n *Inode) lostRace(ctx context.Context, s *writeback.Staged, o object.PutOptions, cause error) error {
	fs := n.fs
	key := fs.keyOf(n)
	info, err := n.storeAside(ctx, s, o)
	if err != nil {
		return &object.Error{Op: "store", Key: key, Kind: object.KindStale,
			Err: fmt.Errorf("%w; it could not be stored beside it either: %w", cause, err)}
	}
	lost := &ConflictError{Key: key, Kept: info.Key, Err: cause}
	fs.log.Error("somebody else changed a file that was written here: both versions are kept",
		"op", "store", "key", key, "kept", info.Key, "do", "compare the two, and remove the one that is not wanted", "err", cause)
	fs.tree.Lock()
	p, name := n.t.parent, n.t.name
	fs.changedLocked(key)
	for len(n.t.links) > 0 { // those names are files of their own from now on
		l := n.t.links[0]
		n.dropNameLocked(l.parent, l.name)
		fs.forgetListingLocked(l.parent)
	}
	fs.detachLocked(n)
	n.t.aside = lost
	fs.storedLocked(n, info)
	n.t.pages = info.ID()
	fs.forgetListingLocked(p)
	fs.touchLocked(p)
	fs.tree.Unlock()
	if fs.inval != nil {
		fs.wg.Go(func() { fs.inval.InvalidateEntry(p.id, name) }) // see forsake
	}
	return lost
}

// storeAside stores the content under a free name beside the inode's.
func (n *Inode) storeAside(ctx context.Context, s *writeback.Staged, o object.PutOptions) (object.Info, error) {
	fs := n.fs
	fs.tree.Lock()
	prefix, piece := n.t.parent.keyLocked(), n.t.piece
	fs.tree.Unlock()
	o.Condition = object.Condition{IfAbsent: true}
	at := fs.now()
	for try := 1; ; try++ {
		name := keyname.Conflict(piece, fs.o.Host, at, try, keyname.MaxKey-len(prefix))
		if name == "" {
			return object.Info{}, object.Errorf(object.KindNameTooLong, "store", prefix+piece, "there is no room for a name beside it")
		}
		info, err := s.Upload(prefix+name, o).Wait(ctx)
		if err == nil {
			info.Key, info.Meta, info.ContentType = prefix+name, o.Meta, o.ContentType
			return info, nil
		}
		if !object.Is(err, object.KindConflict) || try == maxAside {
			return object.Info{}, err
		}
	}
}

// lost returns what became of an inode that lost its name to somebody else; nil: it has not.
func (n *Inode) lost() *ConflictError {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	return n.t.aside
}

// conditionLocked is what must be under an inode's key for its content to be stored there.
func (n *Inode) conditionLocked() object.Condition {
	if !n.t.remote {
		return object.Condition{IfAbsent: true}
	}
	return object.Condition{IfMatch: n.t.info.ETag} // an empty one: any version
}
