package vfs

import (
	"maps"
	"os"
	"slices"
	"time"

	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// A file that is wholly in the block cache is read by the kernel itself, without a
// request: it is passed through. The kernel's rules for that are of its own inodes, which
// is what a NodeID stands for: while one is open so, every open of it must be, with the
// same local file, and as long as one is open by requests none may be passed through.
//
//   - Whoever opens a file for reading, and nobody else has it open, gets it passed
//     through if the cache has a file for it; who comes later has to follow.
//   - Whoever opens for writing a NodeID that is passed through is told to look the name
//     up again (KindStale), and finds the same Inode under a new NodeID, which is read
//     and written by requests. Its old NodeID goes on until the kernel forgets it.
//   - What is written then must be seen by those who read past us. So the file that they
//     read becomes the staged one, and returns into the cache when it is uploaded.
//   - A mapping outlives its handle without our being told: the file counts as in use
//     until nobody has it open any more (objcache.Whole.Alone).

// Passer has the kernel read local files; fusefs implements it.
type Passer interface {
	// Able reports whether files can be passed through, as far as is known.
	Able() bool
	// Pass names a local file to the kernel; false: it can't be passed through.
	Pass(f *os.File) (backing int32, ok bool)
	// Unpass ends that, once no handle needs it.
	Unpass(backing int32)
}

// SetPasser names who passes files through; before the first operation. Without one all
// is read by requests.
func (fs *FS) SetPasser(p Passer) { fs.passer = p }

// through is a local file that the kernel reads as one NodeID. Guarded by FS.tree.
type through struct {
	whole   *objcache.Whole
	of      object.ID         // the version whose bytes it has
	staged  *writeback.Staged // not nil: it is the file of that
	node    NodeID
	backing int32
	opens   int // handles; 0: it may still be mapped
}

// currentLocked reports whether a file that is passed through has the inode's content.
func (t *through) currentLocked(n *Inode) bool {
	if n.t.staged != nil {
		return t.staged == n.t.staged
	}
	return t.of == n.t.info.ID() && t.of.ETag != ""
}

// Backing returns what the kernel is to read instead of asking for the bytes; false: it
// is to ask.
func (h *Handle) Backing() (backing int32, ok bool) {
	if h.through == nil {
		return 0, false
	}
	return h.through.backing, true
}

// refusePassedLocked says whether an open of node id, which may be 0 for that which the
// inode has now, must be repeated under another id.
func (n *Inode) refusePassedLocked(id NodeID, write bool) error {
	t := n.t.through
	passed := t != nil && t.opens > 0
	if passed && t.node == n.t.node && (write || !t.currentLocked(n)) {
		n.fs.renumberLocked(n)
	}
	if id == 0 || id == n.t.node || passed && t.node == id && !write && t.currentLocked(n) {
		return nil
	}
	n.fs.contendLocked(n)
	return object.Errorf(object.KindStale, "open", n.keyLocked(), "the file is read past the mount under this number")
}

// renumberLocked gives an inode a new NodeID.
func (fs *FS) renumberLocked(n *Inode) {
	if n.t.former == nil {
		n.t.former = map[NodeID]uint64{}
	}
	n.t.former[n.t.node] = n.t.lookups
	fs.tree.lastID++
	n.t.node, n.t.lookups = fs.tree.lastID, 0
	n.t.pages, n.t.virgin = object.ID{}, true
	fs.tree.nodes[n.t.node] = n
}

// forgetLocked takes back references on one of the inode's NodeIDs.
func (n *Inode) forgetLocked(id NodeID, count uint64) {
	if id == n.t.node {
		n.t.lookups -= min(count, n.t.lookups)
		return
	}
	n.t.former[id] -= min(count, n.t.former[id])
	if n.t.former[id] == 0 {
		delete(n.t.former, id)
		delete(n.fs.tree.nodes, id)
	}
}

// knownLocked reports whether the kernel has references to one of the inode's NodeIDs.
func (n *Inode) knownLocked(id NodeID) bool {
	return id == n.t.node && n.t.lookups > 0 || n.t.former[id] > 0
}

// pass makes the new handle h, of NodeID id, one that is passed through, if that can be.
func (fs *FS) pass(h *Handle, id NodeID) {
	n := h.n
	if h.write {
		return
	}
	// A promised file belongs to the journal: it must not change under the kernel's hands.
	if fs.o.Promises != nil || fs.passer == nil || !fs.passer.Able() {
		fs.readLocally(h)
		return
	}
	n.distrustPassed()
	fs.tree.Lock()
	t := n.t.through
	if t != nil && t.node == id && (t.opens > 0 || n.t.opens == 1) && t.currentLocked(n) {
		t.opens++
		h.through = t
		fs.tree.Unlock()
		return
	}
	may := t == nil && fs.mayPassLocked(n, id) && !fs.contestedLocked(n)
	version, size := n.t.info.ID(), n.t.info.Size
	fs.tree.Unlock()
	if !may {
		return
	}
	w := fs.o.Cache.Whole(version, size)
	if w == nil {
		return
	}
	backing, ok := fs.passer.Pass(w.File())
	if !ok {
		h.local = newLocalFile(w, version)
		return
	}
	fs.tree.Lock()
	ok = fs.mayPassLocked(n, id) && n.t.through == nil && n.t.info.ID() == version
	if ok {
		h.through = &through{whole: w, of: version, node: id, backing: backing, opens: 1}
		n.t.through = h.through
	}
	fs.tree.Unlock()
	if !ok { // somebody else opened it meanwhile, for requests
		fs.passer.Unpass(backing)
		w.Close()
	}
}

// mayPassLocked reports whether a handle is alone on an inode with the bytes of a version.
func (fs *FS) mayPassLocked(n *Inode, id NodeID) bool {
	return n.t.opens == 1 && n.t.staged == nil && n.t.remote && id == n.t.node
}

// released ends a handle's use of a file that is passed through.
func (h *Handle) released() {
	if h.through == nil {
		return
	}
	h.fs.tree.Lock()
	h.through.opens--
	h.fs.tree.Unlock()
	h.n.endPassing()
}

// endPassing closes the inode's file that was passed through, unless it is in use.
func (n *Inode) endPassing() {
	fs := n.fs
	fs.tree.Lock()
	t := n.t.through
	if t == nil || t.opens > 0 {
		fs.tree.Unlock()
		return
	}
	if n.knownLocked(t.node) && !t.whole.Alone() { // a mapping keeps the kernel's reference
		fs.tree.lingering[n] = struct{}{}
		begin := !fs.tree.sweeping && fs.ctx.Err() == nil
		fs.tree.sweeping = fs.tree.sweeping || begin
		fs.tree.Unlock()
		if begin {
			fs.wg.Go(fs.sweepPassed)
		}
		return
	}
	n.dropPassedLocked()
	fs.tree.Unlock()
	fs.closePassed(t)
}

// distrustPassed ends the passing of a file that lingers and was changed meanwhile by
// somebody else: it is no longer known to hold the version. Who has it mapped keeps it.
func (n *Inode) distrustPassed() {
	fs := n.fs
	fs.tree.Lock()
	t := n.t.through
	if t == nil || t.opens > 0 || t.staged != nil || t.whole.Right() {
		fs.tree.Unlock()
		return
	}
	n.dropPassedLocked()
	fs.tree.Unlock()
	fs.closePassed(t)
}

// dropPassedLocked forgets the inode's file that was passed through. The caller closes it.
func (n *Inode) dropPassedLocked() {
	n.t.through = nil
	delete(n.fs.tree.lingering, n)
}

func (fs *FS) closePassed(t *through) {
	fs.passer.Unpass(t.backing)
	t.whole.Close()
}

// What lingers is looked at soon, since the kernel closes a file a moment after it tells
// of that, then less and less often.
const (
	sweepFirst = 50 * time.Millisecond
	sweepMost  = 10 * time.Second
)

// sweepPassed ends the passing of files that were in use when they were closed, once they
// are not. It runs while there are any.
func (fs *FS) sweepPassed() {
	for pause := sweepFirst; ; pause = min(2*pause, sweepMost) {
		select {
		case <-fs.ctx.Done():
			return
		case <-time.After(pause):
		}
		fs.tree.Lock()
		left := slices.Collect(maps.Keys(fs.tree.lingering))
		for _, n := range left {
			n.t.pins++
		}
		fs.tree.sweeping = len(left) > 0
		fs.tree.Unlock()
		if len(left) == 0 {
			return
		}
		for _, n := range left {
			n.endPassing()
			fs.unpin(n)
		}
	}
}

// stagePassed makes the file that is passed through the staged one; nil: there is none,
// or the cache no longer has it. The caller holds n.mu.
func (n *Inode) stagePassed() *writeback.Staged {
	fs := n.fs
	n.endPassing()
	fs.tree.Lock()
	t, info := n.t.through, n.t.info
	current := t != nil && t.currentLocked(n)
	fs.tree.Unlock()
	if !current {
		return nil
	}
	s, err := fs.o.Queue.StageFile(info.ID(), info.Size, func(path string) (int64, error) {
		return fs.o.Cache.Take(t.whole, info.ID(), path)
	})
	if err != nil {
		fs.log.Warn("who has the file open for reading will not see what is written now", "key", info.Key, "err", err)
		return nil
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	t.staged, t.of = s, object.ID{} // until it is a version again
	return s
}

// adoptPassed tells the cache that it has the file again that is passed through.
func (n *Inode) adoptPassed(id object.ID) {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	if t := n.t.through; t != nil && t.staged != nil && t.staged == n.t.staged && n.fs.o.Cache.Given(t.whole, id) {
		t.of, t.staged = id, nil
	}
}
