package overlay

import (
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
	"github.com/s3mount/s3mount/writeback/journal"
)

type opKind uint8

const (
	opPut opKind = iota
	opCopy
	opDelete
)

var opNames = [...]string{"put", "copy", "delete"}

// op is one change that the store does not have yet. Guarded by Overlay.mu.
type op struct {
	seq, order uint64 // order is that of a version that it took the place of
	kind       opKind
	key        string
	v          *version // of puts and copies
	cond       object.Condition
	after      *version // what must be under the key instead of cond: this one, once it stands
	rec        *shared  // of deletes
	since      time.Time
	changed    time.Time // of the last promise that went into it

	running bool
	tries   int
	err     error // of the last try
	refused bool  // the store said no to this one, not to all
	next    time.Time
	staged  *writeback.Staged // that the last try left
	// maybe are versions that an earlier process may have stored under the key, whose place
	// this one took.
	maybe []object.Info
}

// shared is a journal record of several operations.
type shared struct {
	rec  *journal.Record
	uses int
}

// entry is what is promised of a key that has operations.
type entry struct {
	key  string
	ops  []*op        // pending, in order
	info *object.Info // nil: there is nothing under the key
	over bool         // all ops are done; info is what came of it
}

// entryLocked returns the entry of a key, made if there is none.
func (o *Overlay) entryLocked(key string) *entry {
	if e := o.mu.entries[key]; e != nil {
		return e
	}
	e := &entry{key: key}
	o.mu.entries[key] = e
	at, _ := slices.BinarySearch(o.mu.keys, key)
	o.mu.keys = slices.Insert(o.mu.keys, at, key)
	return e
}

// dropEntryLocked forgets a key that has no more operations. Listings under way still have
// the entry.
func (o *Overlay) dropEntryLocked(e *entry) {
	e.over = true
	delete(o.mu.entries, e.key)
	if at, ok := slices.BinarySearch(o.mu.keys, e.key); ok {
		o.mu.keys = slices.Delete(o.mu.keys, at, at+1)
	}
}

// addLocked puts a new operation behind all others, after leaving out what it makes
// unneeded. It reports whether the operation is needed itself.
func (o *Overlay) addLocked(p *op) (needed bool) {
	e := o.entryLocked(p.key)
	if p.v != nil {
		p.v.refs++
		p.v.op = p
		o.mu.versions[p.v.info.ETag] = p.v
		o.mu.bytes += p.v.own.bytes()
		info := p.v.info
		e.info = &info
	} else {
		e.info = nil
	}
	if p.after != nil {
		p.after.refs++
	}
	p.order = p.seq
	p.changed = p.since
	needed = o.mergeLocked(e, p)
	if !needed {
		o.releaseOpLocked(p)
		if len(e.ops) == 0 {
			o.dropEntryLocked(e)
		}
		return false
	}
	e.ops = append(e.ops, p)
	at, _ := slices.BinarySearchFunc(o.mu.ops, p, byOrder)
	o.mu.ops = slices.Insert(o.mu.ops, at, p)
	o.rouse()
	return true
}

func byOrder(a, b *op) int {
	switch {
	case a.order != b.order:
		return compare(a.order, b.order)
	}
	return compare(a.seq, b.seq)
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// mergeLocked leaves the last operation of the key out, if p makes it unneeded and it was
// never sent. False: p is unneeded, too.
func (o *Overlay) mergeLocked(e *entry, p *op) (needed bool) {
	for len(e.ops) > 0 {
		last := e.ops[len(e.ops)-1]
		if last.running || last.tries > 0 || last.kind == opDelete {
			return true
		}
		if p.kind != opDelete && !o.mayReplaceLocked(p, last) {
			return true
		}
		fresh := last.cond.IfAbsent && last.after == nil
		p.maybe = append(p.maybe, last.maybe...)
		maybe := len(last.maybe) > 0
		if p.kind == opDelete {
			o.removeLocked(e, last)
			if fresh && !maybe && len(e.ops) == 0 {
				return false
			}
			continue
		}
		if p.after != nil {
			o.unrefLocked(p.after)
		}
		p.cond, p.after = last.cond, last.after
		if p.after != nil {
			p.after.refs++
		}
		if o.movesUpLocked(p, last) {
			p.order = last.order
			p.since = last.since
		}
		o.removeLocked(e, last)
	}
	return true
}

// mayReplaceLocked reports whether p may stand for an earlier put or copy of the key as
// well: in its place, if p needs nothing that comes between them, else in its own, if no
// delete comes between.
func (o *Overlay) mayReplaceLocked(p, last *op) bool {
	return o.movesUpLocked(p, last) || !o.deletesBetweenLocked(last.order, p.order)
}

// movesUpLocked reports whether p can run in the place of an earlier operation.
func (o *Overlay) movesUpLocked(p, last *op) bool {
	for v := p.v; v != nil && !v.stands && v.baseEnd > 0; v = v.base {
		if v.base == nil {
			return v.baseID.Key == p.key // nobody else may change it
		}
		if v.base.info.Key != p.key {
			return v.base.localLocked()
		}
	}
	return true
}

func (o *Overlay) deletesBetweenLocked(from, to uint64) bool {
	for _, p := range o.mu.ops {
		if p.kind == opDelete && p.order > from && p.order < to {
			return true
		}
	}
	return false
}

// removeLocked takes an operation out that needs not run, or has run.
func (o *Overlay) removeLocked(e *entry, p *op) {
	e.ops = slices.DeleteFunc(e.ops, func(q *op) bool { return q == p })
	if at, ok := slices.BinarySearchFunc(o.mu.ops, p, byOrder); ok {
		o.mu.ops = slices.Delete(o.mu.ops, at, at+1)
	}
	o.releaseOpLocked(p)
	close(o.mu.changed)
	o.mu.changed = make(chan struct{})
}

func (o *Overlay) releaseOpLocked(p *op) {
	if p.v != nil {
		p.v.op = nil
		o.unrefLocked(p.v)
	}
	if p.after != nil {
		o.unrefLocked(p.after)
	}
	if p.rec != nil {
		if p.rec.uses--; p.rec.uses == 0 {
			o.releaseRecord(p.rec.rec)
		}
	}
}

func baseName(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// folders yields the markers of the folders that a key is in.
func folders(key string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := 0; ; {
			i := strings.IndexByte(key[at:], '/')
			if i < 0 || at+i == len(key)-1 {
				return
			}
			at += i + 1
			if !yield(key[:at]) {
				return
			}
		}
	}
}
