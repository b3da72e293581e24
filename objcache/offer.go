package objcache

import (
	"hash/crc32"
	"io"

	"github.com/s3mount/s3mount/object"
)

// Offer caches the blocks of a version that lie wholly in ranges, unless they are cached. The
// ranges are sorted and apart, and content has their bytes, for which the caller vouches. It
// goes to the disk, but not to the store; what there is no room for is not cached.
func (c *Cache) Offer(of object.Info, ranges []object.Range, content io.ReaderAt) {
	if c.disk == nil || of.ETag == "" || of.ID().Local() || of.Size <= 0 {
		return
	}
	o := offer{d: c.disk, n: nameOf(of.ID()), size: of.Size, content: content}
	defer func() { o.s.close() }()
	for _, r := range ranges {
		if err := o.keep(r); err != nil {
			c.disk.log.Warn("what was written is not cached, reading it will download it", "key", of.Key, "err", err)
			return
		}
	}
}

// offer is the keeping of blocks from elsewhere.
type offer struct {
	d       *diskCache
	n       name
	size    int64
	content io.ReaderAt
	s       *session // nil as long as no block was there to keep
	buf     []byte
}

// keep writes the blocks that lie wholly in r, one after the other.
func (o *offer) keep(r object.Range) error {
	d := o.d
	end := r.End() / d.blockSize
	if r.End() >= o.size {
		end = ceilDiv(o.size, d.blockSize)
	}
	for index := ceilDiv(r.Off, d.blockSize); index < end && o.open(); index++ {
		if err := o.keepBlock(index); err != nil {
			return err
		}
	}
	return nil
}

// open makes sure that there are files to write to; false: there is no room, or somebody else
// is at work on them.
func (o *offer) open() bool {
	d := o.d
	d.mu.Lock()
	closed := d.mu.closed
	d.mu.Unlock()
	if closed || d.off.Load() {
		return false
	}
	if o.s == nil {
		o.s, _ = d.create(o.n, o.size)    // what fails is not cached
		o.buf = make([]byte, d.blockSize) // no more: many uploads may end at the same time
	}
	return o.s != nil && o.s.index != nil
}

func (o *offer) keepBlock(index int64) error {
	if o.s.records(index, 1)[0] {
		return nil
	}
	off := index * o.d.blockSize
	p := o.buf[:min(o.d.blockSize, o.size-off)]
	if k, err := o.content.ReadAt(p, off); k < len(p) {
		return shortBody(err)
	}
	return o.s.write(index, []summed{{p, crc32.Checksum(p, castagnoli)}})
}
