package vfs

import (
	"context"

	"github.com/s3mount/s3mount/object"
)

// minStoreCopy is the size in bytes from which on a whole file is copied by the store:
// smaller ones are as fast through the mount.
const minStoreCopy = 1 << 20

// CopyRange copies n bytes between two open files within the store, and returns how many.
// It does so for the whole of a file that is not being written, into one that is empty
// yet; the copy stands when it returns. Anything else is KindUnsupported: read and write
// it then.
func (fs *FS) CopyRange(ctx context.Context, from *Handle, off int64, to *Handle, toOff, n int64) (int64, error) {
	if !to.write {
		return 0, object.Errorf(object.KindBadHandle, "copy", fs.keyOf(to.n), "opened for reading")
	}
	if from.n == to.n || off != 0 || toOff != 0 {
		return 0, errNotWhole(fs.keyOf(from.n))
	}
	fs.ns.RLock()
	defer fs.ns.RUnlock()
	defer lockContents(from.n, to.n)()
	info, ok := fs.wholeSource(from.n, n)
	key, o, staged := to.n.target()
	if !ok || key == "" || staged == nil || staged.Size() != 0 || to.n.isPassed() {
		return 0, errNotWhole(fs.keyOf(from.n))
	}
	attr := fs.contentChanged(to.n, info.Size)
	copied, err := fs.store.Copy(fs.lasting, info.ID(), key, object.CopyOptions{Meta: putMeta(o.Meta, attr), ContentType: info.ContentType,
		Size: info.Size, IfAbsent: o.Condition.IfAbsent, IfMatch: o.Condition.IfMatch})
	if err != nil {
		fs.contentChanged(to.n, 0)
		if object.Is(err, object.KindExists) {
			return 0, errNotWhole(key) // somebody else changed it: the close finds out
		}
		return 0, err
	}
	copied.Key, copied.Size, copied.Meta, copied.ContentType = key, info.Size, putMeta(o.Meta, attr), info.ContentType
	to.n.copied(copied)
	staged.Discard()
	return info.Size, to.n.storeLinks(fs.lasting)
}

func errNotWhole(key string) error {
	return object.Errorf(object.KindUnsupported, "copy", key, "the store copies whole files, into empty ones")
}

// wholeSource returns the version of a file that is all there is of it, and has n bytes at
// most. The caller holds its mu.
func (fs *FS) wholeSource(src *Inode, n int64) (object.Info, bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	t := &src.t
	return t.info, t.staged == nil && t.remote && !t.gone && t.info.Size >= minStoreCopy && t.info.Size <= n
}

// isPassed reports whether the kernel reads or writes the inode's file without asking.
func (n *Inode) isPassed() bool {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	return n.t.through != nil
}

// contentChanged gives an inode a size and the present as its mtime.
func (fs *FS) contentChanged(n *Inode, size int64) Attr {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n.t.attr.Size, n.t.attr.Mtime = size, fs.now()
	n.t.attr.Ctime = n.t.attr.Mtime
	return n.t.attr
}

// copied makes a version that the store has just made the content of an inode. It stays
// staged, as an edit of that version, so that attributes which are set before the close go
// with that. The caller holds n.mu.
func (n *Inode) copied(info object.Info) {
	fs := n.fs
	s, err := fs.o.Queue.StageOver(info.ID(), info.Size, fs.openBase)
	if err != nil {
		s = nil // it is clean then
	}
	fs.tree.Lock()
	fs.storedLocked(n, info)
	n.leftBehindLocked()
	n.t.pages = info.ID()
	n.t.staged = s
	fs.tree.Unlock()
	n.retarget()
}
