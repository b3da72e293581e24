package vfs

import "slices"

// aheadQueue are the listings whose attributes are asked for ahead, those of the folder
// that somebody was in last first. A listing leaves it when it has no more names to ask
// for, or is dropped. Guarded by FS.tree.
type aheadQueue struct {
	listings []*listing
	workers  int // requests under way, or about to be
}

// firstLocked puts a listing in front of the others.
func (q *aheadQueue) firstLocked(l *listing) {
	if len(q.listings) > 0 && q.listings[0] == l {
		return
	}
	if l.queued {
		q.listings = slices.DeleteFunc(q.listings, func(o *listing) bool { return o == l })
	}
	q.listings, l.queued = slices.Insert(q.listings, 0, l), true
}

// lastLocked puts a listing behind the others.
func (q *aheadQueue) lastLocked(l *listing) {
	if !l.queued {
		q.listings, l.queued = append(q.listings, l), true
	}
}

// nextLocked takes the next name to ask for.
func (q *aheadQueue) nextLocked(fs *FS) (a ahead, ok bool) {
	for len(q.listings) > 0 {
		l := q.listings[0]
		if l.live {
			if a, ok := fs.nextAheadLocked(l); ok {
				return a, true
			}
		}
		l.queued = false
		q.listings[0] = nil // what is through is not held
		q.listings = q.listings[1:]
	}
	return ahead{}, false
}

// goOnLocked asks for the attributes of names that a listing has got, as far as that may go.
func (fs *FS) goOnLocked(l *listing) {
	if l.live && l.ahead.next < min(l.ahead.until, len(l.names)) {
		fs.tree.queue.firstLocked(l)
		fs.pumpLocked()
	}
}

// pumpLocked sends requests for the names in the queue, Options.Heads at a time, and goes
// on as answers come.
func (fs *FS) pumpLocked() {
	q := &fs.tree.queue
	for q.workers < fs.o.Heads && fs.ctx.Err() == nil {
		a, ok := q.nextLocked(fs)
		if !ok {
			return
		}
		q.workers++
		fs.wg.Go(func() { fs.askAhead(a) })
	}
}

// askAhead asks for a name's attributes, and then for those of the next ones.
func (fs *FS) askAhead(a ahead) {
	for ok := true; ok; {
		fs.headAhead(a)
		a, ok = fs.nextOrEnd()
	}
}

func (fs *FS) nextOrEnd() (a ahead, ok bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if fs.ctx.Err() == nil {
		a, ok = fs.tree.queue.nextLocked(fs)
	}
	if !ok {
		fs.tree.queue.workers-- // under the same lock: what is queued from now on begins another
	}
	return a, ok
}
