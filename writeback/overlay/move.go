package overlay

import (
	"context"
	"errors"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback/journal"
)

// MoveMany promises that each key of to has what from tells of the key in its place, and that
// nothing is under the keys of from. It returns what is under the new keys then. No key may be
// among both, nothing may be under those of to, and what is told must be what the Overlay
// shows now. It is one record of the journal: a crash finds all of it or nothing. KindTooLarge:
// it does not fit into one, and nothing has changed.
func (o *Overlay) MoveMany(ctx context.Context, from []object.Info, to []string) ([]object.Info, error) {
	if len(from) == 0 {
		return nil, nil
	}
	if err := o.admit(ctx, to[0], 2*len(from)); err != nil {
		return nil, err
	}
	x, err := o.promiseMove(from, to)
	if err != nil {
		return nil, err
	}
	now := make([]object.Info, len(to))
	for i := range now {
		now[i] = x.ops[i].v.info
	}
	return now, localError("rename", from[0].Key, o.log.Sync(x.rec.rec))
}

func (o *Overlay) promiseMove(from []object.Info, to []string) (*together, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := o.Clock()
	var ops []*op
	fail := func(err error) (*together, error) {
		for _, p := range ops[:min(len(ops), len(to))] {
			o.unrefLocked(p.v.base)
		}
		return nil, err
	}
	for i, src := range from {
		p := o.copyingAt(at, to[i], object.CopyOptions{Size: src.Size})
		o.describeLocked(p.v, src.ID())
		if err := o.restOnLocked(p.v, src.ID()); err != nil {
			return fail(err)
		}
		// What somebody else stores under the key until it is sent is not overwritten.
		e := o.mu.entries[to[i]]
		p.cond.IfAbsent = e == nil || e.info == nil
		ops = append(ops, p)
	}
	for _, src := range from {
		ops = append(ops, &op{kind: opDelete, key: src.Key, meant: o.meantLocked(src.ID()), since: at})
	}
	x, err := o.promiseTogetherLocked(ops)
	switch {
	case errors.Is(err, journal.ErrTooLarge):
		return fail(object.Errorf(object.KindTooLarge, "rename", from[0].Key, "%d keys at once: %w", len(from), err))
	case err != nil:
		return fail(localError("rename", from[0].Key, err))
	}
	return x, nil
}

// copyingAt is a copy that is promised at a time.
func (o *Overlay) copyingAt(at time.Time, dst string, c object.CopyOptions) *op {
	p := o.copying(dst, c)
	p.since, p.v.info.LastModified = at, at
	return p
}
