package vfs

import (
	"context"
	"errors"
	"maps"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Lookup finds a name in a folder and takes a reference on its inode for the kernel.
func (fs *FS) Lookup(ctx context.Context, parent NodeID, name string) (Entry, error) {
	p, err := fs.folder(parent)
	if err != nil {
		return Entry{}, err
	}
	fs.ns.RLock()
	defer fs.ns.RUnlock()
	p.dirMu.RLock()
	defer p.dirMu.RUnlock()
	n, err := fs.findWith(ctx, p, name, fs.attributesFor(p))
	if err != nil {
		return Entry{}, err
	}
	return fs.entry(n), nil
}

// find returns the inode of a name with its true attributes, pinned. The caller holds
// ns and the folder's dirMu, at least shared.
func (fs *FS) find(ctx context.Context, p *Inode, name string) (*Inode, error) {
	return fs.findWith(ctx, p, name, allAttributes)
}

// findWith is find for who needs no more attributes than these.
func (fs *FS) findWith(ctx context.Context, p *Inode, name string, a attributes) (*Inode, error) {
	if len(name) > keyname.MaxName {
		return nil, object.Errorf(object.KindNameTooLong, "lookup", fs.keyOf(p)+name, "names end at %d bytes", keyname.MaxName)
	}
	for {
		if n, err := fs.findOnce(ctx, p, name, a); err != errOvertaken {
			return n, err
		}
	}
}

// attributes is how much of a file's attributes somebody needs.
type attributes uint8

const (
	noAttributes  attributes = iota // who is about to remove it
	typeAndSize                     // the kernel, on behalf of such a one
	allAttributes                   // the object's own
)

// emptying is how long after a file was removed from a folder the next ones are taken to
// be looked up in order to be removed, too.
const emptying = time.Second

// attributesFor is what a lookup in a folder needs. The kernel looks up each file that
// rm -rf removes, and uses nothing of the answer but the type, which is known of all files
// that are too large to be links. In a folder with the sticky bit it uses the owner.
func (fs *FS) attributesFor(p *Inode) attributes {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if fs.now().Sub(p.t.unlinked) < emptying && p.t.attr.Mode&unix.S_ISVTX == 0 {
		return typeAndSize
	}
	return allAttributes
}

// enough reports whether a request for an inode's attributes can be spared.
func (a attributes) enough(n *Inode) bool {
	if n.dir || a == allAttributes {
		return false
	}
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	return a == noAttributes || n.t.remote && n.t.info.Size > maxLinkSize
}

// errOvertaken says that this mount stored or removed what a name stands for while the
// store was asked: the answer may be from before, and is no news.
var errOvertaken = errors.New("overtaken")

func (fs *FS) findOnce(ctx context.Context, p *Inode, name string, a attributes) (*Inode, error) {
	s := fs.findCached(p, name)
	var err error
	if s.how == isUnknown {
		if s.found, err = fs.findRemote(ctx, p, name); err != nil {
			return nil, fs.vanished(p, name, s, s.asked, err)
		}
		s.how = isListed
	}
	if s.how == isListed && s.found.dir && s.found.hasMarker == markerUnknown && !fs.o.ServerModTime {
		if s, err = fs.findMarker(ctx, p, name, s); err != nil {
			return nil, err
		}
	}
	switch s.how {
	case isAbsent:
		return nil, object.Errorf(object.KindNotFound, "lookup", fs.keyOf(p)+name, "")
	case isHere:
		return s.n, nil
	}
	s.found.info = fs.newest(s.found.info)
	if s.found.info.Key != "" {
		s.found.info, _ = fs.o.Meta.Recall(s.found.info)
	}
	n := fs.apply(p, name, s)
	if n == nil {
		return nil, errOvertaken
	}
	if a.enough(n) {
		return n, nil
	}
	fs.runAhead(p, n)
	if fs.o.ServerModTime {
		return n, nil
	}
	if asked, err := fs.loadMetaOnce(ctx, n); err != nil {
		fs.unpin(n)
		return nil, fs.vanished(p, name, s, asked, err)
	}
	return n, nil
}

type cached uint8

const (
	isUnknown cached = iota
	isAbsent         // certainly not there
	isListed         // found tells what it is
	isHere           // n is right as it is, and pinned
)

// sought is what is known of a name before the store is asked.
type sought struct {
	how   cached
	n     *Inode
	found found
	asked time.Time // when it was sought
	// currentLocked tells whether this mount left alone what the name stands for.
	currentLocked func() bool
}

// findCached answers from the table and the listing.
func (fs *FS) findCached(p *Inode, name string) sought {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if p.t.gone {
		return sought{how: isAbsent}
	}
	n := p.t.children[name]
	if n != nil && (n.t.staged != nil || fs.shownLocked(n) && fs.fresh(n.checkedLocked(p, name))) {
		n.t.pins++
		return sought{how: isHere, n: n}
	}
	current := fs.askingNameLocked(p, name)
	l := fs.listingLocked(p)
	if l == nil {
		return sought{how: isUnknown, asked: fs.now(), currentLocked: current}
	}
	e := l.byName[name]
	switch {
	case e == nil && !l.partial:
		return sought{how: isAbsent}
	case e == nil || l.partial && !fs.fresh(e.at):
		if at, ok := fs.tree.absent.get(p.id, name); ok && fs.fresh(at) {
			return sought{how: isAbsent}
		}
		return sought{how: isUnknown, asked: fs.now(), currentLocked: current}
	}
	l.ahead.answers++
	fs.foreseeMarkerLocked(p, e)
	return sought{how: isListed, found: e.found, asked: fs.now(), currentLocked: current}
}

// shownLocked reports whether an inode's attributes are those that are to be shown.
func (fs *FS) shownLocked(n *Inode) bool {
	return n.t.hasMeta || fs.o.ServerModTime && n.t.attr.Mode != 0
}

// askingNameLocked is asking for the file and the folder that a name may stand for.
func (fs *FS) askingNameLocked(p *Inode, name string) (currentLocked func() bool) {
	piece, _, _ := keyname.Parse(p.heldLocked(), name) // what is no name has no key
	key := p.keyLocked() + piece
	file, folder := fs.askingLocked(key), fs.askingLocked(key+"/")
	return func() bool { return file() && folder() }
}

// findRemote asks the store: by the folder's first page where that may be all of it,
// so that one request answers for all its names, else for this name alone.
func (fs *FS) findRemote(ctx context.Context, p *Inode, name string) (found, error) {
	fs.tree.Lock()
	// What was known of a folder that one page shows is renewed as a whole.
	goneThrough := p.t.listing != nil && !p.t.listing.onePage() && p.t.listing.pagePaysLocked()
	known := fs.listingLocked(p) != nil
	prefix, held := p.keyLocked(), p.heldLocked()
	fs.tree.Unlock()
	if goneThrough && fs.o.DirCacheTime > 0 {
		if f, ok, err := fs.listTogether(ctx, p, name); ok || err != nil {
			return f, err
		}
	} else if !known && fs.o.DirCacheTime > 0 {
		fs.walkAgain(p, name)
		fs.guessBelow(p, name)
		if err := fs.loadTogether(ctx, p); err != nil {
			return found{}, err
		}
		fs.tree.Lock()
		l := fs.listingLocked(p)
		if l != nil && !l.partial {
			defer fs.tree.Unlock()
			if e := l.byName[name]; e != nil {
				fs.foreseeMarkerLocked(p, e)
				return e.found, nil
			}
			return found{}, object.Errorf(object.KindNotFound, "lookup", prefix+name, "")
		}
		fs.tree.Unlock()
	}
	return fs.ask(ctx, prefix, held, name)
}

// vanished takes away the inode of a name if err, which is of a request at the time asked,
// says that the store no longer has it. It returns err, or errOvertaken.
func (fs *FS) vanished(p *Inode, name string, s sought, asked time.Time, err error) error {
	if !object.Is(err, object.KindNotFound) {
		return err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n := p.t.children[name]
	if !s.currentLocked() || n != nil && n.checkedAfterLocked(p, name, asked) {
		return errOvertaken
	}
	if n != nil && n.t.staged == nil {
		fs.loseLocked(p, name, n)
		fs.dropLocked(n)
	}
	fs.patchLocked(p, name, nil)
	if l := fs.listingLocked(p); l != nil && l.partial {
		fs.tree.absent.add(p.id, name, asked)
	}
	return err
}

// apply makes the inode of a name stand for what was found, and pins it; nil: the find
// was overtaken. An inode with open handles keeps its version: if that differs, the name
// gets another inode.
func (fs *FS) apply(p *Inode, name string, s sought) *Inode {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if !s.currentLocked() {
		return nil
	}
	f := s.found
	n := p.t.children[name]
	if n != nil {
		f.info = fs.catchUpLocked(n, f.info)
	}
	if n != nil && n.overtookLocked(p, name, f) {
		n.t.pins++
		return n
	}
	if n != nil && n.t.staged == nil && !n.fitsLocked(p, name, f) {
		fs.loseLocked(p, name, n)
		fs.dropLocked(n)
		n = nil
	}
	if n == nil {
		n = fs.addLocked(p, name, f)
	}
	n.t.pins++
	if l := n.linkLocked(p, name); l != nil {
		l.info, l.checked = f.info, f.at
	} else if n.t.staged == nil {
		fs.updateLocked(n, f)
	}
	return n
}

// overtookLocked reports whether what is known of n was asked for after f was, and differs:
// of two answers that cross, the later question's counts.
func (n *Inode) overtookLocked(p *Inode, name string, f found) bool {
	if !n.checkedAfterLocked(p, name, f.at) {
		return false
	}
	switch {
	case n.dir != f.dir:
		return true
	case n.dir:
		return n.fs.shownLocked(n)
	}
	info := n.t.info
	if l := n.linkLocked(p, name); l != nil {
		info = l.info
	}
	return n.t.staged != nil || info.Key != "" && !info.SameVersion(f.info)
}

// checkedAfterLocked reports whether a name of n was confirmed by a question later than at.
func (n *Inode) checkedAfterLocked(p *Inode, name string, at time.Time) bool {
	checked := n.checkedLocked(p, name)
	return checked.After(at) && !checked.After(n.fs.now()) // else the clock was set back
}

// fitsLocked reports whether n may stand for f under one of its names.
func (n *Inode) fitsLocked(p *Inode, name string, f found) bool {
	if n.dir != f.dir {
		return false
	}
	if l := n.linkLocked(p, name); l != nil {
		return l.info.Key == "" || l.info.SameBytes(f.info)
	}
	if len(n.t.links) > 0 && n.t.remote && !n.t.info.SameBytes(f.info) {
		return false // the other names keep what they have
	}
	return n.dir || n.t.opens == 0 || n.t.info.SameBytes(f.info)
}

// updateLocked brings an inode up to what was found.
func (fs *FS) updateLocked(n *Inode, f found) {
	wasFresh := fs.fresh(n.t.checked)
	if f.at.After(n.t.checked) || n.t.checked.After(fs.now()) { // the clock was set back
		n.t.checked = f.at
	}
	if !n.dir {
		fs.setInfoLocked(n, f.info)
		return
	}
	switch {
	case f.hasMarker == markerNo:
		fs.noMarkerLocked(n)
	case f.info.Key != "":
		n.t.marker = markerYes
		fs.setInfoLocked(n, f.info)
	case !wasFresh && n != fs.root:
		n.t.hasMeta = false // the marker may have changed: loadMeta asks
		if fs.o.ServerModTime && n.t.attr.Mode == 0 {
			fs.plainFolderLocked(n)
		}
	}
}

// noMarkerLocked gives a folder without a marker its attributes. It has no times of its
// own: it shows when this mount first saw it, and what was changed here since.
func (fs *FS) noMarkerLocked(n *Inode) {
	n.t.marker = markerNo
	if n.t.attr.Mode == 0 || n.t.remote {
		fs.plainFolderLocked(n)
	}
	n.t.remote, n.t.hasMeta = false, true
}

func (fs *FS) plainFolderLocked(n *Inode) {
	ino := n.t.attr.Ino
	n.t.attr = fs.def.attrOf(object.Info{LastModified: fs.now()}, true)
	n.t.attr.Ino = ino
}

// setInfoLocked makes info the inode's version, and its metadata the attributes. While
// the version stays, what was changed here in the attributes alone stays too.
func (fs *FS) setInfoLocked(n *Inode, info object.Info) {
	old := n.t.info
	known := n.t.remote && old.Meta != nil && old.SameVersion(info)
	if known && (info.Meta == nil || maps.Equal(info.Meta, old.Meta)) {
		n.t.hasMeta = true
		fs.learnTimeLocked(n, info)
		return
	}
	m, ok := fs.o.Meta.Get(info.Key)
	ok = ok && m.Meta != nil && m.SameVersion(info)
	switch {
	case info.Meta == nil && ok:
		info.Meta, info.ContentType = m.Meta, m.ContentType
	case info.Meta != nil && !ok:
		fs.o.Meta.Learn(info)
	}
	n.t.info, n.t.remote = info, true
	ino := n.t.attr.Ino
	n.t.attr = fs.def.attrOf(info, n.dir)
	n.t.attr.Ino = ino
	n.t.hasMeta = info.Meta != nil
}

// learnTimeLocked notes when the store says that a version was stored which this mount
// has stored, and was not told the time of: only with it a later change of nothing but
// the metadata shows in a listing.
func (fs *FS) learnTimeLocked(n *Inode, info object.Info) {
	if n.t.info.LastModified.IsZero() && !info.LastModified.IsZero() {
		n.t.info.LastModified = info.LastModified
		fs.o.Meta.Put(n.t.info)
	}
}
