package treemove

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/s3mount/s3mount/object"
)

// swap is the part of a record that tells of two objects which change places.
type swap struct {
	Temp []byte `json:"temp"` // the key under which the first one is kept meanwhile
	A    string `json:"a"`    // their ETags, as they were
	B    string `json:"b"`
	// Over is the ETag of the copy that came to be under the first key; empty: none did, as far
	// as is known.
	Over string `json:"over,omitempty"`
}

// Swap lets two objects change places, and returns what is under their keys then. Both keys
// have an object at each moment. The first is copied to temp, a key that nobody else uses,
// the second over the first, and the one under temp over the second; each only over the
// version that is known. If one of these fails, what was done is undone. KindStale: somebody
// else has replaced one of them. On any other error all is as it was, or the error says where
// what is; then Recover goes on with it.
func (m *Mover) Swap(ctx context.Context, a, b object.Info, temp string) (nowA, nowB object.Info, err error) {
	v := m.Begin(a.Key, b.Key)
	r := &v.rec
	r.Swap = &swap{Temp: []byte(temp), A: a.ETag, B: b.ETag}
	if err := v.record(); err != nil {
		return nowA, nowB, err
	}
	ctx = context.WithoutCancel(ctx) // what is given up may still come to stand
	kept, err := m.o.Store.Copy(ctx, a.ID(), temp, object.CopyOptions{Size: a.Size})
	if err != nil {
		return nowA, nowB, m.unswap(ctx, v, false, err)
	}
	kept.Key = temp
	if nowA, err = m.o.Store.Copy(ctx, b.ID(), a.Key, object.CopyOptions{Size: b.Size, IfMatch: a.ETag}); err != nil {
		return nowA, nowB, m.unswap(ctx, v, refused(err), err)
	}
	r.Swap.Over = nowA.ETag
	if err = m.write(r); err == nil {
		nowB, err = m.o.Store.Copy(ctx, kept.ID(), b.Key, object.CopyOptions{Size: a.Size, IfMatch: b.ETag})
	} else {
		err = v.recordError(err)
	}
	if err != nil {
		if err = m.unswap(ctx, v, false, err); err == nil { // it had happened, only the answer was lost
			nowB, err = m.head(ctx, b.Key)
		}
		return nowA, nowB, err
	}
	if err = m.endSwap(ctx, r); err != nil {
		v.giveUp()
		m.o.Log.Warn("the temporary copy of an exchange could not be removed"+v.later(), "op", "rename", "key", temp, "err", err)
	}
	return nowA, nowB, nil
}

// refused reports whether the store has certainly not done what it answered with an error.
func refused(err error) bool {
	switch object.KindOf(err) {
	case object.KindExists, object.KindStale, object.KindNotFound, object.KindPermission:
		return true
	}
	return false
}

// endSwap removes the copy under the temporary key, and the record.
func (m *Mover) endSwap(ctx context.Context, r *record) error {
	if err := m.o.Store.DeleteMany(ctx, []string{string(r.Swap.Temp)}); err != nil {
		return err
	}
	return m.remove(r)
}

// unswap undoes a swap that failed with cause. untouched says that neither object was
// replaced. nil: it had happened all the same.
func (m *Mover) unswap(ctx context.Context, v *Move, untouched bool, cause error) error {
	var finished bool
	var err error
	if untouched {
		err = m.endSwap(ctx, &v.rec)
	} else {
		finished, err = m.settle(ctx, &v.rec, true)
	}
	if finished && err == nil {
		return nil
	}
	if object.Is(cause, object.KindExists) || object.Is(cause, object.KindNotFound) {
		cause = &object.Error{Op: "rename", Key: v.from, Kind: object.KindStale, Err: cause}
	}
	if err == nil {
		return cause
	}
	v.giveUp()
	err = errors.Join(cause, err)
	m.o.Log.Error("an exchange of two files stays half done"+v.later(), "op", "rename", "a", v.from, "b", v.to, "kept", string(v.rec.Swap.Temp), "err", err)
	return object.Errorf(object.KindOf(cause), "rename", v.from, "what was under it is under %q, unless it still is where it was%s: %w",
		v.rec.Swap.Temp, v.later(), err)
}

// settle undoes a swap whose end is not known, or finishes it, where it had happened but for
// the record or, unless back, where the second object can still be replaced. In doubt
// everything stays: KindStale says where.
func (m *Mover) settle(ctx context.Context, r *record, back bool) (finished bool, err error) {
	var at [3]object.Info
	for i, key := range [][]byte{r.From, r.To, r.Swap.Temp} {
		if at[i], err = m.head(ctx, string(key)); err != nil {
			return false, err
		}
	}
	a, b, temp := at[0], at[1], at[2]
	same := r.Swap.A == r.Swap.B // then only the metadata tells them apart
	over := a.Key != "" && (a.ETag == r.Swap.Over || a.ETag == r.Swap.B || b.ETag == r.Swap.B && alikeHeads(a, b))
	switch {
	case temp.Key == "": // it did not begin, or has ended
		return r.Swap.Over != "", m.remove(r)
	case a.ETag == r.Swap.A && r.Swap.Over == "" && (!same || maps.Equal(a.Meta, temp.Meta)):
		return false, m.endSwap(ctx, r)
	case b.Key != "" && (b.ETag != r.Swap.B || same && !maps.Equal(a.Meta, b.Meta)) && copyOf(b, temp):
		return true, m.endSwap(ctx, r)
	case over && b.ETag == r.Swap.B && !back:
		_, err := m.o.Store.Copy(ctx, temp.ID(), b.Key, object.CopyOptions{Size: temp.Size, IfMatch: b.ETag})
		if err == nil {
			return true, m.endSwap(ctx, r)
		}
		if !refused(err) {
			return false, err
		}
	}
	if !over {
		return false, object.Errorf(object.KindStale, "rename", string(r.From),
			"somebody else replaced it or removed it: what it had is kept as %q", r.Swap.Temp)
	}
	if _, err := m.o.Store.Copy(ctx, temp.ID(), a.Key, object.CopyOptions{Size: temp.Size, IfMatch: a.ETag}); err != nil {
		return false, err
	}
	return false, m.endSwap(ctx, r)
}

// recoverSwap finishes or undoes a swap that an earlier process has left.
func (m *Mover) recoverSwap(ctx context.Context, r *record) error {
	finished, err := m.settle(ctx, r, false)
	switch {
	case object.Is(err, object.KindStale):
		err = errors.Join(err, m.remove(r)) // nothing more can be done by itself
	case err == nil && finished:
		m.o.Log.Info("an exchange of two files that was interrupted is finished", "op", "rename", "a", string(r.From), "b", string(r.To))
	case err == nil:
		m.o.Log.Info("an exchange of two files that was interrupted is undone", "op", "rename", "a", string(r.From), "b", string(r.To))
	}
	if err != nil {
		return fmt.Errorf("the interrupted exchange of %q and %q: %w", r.From, r.To, err)
	}
	return nil
}

// copyOf reports whether one of two objects is a copy of the other.
func copyOf(a, b object.Info) bool {
	return a.ETag == b.ETag && maps.Equal(a.Meta, b.Meta) || alikeHeads(a, b)
}

// alikeHeads reports whether one of two objects is a copy of the other, as far as sizes and
// metadata can tell.
func alikeHeads(a, b object.Info) bool {
	return a.Size == b.Size && len(a.Meta) > 0 && maps.Equal(a.Meta, b.Meta) && a.ContentType == b.ContentType
}
