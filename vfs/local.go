package vfs

import (
	"sync/atomic"

	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
)

// localFile is a file that is wholly in the block cache, and that the kernel can't read by
// itself: a handle answers reads with a place in it, so that its bytes need not go through
// the memory of this process.
type localFile struct {
	whole *objcache.Whole
	of    object.ID // the version whose bytes it has
	users atomic.Int32
}

func newLocalFile(w *objcache.Whole, of object.ID) *localFile {
	l := &localFile{whole: w, of: of}
	l.users.Store(1)
	return l
}

// done ends one use; the last one closes the file.
func (l *localFile) done() {
	if l.users.Add(-1) == 0 {
		l.whole.Close()
	}
}

// readLocally lets the new handle h answer from the cache's file, if there is one.
func (fs *FS) readLocally(h *Handle) {
	c := fs.content(h.n)
	if c.staged != nil {
		return
	}
	if w := fs.o.Cache.Whole(c.id, c.size); w != nil {
		h.local = newLocalFile(w, c.id)
	}
}

// viewLocal returns up to n bytes from off on as a place in the cache's file; false: the
// handle has none, or the inode has another content by now, or ends before off.
func (h *Handle) viewLocal(n int, off int64) (View, bool) {
	l := h.local
	if l == nil {
		return View{}, false
	}
	c := h.fs.content(h.n)
	if c.staged != nil || c.id != l.of || off < 0 || off >= c.size {
		return View{}, false
	}
	l.users.Add(1)
	return View{File: l.whole.File(), Off: off, Size: int(min(int64(n), c.size-off)), Release: l.done}, true
}
