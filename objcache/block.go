package objcache

import (
	"hash/crc32"
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/s3mount/s3mount/object"
)

// version is what the memory holds of one object version. Cache.mu guards it, but for
// onDisk, and for id, size and name, which don't change.
type version struct {
	id      object.ID
	size    int64
	name    name             // of its files on disk; set if onDisk ever was
	blocks  map[int64]*block // by index
	readers map[*Reader]struct{}
	known   []int64 // where readers that are gone began to read far
	shared  bool    // it is in Cache.mu.versions
	told    string  // if id has no ETag: that which came with the first bytes
	// onDisk tells that the disk cache may be asked, and given blocks.
	onDisk atomic.Bool
}

// maxUnits is the number of bits in block.valid.
const maxUnits = 64

// block is the memory for BlockSize bytes of a version, fewer at its end. It is filled
// in units of Cache.unit bytes: whole by a reader in order, and only as far as was asked
// for by others. Cache.mu guards it, but for the bytes of buf: those of the units in
// coming belong to loads, and those in valid are never written again.
type block struct {
	v     *version
	index int64
	buf   []byte

	// crc is the checksum of all of buf, if it came at once: the sum of bytes costs little
	// while they are still in the processor's cache.
	crc    uint32
	hasCRC bool

	valid  uint64   // the units that hold the object's bytes
	coming uint64   // the units that loads under way are to fill; none of valid
	pieces []*piece // what these loads have of the block

	visits  int  // how often a later read found something missing
	refs    int  // pieces, and who waits for it, copies from it or writes it to disk
	gone    bool // no longer in v.blocks; the last who lets go frees the buffer
	list    *blockList
	owner   *stream   // for whom it was made ahead, until somebody reads it
	readyAt time.Time // set when it was loaded ahead
	unsaved bool      // it waits to be written to disk
}

// piece is what one load fills of one block: the bytes from lo to hi, in whole units.
// Cache.mu guards it.
type piece struct {
	b      *block
	lo, hi int
	// wantLo and wantHi are what is wanted of it. While the load looks for the block on
	// disk, where there are whole blocks only, the rest is taken too.
	wantLo, wantHi int
	waiters        int
	done           chan struct{} // closes when it is settled, or gives up what is not wanted
	err            error         // why it could not be filled
}

type blockList = simplelru.LRU[*block, struct{}]

func newBlockList() *blockList {
	// The bytes are limited, not the number; an error means a size below 1.
	l, _ := simplelru.NewLRU[*block, struct{}](math.MaxInt, nil)
	return l
}

// units returns the units that the bytes of a block from lo to hi are in.
func (c *Cache) units(lo, hi int) uint64 {
	below := func(n int64) uint64 { return 1<<n - 1 }
	return below(ceilDiv(int64(hi), c.unit)) &^ below(int64(lo)/c.unit)
}

// run returns how many bytes of b from lo on are in units, without a gap.
func (c *Cache) run(b *block, units uint64, lo int) int {
	first := lo / int(c.unit)
	n := bits.TrailingZeros64(^(units >> first))
	return max(min((first+n)*int(c.unit), len(b.buf))-lo, 0)
}

// summed returns the content of a whole block.
func (b *block) summed() summed {
	if b.hasCRC {
		return summed{b.buf, b.crc}
	}
	return summed{b.buf, crc32.Checksum(b.buf, castagnoli)}
}

// whole reports whether all of b is valid.
func (c *Cache) whole(b *block) bool { return b.valid == c.units(0, len(b.buf)) }

// versionLocked finds or makes the version. One that is known in another size is
// forgotten: what is believed of an ID now is what counts.
func (c *Cache) versionLocked(id object.ID, size int64) *version {
	v := c.mu.versions[id]
	if v != nil && v.size == size {
		return v
	}
	if v != nil {
		c.detachLocked(v)
	}
	v = &version{id: id, size: size, blocks: make(map[int64]*block), readers: make(map[*Reader]struct{})}
	if id.ETag == "" {
		return v
	}
	v.shared = true
	c.mu.versions[id] = v
	if c.disk != nil && !id.Local() { // those are on the disk already, where their owner has them
		v.name = nameOf(id)
		v.onDisk.Store(true)
	}
	return v
}

// detachLocked makes later readers start anew, and forgets the blocks. Readers of v
// keep it for themselves, without the disk.
func (c *Cache) detachLocked(v *version) {
	if v.shared {
		delete(c.mu.versions, v.id)
	}
	v.shared = false
	v.onDisk.Store(false)
	for _, b := range v.blocks {
		c.forgetLocked(b)
	}
}

// releaseVersionLocked forgets a version that has neither readers nor blocks, and the
// blocks of one that nobody can find any more.
func (c *Cache) releaseVersionLocked(v *version) {
	if len(v.readers) > 0 {
		return
	}
	if !v.shared {
		for _, b := range v.blocks {
			c.forgetLocked(b)
		}
		return
	}
	if len(v.blocks) == 0 {
		delete(c.mu.versions, v.id)
		v.shared = false
	}
}

// blockLen returns the length of the block with an index, in bytes.
func (c *Cache) blockLen(v *version, index int64) int {
	return int(min(c.blockSize, v.size-index*c.blockSize))
}

// newBlockLocked adds an empty block with the buffer buf.
func (c *Cache) newBlockLocked(v *version, index int64, buf []byte, owner *stream) *block {
	b := &block{v: v, index: index, buf: buf}
	v.blocks[index] = b
	if owner != nil {
		b.owner = owner
		owner.r.held += int64(cap(buf))
		owner.ahead[b] = struct{}{}
		c.mu.held += int64(cap(buf))
		c.mu.holders[owner.r] = struct{}{}
	}
	return b
}

// disownLocked ends that b counts as loaded ahead.
func (c *Cache) disownLocked(b *block) {
	s := b.owner
	if s == nil {
		return
	}
	b.owner = nil
	s.r.held -= int64(cap(b.buf))
	c.mu.held -= int64(cap(b.buf))
	delete(s.ahead, b)
	if s.r.held == 0 {
		delete(c.mu.holders, s.r)
	}
}

// useLocked notes that a reader came for b, and pins it.
func (c *Cache) useLocked(b *block) {
	b.refs++
	c.disownLocked(b)
	switch {
	case b.list == nil:
	case b.list == c.mu.warm:
		c.mu.warm.Get(b)
	default:
		c.listLocked(b, c.mu.warm)
	}
}

// listLocked moves b to the recent end of l; nil: to no list. Of those that were read, the
// ones that wait for the disk have a list of their own.
func (c *Cache) listLocked(b *block, l *blockList) {
	if b.unsaved && (l == c.mu.warm || l == c.mu.cold) {
		l = c.mu.unsaved.read
	}
	if b.list != nil {
		b.list.Remove(b)
	}
	b.list = l
	if l != nil {
		l.Add(b, struct{}{})
	}
}

// unpin lets go of a pinned block.
func (c *Cache) unpin(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unpinLocked(b)
}

func (c *Cache) unpinLocked(b *block) {
	b.refs--
	c.freeLocked(b)
}

// freeLocked gives the buffer of b back if nobody needs it any more.
func (c *Cache) freeLocked(b *block) {
	if b.gone && b.refs == 0 && b.buf != nil {
		c.mu.pool.put(b.buf)
		b.buf = nil
	}
}

// forgetLocked takes b out of the cache. Loads that are under way for it go on for
// those who wait.
func (c *Cache) forgetLocked(b *block) {
	if b.gone {
		return
	}
	b.gone = true
	c.disownLocked(b)
	if b.unsaved {
		c.savedLocked(b)
		c.mu.stats.Dropped++
	}
	c.listLocked(b, nil)
	delete(b.v.blocks, b.index)
	c.freeLocked(b)
	if b.v.shared {
		c.releaseVersionLocked(b.v)
	}
}

// claimLocked makes a piece of b, whose units must be neither valid nor coming. It pins
// b until it is settled.
func (c *Cache) claimLocked(b *block, lo, hi int) *piece {
	p := &piece{b: b, lo: lo, hi: hi, wantLo: lo, wantHi: hi, done: make(chan struct{})}
	if b.v.onDisk.Load() && b.valid == 0 && b.coming == 0 {
		p.lo, p.hi = 0, len(b.buf)
	}
	b.coming |= c.units(p.lo, p.hi)
	b.pieces = append(b.pieces, p)
	b.refs++
	c.listLocked(b, nil)
	return p
}

// narrowLocked gives up what is not wanted of p; who waits for that begins anew.
func (c *Cache) narrowLocked(p *piece) {
	if p.lo == p.wantLo && p.hi == p.wantHi {
		return
	}
	p.b.coming &^= c.units(p.lo, p.hi)
	p.lo, p.hi = p.wantLo, p.wantHi
	p.b.coming |= c.units(p.lo, p.hi)
	close(p.done)
	p.done = make(chan struct{})
}

// settleLocked ends p: its bytes are there, or err tells why not. A block with nothing
// in it is forgotten.
func (c *Cache) settleLocked(p *piece, err error) {
	b := p.b
	b.coming &^= c.units(p.lo, p.hi)
	if err == nil {
		b.valid |= c.units(p.lo, p.hi)
	}
	for i, other := range b.pieces {
		if other == p {
			b.pieces = append(b.pieces[:i], b.pieces[i+1:]...)
			break
		}
	}
	p.err = err
	close(p.done)
	switch {
	case b.gone || len(b.pieces) > 0:
	case b.valid == 0:
		c.forgetLocked(b)
	case b.owner != nil:
		b.readyAt = time.Now()
		c.listLocked(b, c.mu.ahead)
	default:
		c.listLocked(b, c.mu.warm)
	}
	c.unpinLocked(b)
}

// pieceLocked returns the piece that is to fill the byte at lo of b; nil if none is.
func (b *block) pieceLocked(lo int) *piece {
	for _, p := range b.pieces {
		if p.lo <= lo && lo < p.hi {
			return p
		}
	}
	return nil
}
