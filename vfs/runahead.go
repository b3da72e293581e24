package vfs

import (
	"github.com/s3mount/s3mount/object"
)

// maxAhead bounds how many names run-ahead asks for at a time.
const maxAhead = 64

// runAhead fetches the attributes of the names that come behind n in a folder's
// listing, in parallel, when several lookups in turn had to ask for theirs: somebody
// goes through the folder with stat. A single lookup asks for nothing more.
func (fs *FS) runAhead(p, n *Inode) {
	for _, key := range fs.aheadKeys(p, n) {
		select {
		case fs.slots <- struct{}{}:
		default:
			return // enough is under way
		}
		fs.wg.Go(func() {
			defer func() { <-fs.slots }()
			fs.headAhead(p, key)
		})
	}
}

// ahead is a name to be asked for before somebody does.
type ahead struct {
	name, key string
	dir       bool
}

func (fs *FS) aheadKeys(p, n *Inode) []ahead {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	l := fs.listingLocked(p)
	if n.t.hasMeta || n.t.staged != nil || l == nil || l.partial || fs.ctx.Err() != nil {
		return nil
	}
	l.misses++
	if l.misses == 1 {
		return nil
	}
	want := min(maxAhead, 4*l.misses)
	prefix := p.keyLocked()
	at := max(l.next, l.position(n.t.name)+1)
	var keys []ahead
	for ; at < len(l.names) && len(keys) < want; at++ {
		e := l.byName[l.names[at]]
		if e == nil || fs.knownLocked(p, e) {
			continue
		}
		key := prefix + e.piece
		if e.dir {
			key += "/"
		}
		keys = append(keys, ahead{e.name, key, e.dir})
	}
	l.next = at
	return keys
}

// knownLocked reports whether a listed name's attributes need no request.
func (fs *FS) knownLocked(p *Inode, e *listed) bool {
	if c := p.t.children[e.name]; c != nil && (c.t.hasMeta || c.t.staged != nil) {
		return true
	}
	if e.dir {
		return e.hasMarker == markerNo || e.info.Meta != nil
	}
	m, ok := fs.o.Meta.Get(e.info.Key)
	return ok && m.SameVersion(e.info)
}

// headAhead keeps a file's attributes in the metadata cache, a folder's in the listing.
func (fs *FS) headAhead(p *Inode, a ahead) {
	currentLocked := fs.asking(a.key)
	info, err := fs.headOnce(fs.ctx, a.key)
	if !a.dir {
		return // headOnce kept it
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	l := p.t.listing
	if l == nil || !currentLocked() || l.byName[a.name] == nil || !l.byName[a.name].dir {
		return
	}
	e := l.byName[a.name]
	switch {
	case err == nil:
		e.hasMarker, e.info = markerYes, info
	case object.Is(err, object.KindNotFound):
		e.hasMarker = markerNo
	}
}
