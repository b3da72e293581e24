package vfs

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// maxFileSize is S3's limit of an object: 5 TiB.
const maxFileSize = 5 << 40

// SetAttr changes attributes. Those of a file that is being written are stored with its
// next upload; those of any other are stored before SetAttr returns. So is a new size of
// a file that nobody has open for writing.
func (fs *FS) SetAttr(ctx context.Context, id NodeID, s SetAttr) (Attr, error) {
	n, err := fs.node(id)
	if err != nil {
		return Attr{}, err
	}
	if fs.o.ReadOnly {
		return Attr{}, object.Errorf(object.KindReadOnly, "setattr", fs.keyOf(n), "mounted with --read-only")
	}
	fs.ns.RLock()
	defer fs.ns.RUnlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := fs.loadMeta(ctx, n); err != nil {
		return Attr{}, err
	}
	waiting := fs.content(n).staged != nil
	if s.Size != nil {
		if err := n.truncate(ctx, *s.Size); err != nil {
			return Attr{}, err
		}
	}
	err = n.setMeta(fs.lasting, s, waiting)
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return n.attrLocked(), err
}

// truncate sets a file's size. The caller holds ns and n.mu.
func (n *Inode) truncate(ctx context.Context, size int64) error {
	fs := n.fs
	key := fs.keyOf(n)
	switch {
	case n.dir:
		return object.Errorf(object.KindIsDir, "truncate", key, "")
	case size < 0:
		return object.Errorf(object.KindInvalid, "truncate", key, "size %d", size)
	case size > maxFileSize:
		return object.Errorf(object.KindTooLarge, "truncate", key, "an object ends at 5 TiB")
	}
	s, err := n.stage()
	if err != nil {
		return err
	}
	changed := s.Size() != size
	if err := s.Truncate(ctx, size); err != nil {
		return err
	}
	fs.tree.Lock()
	n.t.attr.Size = size
	n.t.attr.Mtime = fs.now()
	n.t.attr.Ctime = n.t.attr.Mtime
	n.t.metaDirty = n.t.metaDirty || !changed // the time changes, whatever the content
	fs.tree.Unlock()
	n.retarget()
	return nil
}

// setMeta applies a change to the attributes and stores it where that can't wait. On an
// error the attributes are as they were. waiting says that the file was staged before: it
// holds what was written, and a failure here may not drop it. The caller holds ns and n.mu.
func (n *Inode) setMeta(ctx context.Context, s SetAttr, waiting bool) error {
	fs := n.fs
	fs.tree.Lock()
	old, wasDirty, oldMeta := n.t.attr, n.t.metaDirty, n.t.meta
	a := applied(old, s, fs)
	stored := a.Mode != old.Mode || a.UID != old.UID || a.GID != old.GID || !a.Mtime.Equal(old.Mtime) || s.meta != nil
	n.t.attr = a
	if s.meta != nil {
		n.t.meta = s.meta
	}
	staged, writers, gone := n.t.staged != nil, n.t.writers, n.t.gone
	// Closed, but the kernel has not told yet: nobody is to close it once more.
	closed := staged && n.t.remote && !n.t.staged.Modified() && !n.t.metaDirty
	n.t.metaDirty = wasDirty || stored && staged && !closed
	fs.tree.Unlock()
	var err error
	switch {
	case gone:
		return n.settle(ctx) // truncated by a name that is gone: nobody will close it
	case n == fs.root:
	case closed && stored:
		if err = n.storeMeta(ctx); err == nil {
			n.retarget()
			return n.storeLinks(ctx)
		}
	case staged && writers > 0:
		n.retarget()
	case staged && !waiting: // truncated by name: nobody will close it
		if err = n.storeContent(ctx); err == nil {
			err = n.syncHeld(ctx)
		}
		if err == nil {
			return n.settle(ctx)
		}
		n.giveUpTruncate()
		return err
	case staged:
		if err = n.syncHeld(ctx); err == nil {
			return n.settle(ctx)
		}
	case !stored:
	case n.dir:
		err = n.storeMarker(ctx)
	default:
		if err = n.storeMeta(ctx); err == nil {
			return n.storeLinks(ctx)
		}
	}
	if err != nil {
		fs.tree.Lock()
		n.t.attr, n.t.metaDirty, n.t.meta = old, wasDirty, oldMeta
		fs.tree.Unlock()
	}
	return err
}

func applied(a Attr, s SetAttr, fs *FS) Attr {
	if s.KillPriv && a.Mode&unix.S_IFMT == unix.S_IFREG {
		a.Mode = withoutPriv(a.Mode)
	}
	if s.Mode != nil {
		a.Mode = a.Mode&^0o7777 | *s.Mode&0o7777
	}
	if s.UID != nil {
		a.UID = *s.UID
	}
	if s.GID != nil {
		a.GID = *s.GID
	}
	if s.Atime != nil {
		a.Atime = *s.Atime
	}
	if s.Mtime != nil {
		a.Mtime = *s.Mtime
	}
	a.Ctime = fs.now()
	return a
}

// giveUpTruncate drops the staged state of a truncation by name that S3 did not take:
// the caller was told, and the object is as it was.
func (n *Inode) giveUpTruncate() {
	fs := n.fs
	fs.tree.Lock()
	s := n.t.staged
	n.t.staged, n.t.metaDirty, n.t.meta = nil, false, nil
	ino := n.t.attr.Ino
	n.t.attr = fs.def.attrOf(n.t.info, false)
	n.t.attr.Ino = ino
	fs.tree.Unlock()
	fs.expire(n)
	s.Discard()
}

// storeMarker stores a folder's attributes on its marker, making one if need be. What else
// is there, somebody has just stored; it is looked at, and its attributes replaced.
func (n *Inode) storeMarker(ctx context.Context) error {
	fs := n.fs
	fs.tree.Lock()
	attr, meta := n.t.attr, n.metaLocked()
	fs.tree.Unlock()
	err := n.storeMarkerOnce(ctx, attr, meta)
	if !object.Is(err, object.KindConflict) {
		return err
	}
	if err := n.relookMarker(ctx); err != nil {
		return err
	}
	return n.storeMarkerOnce(ctx, attr, meta)
}

// relookMarker finds out what a folder's marker is now.
func (n *Inode) relookMarker(ctx context.Context) error {
	fs := n.fs
	fs.tree.Lock()
	fs.changedLocked(n.keyLocked())
	n.t.hasMeta, n.t.remote, n.t.info, n.t.marker = false, false, object.Info{}, markerUnknown
	fs.tree.Unlock()
	return fs.loadMeta(ctx, n)
}

func (n *Inode) storeMarkerOnce(ctx context.Context, attr Attr, meta object.Meta) error {
	fs := n.fs
	fs.tree.Lock()
	n.t.attr = attr
	key, info, c := n.keyLocked(), n.t.info, n.conditionLocked()
	withData := n.t.remote && info.Size > 0
	if n.t.marker == markerUnknown && !n.t.remote {
		c = object.Condition{}
	}
	fs.tree.Unlock()
	if key == "" || key[len(key)-1] != '/' {
		return nil // a piece of an over-long component has nothing to keep attributes on
	}
	if withData {
		return n.storeMeta(ctx)
	}
	stored, err := fs.putWith(ctx, key, nil, putMeta(meta, attr), true, c)
	if err != nil {
		return err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.storedLocked(n, stored)
	return nil
}
