package vfs

import (
	"context"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Whoever looks a name up in a folder of which nothing is known mostly walks down a path: the
// name is a folder's, and the next is asked for in there. So while the folder is listed, a
// page of all keys beneath the name is asked for, too. Where that is all of them, the whole
// tree is known after one round of requests instead of one a level.
//
// A guess must not cost much where it is wrong: few are under way, few are wrong one after
// the other, and nobody waits long for one.

const (
	// maxGuesses bounds the guesses under way in a mount, each with a page of keys.
	maxGuesses = 4
	// wrongInFolder and wrongInAll are how many guesses about unknown names come to nothing,
	// one after the other, in a folder and in the mount, until none is made there any more.
	wrongInFolder = 2
	wrongInAll    = 16
	// vastFor is how long a folder is known to be no good to guess about.
	vastFor = time.Hour
	// guessPatience is the least time that somebody waits for a guess; else he waits as long
	// again as it took until he came to need it.
	guessPatience = 250 * time.Millisecond
)

// guesses are what a mount knows of its guesses. Guarded by FS.tree.
type guesses struct {
	running int
	wrong   int       // about unknown names, since the last that was right
	vast    nameTimes // folders of which a page does not show all, or that can't be listed so
}

// guess is a page of all keys beneath a name that is about to be looked up.
type guess struct {
	prefix  string
	unknown bool // whether there is such a folder
	began   time.Time
	done    chan struct{} // closed when its answer is kept
}

// guessBelow asks for the keys beneath a name in p, if that is likely to pay. The caller is
// about to list p.
func (fs *FS) guessBelow(p *Inode, name string) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if fs.ctx.Err() != nil || fs.tree.guesses.running >= maxGuesses || p.t.guess != nil || p.t.gone {
		return
	}
	n := p.t.children[name]
	if !fs.worthGuessingLocked(p, n, name) {
		return
	}
	held := p.heldLocked()
	piece, form, ok := keyname.Parse(held, name)
	prefix := p.keyLocked() + piece + "/"
	if held != "" || !ok || form != keyname.Plain || piece == "" || len(prefix) > keyname.MaxKey {
		return
	}
	if fs.tree.foreseen.get(fs, prefix) != nil || fs.walkComesLocked(prefix) {
		return
	}
	g := &guess{prefix: prefix, unknown: n == nil, began: time.Now(), done: make(chan struct{})}
	p.t.guess = g
	fs.tree.guesses.running++
	fs.wg.Go(func() {
		right := fs.listBelow(prefix)
		fs.endGuess(p, name, g, right)
	})
}

// worthGuessingLocked tells names that are likely to be those of folders with not too much in
// them: one that somebody was in already, or an unknown one that does not look like a file's.
func (fs *FS) worthGuessingLocked(p, n *Inode, name string) bool {
	if at, ok := fs.tree.guesses.vast.get(p.id, name); ok && fs.now().Sub(at) < vastFor {
		return false
	}
	if n == nil {
		return p.t.wrongGuesses < wrongInFolder && fs.tree.guesses.wrong < wrongInAll && strings.LastIndexByte(name, '.') <= 0
	}
	return n.dir && n.t.listing != nil && !fs.fresh(n.t.listing.at)
}

// endGuess notes what a guess was worth, and wakes who waits for it.
func (fs *FS) endGuess(p *Inode, name string, g *guess, right worth) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	all := &fs.tree.guesses
	all.running--
	switch {
	case right == worthAll:
		p.t.wrongGuesses, all.wrong = 0, 0
	case g.unknown:
		p.t.wrongGuesses = min(p.t.wrongGuesses+1, wrongInFolder)
		all.wrong = min(all.wrong+1, wrongInAll)
	}
	if right == worthPart {
		all.vast.add(p.id, name, fs.now())
	}
	p.t.guess = nil
	close(g.done)
}

// worth is what came of a guess.
type worth uint8

const (
	worthNothing worth = iota // there is no such folder
	worthPart                 // it has more than a page, or may not be listed so
	worthAll
)

// listBelow keeps what one page shows of all the folders beneath a prefix.
func (fs *FS) listBelow(prefix string) worth {
	asked := fs.stamp()
	page, err := fs.store.List(fs.ctx, object.Query{Prefix: prefix})
	switch {
	case err != nil:
		fs.log.Debug("a listing that ran ahead failed", "prefix", prefix, "err", err)
		return worthPart
	case len(page.Objects) == 0:
		return worthNothing
	}
	w := newWalk(fs, prefix, "")
	w.guessed = true
	split := splitter{base: prefix, whole: true, max: max(1, fs.o.MaxListed/4)}
	split.page(page.Objects, asked)
	if page.Next == "" {
		split.end()
	} else if w.rest = split.pos; len(split.open) > 1 { // that folder is to be listed from its first key on
		w.rest = strings.TrimSuffix(split.open[1].prefix, "/")
	}
	w.found(split.take(), split.pos, true)
	if w.rest == "" {
		return worthAll
	}
	return worthPart
}

// awaitGuess waits for a guess about a prefix in p that is under way, but not for long: who
// waits holds names that others want to change.
func (fs *FS) awaitGuess(ctx context.Context, p *Inode, prefix string) {
	fs.tree.Lock()
	g := p.t.guess
	fs.tree.Unlock()
	if g == nil || g.prefix != prefix {
		return
	}
	enough := time.NewTimer(max(guessPatience, time.Since(g.began)))
	defer enough.Stop()
	select {
	case <-g.done:
	case <-enough.C:
	case <-ctx.Done():
	}
}
