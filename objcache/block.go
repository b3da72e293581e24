package objcache

import (
	"math"
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
	blocks  map[int64]*block // by index; loading or ready
	readers int
	shared  bool // it is in Cache.mu.versions
	// onDisk tells that the disk cache may be asked, and given blocks.
	onDisk atomic.Bool
}

// block is BlockSize bytes of a version, fewer at its end. It is loading first; then
// it is ready, or has failed and is forgotten. Cache.mu guards the fields below done.
type block struct {
	v     *version
	index int64
	// buf belongs to the load until done is closed, and is not written afterwards.
	buf  []byte
	done chan struct{} // closes when it is ready or has failed

	ready   bool
	err     error // why it failed
	refs    int   // who waits for it, copies from it or writes it to disk
	gone    bool  // no longer in v.blocks; the last who lets go frees the buffer
	list    *blockList
	owner   *Reader   // for whom it was loaded ahead, until somebody reads it
	readyAt time.Time // set when it was loaded ahead
}

type blockList = simplelru.LRU[*block, struct{}]

func newBlockList() *blockList {
	// The bytes are limited, not the number; an error means a size below 1.
	l, _ := simplelru.NewLRU[*block, struct{}](math.MaxInt, nil)
	return l
}

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
	v = &version{id: id, size: size, blocks: make(map[int64]*block)}
	if id.ETag == "" {
		return v
	}
	v.shared = true
	c.mu.versions[id] = v
	if c.disk != nil {
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
	if v.readers > 0 {
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

// newBlockLocked adds a loading block with the buffer buf.
func (c *Cache) newBlockLocked(v *version, index int64, buf []byte, owner *Reader) *block {
	b := &block{v: v, index: index, buf: buf, done: make(chan struct{})}
	v.blocks[index] = b
	if owner != nil {
		b.owner = owner
		owner.held += int64(cap(buf))
		owner.ahead[b] = struct{}{}
		c.mu.held += int64(cap(buf))
		c.mu.holders[owner] = struct{}{}
	}
	return b
}

// disownLocked ends that b counts as loaded ahead.
func (c *Cache) disownLocked(b *block) {
	r := b.owner
	if r == nil {
		return
	}
	b.owner = nil
	r.held -= int64(cap(b.buf))
	c.mu.held -= int64(cap(b.buf))
	delete(r.ahead, b)
	if len(r.ahead) == 0 {
		delete(c.mu.holders, r)
	}
}

// useLocked notes that a reader came for b, and pins it.
func (c *Cache) useLocked(b *block) {
	b.refs++
	c.disownLocked(b)
	switch {
	case !b.ready || b.gone:
	case b.list == c.mu.warm:
		c.mu.warm.Get(b)
	default:
		c.listLocked(b, c.mu.warm)
	}
}

// listLocked moves b to the recent end of l; nil: to no list.
func (c *Cache) listLocked(b *block, l *blockList) {
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
	b.refs--
	c.freeLocked(b)
}

// freeLocked gives the buffer of b back if nobody needs it any more.
func (c *Cache) freeLocked(b *block) {
	settled := b.ready || b.err != nil
	if b.gone && settled && b.refs == 0 && b.buf != nil {
		c.mu.pool.put(b.buf)
		b.buf = nil
	}
}

// forgetLocked takes b out of the cache. A load that is under way for it goes on for
// those who wait.
func (c *Cache) forgetLocked(b *block) {
	if b.gone {
		return
	}
	b.gone = true
	c.disownLocked(b)
	c.listLocked(b, nil)
	delete(b.v.blocks, b.index)
	c.freeLocked(b)
	if b.v.shared {
		c.releaseVersionLocked(b.v)
	}
}

// readyLocked publishes a block whose bytes are all there.
func (c *Cache) readyLocked(b *block) {
	b.ready = true
	switch {
	case b.gone:
		c.freeLocked(b)
	case b.owner != nil:
		b.readyAt = time.Now()
		c.listLocked(b, c.mu.ahead)
	default:
		c.listLocked(b, c.mu.warm)
	}
	close(b.done)
}

// failLocked tells those who wait for b why it can't be had, and forgets it.
func (c *Cache) failLocked(b *block, err error) {
	b.err = err
	c.forgetLocked(b)
	c.freeLocked(b)
	close(b.done)
}
