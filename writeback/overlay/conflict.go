package overlay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// giveUp ends an operation that can't ever work, because somebody else has changed the store:
// nothing of theirs is overwritten or deleted, and nothing of ours is lost. False: it may
// work later.
func (o *Overlay) giveUp(ctx context.Context, p *op, err error) bool {
	switch k := object.KindOf(err); {
	case p.kind == opDelete:
		return false
	case k == object.KindConflict, k == object.KindExists:
		return o.moveAside(ctx, p, err)
	case k == object.KindStale, k == object.KindNotFound && p.kind == opCopy:
		return o.abandon(ctx, p, err)
	}
	return false
}

// asideKey is the name of a version that lost a race for key; it is empty where S3 has no
// room for one.
func (o *Overlay) asideKey(key string, at time.Time, try int) string {
	bare := strings.TrimSuffix(key, "/")
	slash := key[len(bare):] // of a folder's marker
	base := strings.LastIndexByte(bare, '/') + 1
	name := keyname.Conflict(bare[base:], o.Host, at, try, keyname.MaxKey-base-len(slash))
	if name == "" {
		return ""
	}
	return bare[:base] + name + slash
}

// moveAside stores a version whose condition does not hold beside the name that it lost.
func (o *Overlay) moveAside(ctx context.Context, p *op, cause error) bool {
	o.mu.Lock()
	v, at := p.v, o.Clock()
	lost, try := p.key, p.aside.try+1
	if p.aside.key != "" {
		lost, at = p.aside.key, p.aside.at
	}
	key := o.asideKey(lost, at, try)
	for ; o.mu.entries[key] != nil; try++ {
		key = o.asideKey(lost, at, try+1)
	}
	if key == "" {
		o.mu.Unlock()
		return o.abandon(ctx, p, cause)
	}
	w := &version{copied: v.copied, base: v, baseEnd: v.info.Size, depth: v.depth + 1}
	w.info = v.info
	w.info.Key = key
	q := &op{kind: p.kind, key: key, v: w, since: p.since, cond: object.Condition{IfAbsent: true}, aside: aside{lost, at, try}}
	o.mu.lastSeq++
	// In the place of p: what destroys the version that it reads waits for it.
	q.seq, q.order = o.mu.lastSeq, p.order
	w.info.ETag = object.LocalETag(fmt.Sprintf("%s-%d", o.instance, q.seq))
	in := intentOf(q)
	in.Replaces, in.Order = []uint64{p.seq}, q.order
	rec, err := o.log.Append(encode(in), nil)
	if err != nil {
		o.mu.Unlock()
		return false
	}
	v.refs++
	w.rec = &shared{rec: rec, uses: 1}
	q.changed = q.since
	o.putInLocked(q)
	o.loseLocked(p)
	o.failLocked(lost, object.Errorf(object.KindStale, "store", lost, "somebody else changed it; what was written here is kept as %q: %w", key, cause))
	o.mu.Unlock()
	o.Log.Error("somebody else changed a file that was written here: both versions are kept",
		"op", opNames[p.kind], "key", lost, "kept", key, "do", "compare the two, and remove the one that is not wanted", "err", cause)
	o.tellLost(v)
	return true
}

// aside is the name that a version lost, when, and how many names it has tried since.
type aside struct {
	key string
	at  time.Time
	try int
}

// abandon ends an operation of which the store no longer has what it rests on. What is local
// of its content is kept in a file.
func (o *Overlay) abandon(ctx context.Context, p *op, cause error) bool {
	v, kept := p.v, ""
	if v.holds() && o.Unsent != "" {
		s, err := o.stage(ctx, v)
		if err == nil {
			if kept, err = s.Keep(o.Unsent, p.key); err != nil {
				s.Discard()
			}
		}
		if err != nil {
			o.Log.Error("what was written to a file can't be kept outside of the journal", "op", opNames[p.kind], "key", p.key, "err", err)
			return false
		}
	}
	o.mu.Lock()
	gone := []uint64{p.seq}
	var source *op // of a rename: what is there now is somebody else's
	if root := v.rootLocked(); p.kind == opCopy {
		if e := o.mu.entries[root.Key]; e != nil {
			for _, q := range e.ops {
				if q.kind == opDelete && q.seq > p.seq && !q.running {
					source = q
					gone = append(gone, q.seq)
					break
				}
			}
		}
	}
	rec, err := o.log.Append(encode(intent{Op: opGone, Replaces: gone}), nil)
	if err != nil {
		o.mu.Unlock()
		return false
	}
	note := &shared{rec: rec, uses: 1}
	o.loseLocked(p)
	if source != nil {
		source.rec.noteLocked(note)
		o.loseLocked(source)
	}
	o.releaseSharedLocked(note)
	o.failLocked(p.key, object.Errorf(object.KindStale, opNames[p.kind], p.key, "somebody else replaced what it was made from: %w", cause))
	o.mu.Unlock()
	o.Log.Error("a change can't be made: somebody else replaced what it was made from", "op", opNames[p.kind], "key", p.key, "kept", kept, "err", cause)
	o.tellLost(v)
	return true
}

// holds reports whether something of a version is on the disk.
func (v *version) holds() bool {
	for ; v != nil; v = v.base {
		if v.own != nil {
			return true
		}
	}
	return false
}

// loseLocked takes out an operation that did not work. Later ones on the key find there what
// is somebody else's, too.
func (o *Overlay) loseLocked(p *op) {
	e := o.mu.entries[p.key]
	if p.v != nil {
		e.becameLocked(p.v.info.ETag, nothing)
	}
	for _, q := range e.ops {
		if p.v != nil && q.after == p.v {
			o.unrefLocked(q.after)
			q.after, q.cond = nil, object.Condition{IfAbsent: true}
		}
	}
	v := p.v
	o.removeLocked(e, p)
	if len(e.ops) == 0 {
		e.lost = true
		o.dropEntryLocked(e)
	}
	o.noteGoneLocked(v, p.seq)
}

// noteGoneLocked keeps it noted that a version is never sent, as long as others rest on it, or
// are in its record.
func (o *Overlay) noteGoneLocked(v *version, seq uint64) {
	if v == nil || v.noted != nil || v.refs <= 0 && (v.rec == nil || v.rec.uses <= 0) {
		return
	}
	rec, err := o.log.Append(encode(intent{Op: opGone, Replaces: []uint64{seq}}), nil)
	switch {
	case err != nil: // the record of what took its place says so
	case v.refs > 0:
		v.noted = &shared{rec: rec, uses: 1}
	default:
		v.rec.noteLocked(&shared{rec: rec})
	}
}

// opGone is the record of operations that are never sent.
const opGone = "gone"

func (o *Overlay) failLocked(key string, err error) {
	if len(o.mu.failures) < o.MaxOps {
		o.mu.failures[key] = err
	}
}

func (o *Overlay) tellLost(v *version) {
	if o.listener != nil {
		o.listener.Lost(v.info.ID())
	}
}
