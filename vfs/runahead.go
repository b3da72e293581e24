package vfs

import "github.com/s3mount/s3mount/object"

// Bounds of how far attributes are asked for ahead of whoever goes through a folder with
// stat: from one round of requests at little latency to several.
const (
	minHorizon = 16
	maxHorizon = 1024
)

// aheadState is how far attributes were asked for ahead in a listing.
type aheadState struct {
	misses  int  // lookups that found no attributes
	horizon int  // how many names the next round goes ahead
	asked   int  // the position of the lookup that last widened it
	next    int  // where it goes on in names
	until   int  // how far it may go
	dropped int  // names that a partial listing has lost in front
	asks    int  // lookups that the listing did not answer
	paged   bool // listFrom has listed a page
	answers int  // lookups since then
}

// slid moves positions, when the first names of a listing go.
func (a *aheadState) slid(drop int) {
	a.asked, a.next, a.until = max(0, a.asked-drop), max(0, a.next-drop), max(0, a.until-drop)
	a.dropped += drop
}

// removed moves positions, when the name at one of them goes. Who removes names is as far
// as one who passes over them.
func (a *aheadState) removed(at int) {
	if at < a.asked+a.horizon {
		a.asked--
	}
	if a.next > at {
		a.next--
	}
	if a.until > at {
		a.until--
	}
}

// runAhead fetches the attributes of the names that come behind n in a folder's listing,
// in parallel, when several lookups in turn had to ask for theirs: somebody goes through
// the folder with stat. A single lookup asks for nothing more.
func (fs *FS) runAhead(p, n *Inode) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	l := p.t.listing
	if l == nil || fs.o.ServerModTime || fs.ctx.Err() != nil {
		return
	}
	if missed := !n.t.hasMeta && n.t.staged == nil; missed {
		l.ahead.misses++
	}
	if l.ahead.misses < 2 && !(l.walk != nil && l.walk.stat) {
		return
	}
	at := l.position(n.t.name)
	if fs.tree.trails.near(l, at) != nil {
		return // files are read here, and what is fetched of them tells their attributes
	}
	further := fs.goFurtherLocked(l, at)
	if l.walk.statLocked() || further {
		fs.pumpLocked()
	}
}

// goFurtherLocked lets attributes be asked for behind a position that was reached: twice
// as far each time that half of the way is gone. It reports whether that is further than
// before.
func (fs *FS) goFurtherLocked(l *listing, at int) bool {
	a := &l.ahead
	if a.horizon > 0 && at >= a.asked && at < a.asked+a.horizon/2 {
		return false
	}
	a.horizon = min(max(minHorizon, 2*a.horizon), maxHorizon)
	a.asked = at
	a.next = max(a.next, at+1)
	a.until = max(a.until, at+1+a.horizon)
	fs.tree.queue.firstLocked(l)
	return true
}

// ahead is a name to be asked for before somebody does.
type ahead struct {
	l   *listing
	e   *listed
	key string
}

// nextAheadLocked takes the next name of a listing to ask for.
func (fs *FS) nextAheadLocked(l *listing) (ahead, bool) {
	for ; l.ahead.next < min(l.ahead.until, len(l.names)); l.ahead.next++ {
		e := l.byName[l.names[l.ahead.next]]
		if e == nil || fs.knownListedLocked(e) {
			continue
		}
		key := l.prefix + e.piece
		if e.dir {
			if key += "/"; fs.walkComesLocked(key) {
				continue
			}
		}
		l.ahead.next++
		return ahead{l, e, key}, true
	}
	return ahead{}, false
}

// walkComesLocked reports whether a walk is about to tell of a folder.
func (fs *FS) walkComesLocked(prefix string) bool {
	for _, w := range fs.tree.walks {
		if w.coversLocked(prefix) && !w.paused {
			return true
		}
	}
	return false
}

// knownLocked reports whether a listed name's attributes need no request.
func (fs *FS) knownLocked(p *Inode, e *listed) bool {
	if fs.o.ServerModTime {
		return true
	}
	if c := p.t.children[e.name]; c != nil && (c.t.hasMeta || c.t.staged != nil) {
		return true
	}
	return fs.knownListedLocked(e)
}

func (fs *FS) knownListedLocked(e *listed) bool {
	if e.dir && e.hasMarker == markerNo || e.info.Meta != nil {
		return true
	}
	if e.info.Key == "" {
		return false
	}
	m, ok := fs.o.Meta.Get(e.info.Key)
	return ok && m.SameVersion(e.info)
}

// headAhead keeps a file's attributes in the metadata cache, a folder's in the listing.
func (fs *FS) headAhead(a ahead) {
	fs.tree.Lock()
	shown := a.e.info
	currentLocked := fs.askingLocked(a.key)
	fs.tree.Unlock()
	got, err := fs.headHere(a.key, shown)
	if !a.e.dir {
		return // headOnce kept it
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if !currentLocked() || a.l.byName[a.e.name] != a.e || got.asked.Before(a.e.at) {
		return
	}
	switch {
	case err == nil:
		a.e.hasMarker, a.e.info = markerYes, got.info
	case object.Is(err, object.KindNotFound):
		a.e.hasMarker = markerNo
	}
}
