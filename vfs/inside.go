package vfs

import (
	"context"

	"github.com/s3mount/s3mount/object"
)

// A folder's attributes are those of its marker, if it has one, and only a request can
// tell. A HEAD of the marker would tell nothing else. The first page of the folder's
// listing begins with the marker, and whoever comes to a folder mostly goes in: so that
// page is asked for instead, and kept for the one who does.

// firstPage is the first page of a large folder's listing, until somebody reads on from it.
type firstPage struct {
	prefix string
	page   object.Page
	stamp  *stamp
}

// currentLocked reports whether this mount has changed nothing in a folder since.
func (s *stamp) currentLocked(fs *FS, prefix string) bool {
	at := fs.tree.changes.place(prefix)
	return s.folders[at] == fs.tree.changes.folders[at] && s.renames == fs.tree.renames
}

// findMarker finds out whether a folder that a listing of p shows has a marker, where it
// costs no request about the marker alone.
func (fs *FS) findMarker(ctx context.Context, p *Inode, name string, s sought) (sought, error) {
	if fs.o.DirCacheTime <= 0 {
		return s, nil
	}
	prefix := fs.keyOf(p) + s.found.piece + "/"
	fs.foresee(ctx, p, name, prefix)
	if fs.mayLookInside(p, name, prefix) {
		err := fs.listOnce(ctx, prefix, prefix, func() error { return fs.lookInside(fs.ctx, prefix) })
		if err != nil && !object.Is(err, object.KindPermission) { // who may not list may be told by a HEAD
			return s, err
		}
	}
	if again := fs.findCached(p, name); again.how != isUnknown {
		return again, nil
	}
	return s, nil
}

// mayLookInside reports whether a folder's first page is worth its price. It is not where
// somebody goes through p with stat, and it is not for a folder that was looked into
// before: to ask for its marker again is less.
func (fs *FS) mayLookInside(p *Inode, name, prefix string) bool {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	l := p.t.listing
	if l == nil || l.ahead.misses >= 2 || p.t.children[name] != nil || fs.tree.foreseen.get(fs, prefix) != nil {
		return false
	}
	l.ahead.misses++
	return true
}

// lookInside lists the first page of a folder that nobody has entered yet.
func (fs *FS) lookInside(ctx context.Context, prefix string) error {
	asked := fs.stamp()
	l := fs.newLister(prefix, "")
	names, complete, err := l.next(ctx)
	if err != nil {
		return err
	}
	if !complete && l.namer.marker == markerUnknown && len(names)+len(l.namer.waiting) > 0 {
		l.namer.marker = markerNo // it would have come first
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if !asked.currentLocked(fs, prefix) {
		return nil
	}
	inside := &listing{prefix: prefix, at: asked.at, partial: !complete}
	inside.fill(append([]listed(nil), names...))
	fs.tree.foreseen.put(fs, &forecast{prefix: prefix, listing: inside,
		marker: listed{found: found{hasMarker: l.namer.marker, info: l.namer.markerInfo}}})
	if !complete {
		fs.tree.first = &firstPage{prefix: prefix, page: l.page, stamp: asked}
	}
	return nil
}

// takeFirstLocked gives out what is kept of a folder's first page, if it is current.
func (fs *FS) takeFirstLocked(prefix string) *firstPage {
	f := fs.tree.first
	if f == nil || f.prefix != prefix {
		return nil
	}
	fs.tree.first = nil
	if !fs.fresh(f.stamp.at) || !f.stamp.currentLocked(fs, prefix) {
		return nil
	}
	return f
}
