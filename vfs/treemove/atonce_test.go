package treemove

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// quick is a bucket that moves up to most objects at once.
type quick struct {
	*bucket
	most   int
	asked  int
	others []string // what else was asked of it
}

func (q *quick) MoveMany(ctx context.Context, from []object.Info, to []string) (copied []object.Info, err error) {
	if q.asked++; len(from) > q.most {
		return nil, object.Errorf(object.KindTooLarge, "move", to[0], "")
	}
	for i, info := range from {
		now, err := q.bucket.Copy(ctx, info.ID(), to[i], object.CopyOptions{})
		if err != nil {
			return nil, err
		}
		copied = append(copied, now)
		if err := q.bucket.DeleteMany(ctx, []string{info.Key}); err != nil {
			return nil, err
		}
	}
	return copied, nil
}

func (q *quick) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	q.mu.Lock()
	q.others = append(q.others, "copy")
	q.mu.Unlock()
	return q.bucket.Copy(ctx, src, dst, o)
}

func (q *quick) DeleteMany(ctx context.Context, keys []string) error {
	q.others = append(q.others, "delete")
	return q.bucket.DeleteMany(ctx, keys)
}

// TestMoveAtOnce: what the store can move in one step is moved so, and all else one by one.
func TestMoveAtOnce(t *testing.T) {
	refused := errors.New("no")
	for name, c := range map[string]struct {
		change func(q *quick, v *Move)
		one    bool // one by one
		asked  int
		to     string
		err    error
	}{
		"in one step":        {asked: 1},
		"too large":          {change: func(q *quick, _ *Move) { q.most = 2 }, asked: 1, one: true},
		"several pages":      {change: func(q *quick, _ *Move) { q.page = 2 }, one: true},
		"a marker that is":   {change: func(_ *quick, v *Move) { v.KeepMarker() }, one: true},
		"refused beforehand": {change: func(_ *quick, v *Move) { v.Before = func(context.Context) error { return refused } }, err: refused},
		"a key too long":     {to: "p/" + strings.Repeat("x", 1021) + "/", err: &object.Error{Kind: object.KindNameTooLong}},
	} {
		t.Run(name, func(t *testing.T) {
			q := &quick{bucket: newBucket(fixed()), most: 1000}
			for i := range 3 {
				q.put(fmt.Sprintf("p/old/%d", i), fmt.Sprint("body ", i), nil, false)
			}
			if c.to == "" {
				c.to = "p/new/"
			}
			v := New(Options{Store: q, Parallel: 1, Now: q.now}).Begin("p/old/", c.to)
			var copied, before []string
			v.Before = func(context.Context) error { before = append(before, "before"); return nil }
			v.Copied = func(old, now object.Info) { copied = append(copied, old.Key+" "+now.Key) }
			if c.change != nil {
				c.change(q, v)
			}
			must(t, v.Look(t.Context()))
			err := v.Copy(t.Context())
			if c.err != nil {
				if !errors.Is(err, c.err) && object.KindOf(err) != object.KindOf(c.err) {
					t.Errorf("the error is %v, want %v", err, c.err)
				}
				q.want(t, "p/old/0", "p/old/1", "p/old/2")
				return
			}
			must(t, err)
			if c.one == (len(q.others) == 0) || q.asked != c.asked {
				t.Errorf("asked %d times, and for %v", q.asked, q.others)
			}
			if len(copied) != 3 || len(before) != c.asked {
				t.Errorf("told of %v and %v", copied, before)
			}
			if keys, ok := v.Keys(); !ok || len(keys) != 3 {
				t.Errorf("the keys are %v", keys)
			}
			must(t, v.Delete(t.Context()))
			q.want(t, "p/new/0", "p/new/1", "p/new/2")
			if !c.one && slices.Contains(q.others, "delete") {
				t.Error("deleted twice")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
