package vfs

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// DirEntry is one name that readdir shows.
type DirEntry struct {
	Name string
	Ino  uint64
	// Type is the file type bits of st_mode, or 0 where only the object's metadata
	// could tell whether it is a link.
	Type uint32
	// Off is the position behind this entry, where a later Seek goes on.
	Off uint64
	// Node and Attr are set, with a reference taken, where the attributes are known
	// without a request and ReadPlus asked; Node is 0 otherwise.
	Node NodeID
	Attr Attr
}

// keepBehind is how many entries a DirHandle can go back without starting again. The
// kernel asks again for what did not fit into the application's buffer.
const keepBehind = 4096

// DirHandle is an open folder: a stream of its names. It holds a page or two of a
// listing, whatever the folder's size, or shares a cached one. Its methods may be called
// concurrently.
type DirHandle struct {
	fs *FS
	n  *Inode

	mu     sync.Mutex // held across the LIST that fills the window
	src    *dirSource
	window []listed // entries base, base+1, … of a listing that is asked for
	base   uint64
	done   bool
}

// dirSource is where a DirHandle's names come from: a cached listing or the store, and
// then the names that only this mount knows yet.
type dirSource struct {
	lister *pageLister
	all    []listed // all that a complete listing has shown so far; nil once it is too long
	gen    uint64
	cached []*listed // all entries, which the listing owns; nil: the store is asked
	local  map[string]*listed
}

func (s *dirSource) close() {
	if s != nil && s.lister != nil {
		s.lister.pages.Close()
	}
}

// OpenDir opens a folder for reading its names. Release it with ReleaseDir.
func (fs *FS) OpenDir(ctx context.Context, id NodeID) (*DirHandle, error) {
	n, err := fs.folder(id)
	if err != nil {
		return nil, err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n.t.opens++
	return &DirHandle{fs: fs, n: n}, nil
}

// ReleaseDir ends a DirHandle.
func (fs *FS) ReleaseDir(d *DirHandle) {
	d.mu.Lock()
	d.src.close()
	d.src = nil
	d.mu.Unlock()
	fs.tree.Lock()
	defer fs.tree.Unlock()
	d.n.t.opens--
	fs.dropLocked(d.n)
}

// Read calls yield with the entries from position off until yield returns false or the
// folder ends. The positions 0 and 1 are "." and "..". With plus, entries whose
// attributes are known carry them and a reference; one that yield refuses gives it back.
func (d *DirHandle) Read(ctx context.Context, off uint64, plus bool, yield func(DirEntry) bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if off == 0 {
		d.rewind()
	}
	for ; off < 2; off++ {
		if !yield(d.dot(off)) {
			return nil
		}
	}
	wanted := plus && off > 2 // the kernel asks behind the first names only if somebody wants them
	for {
		e, ok, err := d.at(ctx, off-2)
		if err != nil || !ok {
			return err
		}
		if e.info.Key != "" && (plus || e.info.Size <= maxLinkSize) {
			e.info, _ = d.fs.o.Meta.Recall(e.info)
		}
		entry := d.fs.dirEntry(d.n, e, plus)
		entry.Off = off + 1
		if !yield(entry) {
			if entry.Node != 0 {
				d.fs.Forget(entry.Node, 1)
			}
			if wanted {
				d.reached(e.name)
			}
			return nil
		}
		off++
	}
}

// reached lets attributes be asked for behind a name, if they run ahead in the folder: with
// those that are in the answer, nobody looks the names up.
func (d *DirHandle) reached(name string) {
	fs := d.fs
	fs.tree.Lock()
	defer fs.tree.Unlock()
	l := d.n.t.listing
	if l == nil || l.ahead.misses < 2 || fs.o.ServerModTime {
		return
	}
	if fs.goFurtherLocked(l, l.position(name)) {
		fs.pumpLocked()
	}
}

func (d *DirHandle) dot(off uint64) DirEntry {
	d.fs.tree.Lock()
	defer d.fs.tree.Unlock()
	n, name := d.n, "."
	if off == 1 {
		name = ".."
		if n.t.parent != nil {
			n = n.t.parent
		}
	}
	return DirEntry{Name: name, Ino: n.t.attr.Ino, Type: unix.S_IFDIR, Off: off + 1}
}

// at returns the entry at a position of the stream; ok is false at the end.
func (d *DirHandle) at(ctx context.Context, pos uint64) (e listed, ok bool, err error) {
	if pos < d.base || d.src == nil {
		if !d.fs.foreseeFolder(ctx, d.n) && ctx.Err() != nil {
			return listed{}, false, object.Errorf(object.KindOf(ctx.Err()), "readdir", d.fs.keyOf(d.n), "%w", ctx.Err())
		}
		d.restart()
	}
	if all := d.src.cached; all != nil {
		if pos >= uint64(len(all)) {
			return listed{}, false, nil
		}
		d.fs.tree.Lock()
		defer d.fs.tree.Unlock()
		return *all[pos], true, nil
	}
	for pos >= d.base+uint64(len(d.window)) {
		if d.done {
			return listed{}, false, nil
		}
		more, err := d.fill(ctx)
		if err != nil {
			return listed{}, false, err
		}
		if drop := len(d.window) - keepBehind; drop > 0 && uint64(drop)+d.base <= pos {
			d.window = append([]listed(nil), d.window[drop:]...)
			d.base += uint64(drop)
		}
		d.window = append(d.window, more...)
	}
	return d.window[pos-d.base], true, nil
}

// rewind makes the next entry that is asked for come from the folder as it is by then, as
// rewinddir promises.
func (d *DirHandle) rewind() {
	d.src.close()
	d.src = nil
}

// restart begins the stream again from its first name.
func (d *DirHandle) restart() {
	fs := d.fs
	d.src.close()
	fs.tree.Lock()
	defer fs.tree.Unlock()
	d.window, d.base, d.done = nil, 0, d.n.t.gone
	d.src = &dirSource{gen: d.n.t.gen, local: map[string]*listed{}}
	for name, c := range d.n.t.children {
		if c.t.staged != nil && !c.t.remote {
			d.src.local[name] = &listed{name: name, found: found{piece: c.t.piece, form: c.t.form}}
		}
	}
	if l := fs.listingLocked(d.n); l != nil && !l.partial && !d.done {
		d.src.share(l)
	}
}

// share makes a complete listing the source. Guarded by FS.tree.
func (s *dirSource) share(l *listing) {
	s.cached = make([]*listed, 0, len(l.names)+len(s.local))
	for _, name := range l.names {
		s.cached = append(s.cached, l.byName[name])
		delete(s.local, name)
	}
	for _, e := range s.local {
		s.cached = append(s.cached, e)
	}
}

// fill returns the next entries of the stream, and notes its end.
func (d *DirHandle) fill(ctx context.Context) ([]listed, error) {
	more, last, err := d.fillRemote(ctx)
	if err != nil {
		return nil, err
	}
	local := d.src.local
	for _, e := range more {
		delete(local, e.name)
	}
	if !last {
		return more, nil
	}
	d.done = true
	for _, e := range local {
		more = append(more, *e)
	}
	return more, nil
}

// fillRemote takes a page from the store. A listing that turns out to be complete and
// not too long is cached for lookups.
func (d *DirHandle) fillRemote(ctx context.Context) ([]listed, bool, error) {
	fs, s := d.fs, d.src
	if s.lister == nil {
		prefix, held := fs.place(d.n)
		s.lister = fs.newPageLister(d.n, prefix, held)
		s.all = []listed{}
	}
	more, asked, last, err := s.lister.next(ctx)
	if err != nil {
		return nil, false, err
	}
	if s.all != nil {
		s.all = append(s.all, more...)
		if len(s.all) > fs.maxOfOne() {
			s.all = nil
		}
	}
	if last && s.all != nil {
		fs.keepListing(d.n, s.gen, s.lister.began, &s.lister.namer, s.all, true)
		s.all = nil
		return more, last, nil
	}
	d.slide(asked, slices.Clone(more))
	return more, last, nil
}

// slide shows lookups the names that were just listed, as long as this mount changes
// nothing in the folder meanwhile.
func (d *DirHandle) slide(asked asked, more []listed) {
	fs := d.fs
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if d.n.t.gen != asked.gen || d.n.t.gone || fs.o.DirCacheTime <= 0 {
		return
	}
	if l := d.n.t.listing; l != nil && !l.partial && fs.fresh(l.at) {
		return // another handle has read all of it
	}
	fs.slideLocked(d.n, d.src.lister.namer.prefix, asked.at, more)
}

// dirEntry makes the entry of a name, with attributes if that needs no request.
func (fs *FS) dirEntry(p *Inode, e listed, plus bool) DirEntry {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	d := DirEntry{Name: e.name, Type: unix.S_IFDIR}
	key := p.keyLocked() + e.piece
	if e.dir {
		key += "/"
	}
	d.Ino = fs.tree.numbers.of(key)
	if !e.dir {
		d.Type = fs.typeLocked(e)
	}
	fs.foreseeMarkerLocked(p, &e)
	n := p.t.children[e.name]
	if n == nil && plus && !p.t.gone && fs.o.DirCacheTime > 0 && fs.knownLocked(p, &e) {
		n = fs.addLocked(p, e.name, e.found)
	}
	if n == nil {
		return d
	}
	if n.t.staged == nil && len(n.t.links) == 0 && !n.overtookLocked(p, e.name, e.found) && n.fitsLocked(p, e.name, e.found) && !fs.fresh(n.t.checked) {
		fs.updateLocked(n, e.found)
	}
	if n.dir == e.dir && fs.shownLocked(n) || n.t.staged != nil {
		d.Ino, d.Type = n.t.attr.Ino, n.t.attr.Mode&unix.S_IFMT
		if plus {
			n.t.lookups++
			d.Node, d.Attr = n.t.node, n.attrLocked()
		}
	}
	fs.dropLocked(n)
	return d
}

// maxLinkSize bounds the objects that may be links: a target's length, PATH_MAX - 1.
const maxLinkSize = 4095

// typeLocked tells a listed object's type, or 0 where only its metadata could: links
// are small objects that say so in their mode.
func (fs *FS) typeLocked(e listed) uint32 {
	if e.info.Meta != nil {
		return fs.def.attrOf(e.info, false).Mode & unix.S_IFMT
	}
	if fs.o.ServerModTime || e.info.Size > maxLinkSize || e.info.Key == "" {
		return unix.S_IFREG
	}
	return 0
}

// isEmpty reports whether a folder has no names, asking the store, and learns whether an
// empty one has a marker. The caller holds ns and the folder's dirMu.
func (fs *FS) isEmpty(ctx context.Context, n *Inode) (bool, error) {
	fs.tree.Lock()
	prefix, held, staged := n.keyLocked(), n.heldLocked(), n.hasStagedLocked()
	fs.tree.Unlock()
	if staged {
		return false, nil
	}
	l := fs.newLister(prefix, held)
	l.query.Max = 3
	for {
		names, done, err := l.next(ctx)
		if err != nil || len(names) > 0 {
			return false, err
		}
		if done {
			break
		}
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.learnMarkerLocked(n, &l.namer)
	return true, nil
}

// hasStagedLocked reports whether a file in a folder is written that may not be stored yet.
func (n *Inode) hasStagedLocked() bool {
	for _, c := range n.t.children {
		if c.t.staged != nil && !c.t.gone {
			return true
		}
	}
	return false
}
