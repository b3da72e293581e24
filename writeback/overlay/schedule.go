package overlay

import (
	"strings"
	"time"
)

// pace is the least time from one look at what is pending to the next.
const pace = 2 * time.Millisecond

// pause is the part of Quiet that passes at least until what is promised may be sent.
const pause = 4

// schedule starts operations as they may run, until Close.
func (o *Overlay) schedule() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-o.ctx.Done():
			return
		case <-o.wake:
		case <-timer.C:
		case <-o.fresh:
			select {
			case <-o.ctx.Done():
				return
			case <-o.wake:
			case <-timer.C:
			case <-time.After(o.Quiet / pause):
			}
		}
		timer.Reset(o.startReady())
		select {
		case <-o.ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

// startReady starts what may run, and returns when to look again at the latest.
func (o *Overlay) startReady() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := newLook(o)
	hurry := o.mu.urgent > 0 || len(o.mu.ops) > o.MaxOps/2 || o.mu.closing
	var deletes []*op
	for _, p := range o.mu.ops {
		if o.mu.running >= 2*o.Parallel && (l.puts || o.mu.deleting) {
			break
		}
		free, _ := l.nextLocked(p)
		switch {
		case !free || p.running:
		case p.kind == opDelete:
			if l.tryLocked(p) && len(deletes) < maxDeletes {
				deletes = append(deletes, p)
			}
		case o.mu.running >= o.limitLocked(p):
		case l.tryLocked(p) && (hurry || l.quietLocked(p)):
			p.running = true
			o.mu.running++
			o.tasks.Go(func() { o.run(p) })
		}
	}
	if len(deletes) > 0 && !o.mu.deleting && (hurry || l.batchLocked(deletes)) {
		for _, p := range deletes {
			p.running = true
		}
		o.mu.deleting = true
		o.tasks.Go(func() { o.runDeletes(deletes) })
	}
	return l.again
}

// limitLocked is how many puts and copies may be under way when p begins: of what has no bytes,
// or few, as many again fit onto the line.
func (o *Overlay) limitLocked(p *op) int {
	if p.v.smallLocked() {
		return 2 * o.Parallel
	}
	return o.Parallel
}

// look goes through the operations in order, and knows what is before. One is stuck if the
// store refuses it, or it has to wait for one that is: then nothing else waits for it.
type look struct {
	o     *Overlay
	now   time.Time
	again time.Duration

	// The maps tell whether one that is before is stuck.
	keys          map[string]bool // that have operations
	markers       map[string]bool // of folders that are about to be stored
	reads         map[string]bool // keys of which versions are read
	stuck         map[*op]bool
	puts, deletes bool // there are some that are not stuck
}

func newLook(o *Overlay) *look {
	return &look{o: o, now: o.Clock(), again: time.Minute, keys: map[string]bool{}, markers: map[string]bool{},
		reads: map[string]bool{}, stuck: map[*op]bool{}}
}

// nextLocked takes the next operation in, and reports whether nothing before it is in its way,
// and whether it is stuck.
func (l *look) nextLocked(p *op) (free, stuck bool) {
	free, stuck = l.freeLocked(p)
	stuck = stuck || p.refused && !p.next.IsZero()
	l.passLocked(p, stuck)
	return free, stuck
}

func (l *look) freeLocked(p *op) (free, stuck bool) {
	free = true
	after := func(m map[string]bool, key string) {
		s, ok := m[key]
		free, stuck = free && !ok, stuck || s
	}
	after(l.keys, p.key)
	after(l.reads, p.key)
	if p.kind == opDelete {
		return free && !l.puts, stuck
	}
	if len(l.markers) > 0 {
		for marker := range folders(p.key) {
			after(l.markers, marker)
		}
	}
	for v := p.v; v.base != nil && !v.stands; v = v.base {
		if b := v.base.op; b != nil && b.order < p.order { // what becomes of that decides how p is sent
			free, stuck = false, stuck || l.stuck[b]
		}
	}
	return free && !l.deletes && (p.after == nil || p.after.stands), stuck
}

func (l *look) passLocked(p *op, stuck bool) {
	if stuck {
		l.stuck[p] = true
	}
	note := func(m map[string]bool, key string) { m[key] = m[key] || stuck }
	note(l.keys, p.key)
	if p.kind == opDelete {
		l.deletes = l.deletes || !stuck && !p.idle
		return
	}
	l.puts = l.puts || !stuck
	if strings.HasSuffix(p.key, "/") {
		note(l.markers, p.key)
	}
	if root := p.v.rootLocked(); root.Key != "" {
		note(l.reads, root.Key)
	}
}

// tryLocked reports whether the pause after a failure is over.
func (l *look) tryLocked(p *op) bool { return l.overLocked(p.next) }

// overLocked reports whether a time has come, and sees to it that somebody looks again then.
func (l *look) overLocked(t time.Time) bool {
	if wait := t.Sub(l.now); wait > 0 {
		l.again = min(l.again, wait)
		return false
	}
	return true
}

// quietLocked reports whether a put or copy has waited long enough for what makes it
// unneeded, and, where it costs as much time of the processors as what the application does
// just now, for the application to pause.
func (l *look) quietLocked(p *op) bool {
	quiet := l.o.Quiet
	if p.kind == opCopy {
		quiet /= pause
	}
	at := p.changed.Add(quiet)
	if calm := l.o.mu.promised.Add(l.o.Quiet / pause); p.v.smallLocked() && at.Before(calm) {
		at = calm
	}
	if limit := p.since.Add(10 * l.o.Quiet); limit.Before(at) {
		at = limit
	}
	return p.tries > 0 || l.overLocked(at)
}

// batchLocked reports whether deletes have waited long enough for others to go with them.
func (l *look) batchLocked(deletes []*op) bool {
	first, last := deletes[0].since, deletes[0].since
	for _, p := range deletes {
		if p.since.Before(first) {
			first = p.since
		}
		if p.since.After(last) {
			last = p.since
		}
	}
	at := last.Add(l.o.Quiet / 2)
	if limit := first.Add(2 * l.o.Quiet); limit.Before(at) {
		at = limit
	}
	return len(deletes) == maxDeletes || l.overLocked(at)
}
