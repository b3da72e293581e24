package vfs

import (
	"cmp"
	"context"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Rename gives a file or folder another name. S3 has no rename: the object is copied
// within the store and the old one deleted once the copy stands; at no moment is it
// under neither name. A folder's rename copies all that is beneath it, see renamedir.go.
// noReplace refuses a new name that is taken.
func (fs *FS) Rename(ctx context.Context, oldParent NodeID, oldName string, newParent NodeID, newName string, noReplace bool) error {
	from, err := fs.writable("rename", oldParent)
	if err != nil {
		return err
	}
	to, err := fs.writable("rename", newParent)
	if err != nil {
		return err
	}
	isDir, err := fs.isFolder(ctx, from, oldName)
	if err != nil {
		return err
	}
	if isDir {
		fs.ns.Lock()
		defer fs.ns.Unlock()
	} else {
		fs.ns.RLock()
		defer fs.ns.RUnlock()
		defer fs.lockFolders(from, to)()
	}
	return fs.rename(ctx, rename{from: from, to: to, oldName: oldName, newName: newName, noReplace: noReplace, isDir: isDir})
}

// isFolder looks a name up, without keeping what it finds.
func (fs *FS) isFolder(ctx context.Context, p *Inode, name string) (bool, error) {
	fs.ns.RLock()
	defer fs.ns.RUnlock()
	p.dirMu.RLock()
	defer p.dirMu.RUnlock()
	n, err := fs.find(ctx, p, name)
	if err != nil {
		return false, err
	}
	defer fs.unpin(n)
	return n.dir, nil
}

// lockFolders locks one or two folders, the one that is nearer to the root first, as
// Rmdir does, else in the order of their ids. It returns the undoing. The caller holds ns.
func (fs *FS) lockFolders(a, b *Inode) func() {
	if a == b {
		a.dirMu.Lock()
		return a.dirMu.Unlock
	}
	if cmp.Or(cmp.Compare(fs.depth(a), fs.depth(b)), cmp.Compare(a.id, b.id)) > 0 {
		a, b = b, a
	}
	a.dirMu.Lock()
	b.dirMu.Lock()
	return func() {
		b.dirMu.Unlock()
		a.dirMu.Unlock()
	}
}

// depth is how many folders an inode is in.
func (fs *FS) depth(n *Inode) (d int) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	for n = n.t.parent; n != nil; n = n.t.parent {
		d++
	}
	return d
}

// rename is one renaming under way.
type rename struct {
	from, to         *Inode
	oldName, newName string
	noReplace, isDir bool

	n, target *Inode // pinned; target is nil where the new name is free
	piece     string // of the new name
}

func (fs *FS) rename(ctx context.Context, r rename) error {
	var err error
	if r.n, err = fs.find(ctx, r.from, r.oldName); err != nil {
		return err
	}
	defer fs.unpin(r.n)
	if r.n.dir != r.isDir {
		return object.Errorf(object.KindStale, "rename", fs.keyOf(r.n), "it changed between folder and file just now")
	}
	m, err := fs.renameTarget(ctx, &r)
	if err != nil {
		return err
	}
	if r.target != nil {
		defer fs.unpin(r.target)
		if r.target == r.n {
			return nil
		}
	}
	if err := r.allowed(fs); err != nil {
		return err
	}
	if r.isDir {
		return fs.renameFolder(ctx, r, m.key+"/")
	}
	return fs.renameFile(ctx, r, m.key)
}

// renameTarget looks at the new name.
func (fs *FS) renameTarget(ctx context.Context, r *rename) (making, error) {
	m, err := fs.freeName(ctx, "rename", r.to, r.newName, false)
	if object.Is(err, object.KindIsDir) {
		r.target, err = fs.find(ctx, r.to, r.newName)
	} else {
		r.target = m.existing
	}
	r.piece = m.piece
	return m, err
}

// allowed checks what rename(2) forbids.
func (r *rename) allowed(fs *FS) error {
	fail := func(k object.Kind, format string, args ...any) error {
		return object.Errorf(k, "rename", fs.keyOf(r.n), format, args...)
	}
	switch {
	case r.isDir && r.n.t.form == keyname.Part:
		return fail(object.KindUnsupported, "it is a piece of an over-long name")
	case r.isDir && fs.beneath(r.to, r.n):
		return fail(object.KindLoop, "the new name is inside it")
	case r.target == nil:
		return nil
	case r.noReplace:
		return fail(object.KindExists, "%q is taken", r.newName)
	case r.isDir && !r.target.dir:
		return fail(object.KindNotDir, "%q is a file", r.newName)
	case !r.isDir && r.target.dir:
		return fail(object.KindIsDir, "%q is a folder", r.newName)
	}
	return nil
}

// beneath reports whether n is top or inside it.
func (fs *FS) beneath(n, top *Inode) bool {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	for ; n != nil; n = n.t.parent {
		if n == top {
			return true
		}
	}
	return false
}

// renameFile moves one file. What was written to it and is not in S3 yet goes there
// first: who renames a file over another means the new content to stand. The caller holds ns and both folders' dirMu.
func (fs *FS) renameFile(ctx context.Context, r rename, key string) error {
	defer lockContents(r.n, r.target)()
	if err := fs.stillNamed(r.n, "rename"); err != nil {
		return err
	}
	if r.target != nil {
		if err := fs.stillNamed(r.target, "rename"); err != nil {
			return err
		}
		defer r.target.leave()()
		if err := r.target.secure(ctx); err != nil {
			return err
		}
	}
	if err := r.n.syncContent(fs.lasting); err != nil {
		return err
	}
	if err := r.leading(ctx); err != nil {
		return err
	}
	fs.tree.Lock()
	info, old := r.n.t.info, r.n.keyLocked()
	attr, dirty, meta := r.n.t.attr, r.n.t.metaDirty, r.n.metaLocked()
	fs.tree.Unlock()
	o := object.CopyOptions{Size: info.Size, IfAbsent: r.target == nil}
	if dirty {
		o.Meta, o.ContentType = putMeta(meta, attr), info.ContentType
	}
	copied, err := fs.store.Copy(ctx, info.ID(), key, o)
	if err != nil {
		fs.expire(r.n)
		fs.tree.Lock()
		defer fs.tree.Unlock()
		fs.forgetListingLocked(r.to)
		return err
	}
	was := info
	info = fs.copiedInfo(info, copied, key, o)
	fs.replaced(ctx, r)
	taken, err := fs.removeOld(ctx, r, object.ID{Key: old, ETag: was.ETag})
	if err != nil {
		return err
	}
	fs.o.Cache.Inherit(was, info, nil, nil)
	fs.moved(r, info, true)
	if taken {
		fs.forgetListing(r.from)
	}
	r.n.follow(info)
	r.n.letGo()
	return nil
}

// replaced takes the new name from the file that had it, once the copy stands: what is
// still written to that goes nowhere, whatever becomes of the old name. The caller holds
// the target's mu.
func (fs *FS) replaced(ctx context.Context, r rename) {
	if r.target == nil {
		return
	}
	fs.tree.Lock()
	fs.unnameLocked(r.to, r.target)
	stays, info := !r.target.t.gone, r.target.t.info
	fs.tree.Unlock()
	if stays { // under another name
		r.target.follow(info)
		return
	}
	r.target.retarget()
	r.target.settle(ctx)
}

// leading lets the names that a rename is about lead, where their files have others.
func (r *rename) leading(ctx context.Context) error {
	if err := r.n.lead(ctx, r.from, r.oldName); err != nil {
		return err
	}
	if r.target == nil {
		return nil
	}
	return r.target.lead(ctx, r.to, r.newName)
}

// removeOld deletes the old name of a file whose copy stands. If that fails, the file may
// be under both names, and both are looked up again. taken says that somebody else has stored
// another version there meanwhile, which stays.
func (fs *FS) removeOld(ctx context.Context, r rename, old object.ID) (taken bool, err error) {
	if err = fs.keepFolder(ctx, r.from, r.oldName); err == nil {
		err = fs.store.DeleteVersion(ctx, old)
		taken = object.Is(err, object.KindConflict)
	}
	switch {
	case taken:
		fs.log.Info("somebody else stored an object under a name while the file there was renamed: it stays", "op", "rename", "key", old.Key)
		return true, nil
	case err != nil:
		fs.expire(r.n)
		fs.forgetListing(r.to)
	}
	return false, err
}

// forgetListing is forgetListingLocked.
func (fs *FS) forgetListing(p *Inode) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.forgetListingLocked(p)
}

// copiedInfo describes a copy: what the store said of it, and what came from the source.
func (fs *FS) copiedInfo(src, copied object.Info, key string, o object.CopyOptions) object.Info {
	copied.Key, copied.Size = key, src.Size
	copied.Meta, copied.ContentType, copied.StorageClass = src.Meta, src.ContentType, src.StorageClass
	if o.Meta != nil {
		copied.Meta = o.Meta
	}
	return copied
}

// lockContents locks one or two files' contents in the order of their ids.
func lockContents(a, b *Inode) func() {
	if b == nil || a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if a.id > b.id {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// moved puts the inode under its new name in the table.
func (fs *FS) moved(r rename, info object.Info, remote bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n := r.n
	if r.target != nil && r.to.t.children[r.newName] == r.target {
		fs.unnameLocked(r.to, r.target)
	}
	fs.changedLocked(n.keyLocked())
	fs.tree.numbers.drop(n.keyLocked())
	delete(r.from.t.children, r.oldName)
	fs.patchLocked(r.from, r.oldName, nil)
	n.t.parent, n.t.name, n.t.piece, n.t.form = r.to, r.newName, r.piece, keyname.Plain
	if old := r.to.t.children[r.newName]; old != nil {
		fs.loseLocked(r.to, r.newName, old)
	}
	if r.to.t.children == nil {
		r.to.t.children = map[string]*Inode{}
	}
	r.to.t.children[r.newName] = n
	n.t.attr.Ctime = fs.now()
	fs.touchLocked(r.from)
	fs.touchLocked(r.to)
	if remote {
		if n.t.pages == n.t.info.ID() {
			n.t.pages = info.ID()
		}
		fs.storedLocked(n, info)
	}
	fs.dropLocked(r.from)
}

// follow makes a staged file go to, and read from, the key that its inode has now. The
// caller holds n.mu.
func (n *Inode) follow(info object.Info) {
	n.fs.tree.Lock()
	s := n.t.staged
	n.fs.tree.Unlock()
	if s == nil {
		return
	}
	s.Rebase(info.ID(), info.Size)
	n.retarget()
}
