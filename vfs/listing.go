package vfs

import (
	"container/list"
	"context"
	"slices"
	"time"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// listing is a folder's whole content as the store had it at one time, patched by what
// this mount has changed since. Guarded by FS.tree.
type listing struct {
	at     time.Time
	names  []string           // in the order of the listing, then what came later
	byName map[string]*listed // the same names
	// partial says that the folder has more than one page, and that nothing but this
	// fact is kept.
	partial bool
	misses  int // lookups that found no attributes, see runahead.go
	next    int // where run-ahead goes on in names
	last    int // where position found the last name
	elem    *list.Element
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

// listingLRU keeps the cached listings in the order of their last use.
type listingLRU struct{ list.List } // of *Inode

// setListingLocked replaces a folder's cached listing; nil drops it. The least recently
// used listings of other folders make room.
func (fs *FS) setListingLocked(n *Inode, l *listing) {
	if old := n.t.listing; old != nil {
		fs.tree.listed -= len(old.byName) + 1
		fs.tree.listings.Remove(old.elem)
	}
	n.t.listing = l
	if l == nil {
		return
	}
	fs.tree.listed += len(l.byName) + 1
	l.elem = fs.tree.listings.PushFront(n)
	fs.boundListingsLocked()
}

// boundListingsLocked drops the least recently used listings, while there is more than
// Options.MaxListed of all.
func (fs *FS) boundListingsLocked() {
	for fs.tree.listed > fs.o.MaxListed {
		victim, _ := fs.tree.listings.Back().Value.(*Inode)
		fs.setListingLocked(victim, nil)
	}
}

// listingLocked returns the folder's listing if it is still trusted.
func (fs *FS) listingLocked(n *Inode) *listing {
	l := n.t.listing
	if l == nil || !fs.fresh(l.at) {
		return nil
	}
	fs.tree.listings.MoveToFront(l.elem)
	return l
}

// patchLocked tells a folder's listing that a name is now f, or gone if f is nil, and
// counts the change.
func (fs *FS) patchLocked(p *Inode, name string, f *found) {
	p.t.gen++
	l := p.t.listing
	if l == nil || l.partial {
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
	if l.byName[e.name] == nil {
		l.names = append(l.names, e.name)
	}
	l.byName[e.name] = e
}

func (l *listing) remove(name string) {
	if l.byName[name] == nil {
		return
	}
	delete(l.byName, name)
	at := l.position(name)
	l.names = slices.Delete(l.names, at, at+1)
	if l.next > at {
		l.next--
	}
}

// keepListing caches what a complete listing of p showed, unless this mount changed the
// folder meanwhile.
func (fs *FS) keepListing(p *Inode, gen uint64, at time.Time, m *namer, all []listed, complete bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if p.t.gen != gen || p.t.gone || fs.o.DirCacheTime <= 0 {
		return
	}
	l := &listing{at: at, partial: !complete}
	if complete {
		l.names = make([]string, 0, len(all))
		l.byName = make(map[string]*listed, len(all))
		for i := range all {
			l.put(&all[i])
		}
		fs.learnMarkerLocked(p, m)
	}
	fs.setListingLocked(p, l)
}

func (fs *FS) learnMarkerLocked(p *Inode, m *namer) {
	if p != fs.root && m.held == "" {
		p.t.marker = m.marker
	}
}

// loadListing reads the first page of a folder and caches it, if that is all of it.
func (fs *FS) loadListing(ctx context.Context, p *Inode) error {
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
