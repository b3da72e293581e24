package objcache

import (
	"io"
	"slices"

	"github.com/s3mount/s3mount/object"
)

// Inherit tells that version to is version from but for the changed ranges, which are sorted
// and apart, hold all that is beyond the end of from, and are read from content: what is
// cached of from becomes that of to, as far as it is right there, and from is cached no more.
// Blocks that are changed in part are put together if the rest of them is cached and right;
// those that are changed as a whole are for Offer.
//
// It goes to the disk, but not to the store. What can't be had is not cached. A file that is
// given away (Whole) is not changed; where nothing is, it becomes that of the new version.
func (c *Cache) Inherit(from, to object.Info, changed []object.Range, content io.ReaderAt) {
	if from.ETag == "" || to.ETag == "" || from.ID() == to.ID() || from.ID().Local() || to.ID().Local() || from.Size <= 0 || to.Size <= 0 {
		return
	}
	s := succession{key: to.Key, blockSize: c.blockSize, from: from.Size, to: to.Size, changed: changed, content: content}
	if !s.valid() {
		return
	}
	if c.disk != nil {
		c.disk.inherit(nameOf(from.ID()), nameOf(to.ID()), s)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inheritLocked(from.ID(), to.ID(), s)
}

// inheritLocked gives the whole blocks of one version, that nobody uses and that are not
// changed, to another one, for which the disk may not have them.
func (c *Cache) inheritLocked(from, to object.ID, s succession) {
	v := c.mu.versions[from]
	if v == nil || v.size != s.from || c.mu.closed {
		return
	}
	heir := c.versionLocked(to, s.to)
	for index, b := range v.blocks {
		if b.refs > 0 || b.owner != nil || !c.whole(b) || s.affects(index) || heir.blocks[index] != nil {
			continue
		}
		delete(v.blocks, index)
		b.v, heir.blocks[index] = heir, b
		if heir.onDisk.Load() {
			c.offerLocked(b)
		}
	}
	c.detachLocked(v)
	c.releaseVersionLocked(heir)
}

// succession is how one version comes of another.
type succession struct {
	key       string // of the new one
	blockSize int64
	from, to  int64 // their sizes in bytes
	changed   []object.Range
	content   io.ReaderAt
}

// same reports whether the new version has the bytes of the old one.
func (s *succession) same() bool { return len(s.changed) == 0 && s.from == s.to }

// valid reports whether the changes are in order, within the version, and all that is new
// is among them.
func (s *succession) valid() bool {
	end := int64(0)
	for _, r := range s.changed {
		if r.Off < end || r.Len <= 0 || r.End() > s.to {
			return false
		}
		end = r.End()
	}
	if s.to <= s.from {
		return true
	}
	n := len(s.changed)
	return n > 0 && s.changed[n-1].Off <= s.from && end == s.to
}

// block returns where a block of the new version begins and ends.
func (s *succession) block(index int64) (off, end int64) {
	off = index * s.blockSize
	return off, min(off+s.blockSize, s.to)
}

// affects reports whether a block of the old version is none of the new one as it is.
func (s *succession) affects(index int64) bool {
	off, end := s.block(index)
	return end <= off || min(off+s.blockSize, s.from) != end || len(s.within(off, end)) > 0
}

// within returns the changed ranges that meet those bytes.
func (s *succession) within(off, end int64) []object.Range {
	first, _ := slices.BinarySearchFunc(s.changed, off, func(r object.Range, off int64) int {
		if r.End() <= off {
			return -1
		}
		return 1
	})
	last := first
	for last < len(s.changed) && s.changed[last].Off < end {
		last++
	}
	return s.changed[first:last]
}

// covered reports whether all those bytes are changed.
func (s *succession) covered(off, end int64) bool {
	for _, r := range s.within(off, end) {
		if r.Off > off {
			return false
		}
		off = r.End()
	}
	return off >= end
}

// overlay reads the changed ranges of [off, off+len(p)) into p, and calls write with each of
// them.
func (s *succession) overlay(p []byte, off int64, write func(p []byte, off int64) error) error {
	for _, r := range s.within(off, off+int64(len(p))) {
		from, to := max(r.Off, off), min(r.End(), off+int64(len(p)))
		part := p[from-off : to-off]
		if n, err := s.content.ReadAt(part, from); n < len(part) {
			return shortBody(err)
		}
		if err := write(part, from); err != nil {
			return err
		}
	}
	return nil
}
