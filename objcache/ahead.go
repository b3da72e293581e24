package objcache

const (
	// A GET ahead has this many blocks, as far as its length is worthwhile.
	minRunBlocks = 2
	maxRunBlocks = 32
	// Bounds of the GETs that a window is loaded by: one reader needs many at a time, but
	// many readers need few each.
	minParts, maxParts = 4, 24
	// margin is how many times more is loaded ahead than is read while a GET takes.
	margin = 2
	// A window of up to this many blocks grows with what was read by growth; a larger one
	// is at most this part of what was read: that much is in vain when the reader stops.
	freeBlocks  = 96
	laterGrowth = 3
	// knownBlocks is how many blocks another reader must have read in order until this
	// one takes for known what is there.
	knownBlocks = 32
	// maxKnown bounds the places that are remembered of readers that are gone.
	maxKnown = 64
)

// loadAheadLocked starts loads so that s has as much ahead of it as its reading in
// order so far deserves, its pace needs and the reader's share of the memory permits.
func (c *Cache) loadAheadLocked(s *stream) {
	if s.r.closed || c.mu.closed || s.dir == 0 && s.step == 0 {
		return
	}
	c.expireAheadLocked()
	window, run := c.windowLocked(s)
	switch {
	case s.step != 0:
		c.stepsAheadLocked(s, window)
	case s.dir > 0:
		c.upAheadLocked(s, window, run)
	default:
		c.downAheadLocked(s, window, run)
	}
}

// windowLocked returns how many bytes s should have ahead of it, and how many of them a
// GET should bring: enough that none is waited for at the pace of the reader.
func (c *Cache) windowLocked(s *stream) (window, run int64) {
	window = min(s.bytes*growth, max(s.bytes/laterGrowth, freeBlocks*c.blockSize), c.shareLocked(s.r))
	run = c.runLocked(window)
	if s.pace.rate > 0 {
		need := int64(margin*s.pace.rate*c.mu.meter.take(run)) + run
		window = min(window, max(need, 2*minRunBlocks*c.blockSize))
	}
	return window, run
}

// runLocked returns how many bytes of a window a GET should bring.
func (c *Cache) runLocked(window int64) int64 {
	shortest := minRunBlocks * c.blockSize
	longest := min(max(c.mu.meter.worthwhile(), shortest), maxRunBlocks*c.blockSize)
	parts := int64(max(maxParts/max(len(c.mu.holders), 1), minParts))
	run := min(max(window/parts, shortest), longest)
	return max(run-run%c.blockSize, c.blockSize)
}

// upAheadLocked loads ahead of a reader that goes upwards, in runs that end with blocks.
func (c *Cache) upAheadLocked(s *stream, window, run int64) {
	v := s.r.v
	s.front = max(s.front, s.next)
	target := min(s.next+window, v.size, c.knownLocked(s))
	for s.front < target {
		end := (s.front/c.blockSize)*c.blockSize + run
		if end > target && target < v.size {
			if s.front > s.next+window/2 {
				return // wait until a whole run fits
			}
			end = ceilDiv(target, c.blockSize) * c.blockSize
		}
		done := c.loadRunLocked(s, s.front, min(end, v.size))
		if done == s.front {
			return
		}
		s.front = done
	}
}

// knownLocked returns where another reader of the version has begun to read in order,
// above where s is. What comes there may well not be read again by s.
func (c *Cache) knownLocked(s *stream) int64 {
	known := s.r.v.size
	for _, begin := range s.r.v.known {
		if begin >= s.next {
			known = min(known, begin)
		}
	}
	for r := range s.r.v.readers {
		if r == s.r {
			continue
		}
		for _, other := range r.streams {
			if other.begin >= s.next && other.wentFar() {
				known = min(known, other.begin)
			}
		}
	}
	return known
}

// wentFar reports whether so much was read upwards that it is known what is there.
func (s *stream) wentFar() bool { return s.dir > 0 && s.bytes >= knownBlocks*s.r.c.blockSize }

// downAheadLocked loads ahead of a reader that goes downwards.
func (c *Cache) downAheadLocked(s *stream, window, run int64) {
	s.front = min(s.front, s.lo)
	target := max(s.lo-window, 0)
	for s.front > target {
		start := ceilDiv(s.front, c.blockSize)*c.blockSize - run
		if start < target && target > 0 {
			if s.front < s.lo-window/2 {
				return
			}
			start = target / c.blockSize * c.blockSize
		}
		start = max(start, 0)
		for end := s.front; start < end; {
			done := c.loadRunLocked(s, start, end)
			if done == start {
				return
			}
			start = done
		}
		s.front = max(ceilDiv(s.front, c.blockSize)*c.blockSize-run, 0)
	}
}

// stepsAheadLocked loads the next steps, each by a GET of its own.
func (c *Cache) stepsAheadLocked(s *stream, window int64) {
	n := s.next - s.lo
	for i := min(max(window/n, 1), int64(c.o.MaxFetches)); i > 0; i-- {
		if (s.front-s.lo)/s.step > i || s.front < 0 || s.front >= s.r.v.size {
			return
		}
		if (s.front-s.lo)/s.step < 1 {
			s.front = s.lo + s.step
			continue
		}
		end := min(s.front+n, s.r.v.size)
		for off := s.front; off < end; {
			done := c.loadRunLocked(s, off, end)
			if done == off {
				return
			}
			off = done
		}
		s.front += s.step
	}
}

// loadRunLocked starts to load what is missing from off to end ahead of s, up to what
// is there. It returns up to where nothing needs care any more.
func (c *Cache) loadRunLocked(s *stream, off, end int64) int64 {
	v := s.r.v
	if b := v.blocks[off/c.blockSize]; b != nil {
		lo := int(off % c.blockSize)
		if n := c.run(b, b.valid|b.coming, lo); n > 0 {
			return min(off+int64(n), end)
		}
	}
	if !c.trySlot() {
		return off
	}
	l := c.newLoad(v)
	l.slot, l.owner = true, s
	done := c.claimRunLocked(l, off, end, func(n int) []byte { return c.aheadBufferLocked(n, s.r) })
	if len(l.pieces) == 0 {
		l.cancel()
		c.freeSlot()
		return off
	}
	s.loads[l] = struct{}{}
	c.startLocked(l)
	return done
}

// ceilDiv returns a/b rounded up, for a ≥ 0; no a overflows.
func ceilDiv(a, b int64) int64 { return a/b + min(a%b, 1) }
