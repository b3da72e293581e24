package writeback

import "github.com/s3mount/s3mount/object"

// MaxPartSize is the greatest part in bytes: S3's limit is 5 GiB; a power of two is kept
// below it.
const MaxPartSize = 4 << 30

// The limits of S3 that the layout keeps. They are in the S3 user guide under
// "Amazon S3 multipart upload limits".
const (
	maxParts      = 10_000
	maxObjectSize = 5 << 40
	maxPartSize   = MaxPartSize
	partsPerTier  = 900
)

// layout cuts an object into the parts of a multipart upload. Where a part begins and
// ends does not depend on the object's size, except that the last one is cut off, so
// that parts may go up while the size is still unknown.
//
// Parts come in tiers of 900: those of tier 0 have size first, those of each further
// tier twice as much, up to 4 GiB. From 5 MiB on, 10,000 parts hold 5 TiB.
type layout struct {
	first int64 // bytes, the size of the parts of tier 0
}

// partRange is one part of an upload: number counts from 1.
type partRange struct {
	number    int
	off, size int64
	// from is the version whose bytes of the same place the store makes the part of; the
	// zero value: they are sent.
	from object.ID
}

func (p partRange) end() int64 { return p.off + p.size }

// tierSize is the size of the parts of a tier.
func (l layout) tierSize(tier int) int64 {
	size := l.first
	for ; tier > 0 && size < maxPartSize; tier-- {
		size *= 2
	}
	return min(size, maxPartSize)
}

// part returns part number n (1 to maxParts) of an object without end.
func (l layout) part(n int) partRange {
	tier, index := (n-1)/partsPerTier, (n-1)%partsPerTier
	var off int64
	for t := range tier {
		off += partsPerTier * l.tierSize(t)
	}
	size := l.tierSize(tier)
	return partRange{number: n, off: off + int64(index)*size, size: size}
}

// at returns the part that holds the byte at off, which must be below capacity.
func (l layout) at(off int64) partRange {
	var begin int64
	for tier := 0; ; tier++ {
		size := l.tierSize(tier)
		if length := partsPerTier * size; off >= begin+length {
			begin += length
			continue
		}
		index := (off - begin) / size
		return partRange{
			number: tier*partsPerTier + int(index) + 1,
			off:    begin + index*size,
			size:   size,
		}
	}
}

// capacity is the size of the largest object that the layout can hold.
func (l layout) capacity() int64 { return min(l.part(maxParts).end(), maxObjectSize) }

// parts returns all parts of an object of size bytes, at least one; size must not be
// over capacity.
func (l layout) parts(size int64) []partRange {
	last := l.at(max(size-1, 0))
	out := make([]partRange, 0, last.number)
	for off, tier := int64(0), 0; len(out) < last.number; tier++ {
		length := l.tierSize(tier)
		for range min(partsPerTier, last.number-len(out)) {
			out = append(out, partRange{number: len(out) + 1, off: off, size: length})
			off += length
		}
	}
	out[len(out)-1].size = size - last.off
	return out
}
