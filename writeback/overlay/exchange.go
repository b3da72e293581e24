package overlay

import (
	"context"

	"github.com/s3mount/s3mount/object"
)

// Exchange promises that each of two keys will have what the other one has, and returns what
// they have then: nowA is under a.Key. It is one record of the journal, so that a crash finds
// all of it or nothing. If the versions a and b are not what is under their keys it fails
// with KindExists or KindStale, and nothing changes.
//
// A store can't do that at once. It gets a copy of one version under temp, a key that nobody
// else uses, a copy of the other one over that, the copy under temp over the other one, and
// the delete of temp: in this order, since each destroys what the one before it reads. What
// is not stored yet goes nowhere but to its new key.
func (o *Overlay) Exchange(ctx context.Context, a, b object.Info, temp string) (nowA, nowB object.Info, err error) {
	if err := o.admit(ctx, a.Key, 4); err != nil {
		return nowA, nowB, err
	}
	first, second := a, b
	if !a.ID().Local() && b.ID().Local() { // then the store needs no temporary key
		first, second = b, a
	}
	x, err := o.promiseExchange(first, second, temp)
	if err != nil {
		return nowA, nowB, err
	}
	nowA, nowB = x.over[0].v.info, x.over[1].v.info
	if first.Key != a.Key {
		nowA, nowB = nowB, nowA
	}
	return nowA, nowB, localError("exchange", a.Key, o.log.Sync(x.rec.rec))
}

// exchange is the operations of one, in their order.
type exchange struct {
	aside *op    // the copy under the temporary key
	over  [2]*op // the copies over the first key and the second one
	end   *op    // the delete of the temporary key
	rec   *shared
}

func (o *Overlay) promiseExchange(first, second object.Info, temp string) (*exchange, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := &exchange{aside: o.copying(temp, object.CopyOptions{Size: first.Size})}
	x.over[0] = o.copying(first.Key, object.CopyOptions{Size: second.Size})
	x.over[1] = o.copying(second.Key, object.CopyOptions{Size: first.Size})
	x.end = &op{kind: opDelete, key: temp, since: x.aside.since}
	if err := o.baseExchangeLocked(x, first, second); err != nil {
		for _, p := range []*op{x.aside, x.over[0]} {
			o.unrefLocked(p.v.base)
		}
		return nil, err
	}
	t, err := o.promiseTogetherLocked(x.ops())
	if err != nil {
		o.unrefLocked(x.over[1].v.base)
		o.unrefLocked(x.over[0].v.base)
		return nil, localError("exchange", first.Key, err)
	}
	x.rec = t.rec
	return x, nil
}

// baseExchangeLocked puts each version on top of the one that it is a copy of, and checks that
// those are what is under the keys.
func (o *Overlay) baseExchangeLocked(x *exchange, first, second object.Info) error {
	for i, is := range []object.Info{first, second} {
		p := []*op{x.aside, x.over[0]}[i]
		o.describeLocked(p.v, is.ID())
		if err := o.restOnLocked(p.v, is.ID()); err != nil {
			return err
		}
		if err := o.conditionLocked(x.over[i], object.Condition{IfMatch: is.ETag}); err != nil {
			return err
		}
	}
	v, of := x.over[1].v, x.aside.v
	x.aside.cond.IfAbsent = of.localLocked() // then it is never sent, and there is nothing to be deleted
	v.info.Meta, v.info.ContentType = of.info.Meta, of.info.ContentType
	of = of.originalLocked()
	v.base, v.depth = of, of.depth+1
	of.refs++
	return nil
}

func (x *exchange) ops() []*op { return []*op{x.aside, x.over[0], x.over[1], x.end} }
