package objcache

import "time"

// idleAhead is how long a block that was loaded ahead may wait to be read before it no
// longer counts as such: the reader has stopped, and others get its share.
const idleAhead = 5 * time.Second

// aheadLimit is how many bytes all readers together may hold ahead. The rest is for
// demanded blocks and for what was read before.
func (c *Cache) aheadLimit() int64 { return c.o.Memory / 4 * 3 }

// shareLocked is how many bytes r may hold ahead: the limit divided among those who
// hold some.
func (c *Cache) shareLocked(r *Reader) int64 {
	n := len(c.mu.holders)
	if _, ok := c.mu.holders[r]; !ok {
		n++
	}
	return c.aheadLimit() / int64(n)
}

// demandBufferLocked returns a buffer of n bytes for a block that somebody waits for;
// nil when every buffer is pinned or in flight.
func (c *Cache) demandBufferLocked(n int) []byte {
	for {
		if b := c.mu.pool.get(n); b != nil {
			return b
		}
		if !c.evictReadLocked() && !c.evictLocked(c.mu.ahead) {
			return nil
		}
	}
}

// aheadBufferLocked returns a buffer of n bytes for a block to load ahead for r; nil
// when r has its share, or the memory is needed for better things.
func (c *Cache) aheadBufferLocked(n int, r *Reader) []byte {
	size := int64(minBuffer << classOf(n))
	if r.held+size > c.shareLocked(r) {
		return nil
	}
	for c.mu.held+size > c.aheadLimit() {
		if !c.trimLocked(r) {
			return nil
		}
	}
	return c.spareBufferLocked(n)
}

// evictReadLocked forgets a block that nobody is known to need, best one that can be had
// from the disk.
func (c *Cache) evictReadLocked() bool {
	return c.evictLocked(c.mu.cold) || c.evictLocked(c.mu.warm) || c.evictLocked(c.mu.unsaved.read)
}

// evictLocked forgets the least recent block of l that is not pinned.
func (c *Cache) evictLocked(l *blockList) bool {
	for range l.Len() {
		b, _, ok := l.GetOldest()
		if !ok {
			return false
		}
		if b.refs == 0 {
			c.forgetLocked(b)
			return true
		}
		l.Get(b) // pinned: it is in use, so it is recent
	}
	return false
}

// expireAheadLocked makes the blocks that have waited too long to be read the next to
// be evicted.
func (c *Cache) expireAheadLocked() {
	for {
		b, _, ok := c.mu.ahead.GetOldest()
		if !ok || time.Since(b.readyAt) < idleAhead {
			return
		}
		c.giveUpLocked(b)
	}
}

// giveUpLocked ends that b is kept for its owner.
func (c *Cache) giveUpLocked(b *block) {
	c.disownLocked(b)
	if b.list != nil {
		c.listLocked(b, c.mu.cold)
	}
}

// trimLocked takes the farthest block from the reader that holds most ahead, if that
// is over the share that r may have too.
func (c *Cache) trimLocked(r *Reader) bool {
	var most *Reader
	for h := range c.mu.holders {
		if h != r && (most == nil || h.held > most.held) {
			most = h
		}
	}
	if most == nil || most.held <= c.shareLocked(r) {
		return false
	}
	for _, s := range most.streams {
		if c.cutLocked(s) {
			return true
		}
	}
	return false
}

// cutLocked forgets the farthest block that was loaded ahead for s.
func (c *Cache) cutLocked(s *stream) bool {
	if len(s.ahead) == 0 || s.front == 0 && s.dir > 0 {
		return false
	}
	index := s.front / c.blockSize
	if s.dir > 0 && s.step == 0 {
		index = (s.front - 1) / c.blockSize
	}
	b := s.r.v.blocks[index]
	if b == nil || b.owner != s || b.refs > 0 {
		return false
	}
	s.front = index * c.blockSize
	if s.dir < 0 {
		s.front += int64(len(b.buf))
	}
	c.forgetLocked(b)
	return true
}
