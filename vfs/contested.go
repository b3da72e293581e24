package vfs

import (
	"context"
	"time"
)

// A program opens a name by two requests of the kernel: a lookup, which finds the inode, and
// an open of that. If the name is replaced in between, the open is answered with KindStale
// and the kernel looks again, once: if that happens a second time, the program has an
// error that no local disk gives. So a name whose inode could not be opened is contested for
// a while. A file that is removed or replaced under such a name keeps its content, as if it
// were open, and can still be opened.

// contendedFor is how long a name is contested: much longer than the kernel needs from a
// lookup to the open.
const contendedFor = 2 * time.Second

// maxKept bounds the files that are kept at the same time, each with a local file and a
// goroutine that waits. Beyond, a name is as it is without this: a second replacement
// between a lookup and its open is KindStale.
const maxKept = 1000

// contendLocked notes that an inode which the kernel has just looked up could not be opened.
func (fs *FS) contendLocked(n *Inode) {
	if n.t.parent != nil {
		fs.tree.contested.add(n.t.parent.id, n.t.name, fs.now())
	}
}

// contestedLocked reports whether the inode's name is contested.
func (fs *FS) contestedLocked(n *Inode) bool {
	if n.t.parent == nil || n.t.gone {
		return false
	}
	at, ok := fs.tree.contested.get(n.t.parent.id, n.t.name)
	return ok && fs.now().Sub(at) < contendedFor
}

// keep makes the content of an inode that nobody has open, and that is about to lose its
// name, outlive that for contendedFor. Where it can't be local, the inode is lost as any
// other. The caller holds n.mu.
func (n *Inode) keep(ctx context.Context) {
	fs := n.fs
	fs.tree.Lock()
	had, full := n.t.staged, fs.tree.kept >= maxKept
	fs.tree.Unlock()
	if full {
		return
	}
	s, err := n.stage()
	if err != nil {
		return
	}
	if s.Hydrate(ctx) != nil || fs.ctx.Err() != nil {
		if had == nil {
			n.unstage()
			s.Discard()
		}
		return
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if n.t.kept {
		return // by an operation that failed
	}
	n.t.kept = true
	fs.tree.kept++
	n.t.pins++
	fs.wg.Go(n.endKeeping)
}

// endKeeping ends what keep began.
func (n *Inode) endKeeping() {
	fs := n.fs
	defer fs.unpin(n)
	select {
	case <-fs.ctx.Done():
	case <-time.After(contendedFor):
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	fs.tree.Lock()
	n.t.kept = false
	fs.tree.kept--
	fs.tree.Unlock()
	n.settle(fs.lasting) // nobody is left to be told
}
