package vfs

import "container/list"

// foreseen are listings of folders that the table of inodes does not have: a walk found
// them ahead of a program that goes through the folders, or the kernel forgot the folder,
// as it does when memory is short. Guarded by FS.tree. They count as listings do, and are
// the first to go.
type foreseen struct {
	byPrefix map[string]*list.Element // of *forecast
	order    list.List                // the oldest first
}

// forecast is one folder as a walk found it, or as it was when it was forgotten.
type forecast struct {
	prefix  string
	listing *listing // partial where the folder is large: what a walk found has no names then
	marker  listed   // hasMarker, and info of the marker
	walk    *walk    // nil: nobody walks there
}

func (f *forecast) entries() int { return len(f.listing.byName) + 1 }

// put keeps a forecast in the place of an older one.
func (s *foreseen) put(fs *FS, f *forecast) {
	s.drop(fs, f.prefix)
	if s.byPrefix == nil {
		s.byPrefix = map[string]*list.Element{}
	}
	s.byPrefix[f.prefix] = s.order.PushBack(f)
	f.listing.live = true
	fs.tree.listed += f.entries()
	if f.walk != nil {
		f.walk.unasked += f.entries()
	}
	fs.boundListingsLocked()
}

// drop forgets a folder.
func (s *foreseen) drop(fs *FS, prefix string) *forecast {
	e := s.byPrefix[prefix]
	if e == nil {
		return nil
	}
	f, _ := s.order.Remove(e).(*forecast)
	delete(s.byPrefix, prefix)
	f.listing.live = false
	fs.tree.listed -= f.entries()
	if f.walk != nil {
		f.walk.unasked -= f.entries()
	}
	return f
}

// dropOldest forgets the oldest forecast; false: there is none.
func (s *foreseen) dropOldest(fs *FS) bool {
	e := s.order.Front()
	if e == nil {
		return false
	}
	f, _ := e.Value.(*forecast)
	s.drop(fs, f.prefix)
	return true
}

func (s *foreseen) dropAll(fs *FS) {
	for s.dropOldest(fs) {
	}
}

// get returns what was foreseen of a folder and is still trusted.
func (s *foreseen) get(fs *FS, prefix string) *forecast {
	e := s.byPrefix[prefix]
	if e == nil {
		return nil
	}
	f, _ := e.Value.(*forecast)
	if !fs.fresh(f.listing.at) {
		s.drop(fs, prefix)
		return nil
	}
	return f
}

// claimLocked makes a foreseen listing that of its folder, which somebody asks for now.
func (fs *FS) claimLocked(n *Inode) *listing {
	if len(fs.tree.foreseen.byPrefix) == 0 || n.t.gone {
		return nil
	}
	f := fs.tree.foreseen.get(fs, n.keyLocked())
	if f == nil {
		return nil
	}
	fs.tree.foreseen.drop(fs, f.prefix)
	if f.walk != nil {
		f.walk.claimedLocked(f.prefix)
	}
	if n != fs.root {
		n.t.marker = f.marker.hasMarker
	}
	fs.setListingLocked(n, f.listing)
	return n.t.listing
}

// foreseeMarkerLocked completes what a listing shows of a folder, with its marker.
func (fs *FS) foreseeMarkerLocked(p *Inode, e *listed) {
	if !e.dir || e.hasMarker != markerUnknown || len(fs.tree.foreseen.byPrefix) == 0 {
		return
	}
	if f := fs.tree.foreseen.get(fs, p.keyLocked()+e.piece+"/"); f != nil && f.marker.hasMarker != markerUnknown {
		e.hasMarker, e.info = f.marker.hasMarker, f.marker.info
	}
}

// rememberLocked keeps the listing of a folder whose inode is dropped, as long as it would
// have been trusted. It goes before what is foreseen.
func (fs *FS) rememberLocked(n *Inode) {
	l := n.t.listing
	if l == nil || l.partial || !fs.fresh(l.at) {
		return
	}
	for at := n; at != nil; at = at.t.parent {
		if at.t.gone {
			return // another folder may have its name
		}
	}
	marker := listed{found: found{hasMarker: n.t.marker}}
	if n.t.marker == markerYes {
		marker.info = n.t.info
	}
	prefix := n.keyLocked()
	fs.setListingLocked(n, nil)
	fs.tree.foreseen.put(fs, &forecast{prefix: prefix, listing: l, marker: marker})
	if e := fs.tree.foreseen.byPrefix[prefix]; e != nil {
		fs.tree.foreseen.order.MoveToFront(e)
	}
}
