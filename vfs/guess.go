package vfs

import (
	"context"
	"strings"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Whoever looks a name up in a folder of which nothing is known mostly walks down a path: the
// name is a folder's, and the next is asked for in there. So while the folder is listed, a
// page of all keys beneath the name is asked for, too. Where that is all of them, the whole
// tree is known after one round of requests instead of one a level.

// wrongGuesses is how many guesses about unknown names in a folder may come to nothing, one
// after the other, until none is made there any more.
const wrongGuesses = 2

// guess is a page of all keys beneath a name that is about to be looked up.
type guess struct {
	prefix string
	done   chan struct{} // closed when its answer is kept
}

// guessBelow asks for the keys beneath a name in p, if that is likely to pay. The caller is
// about to list p.
func (fs *FS) guessBelow(p *Inode, name string) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if fs.ctx.Err() != nil || !fs.worthGuessingLocked(p, name) {
		return
	}
	piece, form, ok := keyname.Parse(p.heldLocked(), name)
	if !ok || form != keyname.Plain || piece == "" || p.heldLocked() != "" {
		return
	}
	g := &guess{prefix: p.keyLocked() + piece + "/", done: make(chan struct{})}
	if len(g.prefix) > keyname.MaxKey || fs.tree.foreseen.get(fs, g.prefix) != nil || fs.walkComesLocked(g.prefix) {
		return
	}
	p.t.guess = g
	fs.wg.Go(func() {
		defer fs.endGuess(p, g)
		if err := fs.listBelow(p, name, g.prefix); err != nil {
			fs.log.Debug("a listing that ran ahead failed", "prefix", g.prefix, "err", err)
		}
	})
}

func (fs *FS) endGuess(p *Inode, g *guess) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	p.t.guess = nil
	close(g.done)
}

// worthGuessingLocked tells names that are likely to be those of folders with not too much in
// them: one that somebody was in already, or an unknown one that does not look like a file's.
func (fs *FS) worthGuessingLocked(p *Inode, name string) bool {
	n := p.t.children[name]
	switch {
	case p.t.guess != nil || p.t.gone:
		return false
	case n == nil:
		return p.t.wrongGuesses < wrongGuesses && strings.LastIndexByte(name, '.') <= 0
	}
	return n.dir && !n.t.vast && n.t.listing != nil && fs.listingLocked(n) == nil
}

// listBelow keeps what one page shows of all the folders beneath a prefix.
func (fs *FS) listBelow(p *Inode, name, prefix string) error {
	asked := fs.stamp()
	page, err := fs.store.List(fs.ctx, object.Query{Prefix: prefix})
	if err != nil {
		return err
	}
	all := page.Next == ""
	fs.tree.Lock()
	p.t.wrongGuesses++
	if all && len(page.Objects) > 0 {
		p.t.wrongGuesses = 0
	}
	if n := p.t.children[name]; n != nil {
		n.t.vast = !all
	}
	fs.tree.Unlock()
	if len(page.Objects) == 0 {
		return nil // no folder
	}
	w := newWalk(fs, prefix, "")
	split := splitter{base: prefix, whole: true, max: max(1, fs.o.MaxListed/4)}
	split.page(page.Objects, asked)
	if all {
		split.end()
	}
	w.found(split.take(), split.pos, true)
	return nil
}

// awaitGuess waits for a guess about a prefix in p that is under way.
func (fs *FS) awaitGuess(ctx context.Context, p *Inode, prefix string) error {
	fs.tree.Lock()
	g := p.t.guess
	fs.tree.Unlock()
	if g == nil || g.prefix != prefix {
		return nil
	}
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return object.Errorf(object.KindOf(ctx.Err()), "list", prefix, "%w", ctx.Err())
	}
}
