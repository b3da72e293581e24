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
	// idle: a delete of a key of which something was never sent. What comes behind it need not
	// wait for it: most often there is nothing under the key.
	idle       bool
	seq, order uint64 // order is that of a version that it took the place of
	kind       opKind
	key        string
	v          *version // of puts and copies
	cond       object.Condition
	after      *version // what must be under the key instead of cond: this one, once it stands
	rec        *shared  // of deletes
	meant      string   // of deletes: what they find under the key, see meantLocked
	since      time.Time
	changed    time.Time // of the last promise that went into it

	running bool
	tries   int
	err     error // of the last try
	refused bool  // the store said no to this one, not to all
	unsure  bool  // one of the tries may have had its effect all the same
	next    time.Time
	staged  *writeback.Staged // that the last try left
	// maybe are versions that an earlier process may have stored under the key, whose place
	// this one took.
	maybe []object.Info
	aside aside
}

// sentLocked reports whether the store may have executed an operation.
func (p *op) sentLocked() bool { return p.running || p.tries > 0 || len(p.maybe) > 0 }

// shared is a journal record of one or several operations and versions. Guarded by
// Overlay.mu.
type shared struct {
	rec  *journal.Record
	uses int
	// notes say what has become of some that no longer use it: they are needed as long as
	// the record may be read again.
	notes []*shared
}

// noteLocked keeps a record as long as this one is used.
func (s *shared) noteLocked(n *shared) {
	n.uses++
	s.notes = append(s.notes, n)
}

// releaseSharedLocked ends a use.
func (o *Overlay) releaseSharedLocked(s *shared) {
	if s == nil {
		return
	}
	if s.uses--; s.uses > 0 {
		return
	}
	var notes []*journal.Record
	for _, n := range s.notes {
		if n.rec != nil {
			notes = append(notes, n.rec)
		}
	}
	o.releaseRecord(s.rec, notes...)
	for _, n := range s.notes {
		o.releaseSharedLocked(n)
	}
}

// entry is what is promised of a key that has operations.
type entry struct {
	key  string
	ops  []*op        // pending, in order
	info *object.Info // nil: there is nothing under the key
	lost bool         // what is in the store is somebody else's
	over bool         // all ops are done; info is what came of it
}

// entryLocked returns the entry of a key, made if there is none.
func (o *Overlay) entryLocked(key string) *entry {
	if e := o.mu.entries[key]; e != nil {
		return e
	}
	e := o.resumedLocked(key)
	if e == nil {
		e = &entry{key: key}
	}
	e.over, e.lost = false, false
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
	o.endedLocked(e)
	if at, ok := slices.BinarySearch(o.mu.keys, e.key); ok {
		o.mu.keys = slices.Delete(o.mu.keys, at, at+1)
	}
}

// addLocked takes an operation in, after leaving out what it makes unneeded. False: it is
// unneeded itself, a delete of what is not there.
func (o *Overlay) addLocked(p *op) bool {
	p.changed, o.mu.promised = p.since, p.since
	e := o.entryLocked(p.key)
	replaced, order := o.replacedLocked(p, nil)
	if order != p.order {
		p.order, p.since = order, replaced[len(replaced)-1].since
	}
	needed := len(replaced) == 0 || p.kind != opDelete
	p.idle = p.kind == opDelete && len(replaced) > 0
	for _, last := range replaced {
		// Where nothing is under the key, nothing needs to be deleted.
		needed = needed || len(last.maybe) > 0 || !last.cond.IfAbsent || last.after != nil
	}
	o.putInLocked(p)
	for _, last := range replaced {
		last.dropStaged()
		delete(o.mu.failures, p.key)
		o.removeLocked(e, last)
		o.noteGoneLocked(last.v, last.seq)
	}
	if !needed && len(e.ops) == 1 {
		o.removeLocked(e, p)
		o.dropEntryLocked(e)
		return false
	}
	return true
}

// putInLocked puts an operation to the others.
func (o *Overlay) putInLocked(p *op) {
	e := o.entryLocked(p.key)
	e.info = nil
	if p.v != nil {
		p.v.refs++
		p.v.op = p
		o.mu.versions[p.v.info.ETag] = p.v
		o.mu.bytes += p.v.own.bytes()
		info := p.v.info
		e.info = &info
	}
	if p.after != nil {
		p.after.refs++
	}
	e.ops = append(e.ops, p)
	at, _ := slices.BinarySearchFunc(o.mu.ops, p, byOrder)
	o.mu.ops = slices.Insert(o.mu.ops, at, p)
	note(o.fresh)
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

// replacedLocked returns the operations that p replaces, the last first, and where p is to
// run then. Those in gone are about to be taken out.
func (o *Overlay) replacedLocked(p *op, gone map[*op]bool) (replaced []*op, order uint64) {
	order = p.order
	e := o.mu.entries[p.key]
	if e == nil {
		return nil, order
	}
	for _, last := range slices.Backward(e.ops) {
		if last == p || !o.replacesLocked(p, last, gone) {
			break
		}
		replaced = append(replaced, last)
		if p.kind != opDelete && o.movesUpLocked(p, last) {
			order = last.order
		}
	}
	return replaced, order
}

// inheritLocked gives a put or copy the conditions of the operations that it is about to
// replace, and returns their numbers and
// where it is to run: what they wanted under the key is what it finds there.
func (o *Overlay) inheritLocked(p *op) (seqs []uint64, order uint64) {
	replaced, order := o.replacedLocked(p, nil)
	for _, q := range replaced {
		p.cond, p.after = q.cond, q.after
		p.maybe = append(p.maybe, q.maybe...)
		seqs = append(seqs, q.seq)
	}
	return seqs, order
}

// replacesLocked reports whether p makes the operation before it on its key unneeded, which
// was never sent, or, if p is a delete, was refused each time. A put or copy stands for an
// earlier one in its place, if it can run there, else in its own, if nothing comes between that
// must not come before.
func (o *Overlay) replacesLocked(p, last *op, gone map[*op]bool) bool {
	tried := last.tries > 0 && (p.kind != opDelete || last.unsure)
	if last.running || tried || last.kind == opDelete {
		return false
	}
	root := last.v.rootLocked()
	if root.Key != "" && (o.neededLocked(last.v, p, gone) || len(last.maybe) > 0) {
		// Who needs it may have to read it from the store. And if an earlier process has stored
		// it, what it rests on is gone.
		return false
	}
	if p.kind == opDelete || o.movesUpLocked(p, last) {
		return true
	}
	for _, q := range o.mu.ops {
		if q.order > last.order && q.order < p.order && (q.kind == opDelete || root.Key != "" && p.v.restsOn(q.key)) {
			return false
		}
	}
	return true
}

// restsOn reports whether a version beneath v is, or will be, under a key.
func (v *version) restsOn(key string) bool {
	for ; v != nil; v = v.base {
		if v.baseID.Key == key || v.base != nil && v.base.info.Key == key {
			return true
		}
	}
	return false
}

// neededLocked reports whether an operation other than p, its own and those in gone rests on
// a version.
func (o *Overlay) neededLocked(v *version, p *op, gone map[*op]bool) bool {
	for _, q := range o.mu.ops {
		if q == p || q.v == nil || q.v == v || gone[q] {
			continue
		}
		for w := q.v.base; w != nil; w = w.base {
			if w == v {
				return true
			}
		}
	}
	return false
}

// movesUpLocked reports whether p can run in the place of an earlier operation: nothing that
// it reads is made, and nothing that it destroys is read, in between.
func (o *Overlay) movesUpLocked(p, last *op) bool {
	for _, q := range o.mu.ops {
		if q.v != nil && q.order > last.order && q.order < p.order && q.v.rootLocked().Key == p.key {
			return false
		}
	}
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
	o.releaseSharedLocked(p.rec)
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
