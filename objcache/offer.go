package objcache

import (
	"hash/crc32"
	"io"
	"slices"

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

// keep writes the blocks that lie wholly in r.
func (o *offer) keep(r object.Range) error {
	d := o.d
	end := r.End() / d.blockSize
	if r.End() >= o.size {
		end = ceilDiv(o.size, d.blockSize)
	}
	for index := ceilDiv(r.Off, d.blockSize); index < end && o.open(); {
		n := min(end-index, int64(d.batch))
		if err := o.keepRun(index, int(n)); err != nil {
			return err
		}
		index += n
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
		o.s, _ = d.create(o.n, o.size) // what fails is not cached
		o.buf = make([]byte, int64(d.batch)*d.blockSize)
	}
	return o.s != nil && o.s.index != nil
}

func (o *offer) keepRun(index int64, n int) error {
	if there := o.s.records(index, n); !slices.Contains(there, false) {
		return nil
	}
	off := index * o.d.blockSize
	p := o.buf[:min(int64(n)*o.d.blockSize, o.size-off)]
	if k, err := o.content.ReadAt(p, off); k < len(p) {
		return shortBody(err)
	}
	run := make([]summed, 0, n)
	for len(p) > 0 {
		block := p[:min(int64(len(p)), o.d.blockSize)]
		run = append(run, summed{block, crc32.Checksum(block, castagnoli)})
		p = p[len(block):]
	}
	return o.s.write(index, run)
}
