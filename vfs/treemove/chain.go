package treemove

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/s3mount/s3mount/object"
)

// Chain is several moves, one behind the other, that are one: two folders that change their
// names are a chain by way of a third name. Until the first move is decided, nothing was
// done. From then on the chain is finished, by this process or the next one; if one of its
// moves fails, those before it are moved back.
//
// From the second move on nothing is copied over: what somebody else puts under a name that
// is free for a moment stays.
type Chain struct {
	// Copied, if set, is called for each copy that stands, with the number of its move. Several
	// goroutines call it.
	Copied func(move int, old, copied object.Info)

	m     *Mover
	steps []step
}

// BeginChain makes a chain of moves, by pairs of prefixes or keys as for Begin. It sends no request.
func (m *Mover) BeginChain(moves ...[2]string) *Chain {
	c := &Chain{m: m}
	for _, mv := range moves {
		c.steps = append(c.steps, step{[]byte(mv[0]), []byte(mv[1])})
	}
	return c
}

// Run does the moves. On an error all is as it was, or the error says where what is; then
// Recover goes on with it.
func (c *Chain) Run(ctx context.Context) error {
	v := c.move(0)
	v.rec.Then = c.steps[1:]
	if err := v.Copy(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	for i := range c.steps {
		if err := v.deleteOld(ctx); err != nil {
			return c.turn(ctx, &v.rec, i+1, err)
		}
		if i == len(c.steps)-1 {
			break
		}
		next := c.move(i + 1)
		next.rec = following(v.rec, c.m)
		if err := c.m.write(&next.rec); err != nil {
			return c.turn(ctx, &v.rec, i+1, v.recordError(err))
		}
		next.absent = true
		if err := next.decide(ctx); err != nil {
			if uerr := next.uncopy(ctx); uerr != nil {
				next.giveUp()
				return c.whereabouts(&next.rec, errors.Join(err, uerr))
			}
			return c.turn(ctx, &next.rec, i+1, err)
		}
		v = next
	}
	return c.m.remove(&v.rec)
}

// move is the i-th move.
func (c *Chain) move(i int) *Move {
	v := c.m.Begin(string(c.steps[i].From), string(c.steps[i].To))
	v.Copied = func(old, copied object.Info) {
		if c.Copied != nil {
			c.Copied(i, old, copied)
		}
	}
	return v
}

// following is the record of the next move of a chain.
func following(r record, m *Mover) record {
	return record{path: r.path, From: r.Then[0].From, To: r.Then[0].To, Then: r.Then[1:], Phase: copying, Forward: true, Time: m.o.Now()}
}

// turn moves back what the first done moves have moved. r is the record as it is; cause is why.
func (c *Chain) turn(ctx context.Context, r *record, done int, cause error) error {
	back := record{path: r.path, Phase: copying, Forward: true}
	for _, s := range slices.Backward(c.steps[:done]) {
		back.Then = append(back.Then, step{s.To, s.From})
	}
	back = following(back, c.m)
	err := c.m.write(&back)
	if err == nil {
		err = c.m.forward(ctx, &back)
	}
	if err == nil {
		return cause
	}
	return c.whereabouts(&back, errors.Join(cause, err))
}

// whereabouts says where everything is after a failure that could not be undone.
func (c *Chain) whereabouts(r *record, err error) error {
	later := ""
	if r.path != "" {
		later = "; the next mount goes on with it"
	}
	c.m.o.Log.Error("an exchange of folders stays half done", "op", "rename", "a", c.steps[0].From, "b", c.steps[1].From,
		"what was a", fmt.Sprintf("under %q and %q", c.steps[0].From, c.steps[0].To),
		"what was b", fmt.Sprintf("under %q and %q", c.steps[1].From, c.steps[1].To), "err", err)
	return object.Errorf(object.KindOf(err), "rename", string(c.steps[0].From), "what could not be exchanged with %q is in part under %q%s: %w",
		c.steps[1].From, c.steps[0].To, later, err)
}

// forward finishes a move and those that follow it. What is under a new key and is no copy
// stays, the chain ends there, and the error says so.
func (m *Mover) forward(ctx context.Context, r *record) error {
	for {
		v := m.Begin(string(r.From), string(r.To))
		v.rec, v.absent, v.lenient = *r, true, true
		var err error
		if r.Phase == copying {
			if err = v.decide(ctx); err == nil {
				err = v.deleteOld(ctx)
			}
		} else {
			err = m.finish(ctx, r)
		}
		*r = v.rec
		switch {
		case err != nil:
			return err
		case len(v.left) > 0:
			keys := slices.Sorted(maps.Keys(v.left))
			return errors.Join(m.remove(r), object.Errorf(object.KindExists, "rename", v.from,
				"%d objects stay there, such as %q: somebody else has put others under %q", len(keys), keys[0], v.to))
		case len(r.Then) == 0:
			return m.remove(r)
		}
		next := following(*r, m)
		if err := m.write(&next); err != nil {
			return v.recordError(err)
		}
		*r = next
	}
}
