package vfs

import (
	"context"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Unlink removes a file's name. Handles that are open keep its content: what of it is
// not local is fetched first.
func (fs *FS) Unlink(ctx context.Context, parent NodeID, name string) error {
	return fs.remove(ctx, "unlink", parent, name, noAttributes, func(p, n *Inode) error {
		if n.dir {
			return object.Errorf(object.KindIsDir, "unlink", fs.keyOf(n), "")
		}
		return fs.unlink(ctx, p, n, name)
	})
}

// Rmdir removes an empty folder.
func (fs *FS) Rmdir(ctx context.Context, parent NodeID, name string) error {
	return fs.remove(ctx, "rmdir", parent, name, allAttributes, func(p, n *Inode) error {
		if !n.dir {
			return object.Errorf(object.KindNotDir, "rmdir", fs.keyOf(n), "")
		}
		n.dirMu.Lock()
		defer n.dirMu.Unlock()
		if fs.o.Promises == nil || !fs.showsEmpty(n) {
			empty, err := fs.isEmpty(ctx, n)
			if err != nil {
				return err
			}
			if !empty {
				return object.Errorf(object.KindNotEmpty, "rmdir", fs.keyOf(n), "")
			}
		}
		return fs.dropFolder(ctx, p, n)
	})
}

// showsEmpty reports whether a listing that is still trusted has no names. Where a folder's
// end is sent later that is enough to promise it: what somebody else puts there until then
// stays in any case, and asking the store takes longer than rm -rf with a folder's files.
func (fs *FS) showsEmpty(n *Inode) bool {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	l := fs.listingLocked(n)
	return l != nil && !l.partial && len(l.byName) == 0 && !n.hasStagedLocked()
}

func (fs *FS) remove(ctx context.Context, op string, parent NodeID, name string, a attributes, do func(p, n *Inode) error) error {
	p, err := fs.writable(op, parent)
	if err != nil {
		return err
	}
	fs.ns.RLock()
	defer fs.ns.RUnlock()
	p.dirMu.Lock()
	defer p.dirMu.Unlock()
	n, err := fs.findWith(ctx, p, name, a)
	if err != nil {
		return err
	}
	defer fs.unpin(n)
	return do(p, n)
}

// unlink removes a name of a file. The caller holds ns and p.dirMu.
func (fs *FS) unlink(ctx context.Context, p, n *Inode, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := fs.stillNamed(n, "unlink"); err != nil {
		return err
	}
	defer n.leave()()
	if err := n.lead(ctx, p, name); err != nil {
		return err
	}
	if err := n.secure(ctx); err != nil {
		return err
	}
	fs.tree.Lock()
	was, remote := object.ID{Key: n.keyLocked(), ETag: n.t.info.ETag}, n.t.remote
	if mayBeStored(n.t.told.err) || n.t.staged != nil && n.t.staged.MayBeStored() {
		was.ETag, remote = "", true // as one of several versions
	}
	fs.tree.Unlock()
	if remote {
		if err := fs.keepFolder(ctx, p, n.t.name); err != nil {
			return err
		}
		if err := fs.deleteObject(ctx, was); err != nil {
			fs.expire(n)
			return err
		}
	}
	fs.tree.Lock()
	id := n.t.info.ID()
	fs.unnameLocked(p, n)
	p.t.unlinked = fs.now()
	staged, stays, info := n.t.staged != nil, !n.t.gone, n.t.info
	fs.tree.Unlock()
	if remote {
		fs.o.Cache.Drop(id)
	}
	switch {
	case stays: // under another name
		n.follow(info)
	case staged:
		n.retarget() // to nowhere: parts that went up early are aborted
		n.settle(ctx)
	}
	return nil
}

// deleteObject removes what is under a key. Where that is sent later, it is the version that is
// known here: by then the store may have somebody else's, which nobody here has seen.
func (fs *FS) deleteObject(ctx context.Context, id object.ID) error {
	if fs.o.Promises == nil {
		return fs.store.Delete(ctx, id.Key)
	}
	return fs.store.DeleteVersion(ctx, id)
}

// stillNamed fails for an inode that lost its name while its lock was waited for. The
// caller holds n.mu.
func (fs *FS) stillNamed(n *Inode, op string) error {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if n.t.gone {
		return object.Errorf(object.KindStale, op, n.keyLocked(), "the name stands for something else now")
	}
	return nil
}

// mayBeStored reports whether an upload that failed with err may have made its object all
// the same, with only the answer lost.
func mayBeStored(err error) bool {
	switch object.KindOf(err) {
	case object.KindTimeout, object.KindUnavailable, object.KindCanceled, object.KindOther:
		return err != nil
	}
	return false
}

// unnameLocked takes the leading name of an inode out of its folder: it was removed.
func (fs *FS) unnameLocked(p, n *Inode) {
	fs.changedLocked(n.keyLocked())
	fs.tree.numbers.drop(n.keyLocked())
	name := n.t.name
	hides := n.dir && fs.mayHideLocked(p, n)
	if !n.dropNameLocked(p, name) {
		fs.detachLocked(n)
		n.t.removed = true
	}
	n.t.attr.Ctime = fs.now()
	fs.patchLocked(p, name, nil)
	fs.touchLocked(p)
	if hides { // that file shows under its plain name now
		fs.forgetListingLocked(p)
	}
}

// mayHideLocked reports whether there may be a file whose plain name a folder has.
func (fs *FS) mayHideLocked(p, n *Inode) bool {
	l := p.t.listing
	if l == nil || l.partial || n.t.form != keyname.Plain {
		return true
	}
	beside, _, _, ok := keyname.First(p.heldLocked(), n.t.piece, true)
	return !ok || l.byName[beside] != nil
}

// leave keeps an inode from being opened until stay is called: between its being secured
// and its object's end, a new handle would be left without content. The caller holds n.mu.
func (n *Inode) leave() (stay func()) {
	set := func(leaving bool) {
		n.fs.tree.Lock()
		defer n.fs.tree.Unlock()
		n.t.leaving = leaving
	}
	set(true)
	return func() { set(false) }
}

// secure makes an inode's content independent of S3, if a handle needs it after its
// object is gone, or may come to need it. The caller holds n.mu.
func (n *Inode) secure(ctx context.Context) error {
	fs := n.fs
	fs.tree.Lock()
	opens, staged, contested, links := n.t.opens, n.t.staged, fs.contestedLocked(n), len(n.t.links)
	fs.tree.Unlock()
	if links > 0 {
		return nil // it stays, under another name
	}
	if contested && opens == 0 {
		n.keep(ctx)
		return nil
	}
	if opens == 0 && staged == nil {
		return nil
	}
	s, err := n.stage()
	if err != nil {
		return err
	}
	if err := s.Hydrate(ctx); err != nil {
		if object.Is(err, object.KindNoSpace) {
			return object.Errorf(object.KindBusy, "keep open file", fs.keyOf(n),
				"a handle is open, and its %d bytes do not fit into --cache-size: %w", s.MissingBytes(), err)
		}
		if object.Is(err, object.KindStale) || object.Is(err, object.KindNotFound) {
			return nil // the version is gone already, no care can keep it
		}
		return err
	}
	return nil
}

// keepFolder makes a folder's marker if the folder has none and is about to lose its
// last name: whoever empties a folder expects it to be there afterwards.
func (fs *FS) keepFolder(ctx context.Context, p *Inode, leaving string) error {
	if err := fs.loadMeta(ctx, p); err != nil { // a marker that is not known may hold data
		return err
	}
	fs.tree.Lock()
	marker, form, attr, meta := p.t.marker, p.t.form, p.t.attr, p.metaLocked()
	l := fs.listingLocked(p)
	others := 0
	if l != nil && !l.partial {
		others = len(l.byName)
		if l.byName[leaving] != nil {
			others--
		}
	}
	fs.tree.Unlock()
	if marker == markerYes || form == keyname.Part || others > 0 {
		return nil
	}
	err := p.storeMarkerOnce(ctx, attr, meta)
	if object.Is(err, object.KindConflict) { // somebody else made it
		return p.relookMarker(ctx)
	}
	return err
}

// dropFolder removes an empty folder's marker and name. The caller holds ns and both
// folders' dirMu.
func (fs *FS) dropFolder(ctx context.Context, p, n *Inode) error {
	fs.tree.Lock()
	key, form, marker := n.keyLocked(), n.t.form, n.t.marker
	fs.tree.Unlock()
	if form != keyname.Part && marker != markerNo {
		if err := fs.keepFolder(ctx, p, n.t.name); err != nil {
			return err
		}
		if err := fs.store.Delete(ctx, key); err != nil {
			fs.expire(n)
			return err
		}
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.unnameLocked(p, n)
	fs.forgetListingLocked(n)
	return nil
}
