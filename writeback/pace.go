package writeback

import (
	"sync"
	"time"
)

// pace finds out how many requests at a time bring most bytes up: it tries more and fewer,
// and stays where neither helps. A store in the same region gives each connection so much
// and no more, and takes many; a thin line is full with a few, and more of them only make
// each part take longer, and cost more when it has to be sent again.
//
// It measures in windows of as many parts as there are requests at a time, in which there
// was always one waiting: else it is the application that sets the pace.
type pace struct {
	least, most int
	mu          struct {
		sync.Mutex
		limit int // requests at a time, now
		trial trial
		known int     // the limit to go back to
		rate  float64 // bytes per second with it; 0: not known
		rest  int     // windows until the next trial

		begin time.Time // of the window
		parts int
		bytes int64
	}
}

// paced counts a part that went up, and sets how many requests there may be.
func (q *Queue) paced(n int64) {
	q.slots.resize(q.pace.landed(n, q.slots.busy(), q.Clock()))
}

type trial uint8

const (
	tryMore trial = iota
	tryFewer
	stay
)

const (
	paceGain = 1.08 // by how much more has to bring more
	paceLoss = 0.97 // by how little fewer may bring less
	paceRest = 16   // windows between trials
)

// newPace begins with first requests at a time. least and most are as many where the number
// is not to change.
func newPace(first, least, most int) *pace {
	p := &pace{least: least, most: most}
	p.mu.limit, p.mu.known = first, first
	return p
}

// landed counts a part of n bytes that went up; busy says that others wait. It returns how
// many requests there may be at a time.
func (p *pace) landed(n int64, busy bool, now time.Time) (limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := &p.mu
	if !busy || m.begin.IsZero() {
		m.begin, m.parts, m.bytes = now, 0, 0
		return m.limit
	}
	m.parts++
	m.bytes += n
	if took := now.Sub(m.begin); m.parts >= m.limit && took > 0 {
		p.windowLocked(float64(m.bytes) / took.Seconds())
		m.begin, m.parts, m.bytes = now, 0, 0
	}
	return m.limit
}

// windowLocked decides after a window at a rate.
func (p *pace) windowLocked(rate float64) {
	m := &p.mu
	switch {
	case m.limit == m.known: // there was no trial
		m.rate = rate
		if m.trial == stay {
			if m.rest--; m.rest > 0 {
				return
			}
			m.trial = tryMore
		}
	case m.trial == tryMore && rate >= m.rate*paceGain, m.trial == tryFewer && rate >= m.rate*paceLoss:
		m.known, m.rate = m.limit, rate
	default: // it does not help: the other way, or none
		m.limit = m.known
		m.trial++
		if m.trial == stay {
			m.rest = paceRest
			return
		}
	}
	p.tryLocked()
}

// tryLocked goes one step on in the direction of the trial; none is left at the end.
func (p *pace) tryLocked() {
	m := &p.mu
	if m.trial == tryMore {
		if m.limit = min(p.most, max(m.known+1, m.known*3/2)); m.limit != m.known {
			return
		}
		m.trial = tryFewer
	}
	if m.limit = max(p.least, m.known*2/3); m.limit == m.known {
		m.trial, m.rest = stay, paceRest
	}
}
