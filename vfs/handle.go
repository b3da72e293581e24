package vfs

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// Handle is an open file. Its methods may be called concurrently; Release is the last.
type Handle struct {
	fs    *FS
	n     *Inode
	write bool

	mu     sync.Mutex // guards these
	reader *objcache.Reader
	of     object.ID // the version that reader reads
	failed failedRead

	// At most one of these is not nil. They are set before the handle is used.
	through *through   // the kernel reads that file
	local   *localFile // reads are answered from that file
}

// Open opens a file. keep says that the pages which the kernel has of it are still right.
// KindStale: the name stands for another version now than the inode, look it up again.
func (fs *FS) Open(ctx context.Context, id NodeID, write bool) (h *Handle, keep bool, err error) {
	n, err := fs.node(id)
	if err != nil {
		return nil, false, err
	}
	fs.ns.RLock()
	defer fs.ns.RUnlock()
	h, err = fs.openNode(ctx, n, id, write)
	if err != nil {
		return nil, false, err
	}
	fs.pass(h, id)
	return h, fs.keepPages(n), nil
}

// keepPages makes sure that the kernel has no pages of another version than the inode's,
// which a handle keeps from changing. It returns whether the pages that there are can stay.
//
// The answer to an open would make the kernel drop its pages, too, but only when it gets
// there: one to a later open, which finds the version noted here, may be the first.
func (fs *FS) keepPages(n *Inode) bool {
	fs.tree.Lock()
	version, node := n.t.info.ID(), n.t.node
	keep := n.t.staged != nil || n.t.pages == version && version.ETag != ""
	virgin := n.t.virgin
	n.t.virgin = false
	fs.tree.Unlock()
	if keep {
		return true
	}
	if !virgin && fs.inval != nil {
		// It waits for reads and writes of these pages that are under way, and those need
		// no lock that is held here.
		fs.inval.InvalidateContent(node)
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if n.t.node == node && n.t.info.ID() == version {
		n.t.pages = version
	}
	return false
}

// awaitIdle returns when the operation that holds mu, if any, has ended.
func (n *Inode) awaitIdle() {
	n.mu.Lock()
	defer n.mu.Unlock()
}

// openNode opens an inode by its number id, or by whatever it has (0). The caller holds ns.
func (fs *FS) openNode(ctx context.Context, n *Inode, id NodeID, write bool) (*Handle, error) {
	if n.dir {
		return nil, object.Errorf(object.KindIsDir, "open", fs.keyOf(n), "")
	}
	if write && fs.o.ReadOnly {
		return nil, object.Errorf(object.KindReadOnly, "open", fs.keyOf(n), "mounted with --read-only")
	}
	if fs.o.DirCacheTime == 0 {
		// What was asked before this open may not know what was stored before it.
		fs.heads.Forget(fs.keyOf(n))
	}
	replaced, err := fs.revalidate(ctx, n)
	if object.Is(err, object.KindNotFound) {
		// The kernel still knows a name that is gone: looking it up again, it makes the
		// file where it is to be made.
		return nil, object.Errorf(object.KindStale, "open", fs.keyOf(n), "the object was removed")
	}
	if err != nil {
		return nil, err
	}
	if replaced {
		return nil, object.Errorf(object.KindStale, "open", fs.keyOf(n), "the object was replaced")
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	for n.t.leaving {
		fs.tree.Unlock()
		n.awaitIdle() // until it has left, or stays
		fs.tree.Lock()
	}
	if n.t.gone && (n.t.aside != nil || !n.t.kept && (write || n.t.opens == 0)) {
		// The kernel still knows a name that is gone or stands for another object. What
		// is written here would go nowhere, silently: ESTALE makes it look again.
		fs.contendLocked(n)
		return nil, object.Errorf(object.KindStale, "open", n.keyLocked(), "the name was removed or replaced")
	}
	if err := n.refusePassedLocked(id, write); err != nil {
		return nil, err
	}
	n.t.opens++
	if write {
		n.t.writers++
	}
	return &Handle{fs: fs, n: n, write: write}, nil
}

// Node returns the inode that the handle is of.
func (h *Handle) Node() NodeID { return h.n.ID() }

// content is where an inode's bytes are at one moment.
type content struct {
	staged *writeback.Staged
	id     object.ID
	size   int64
}

func (fs *FS) content(n *Inode) content {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return content{n.t.staged, n.t.info.ID(), n.t.info.Size}
}

// ReadAt reads as io.ReaderAt does. What this mount wrote is seen at once; otherwise the
// bytes are of the version that the file had at open, or the error is KindStale.
func (h *Handle) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return h.read(ctx, p, off, func(r *objcache.Reader) (int, error) { return r.ReadAt(ctx, p, off) })
}

// View is bytes of a file in place: Size bytes of File from Off on, or, without a File, those
// in Parts. Release it when they are used.
type View struct {
	Parts   [][]byte
	File    *os.File
	Off     int64
	Size    int
	Release func()
}

// View is ReadAt without a copy, where the bytes are in memory; else they are put into p,
// which belongs to the View until Release. After an error other than io.EOF there is none.
func (h *Handle) View(ctx context.Context, p []byte, off int64) (View, error) {
	if v, ok := h.viewLocal(len(p), off); ok {
		return v, nil
	}
	var v objcache.View
	inPlace := false
	n, err := h.read(ctx, p, off, func(r *objcache.Reader) (_ int, err error) {
		v, err = r.View(ctx, p, off)
		inPlace = err == nil || err == io.EOF
		return v.Len(), err
	})
	switch {
	case err != nil && err != io.EOF:
		return View{}, err
	case inPlace:
		return View{Parts: v.Parts, Release: v.Release}, err
	}
	return View{Parts: [][]byte{p[:n]}, Release: func() {}}, err
}

// failedRead is the last read of a remote version for which the store did not answer in all
// of its time. The kernel asks at once for the first page again, whose reader would wait twice
// as long.
type failedRead struct {
	of       object.ID
	off, end int64
	at       time.Time
	err      error
}

// failureLasts is how long a read fails as the one before it did.
const failureLasts = 250 * time.Millisecond

// failedBefore returns the error of a read that has just failed where this one begins.
func (h *Handle) failedBefore(of object.ID, off int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	age := h.fs.now().Sub(h.failed.at)
	if f := h.failed; f.of == of && off >= f.off && off < f.end && age >= 0 && age < failureLasts {
		return f.err
	}
	return nil
}

// noteFailure remembers a read of n bytes that failed for want of an answer.
func (h *Handle) noteFailure(of object.ID, off int64, n int, err error) {
	if k := object.KindOf(err); k != object.KindUnavailable && k != object.KindTimeout {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = failedRead{of: of, off: off, end: off + int64(n), at: h.fs.now(), err: err}
}

// read reads into p what is local, and lets remote read the rest.
func (h *Handle) read(ctx context.Context, p []byte, off int64, remote func(*objcache.Reader) (int, error)) (int, error) {
	for {
		c := h.fs.content(h.n)
		var k int
		var err error
		var r *objcache.Reader
		if c.staged != nil {
			k, err = c.staged.ReadAt(ctx, p, off)
		} else if err = h.failedBefore(c.id, off); err != nil {
			return 0, err
		} else {
			r = h.readerOf(c)
			k, err = remote(r)
		}
		if err == nil || err == io.EOF || ctx.Err() != nil {
			return k, err
		}
		// The content may just have moved: from a staged file into the cache, or to
		// another key by a rename. Whoever moves it holds mu.
		h.n.mu.Lock()
		now := h.fs.content(h.n)
		h.n.mu.Unlock()
		if now == c && (r == nil || h.has(r)) {
			if object.Is(err, object.KindNotFound) { // ENOENT is about a name, and this has none
				err = object.Errorf(object.KindStale, "read", c.id.Key, "somebody else removed the object: %w", err)
			}
			if r != nil {
				h.noteFailure(c.id, off, len(p), err)
			}
			return 0, err
		}
	}
}

// has reports whether r is still the handle's reader. A read that began when the content was
// elsewhere, and comes late, may have closed it.
func (h *Handle) has(r *objcache.Reader) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reader == r
}

// readerOf returns the handle's reader of a remote version.
func (h *Handle) readerOf(c content) *objcache.Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reader == nil && c.size <= maxSmall {
		h.fs.noteRead(h.n)
	}
	if h.reader == nil || h.of != c.id {
		if h.reader != nil {
			h.reader.Close()
		}
		h.reader, h.of = h.fs.o.Cache.Reader(c.id, c.size), c.id
	}
	return h.reader
}

// KillPriv takes setuid and setgid away, as a write by somebody without privilege does.
// The change is stored with the content.
func (h *Handle) KillPriv() {
	h.fs.tree.Lock()
	defer h.fs.tree.Unlock()
	h.n.t.attr.Mode = withoutPriv(h.n.t.attr.Mode)
}

// WriteAt writes all of p into the staged file, and returns len(p) or an error.
func (h *Handle) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	if !h.write {
		return 0, object.Errorf(object.KindBadHandle, "write", h.fs.keyOf(h.n), "opened for reading")
	}
	n, fs := h.n, h.fs
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.stage()
	if err != nil {
		return 0, err
	}
	k, err := s.WriteAt(ctx, p, off)
	if k > 0 {
		fs.tree.Lock()
		n.t.attr.Size = s.Size()
		n.t.attr.Mtime = fs.now()
		n.t.attr.Ctime = n.t.attr.Mtime
		fs.tree.Unlock()
	}
	return k, err
}

// openBase reads the version beneath an edit.
func (fs *FS) openBase(id object.ID, size int64) writeback.Base { return fs.o.Cache.Reader(id, size) }

// stage makes an inode's content local. KindStale: somebody else took the name away, and
// what would be written could never be stored. The caller holds n.mu.
func (n *Inode) stage() (*writeback.Staged, error) {
	fs := n.fs
	fs.tree.Lock()
	s, info, remote := n.t.staged, n.t.info, n.t.remote
	lost, aside := n.t.gone && !n.t.removed, n.t.aside
	fs.tree.Unlock()
	if aside != nil {
		return nil, aside
	}
	if s != nil && !s.Promised() {
		return s, nil
	}
	promised := s
	if lost {
		return nil, object.Errorf(object.KindStale, "write", info.Key, "the object was replaced or removed by somebody else")
	}
	var err error
	if s = n.stagePassed(); s != nil {
		// it is the file that the kernel reads
	} else if remote {
		s, err = fs.o.Queue.StageOver(info.ID(), info.Size, fs.openBase)
	} else {
		s, err = fs.o.Queue.Stage()
	}
	if err != nil {
		return nil, err
	}
	fs.tree.Lock()
	n.t.staged = s
	if promised != nil {
		n.t.told = toldFailure{} // of the other file
	}
	fs.tree.Unlock()
	if promised != nil { // by an operation that failed then
		promised.Discard()
	}
	n.retarget()
	return s, nil
}

// retarget tells the staged file which key it will have, so that full parts can go up
// before it is closed. The caller holds n.mu, or n is new.
func (n *Inode) retarget() {
	key, o, s := n.target()
	if s != nil {
		s.SetTarget(key, o)
	}
}

// target returns where an inode's content goes and what is stored beside it. The key is
// empty for an inode without a name.
func (n *Inode) target() (key string, o object.PutOptions, s *writeback.Staged) {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	switch {
	case n.t.aside != nil:
		key = n.t.aside.Kept
	case !n.t.gone:
		key = n.keyLocked()
	}
	o.Condition = n.conditionLocked()
	o.Meta = putMeta(n.metaLocked(), n.t.attr)
	delete(o.Meta, object.MetaMD5) // of the content that was
	o.ContentType = n.t.info.ContentType
	return key, o, n.t.staged
}

// Flush is close() of one file descriptor: it returns when S3 has what was written.
func (h *Handle) Flush(ctx context.Context) error {
	if !h.write {
		return nil
	}
	return h.Fsync(ctx)
}

// Fsync returns when S3 has the file as it is now, or with S3's error; then the file
// stays as it is, and a later Fsync or Flush tries again. The end of the caller's context
// does not end it: an upload is of one state, and the next close must find it whole.
func (h *Handle) Fsync(context.Context) error {
	n := h.n
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.syncHeld(h.fs.lasting)
	if aside := n.lost(); err == nil && aside != nil {
		return aside
	}
	if err == nil {
		n.letGo()
		err = n.lateFailure()
	}
	n.tell(err)
	return err
}

// Release ends a handle. What no Flush uploaded (pages of a mapping, say) is uploaded
// now; if that fails it is kept in Options.UnsentDir, and the log says so. What Flush
// failed to upload is kept likewise, and not tried again: the application knows that it
// failed, and may have written elsewhere.
func (h *Handle) Release() {
	fs, n := h.fs, h.n
	h.mu.Lock()
	if h.reader != nil {
		h.reader.Close()
	}
	h.mu.Unlock()
	fs.tree.Lock()
	n.t.opens--
	if h.write {
		n.t.writers--
	}
	n.t.pins++
	fs.tree.Unlock()
	defer fs.unpin(n)
	if h.local != nil {
		h.local.done()
	}
	h.released()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settle(fs.lasting) // nobody is left to be told
}

// Truncate is ftruncate: it sets the size, which the next Flush or Fsync stores.
func (h *Handle) Truncate(ctx context.Context, size int64) error {
	if !h.write {
		return object.Errorf(object.KindInvalid, "ftruncate", h.fs.keyOf(h.n), "opened for reading")
	}
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	return h.n.truncate(ctx, size)
}
