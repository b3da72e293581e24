package vfs

import (
	"context"
	"strings"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Promises is a Store whose writes return once they are durable on this machine, and are
// sent later. Until then a version has a local ETag (object.ID.Local).
type Promises interface {
	Store
	// Now returns what a local version is in the store by now, else info itself.
	Now(info object.Info) object.Info
	// State tells how far what was written to a key is on its way: stored, pending,
	// uploading or failing.
	State(key string) string
	// TakeFailure returns, once, that the store does not take what was promised for a key.
	TakeFailure(key string) error
	// Sync returns once all that was promised is durable, removed names too.
	Sync(ctx context.Context) error
	// Exchange lets two keys change their versions, both at once, and returns what is under
	// each then; temp is a key that nobody uses. KindExists or KindStale: something else is
	// under one of them, and nothing changed.
	Exchange(ctx context.Context, a, b object.Info, temp string) (nowA, nowB object.Info, err error)
}

// newest is Promises.Now; without promises there is nothing to know.
func (fs *FS) newest(info object.Info) object.Info {
	if fs.o.Promises == nil || !info.ID().Local() {
		return info
	}
	return fs.o.Promises.Now(info)
}

// catchUpLocked gives an inode, and an answer about it, what their versions have just become in
// the store. An answer may tell of that before Stored does, and is no news of somebody else's.
func (fs *FS) catchUpLocked(n *Inode, told object.Info) object.Info {
	for n.t.remote {
		was := told
		if now := fs.newest(n.t.info); now.ID() != n.t.info.ID() {
			fs.becomeLocked(n, now)
		}
		if told = fs.newest(told); told.ID() == was.ID() {
			break // else n may have become it since it was looked at
		}
	}
	return told
}

// SyncNames is fsync of a folder: what was done to names is durable when it returns.
func (fs *FS) SyncNames(ctx context.Context) error {
	if fs.o.Promises == nil {
		return nil
	}
	return fs.o.Promises.Sync(ctx)
}

// Stored notes that a local version of its key is now in the store: the bytes are the same,
// and whatever the kernel has of them stays right. It is called with no lock held.
func (fs *FS) Stored(local object.ID, now object.Info) {
	fs.tree.Lock()
	p, name := fs.placeLocked(local.Key)
	var n *Inode
	if p != nil {
		n = p
		if name == "" && p.t.info.ID() != local { // a marker that holds data shows as a file
			names := keyname.Path(local.Key, false)
			name = names[len(names)-1]
		}
		if name != "" {
			n = p.t.children[name]
			fs.storedListedLocked(p, name, local, now)
		}
	}
	c := &fs.tree.changes
	c.keys[c.place(local.Key)]++ // an answer on its way may know the local version only
	fs.heads.Forget(local.Key)
	mine := n != nil && n.t.remote && (n.t.info.ID() == local || n.t.info.ID() == now.ID()) // see catchUpLocked
	if mine {
		fs.becomeLocked(n, now)
	}
	fs.tree.Unlock()
	if mine && !n.dir {
		n.rebase()
	}
}

// Lost makes the name of a local version be looked up again: somebody else has it.
func (fs *FS) Lost(local object.ID) {
	fs.tree.Lock()
	p, name := fs.placeLocked(local.Key)
	fs.changedLocked(local.Key)
	var n *Inode
	if p != nil && name != "" {
		fs.forgetListingLocked(p)
		if n = p.t.children[name]; n != nil && n.t.staged == nil && n.t.info.ID() == local {
			fs.detachLocked(n) // who has it open goes on reading what was written
		} else {
			n = nil
		}
	}
	fs.tree.Unlock()
	if n != nil && fs.inval != nil {
		fs.wg.Go(func() { fs.inval.InvalidateEntry(p.id, name) })
	}
}

// becomeLocked gives an inode the version that its own has become in the store.
func (fs *FS) becomeLocked(n *Inode, now object.Info) {
	if now.Meta == nil {
		now.Meta, now.ContentType = n.t.info.Meta, n.t.info.ContentType
	}
	if n.t.pages == n.t.info.ID() {
		n.t.pages = now.ID()
	}
	if now.Meta != nil {
		fs.o.Meta.Put(now)
	}
	if n.t.info.Meta == nil && !n.t.hasMeta && n.t.staged == nil { // the attributes are guessed from a listing
		fs.setInfoLocked(n, now)
		return
	}
	n.t.info = now
}

func (fs *FS) storedListedLocked(p *Inode, name string, local object.ID, now object.Info) {
	l := p.t.listing
	if l == nil {
		return
	}
	if e := l.byName[name]; e != nil && e.info.ID() == local {
		e.info = now
	}
}

// placeLocked finds the folder and the name of a key among the inodes; the name is empty for
// the folder's own marker, and the folder nil where it is not known.
func (fs *FS) placeLocked(key string) (p *Inode, name string) {
	if key == "" {
		return fs.root, ""
	}
	file, marker := strings.CutSuffix(key, "/")
	names := keyname.Path(file, false)
	last := len(names) - 1
	p = fs.root
	for _, folder := range names[:last] {
		if p = p.t.children[folder]; p == nil || !p.dir {
			return nil, ""
		}
	}
	c := p.t.children[names[last]]
	folder := c != nil && c.dir
	switch {
	case marker && folder:
		return c, ""
	case marker:
		return nil, ""
	case c != nil && !folder:
		return p, names[last]
	}
	beside := keyname.Path(file, true) // where a folder has the plain name
	if len(beside) == len(names) && (folder || p.t.children[beside[last]] != nil) {
		return p, beside[last]
	}
	if folder {
		return nil, ""
	}
	return p, names[last]
}

// rebase makes what is staged over a local version read the one in the store.
func (n *Inode) rebase() {
	n.fs.tree.Lock()
	s, info := n.t.staged, n.t.info
	n.fs.tree.Unlock()
	if s != nil {
		s.Rebase(info.ID(), info.Size)
	}
}

// letGo ends the staged state of a file whose content was promised: it was given to the
// journal, and who writes next writes over the promised version. The caller holds n.mu.
func (n *Inode) letGo() {
	fs := n.fs
	if fs.o.Promises == nil {
		return
	}
	fs.tree.Lock()
	s := n.t.staged
	ready := s != nil && !s.Modified() && !n.t.metaDirty && n.t.remote && !n.t.gone
	if ready {
		n.t.staged, n.t.told = nil, toldFailure{}
	}
	fs.tree.Unlock()
	if ready {
		s.Discard()
	}
}

// lateFailure returns, once, that the store does not take what was promised earlier.
func (n *Inode) lateFailure() error {
	if n.fs.o.Promises == nil {
		return nil
	}
	return n.fs.o.Promises.TakeFailure(n.fs.keyOf(n))
}

// stateXattr tells how far a file is on its way to S3.
const stateXattr = factPrefix + "state"

// stateOf is modified for what is not promised yet, else as Promises.State tells.
func (fs *FS) stateOf(id NodeID) string {
	n, err := fs.node(id)
	if err != nil {
		return ""
	}
	fs.tree.Lock()
	key, s, dirty := n.keyLocked(), n.t.staged, n.t.metaDirty || !n.t.remote && !n.dir
	fs.tree.Unlock()
	switch {
	case dirty, s != nil && s.Modified():
		return "modified"
	case fs.o.Promises == nil:
		return "stored"
	}
	return fs.o.Promises.State(key)
}
