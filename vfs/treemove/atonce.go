package treemove

import (
	"context"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// atOnce moves what one page of a listing told, where the store can do that in one step. tried
// is false where it is done one by one.
func (v *Move) atOnce(ctx context.Context) (tried bool, err error) {
	store, ok := v.m.o.Store.(AtOnce)
	if !ok || v.absent || v.rec.Marker || v.first == nil || v.first.Next != "" {
		return false, nil
	}
	from := v.first.Objects
	to := make([]string, len(from))
	for i, info := range from {
		if to[i] = v.NewKey(info.Key); len(to[i]) > keyname.MaxKey {
			return true, object.Errorf(object.KindNameTooLong, "rename", to[i], "keys end at %d bytes", keyname.MaxKey)
		}
	}
	if v.Before != nil {
		if err := v.Before(ctx); err != nil {
			return true, err
		}
	}
	copied, err := store.MoveMany(ctx, from, to)
	switch {
	case object.Is(err, object.KindTooLarge):
		return false, nil
	case err != nil:
		return true, err
	}
	v.moved = true
	for i, info := range from {
		v.keys.add(info.Key, v.m.o.Keep)
		if v.Copied != nil {
			v.Copied(info, copied[i])
		}
	}
	return true, nil
}
