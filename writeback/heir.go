package writeback

import (
	"io"

	"github.com/s3mount/s3mount/object"
)

// Cache is told what is known of the bytes of versions, so that they are not read from the
// store again. Its methods return soon, keep neither slice nor content, and may do nothing.
type Cache interface {
	// Inherit tells that version to has the bytes of version from, but for the changed
	// ranges, which content has. All beyond the end of from is among them.
	Inherit(from, to object.Info, changed []object.Range, content io.ReaderAt)
	// Offer tells that content has those ranges of a version. They are sorted and apart, as
	// those of Inherit.
	Offer(of object.Info, ranges []object.Range, content io.ReaderAt)
}

// bequeath tells the cache how a version came of the one that was edited. That is of use for
// what is not local. The caller holds the gate, and commits the version then.
func (s *Staged) bequeath(to object.Info) {
	from, changed, ok := s.changes()
	if ok && s.q.Cache != nil && from.ID() != to.ID() {
		s.q.Cache.Inherit(from, to, changed, s.file)
	}
}

// changes returns the version that was edited and which ranges differ from it; false: nobody
// needs to know, since all is local.
func (s *Staged) changes() (from object.Info, changed []object.Range, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.source.ETag == "" || s.mu.base == nil {
		return from, nil, false
	}
	kept := min(s.mu.kept, s.mu.size)
	changed = rangesOf(&s.mu.dirty, 0, kept)
	if kept < s.mu.size {
		changed = appendRange(changed, extent{kept, s.mu.size})
	}
	return object.Info{Key: s.mu.source.Key, ETag: s.mu.source.ETag, Size: s.mu.sourceSize}, changed, true
}

// Offer gives the cache what is local of the version that the file holds, if it is that one.
// It waits for an upload.
func (s *Staged) Offer(of object.Info) {
	if s.q.Cache == nil || s.enter(s.q.ctx, "offer") != nil {
		return
	}
	defer s.leave()
	if ranges := s.localOf(of); len(ranges) > 0 {
		s.q.Cache.Offer(of, ranges, s.file)
	}
}

// localOf returns the ranges of a version that are local; none: the file holds another one.
func (s *Staged) localOf(of object.Info) []object.Range {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.modifiedLocked() || s.mu.source != of.ID() || s.mu.size != of.Size {
		return nil
	}
	local := rangesOf(&s.mu.present, 0, s.mu.baseEnd)
	if s.mu.baseEnd < s.mu.size {
		local = appendRange(local, extent{s.mu.baseEnd, s.mu.size})
	}
	return local
}

// rangesOf returns what is in the set from off to end.
func rangesOf(x *extents, off, end int64) (list []object.Range) {
	for _, e := range x.list {
		if e = e.clip(off, end); e.len() > 0 {
			list = append(list, object.Range{Off: e.off, Len: e.len()})
		}
	}
	return list
}

// appendRange adds a range that is behind all others, or touches the last one.
func appendRange(list []object.Range, e extent) []object.Range {
	if n := len(list); n > 0 && list[n-1].End() == e.off {
		list[n-1].Len += e.len()
		return list
	}
	return append(list, object.Range{Off: e.off, Len: e.len()})
}
