package objcache

const (
	// growth is how much may be loaded ahead per byte that was read in order: what is
	// wasted when the reader stops is at most that much, and a long read is at full
	// speed after a few round trips.
	growth = 4
	// A read may be this far, in bytes, from where it is expected and still count as in
	// order: four times its length, within bounds. The kernel sends several requests at
	// once, and they come in any order.
	minSlack = 128 << 10
	maxSlack = 4 << 20
)

// stream watches the reads of a Reader for order. Cache.mu guards it.
type stream struct {
	reads    int
	bytes    int64 // read in order since the last jump
	next     int64 // the offset behind the farthest of them
	frontier int64 // index of the first block that was not considered for loading ahead
}

// note counts a read of n bytes at off. It returns false if the read is a jump; the
// stream starts anew then.
func (s *stream) note(off, n int64) bool {
	slack := min(max(4*n, minSlack), maxSlack)
	if s.reads > 0 && (off > s.next+slack || off+n < s.next-slack) {
		*s = stream{reads: 1, bytes: n, next: off + n}
		return false
	}
	s.reads++
	if s.reads == 1 || off+n > s.next {
		s.bytes += n
		s.next = off + n
	}
	return true
}

// loadAheadLocked starts loads so that r has as much ahead of it as its reading in
// order so far deserves and its share of the memory permits. The first read has none
// yet. The window is loaded in runs that let all GETs work at it at the same time.
func (c *Cache) loadAheadLocked(r *Reader) {
	s := &r.stream
	if r.closed || c.mu.closed || s.reads < 2 || s.bytes < c.blockSize/growth {
		return
	}
	c.expireAheadLocked()
	window := min(s.bytes*growth, c.shareLocked(r)) / c.blockSize // blocks
	total := ceilDiv(r.v.size, c.blockSize)
	first := ceilDiv(s.next, c.blockSize)
	target := min(first+window, total)
	run := min(max(window/int64(c.o.MaxFetches), 1), max(maxRun/c.blockSize, 1))
	s.frontier = max(s.frontier, first)
	for s.frontier < target {
		left := target - s.frontier
		if left < run && target < total && s.frontier-first > window/2 {
			return // wait until a whole run fits
		}
		n := c.loadRunLocked(r, s.frontier, min(run, left))
		if n == 0 {
			return
		}
		s.frontier += n
	}
}

// loadRunLocked starts to load up to n blocks from index on ahead of r. It returns how
// many blocks need no more care: those that it loads, or one that is there already.
func (c *Cache) loadRunLocked(r *Reader, index, n int64) int64 {
	if r.v.blocks[index] != nil {
		return 1
	}
	if !c.trySlot() {
		return 0
	}
	l := c.newLoad(r.v)
	l.slot, l.owner = true, r
	for i := index; i < index+n && r.v.blocks[i] == nil; i++ {
		buf := c.aheadBufferLocked(c.blockLen(r.v, i), r)
		if buf == nil {
			break
		}
		l.blocks = append(l.blocks, c.newBlockLocked(r.v, i, buf, r))
	}
	if len(l.blocks) == 0 {
		l.cancel()
		c.freeSlot()
		return 0
	}
	r.loads[l] = struct{}{}
	c.startLocked(l)
	return int64(len(l.blocks))
}

// abandonLocked gives up what was loaded ahead of r: ready blocks are the next to be
// evicted, and loads end unless somebody waits for one of their blocks.
func (r *Reader) abandonLocked() {
	c := r.c
	for l := range r.loads {
		l.abandoned = true
		c.killUnwantedLocked(l)
	}
	for b := range r.ahead {
		c.giveUpLocked(b)
	}
}

// ceilDiv returns a/b rounded up, for a ≥ 0; no a overflows.
func ceilDiv(a, b int64) int64 { return a/b + min(a%b, 1) }
