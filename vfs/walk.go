package vfs

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/pages"
	"github.com/s3mount/s3mount/object"
)

const (
	// firstAllowance is how many entries a walk lists before anybody asks for one of its
	// folders: two pages.
	firstAllowance = 2000
	// maxWalks bounds the walks under way.
	maxWalks = 2
	// walkPatience is how many pages of a walk somebody waits for who asks for a folder that
	// it is about to reach.
	walkPatience = 3
	// walkPages bounds the pages that a walk has asked for or holds.
	walkPages = 4
	// pageKeys is how many keys stores put into a page.
	pageKeys = 1000
)

// walk runs ahead of a program that goes through the folders beneath a prefix (find, du,
// rsync, ls -R): it lists all keys there, a page for many folders, and keeps the folders'
// listings as foreseen. It goes on as long as its folders are asked for.
type walk struct {
	fs     *FS
	prefix string // the folder that is walked through
	from   string // keys up to here are not listed

	// Guarded by FS.tree.
	pos     string // folders that end before pos have been found
	ended   bool
	paused  bool
	unasked int    // entries of foreseen listings
	allowed int    // how many may be
	stat    bool   // attributes are asked for as well
	guessed bool   // nobody walks that is known of: see siblings
	last    string // the folder that was last asked for
	// siblings says that two folders in another one were asked for, one after the other.
	siblings bool
	rest     string        // behind which a guess has not listed; empty: it has all
	news     chan struct{} // closed at each change
}

// foresee is called before the store is asked about a folder alone: its listing, or whether
// it has a marker. The second folder that is asked for in another one is taken for a walk
// through that one. It returns when a walk has found the folder, or will not soon.
func (fs *FS) foresee(ctx context.Context, p *Inode, name, prefix string) {
	if fs.o.DirCacheTime <= 0 || p == nil {
		return
	}
	fs.awaitGuess(ctx, p, prefix)
	for range walkPatience {
		wait := fs.reaching(p, name, prefix)
		if wait == nil {
			return
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return
		}
	}
}

// reaching returns what to wait for until a walk has found the folder; nil: do not wait.
func (fs *FS) reaching(p *Inode, name, prefix string) chan struct{} {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if fs.ctx.Err() != nil {
		return nil
	}
	if fs.tree.foreseen.get(fs, prefix) != nil {
		return nil
	}
	for _, w := range fs.tree.walks {
		if !w.coversLocked(prefix) {
			continue
		}
		if w.paused { // somebody went past all that it found
			w.allowed = 0
			return nil
		}
		return w.news
	}
	if p.t.walked == name || !fs.fresh(p.t.walkedAt) {
		p.t.walked, p.t.walkedAt = name, fs.now()
		return nil
	}
	p.t.walked, p.t.walkedAt = name, fs.now()
	if len(fs.tree.walks) >= maxWalks {
		return nil
	}
	return fs.beginWalkLocked(p.keyLocked(), strings.TrimSuffix(prefix, "/")).news
}

// walkAgain begins a walk through a folder that somebody has gone through before, when it
// is looked up after a while: he is likely to come again, and needs the listing of the
// folder that it is in at the same time.
func (fs *FS) walkAgain(p *Inode, name string) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n := p.t.children[name]
	if n == nil || !n.dir || n.t.walked == "" || n.t.listing == nil || fs.listingLocked(n) != nil || len(fs.tree.walks) >= maxWalks || fs.ctx.Err() != nil {
		return
	}
	prefix := n.keyLocked()
	for _, w := range fs.tree.walks {
		if w.coversLocked(prefix) {
			return
		}
	}
	fs.beginWalkLocked(p.keyLocked(), strings.TrimSuffix(prefix, "/"))
}

// coversLocked reports whether the walk is still to come to a folder.
func (w *walk) coversLocked(prefix string) bool {
	return !w.ended && strings.HasPrefix(prefix, w.prefix) && prefix > w.from && !w.passedLocked(prefix)
}

func (w *walk) passedLocked(prefix string) bool {
	return w.pos > prefix && !strings.HasPrefix(w.pos, prefix)
}

func newWalk(fs *FS, prefix, from string) *walk {
	return &walk{fs: fs, prefix: prefix, from: from, allowed: firstAllowance, news: make(chan struct{})}
}

func (fs *FS) beginWalkLocked(prefix, from string) *walk {
	w := newWalk(fs, prefix, from)
	fs.tree.walks = append(fs.tree.walks, w)
	fs.wg.Go(w.run)
	return w
}

// tellLocked wakes those who wait for the walk, and the walk.
func (w *walk) tellLocked() {
	close(w.news)
	w.news = make(chan struct{})
}

// claimedLocked notes that a folder was asked for: the walk may run further ahead.
func (w *walk) claimedLocked(prefix string) {
	above := func(prefix string) string { return folderOf(strings.TrimSuffix(prefix, "/")) }
	if w.siblings = w.siblings || w.last != "" && above(w.last) == above(prefix); w.siblings {
		w.goOnLocked()
	}
	w.last = prefix
	w.allowed = min(max(2*w.allowed, firstAllowance), w.fs.o.MaxListed/2)
	w.tellLocked()
}

// goOnLocked begins a walk behind what a guess has found, since somebody is on one.
func (w *walk) goOnLocked() {
	fs := w.fs
	if w.rest == "" || len(fs.tree.walks) >= maxWalks || fs.ctx.Err() != nil {
		return
	}
	if !fs.walkComesLocked(w.rest + "/") {
		fs.beginWalkLocked(w.prefix, w.rest)
	}
	w.rest = ""
}

// stamp is the state of this mount when a page was asked for.
type stamp struct {
	at      time.Time
	order   uint64 // of the stamps
	folders changeCounts
	renames int
}

func (fs *FS) stamp() *stamp {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.tree.stamps++
	return &stamp{at: fs.now(), order: fs.tree.stamps, folders: fs.tree.changes.folders, renames: fs.tree.renames}
}

// run lists until the end, or until nobody asks for what it lists any more.
func (w *walk) run() {
	fs := w.fs
	s := w.stream(w.from)
	defer func() { s.Close() }()
	split := splitter{base: w.prefix, max: max(1, fs.o.MaxListed/4)}
	defer w.end()
	for w.mayGoOn() {
		page, err := s.Next(fs.ctx)
		if err != nil {
			fs.log.Debug("a listing that ran ahead failed", "prefix", w.prefix, "err", err)
			return
		}
		split.page(page.Objects, page.Stamp)
		if page.Last {
			split.end()
		}
		w.found(split.take(), split.pos, page.Last)
		if page.Last {
			return
		}
		if big := split.skip(w.allowance()); big != "" {
			s.Close()
			s = w.stream(big + "\U0010FFFF")
		}
	}
}

func (w *walk) stream(after string) *pages.Stream[*stamp] {
	return pages.New(pages.Options[*stamp]{List: w.fs.store.List, Prefix: w.prefix, After: after,
		Stamp: w.fs.stamp, Parallel: walkPages, Ahead: max(2, min(walkPages, w.fs.o.MaxListed/4/pageKeys))})
}

func (w *walk) allowance() int {
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	return max(w.allowed, firstAllowance)
}

// mayGoOn waits until the walk may list more. It is false when nobody wants more.
func (w *walk) mayGoOn() bool {
	fs := w.fs
	idle := time.NewTimer(fs.o.DirCacheTime)
	defer idle.Stop()
	for {
		fs.tree.Lock()
		was, paused, given := w.paused, w.unasked >= w.allowed, w.allowed == 0
		if w.paused = paused; paused && !was {
			w.tellLocked() // those who wait go on by themselves
		}
		news := w.news
		fs.tree.Unlock()
		if given || fs.ctx.Err() != nil {
			return false
		}
		if !paused {
			return true
		}
		select {
		case <-news:
		case <-idle.C:
			return false
		case <-fs.ctx.Done():
			return false
		}
	}
}

// end takes the walk off the list. What it found stays foreseen.
func (w *walk) end() {
	fs := w.fs
	fs.tree.Lock()
	defer fs.tree.Unlock()
	w.ended = true
	w.tellLocked()
	fs.tree.walks = slices.DeleteFunc(fs.tree.walks, func(o *walk) bool { return o == w })
}

// found keeps the listings of folders, but of those in which this mount changed something
// since they were asked for.
func (w *walk) found(all []*building, pos string, last bool) {
	fs := w.fs
	fs.tree.Lock()
	defer fs.tree.Unlock()
	for _, b := range all {
		if !b.stamp.currentLocked(fs, b.prefix) || fs.knowsNewerLocked(b.prefix, b.stamp.at) {
			continue
		}
		l := b.listing()
		l.walk = w
		fs.tree.foreseen.put(fs, &forecast{prefix: b.prefix, listing: l, walk: w,
			marker: listed{found: found{hasMarker: b.namer.marker, info: b.namer.markerInfo}}})
		if w.stat && !l.partial {
			l.ahead.until = len(l.names)
			fs.tree.queue.lastLocked(l)
		}
	}
	w.pos = pos
	if last {
		w.ended = true
	}
	w.tellLocked()
	fs.pumpLocked()
}

// knowsNewerLocked reports whether a folder has a listing that was asked for later.
func (fs *FS) knowsNewerLocked(prefix string, at time.Time) bool {
	n, _ := fs.placeLocked(prefix)
	return n != nil && n.t.listing != nil && n.keyLocked() == prefix && n.t.listing.at.After(at)
}

// statLocked makes a walk ask for the attributes of all that it finds, and reports whether
// it did not before. The requests are queued. What was found by a guess is no walk before
// somebody goes from one folder to the next.
func (w *walk) statLocked() bool {
	if w == nil || w.stat || w.guessed && !w.siblings {
		return false
	}
	w.stat = true
	for e := w.fs.tree.foreseen.order.Front(); e != nil; e = e.Next() {
		if f, ok := e.Value.(*forecast); ok && f.walk == w && !f.listing.partial {
			f.listing.ahead.until = len(f.listing.names)
			w.fs.tree.queue.lastLocked(f.listing)
		}
	}
	return true
}

// splitter makes the folders' listings of a listing of all keys beneath a prefix. Each
// folder's namer gets what a listing with a delimiter would give it, in the same order, so
// that names are the same.
type splitter struct {
	base    string
	whole   bool        // the listing of base is wanted as well
	max     int         // entries of all open folders together
	open    []*building // from base down to the folder of the last key
	closed  []*building
	held    int
	pos     string // all that is before has been seen
	skipped string // the prefix of the folder that was skipped last; empty: none was
}

// building is a folder whose keys are coming.
type building struct {
	prefix string
	// stamp is of the oldest page with keys of it: one may be asked for before the one in
	// front of it.
	stamp *stamp
	namer namer
	all   []listed
	over  bool // too large to be kept
}

func (s *splitter) page(objects []object.Info, st *stamp) {
	if len(s.open) == 0 {
		s.begin(s.base, st)
		s.open[0].over = !s.whole // it was listed to notice the walk
	}
	for _, b := range s.open {
		if st != nil && st.order < b.stamp.order { // the end may come without a request
			b.stamp = st
		}
	}
	for _, o := range objects {
		if s.skipped != "" && strings.HasPrefix(o.Key, s.skipped) {
			continue // it is behind where the listing went on, and no folder with these keys alone
		}
		for top := s.top(); !strings.HasPrefix(o.Key, top.prefix); top = s.top() {
			s.close()
		}
		for {
			top := s.top()
			i := strings.IndexByte(o.Key[len(top.prefix):], '/')
			if i < 0 {
				top.namer.object(o)
				break
			}
			sub := o.Key[:len(top.prefix)+i+1]
			top.namer.folder(sub)
			s.begin(sub, st)
		}
		s.pos = o.Key
	}
}

func (s *splitter) top() *building { return s.open[len(s.open)-1] }

func (s *splitter) begin(prefix string, st *stamp) {
	b := &building{prefix: prefix, stamp: st}
	b.namer = namer{prefix: prefix, at: st.at, emit: func(e listed) {
		if b.over {
			return
		}
		if s.held >= s.max {
			b.over, s.held, b.all = true, s.held-len(b.all), nil
			return
		}
		b.all = append(b.all, e)
		s.held++
	}}
	s.open = append(s.open, b)
}

// close ends the last folder.
func (s *splitter) close() {
	b := s.top()
	s.open = s.open[:len(s.open)-1]
	b.namer.end()
	s.held -= len(b.all)
	if len(s.open) > 0 || s.whole {
		s.closed = append(s.closed, b)
	}
}

// end ends all folders.
func (s *splitter) end() {
	for len(s.open) > 0 {
		s.close()
	}
	s.pos = s.base + "\U0010FFFF"
}

// take returns the folders that were closed since it was last called.
func (s *splitter) take() []*building {
	all := s.closed
	s.closed = nil
	return all
}

// skip ends a folder that has more entries by itself than the walk may find, unless it is
// the one that is walked through, and returns its prefix.
func (s *splitter) skip(allowed int) (prefix string) {
	if len(s.open) < 2 {
		return ""
	}
	b := s.top()
	if !b.over && len(b.all) < allowed {
		return ""
	}
	b.over = true
	s.held -= len(b.all)
	b.all = nil
	if b.namer.marker == markerUnknown {
		b.namer.marker = markerNo // it would have come first
	}
	s.open = s.open[:len(s.open)-1]
	s.closed = append(s.closed, b)
	s.skipped, s.pos = b.prefix, b.prefix+"\U0010FFFF"
	return b.prefix
}

// listing makes the folder's listing.
func (b *building) listing() *listing {
	l := &listing{at: b.stamp.at, prefix: b.prefix, partial: b.over}
	if !b.over {
		l.fill(b.all)
	}
	return l
}
