package vfs

import (
	"slices"
	"time"

	"github.com/s3mount/s3mount/object"
)

const (
	// maxSmall is the size of the largest files that are fetched before they are opened:
	// a larger one is read in order, and its handle's own read-ahead serves it.
	maxSmall = 1 << 20
	// Bounds of what is fetched ahead of one reader, and how much more a file that was
	// read in order permits.
	maxFilesAhead = 64
	maxBytesAhead = 16 << 20
	filesPerHit   = 4
	bytesPerByte  = 4
	// filesAtOnce bounds the files that are fetched at a time, in all folders.
	filesAtOnce = 48
	// maxTrails bounds the readers that are followed, in all folders.
	maxTrails = 64
	// nearby is how far from where it is expected a file may stand in the listing: several
	// threads that share one reader's work come in any order.
	nearby = 32
)

// trail is where somebody reads the files of a folder in the order of its listing.
// Guarded by FS.tree.
type trail struct {
	l     *listing
	at    int   // the farthest position that was read
	hits  int   // files that were read in order
	bytes int64 // of them
	next  int   // where fetching goes on
	until int   // how far it may go
	ended bool
}

// trails are the readers that were seen last, the latest at the end.
type trails struct{ list []*trail }

// near returns the trail that a position in a listing belongs to; nil: none.
func (ts *trails) near(l *listing, at int) *trail {
	var best *trail
	for _, t := range ts.list {
		if t.l == l && at >= t.at-nearby && at <= max(t.at, t.next)+nearby && (best == nil || t.at > best.at) {
			best = t
		}
	}
	return best
}

// follow counts the reading of a file of size bytes.
func (ts *trails) follow(l *listing, at int, size int64) *trail {
	t := ts.near(l, at)
	if t == nil {
		t = &trail{l: l, at: at, next: at + 1}
	} else {
		ts.list = slices.DeleteFunc(ts.list, func(o *trail) bool { return o == t })
	}
	ts.list = append(ts.list, t)
	if len(ts.list) > maxTrails {
		ts.list[0].ended = true
		ts.list = slices.Delete(ts.list, 0, 1)
	}
	t.hits++
	t.bytes += size
	t.at = max(t.at, at)
	return t
}

// end forgets the readers of a listing that is over: they would keep it in memory.
func (ts *trails) end(l *listing) {
	ts.list = slices.DeleteFunc(ts.list, func(t *trail) bool {
		t.ended = t.ended || t.l == l
		return t.l == l
	})
}

// extend lets files be fetched behind the farthest one that was read, as many as the
// reading in order so far permits.
func (t *trail) extend() {
	left := min(bytesPerByte*t.bytes, maxBytesAhead)
	last := min(t.at+1+min(filesPerHit*t.hits, maxFilesAhead), len(t.l.names))
	t.next = max(t.next, t.at+1)
	for at := t.at + 1; at < last; at++ {
		if e := t.l.byName[t.l.names[at]]; e != nil && smallFile(e) {
			if left -= e.info.Size; left < 0 {
				return
			}
		}
		t.until = max(t.until, at+1)
	}
}

// smallFile reports whether a listed name is worth to be fetched before it is opened.
func smallFile(e *listed) bool {
	return !e.dir && e.info.Key != "" && e.info.ETag != "" && e.info.Size > 0 && e.info.Size <= maxSmall
}

// noteRead is told of each small file that begins to be read. When several are read in
// the order of their folder's listing, those that come next are fetched, in parallel,
// into the block cache: their GETs tell the attributes too.
func (fs *FS) noteRead(n *Inode) {
	fs.tree.Lock()
	p := n.t.parent
	if p == nil || n.t.gone || p.t.listing == nil || fs.o.DirCacheTime <= 0 || fs.ctx.Err() != nil {
		fs.tree.Unlock()
		return
	}
	l := p.t.listing
	at := l.position(n.t.name)
	if at < 0 {
		fs.tree.Unlock()
		return
	}
	t := fs.tree.trails.follow(l, at, n.t.info.Size)
	if t.hits > 1 {
		t.extend()
	}
	fs.tree.Unlock()
	fs.fetchAlong(p, t)
}

// fetchAlong fetches as far as the trail lets it, by as many workers as there is work and
// are free.
func (fs *FS) fetchAlong(p *Inode, t *trail) {
	for {
		select {
		case fs.reads <- struct{}{}:
		default:
			return
		}
		first := fs.nextRead(p, t)
		if first.name == "" {
			<-fs.reads
			return
		}
		// A worker goes on with the next file: the way through the store's client is deep,
		// and a stack that grew once serves all.
		fs.wg.Go(func() {
			defer func() { <-fs.reads }()
			for e := first; e.name != ""; e = fs.nextRead(p, t) {
				fs.fetchAhead(e.info, e.at)
			}
		})
	}
}

// nextRead returns the next file of a trail that is worth to be fetched; without a name: none.
func (fs *FS) nextRead(p *Inode, t *trail) listed {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	for ; !t.ended && fs.ctx.Err() == nil && p.t.listing == t.l && t.next < min(t.until, len(t.l.names)); t.next++ {
		e := t.l.byName[t.l.names[t.next]]
		if e == nil || !smallFile(e) {
			continue
		}
		c := p.t.children[e.name]
		if c != nil && (c.t.staged != nil || c.t.opens > 0 || c.t.pages == e.info.ID()) {
			continue // it is local, or the kernel has its pages
		}
		t.next++
		return *e
	}
	return listed{}
}

// fetchAhead brings a file into the block cache that was listed at a time. Whoever asks for
// its attributes meanwhile waits for this answer instead of sending a HEAD.
func (fs *FS) fetchAhead(listed object.Info, at time.Time) {
	fs.heads.Do(listed.Key, func() (any, error) { // who joins gets the error
		currentLocked, asked := fs.asking(listed.Key), fs.now()
		info, err := fs.o.Cache.Fetch(fs.ctx, listed.ID(), listed.Size)
		if err != nil || info.Key == "" {
			if known, ok := fs.o.Meta.Recall(listed); ok && err == nil {
				return headAnswer{known, at}, nil
			}
			info, err = fs.store.Head(fs.ctx, listed.Key)
		} else {
			info.Size = listed.Size
		}
		return fs.answered(info, asked, currentLocked, err)
	})
}
