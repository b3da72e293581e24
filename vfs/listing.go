package vfs

import (
	"container/list"
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// listing is a folder's content as the store had it at one time, patched by what this
// mount has changed since. Guarded by FS.tree.
type listing struct {
	prefix string
	at     time.Time          // when the store was asked; of a partial listing: last
	names  []string           // in the order of the listing, then what came later
	byName map[string]*listed // the same names
	dirs   int                // how many of them are folders
	// partial says that the folder has more names than these: one that is not here is not
	// known. What is here is what was listed last, each name as of its own time.
	partial bool
	last    int // where position found the last name
	elem    *list.Element
	live    bool // it is a folder's, or foreseen
	queued  bool // it is in the queue of those whose attributes are asked for ahead

	walk  *walk // that found the listing; nil: none
	ahead aheadState
}

// position returns where a name stands in the listing, or -1. Walks ask in order, so
// that the search begins where the last one ended.
func (l *listing) position(name string) int {
	for i := range l.names {
		at := (l.last + i) % len(l.names)
		if l.names[at] == name {
			l.last = at
			return at
		}
	}
	return -1
}

// fill puts all of a listing's names into an empty one.
func (l *listing) fill(all []listed) {
	l.names = make([]string, 0, len(all))
	l.byName = make(map[string]*listed, len(all))
	for i := range all {
		l.put(&all[i])
	}
}

// listingLRU keeps the cached listings in the order of their last use.
type listingLRU struct{ list.List } // of *Inode

// setListingLocked replaces a folder's cached listing; nil drops it. The least recently
// used listings of other folders make room.
func (fs *FS) setListingLocked(n *Inode, l *listing) {
	if old := n.t.listing; old != nil {
		fs.tree.listed -= len(old.byName) + 1
		fs.tree.listings.Remove(old.elem)
		fs.tree.trails.end(old)
		old.live = false
	}
	n.t.listing = l
	if l == nil {
		return
	}
	fs.tree.listed += len(l.byName) + 1
	l.elem, l.live = fs.tree.listings.PushFront(n), true
	fs.boundListingsLocked()
}

// boundListingsLocked drops listings, those that nobody asked for first, then the least
// recently used, while there is more than Options.MaxListed of all.
func (fs *FS) boundListingsLocked() {
	for fs.tree.listed > fs.o.MaxListed {
		if fs.tree.foreseen.dropOldest(fs) {
			continue
		}
		victim, _ := fs.tree.listings.Back().Value.(*Inode)
		fs.setListingLocked(victim, nil)
	}
}

// forgetListingLocked makes the names in a folder be looked up again: what is foreseen of it,
// or was asked for ahead, is no news either.
func (fs *FS) forgetListingLocked(p *Inode) {
	fs.setListingLocked(p, nil)
	fs.folderChangedLocked(p.keyLocked())
}

// listingLocked returns the folder's listing if it is still trusted.
func (fs *FS) listingLocked(n *Inode) *listing {
	l := n.t.listing
	if l == nil || !fs.fresh(l.at) {
		return fs.claimLocked(n)
	}
	fs.tree.listings.MoveToFront(l.elem)
	return l
}

// patchLocked tells a folder's listing that a name is now f, or gone if f is nil, and
// counts the change.
func (fs *FS) patchLocked(p *Inode, name string, f *found) {
	p.t.gen++
	l := p.t.listing
	if l == nil {
		return
	}
	had := len(l.byName)
	if f == nil {
		l.remove(name)
	} else {
		l.put(&listed{name: name, found: *f})
	}
	fs.tree.listed += len(l.byName) - had
	fs.tree.listings.MoveToFront(l.elem)
	fs.boundListingsLocked()
}

func (l *listing) put(e *listed) {
	if l.byName == nil {
		l.byName = map[string]*listed{}
	}
	if l.byName[e.name] == nil {
		l.names = append(l.names, e.name)
	}
	l.uncount(e.name)
	l.byName[e.name] = e
	if e.dir {
		l.dirs++
	}
}

// uncount forgets that a name is a folder's, before it goes.
func (l *listing) uncount(name string) {
	if e := l.byName[name]; e != nil && e.dir {
		l.dirs--
	}
}

func (l *listing) remove(name string) {
	if l.byName[name] == nil {
		return
	}
	l.uncount(name)
	delete(l.byName, name)
	at := l.position(name)
	l.names = slices.Delete(l.names, at, at+1)
	l.ahead.removed(at)
}

// keepListing caches what a complete listing of p showed, unless this mount changed the
// folder meanwhile.
func (fs *FS) keepListing(p *Inode, gen uint64, at time.Time, m *namer, all []listed, complete bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if p.t.gen != gen || p.t.gone || fs.o.DirCacheTime <= 0 {
		return
	}
	l := &listing{prefix: m.prefix, at: at, partial: !complete}
	if complete {
		l.fill(all)
		fs.learnMarkerLocked(p, m)
	}
	if old := p.t.listing; old != nil && old.partial {
		l.ahead = old.ahead // the names are the same, from the first on
		l.ahead.next += old.ahead.dropped
		l.ahead.until += old.ahead.dropped
		l.walk = old.walk
	}
	fs.setListingLocked(p, l)
	fs.goOnLocked(l)
}

// maxOfOne is how many entries one folder's listing may have: a large one leaves room for
// those of other folders.
func (fs *FS) maxOfOne() int { return fs.o.MaxListed / 2 }

// slideLocked adds names that were listed just now to what is cached of a large folder,
// in the place of those that were listed first.
func (fs *FS) slideLocked(p *Inode, prefix string, at time.Time, more []listed) *listing {
	l := p.t.listing
	if l == nil || !l.partial {
		l = &listing{prefix: prefix, at: at, partial: true}
		fs.setListingLocked(p, l)
	}
	l.at = at
	had := len(l.byName)
	for i := range more {
		l.put(&more[i])
	}
	if drop := len(l.names) - max(1, fs.maxOfOne()); drop > 0 {
		for _, name := range l.names[:drop] {
			l.uncount(name)
			delete(l.byName, name)
		}
		l.names = slices.Clone(l.names[drop:])
		l.last = max(0, l.last-drop)
		l.ahead.slid(drop)
	}
	fs.tree.listed += len(l.byName) - had
	fs.tree.listings.MoveToFront(l.elem)
	fs.boundListingsLocked()
	fs.goOnLocked(l)
	return l
}

func (fs *FS) learnMarkerLocked(p *Inode, m *namer) {
	if p != fs.root && m.held == "" {
		p.t.marker = m.marker
	}
}

// foreseeFolder gives a walk the time to find a folder that is about to be listed, and
// reports whether that has made it known.
func (fs *FS) foreseeFolder(ctx context.Context, n *Inode) bool {
	fs.tree.Lock()
	p, name, prefix := n.t.parent, n.t.name, n.keyLocked()
	fs.tree.Unlock()
	fs.foresee(ctx, p, name, prefix)
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return fs.listingLocked(n) != nil
}

// loadListing reads the first page of a folder and caches it, if that is all of it.
func (fs *FS) loadListing(ctx context.Context, p *Inode) error {
	if fs.foreseeFolder(ctx, p) {
		return nil
	}
	fs.tree.Lock()
	prefix, held, gen := p.keyLocked(), p.heldLocked(), p.t.gen
	fs.tree.Unlock()
	at := fs.now()
	l := fs.newLister(prefix, held)
	all, complete, err := l.next(ctx)
	if err != nil {
		return err
	}
	fs.keepListing(p, gen, at, &l.namer, append([]listed(nil), all...), complete)
	return nil
}

// pageNames is how many names a page of a listing shows.
const pageNames = 1000

// onePage reports whether a listing has all names of a folder and a page shows them.
func (l *listing) onePage() bool { return !l.partial && len(l.names) <= pageNames }

// pagePays is how many lookups a page that listFrom lists is to answer: if the last one did
// not, the next lookups ask for their names alone.
const pagePays = 20

func (l *listing) pagePaysLocked() bool {
	l.ahead.asks++
	l.ahead.answers++
	return l.ahead.asks > 2 && (!l.ahead.paged || l.ahead.answers > pagePays)
}

// listFrom lists a page of a folder from a name on, for somebody who goes through the folder
// with stat more slowly than its listing is trusted, or in another order than it is listed:
// one request then answers for a thousand names. ok is false where it does not show the name.
func (fs *FS) listFrom(ctx context.Context, p *Inode, name string) (f found, ok bool, err error) {
	fs.tree.Lock()
	prefix, held, gen := p.keyLocked(), p.heldLocked(), p.t.gen
	fs.tree.Unlock()
	piece, form, valid := keyname.Parse(held, name)
	if !valid || form != keyname.Plain || piece == "" {
		return f, false, nil
	}
	at := fs.now()
	l := fs.newLister(prefix, held)
	l.query.After = prefix + cutLastRune(piece)
	more, _, err := l.next(ctx)
	if err != nil {
		return f, false, err
	}
	for _, e := range more {
		if e.name == name {
			f, ok = e.found, true
		}
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	old := p.t.listing
	if p.t.gen != gen || p.t.gone || old == nil || !old.partial && fs.fresh(old.at) {
		return f, ok, nil
	}
	old.partial, old.ahead.paged, old.ahead.answers = true, true, 0 // each name is as of its own time now
	fs.slideLocked(p, prefix, at, slices.Clone(more))
	return f, ok, nil
}

// cutLastRune returns a text before s, and hardly before.
func cutLastRune(s string) string {
	_, n := utf8.DecodeLastRuneInString(s)
	return s[:len(s)-n]
}

// ask finds out what a name stands for with requests about this name alone.
func (fs *FS) ask(ctx context.Context, prefix, held, name string) (found, error) {
	piece, form, ok := keyname.Parse(held, name)
	key := prefix + piece
	if !ok {
		return found{}, object.Errorf(object.KindNotFound, "lookup", prefix+name, "")
	}
	if len(key) > keyname.MaxKey {
		return found{}, object.Errorf(object.KindNameTooLong, "lookup", key, "keys end at %d bytes", keyname.MaxKey)
	}
	if form == keyname.Part {
		return fs.askPart(ctx, held, key, piece)
	}
	type answer struct {
		info object.Info
		err  error
	}
	head := make(chan answer, 1)
	at := fs.now()
	hctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		if key == "" { // an empty name in the root: no object can have that key
			head <- answer{err: object.Errorf(object.KindNotFound, "lookup", name, "")}
			return
		}
		info, err := fs.store.Head(hctx, key)
		head <- answer{info, err}
	}()
	page, err := fs.store.List(ctx, object.Query{Prefix: key + "/", Max: 1})
	if err != nil {
		return found{}, err
	}
	isDir := len(page.Objects) > 0
	if isDir && form == keyname.Plain {
		f := found{dir: true, piece: piece, form: form, at: at, hasMarker: markerNo}
		if page.Objects[0].Key == key+"/" {
			f.hasMarker, f.info = markerYes, page.Objects[0]
		}
		return f, nil
	}
	a := <-head
	if a.err != nil {
		return found{}, a.err
	}
	if isMarker := key == prefix && a.info.Size == 0; isMarker || form == keyname.File && !isDir {
		return found{}, object.Errorf(object.KindNotFound, "lookup", key, "")
	}
	return found{piece: piece, form: form, info: a.info, at: at}, nil
}

// askPart looks for a component that is too long for one name and begins with piece.
func (fs *FS) askPart(ctx context.Context, held, key, piece string) (found, error) {
	l := fs.newLister(key, held+piece)
	for {
		names, done, err := l.next(ctx)
		if err != nil {
			return found{}, err
		}
		if len(names) > 0 {
			return names[0].asPart(piece), nil
		}
		if done {
			return found{}, object.Errorf(object.KindNotFound, "lookup", key, "")
		}
	}
}

// asPart makes the folder of a component's first piece from one of its continuations.
func (e listed) asPart(piece string) found {
	return found{dir: true, piece: piece, form: keyname.Part, at: e.at, hasMarker: markerNo}
}
