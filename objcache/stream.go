package objcache

import "time"

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
	// eager is the length of a first read at the beginning of a file that tells at once
	// that it is read in order: the kernel asks for as much only for such a program.
	eager = 128 << 10
	// maxStreams is how many places of a file a Reader follows at a time.
	maxStreams = 8
	// maxAway is how many reads may go elsewhere until a stream is given up.
	maxAway = 64
	// minSteps is how many equal distances in a row make a stride.
	minSteps = 3
)

// stream is reading in order at one place of a file: upwards, downwards, or in steps.
// What is loaded ahead for it is given up with it. Cache.mu guards it.
type stream struct {
	r     *Reader
	dir   int   // 1: upwards, -1: downwards, 0: not known
	step  int64 // not 0: from the beginning of one read to that of the next
	begin int64 // where it began
	lo    int64 // the lowest and, behind the last, the highest byte that was read; with
	next  int64 // a step, of the last read
	downs int   // reads downwards in a row
	bytes int64 // read in order
	used  int   // Reader.reads at its last read

	pace pace
	// front is where loading ahead goes on: the first byte upwards that was not
	// considered, the last one downwards, or the beginning of the next step.
	front int64
	ahead map[*block]struct{} // made for it, loading ones too; not read yet
	loads map[*load]struct{}  // those that are under way for it
}

// pace is how fast a stream is read.
type pace struct {
	since time.Time
	bytes int64
	rate  float64 // bytes a second; 0: not known
}

// paceTime is how long is measured at a time, at least.
const paceTime = 10 * time.Millisecond

func (p *pace) note(n int64) {
	now := time.Now()
	if p.since.IsZero() {
		p.since = now
		return
	}
	p.bytes += n
	took := now.Sub(p.since)
	if took < paceTime {
		return
	}
	rate := float64(p.bytes) / took.Seconds()
	p.rate = max(rate, (3*p.rate+rate)/4)
	p.since, p.bytes = now, 0
}

func (r *Reader) newStreamLocked(off, n int64) *stream {
	s := &stream{r: r, begin: off, lo: off, next: off + n, bytes: n, ahead: make(map[*block]struct{}), loads: make(map[*load]struct{})}
	s.front = s.next
	if off == 0 && n >= eager {
		s.dir = 1
	}
	s.pace.note(n)
	return s
}

func slackOf(n int64) int64 { return min(max(4*n, minSlack), maxSlack) }

// near reports whether a read of n bytes at off belongs to the stream.
func (s *stream) near(off, n int64) bool {
	slack := slackOf(n)
	switch {
	case s.step != 0:
		return false
	case s.dir > 0:
		return off <= s.next+slack && off+n >= s.next-slack
	case s.dir < 0:
		return off <= s.lo+slack && off+n >= s.lo-slack
	}
	return off <= s.next+slack && off+n >= s.lo-slack
}

// advance takes a read that is near. One upwards tells the direction; it takes two
// downwards, since the second of two requests may come before the first.
func (s *stream) advance(off, n int64) (turned bool) {
	s.pace.note(n)
	switch {
	case off+n > s.next && s.dir >= 0:
		s.bytes += n
		s.next, s.dir, s.downs = off+n, 1, 0
	case off < s.lo && s.dir <= 0:
		s.lo = off
		if s.downs++; s.downs < 2 {
			return false
		}
		if s.bytes += n; s.dir == 0 {
			s.dir, s.front = -1, off
			return true
		}
	}
	return false
}

// noteLocked counts a read of n bytes at off, and returns the stream that it is of.
func (r *Reader) noteLocked(off, n int64) *stream {
	r.reads++
	step := off - r.lastOff
	if r.reads > 1 && step == r.lastStep && n == r.lastLen && (step > n || step < -n) {
		r.steps++
	} else {
		r.steps = 0
	}
	r.lastOff, r.lastStep, r.lastLen = off, step, n
	s := r.findLocked(off, n)
	if r.steps >= minSteps-1 {
		s = r.strideLocked(s, off, n)
	}
	if s == nil {
		s = r.newStreamLocked(off, n)
		r.streams = append(r.streams, s)
	}
	s.used = r.reads
	r.pruneLocked()
	return s
}

// findLocked returns the stream that a read continues, after taking it in.
func (r *Reader) findLocked(off, n int64) *stream {
	var best *stream
	for _, s := range r.streams {
		if s.near(off, n) && (best == nil || s.used > best.used) {
			best = s
			if off == s.next {
				break
			}
		}
	}
	if best != nil && best.advance(off, n) {
		best.abandonLocked()
	}
	return best
}

// strideLocked returns the stream of reads at equal distances, which also matched other:
// that one would load what is between the reads, and ends.
func (r *Reader) strideLocked(other *stream, off, n int64) *stream {
	if other != nil {
		r.endLocked(other)
	}
	for _, s := range r.streams {
		if s.step == r.lastStep && s.lo+s.step == off {
			s.lo, s.next = off, off+n
			s.bytes += n
			s.pace.note(n)
			return s
		}
	}
	s := r.newStreamLocked(off, n)
	s.step, s.bytes = r.lastStep, n*int64(r.steps)
	s.front = off + s.step
	r.streams = append(r.streams, s)
	return s
}

// pruneLocked ends the streams that are not read any more.
func (r *Reader) pruneLocked() {
	for len(r.streams) > 0 {
		oldest := r.streams[0]
		for _, s := range r.streams {
			if s.used < oldest.used {
				oldest = s
			}
		}
		if len(r.streams) <= maxStreams && r.reads-oldest.used <= maxAway {
			return
		}
		r.endLocked(oldest)
	}
}

// endLocked gives a stream up.
func (r *Reader) endLocked(s *stream) {
	s.abandonLocked()
	if s.wentFar() && len(r.v.known) < maxKnown {
		r.v.known = append(r.v.known, s.begin)
	}
	for i, other := range r.streams {
		if other == s {
			r.streams = append(r.streams[:i], r.streams[i+1:]...)
			return
		}
	}
}

// abandonLocked gives up what was loaded ahead for s: ready blocks are the next to be
// evicted, and loads end unless somebody waits for one of their pieces.
func (s *stream) abandonLocked() {
	c := s.r.c
	for l := range s.loads {
		l.abandoned = true
		c.killUnwantedLocked(l)
	}
	for b := range s.ahead {
		c.giveUpLocked(b)
	}
}
