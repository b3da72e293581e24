package vfs

import "container/list"

// foreseen are listings of folders that nobody has asked for yet: a walk found them ahead
// of a program that goes through the folders. Guarded by FS.tree. They count as listings
// do, and are the first to go.
type foreseen struct {
	byPrefix map[string]*list.Element // of *forecast
	order    list.List                // the oldest first
}

// forecast is one folder as a walk found it.
type forecast struct {
	prefix  string
	listing *listing // what else is known where it is partial: only the marker
	marker  listed   // hasMarker, and info of the marker
	walk    *walk
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
	f.walk.unasked += f.entries()
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
	f.walk.unasked -= f.entries()
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
	f.walk.claimedLocked()
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
