package treemove

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/object"
)

// clockLead is how much the store's clock and the local one may differ.
const clockLead = 5 * time.Second

// Recover undoes or finishes the moves that processes before this one have left: those
// whose records are in Options.Dir. It is called before the first Begin, and may be
// repeated; what it could not do stays noted, and is in the error.
func (m *Mover) Recover(ctx context.Context) error {
	if m.o.Dir == "" {
		return nil
	}
	paths, err := recordPaths(m.o.Dir)
	if err != nil {
		return fmt.Errorf("look for interrupted renames in %s: %w", m.o.Dir, err)
	}
	var errs []error
	for _, path := range paths {
		r, err := readRecord(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; look whether a folder is under two names, then delete the file", path, err))
			continue
		}
		errs = append(errs, m.recover(ctx, r))
	}
	return errors.Join(errs...)
}

func (m *Mover) recover(ctx context.Context, r *record) error {
	from, to := string(r.From), string(r.To)
	var err error
	switch {
	case r.Swap != nil:
		return m.recoverSwap(ctx, r)
	case r.Forward || len(r.Then) > 0 && r.Phase == deleting:
		m.o.Log.Info("an exchange of folders that was interrupted goes on", "op", "rename", "from", from, "to", to, "then", len(r.Then))
		if err := m.forward(ctx, r); err != nil {
			return fmt.Errorf("the interrupted exchange, at the move of %q to %q: %w", from, to, err)
		}
		return nil
	}
	if r.Phase == copying {
		m.o.Log.Info("a folder's rename that was interrupted is undone", "op", "rename", "from", from, "to", to)
		err = m.rollBack(ctx, r)
	} else {
		m.o.Log.Info("a folder's rename that was interrupted is finished", "op", "rename", "from", from, "to", to)
		if err = m.moveMarker(ctx, r); err == nil {
			err = m.finish(ctx, r)
		}
	}
	if err == nil {
		err = m.remove(r)
	}
	if err != nil {
		return fmt.Errorf("the interrupted rename of %q to %q: %w", from, to, err)
	}
	return nil
}

// rollBack deletes the copies that a move has made.
func (m *Mover) rollBack(ctx context.Context, r *record) error {
	from, to := string(r.From), string(r.To)
	return m.deleteTwins(ctx, to, from, func(ctx context.Context, copied, old object.Info) (bool, error) {
		if r.Marker && copied.Key == to {
			return false, nil // it was there before
		}
		if copied.Size != old.Size || !r.Ended.IsZero() && copied.LastModified.After(r.Ended.Add(clockLead)) {
			return false, nil
		}
		if copied.ETag == old.ETag {
			return true, nil
		}
		if copied.LastModified.Before(r.Time.Add(-clockLead)) {
			return false, nil
		}
		meta, same, err := m.alike(ctx, copied, old)
		return same && len(meta) > 0, err
	})
}

// finish deletes the old keys of a move whose copies stand.
func (m *Mover) finish(ctx context.Context, r *record) error {
	return m.deleteTwins(ctx, string(r.From), string(r.To), func(ctx context.Context, old, copied object.Info) (bool, error) {
		// What is younger than its copy was put there afterwards.
		if copied.Size != old.Size || old.LastModified.After(copied.LastModified) {
			return false, nil
		}
		if copied.ETag == old.ETag {
			return true, nil
		}
		_, same, err := m.alike(ctx, copied, old)
		return same, err
	})
}

// alike compares two objects of the same size whose ETags differ, as that of a copy may
// from the original's if that was uploaded in parts or is encrypted: by their metadata,
// which it returns.
func (m *Mover) alike(ctx context.Context, a, b object.Info) (meta object.Meta, same bool, err error) {
	var heads [2]object.Info
	var sums []string
	for i, info := range []object.Info{a, b} {
		head, err := m.o.Store.Head(ctx, info.Key)
		if object.Is(err, object.KindNotFound) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if head.ETag != info.ETag && !info.ID().Local() { // a local one may stand in the store by now
			return nil, false, nil // changed just now
		}
		if sum, ok := head.MD5(); ok {
			sums = append(sums, sum)
		}
		heads[i] = head
	}
	if len(sums) == len(heads) && sums[0] != sums[1] {
		return nil, false, nil
	}
	return heads[0].Meta, maps.Equal(heads[0].Meta, heads[1].Meta) && heads[0].ContentType == heads[1].ContentType, nil
}

// list lists a prefix, or one object where it is the key of that.
func (m *Mover) list(ctx context.Context, q object.Query) (object.Page, error) {
	if strings.HasSuffix(q.Prefix, "/") {
		return m.o.Store.List(ctx, q)
	}
	info, err := m.head(ctx, q.Prefix)
	if err != nil || info.Key == "" {
		return object.Page{}, err
	}
	return object.Page{Objects: []object.Info{info}}, nil
}

// head is the Store's, or the zero Info where nothing is under the key.
func (m *Mover) head(ctx context.Context, key string) (object.Info, error) {
	info, err := m.o.Store.Head(ctx, key)
	if object.Is(err, object.KindNotFound) {
		return object.Info{}, nil
	}
	info.Key = key
	return info, err
}

// moveMarker moves the folder's own marker over the one that the new prefix had.
func (m *Mover) moveMarker(ctx context.Context, r *record) error {
	if !r.Marker {
		return nil
	}
	old, err := m.o.Store.Head(ctx, string(r.From))
	if object.Is(err, object.KindNotFound) {
		return nil
	}
	if err == nil {
		_, err = m.o.Store.Copy(ctx, old.ID(), string(r.To), object.CopyOptions{Size: old.Size})
	}
	return err
}

// deleteTwins deletes the objects under one prefix of which may agrees, given their twins
// under the other. What has no twin stays.
func (m *Mover) deleteTwins(ctx context.Context, prefix, other string, may func(ctx context.Context, info, twin object.Info) (bool, error)) error {
	twins := &cursor{list: m.list, q: object.Query{Prefix: other}}
	stayed := 0
	for q := (object.Query{Prefix: prefix}); ; {
		page, err := m.list(ctx, q)
		if err != nil {
			return err
		}
		gone, err := m.deletable(ctx, page.Objects, prefix, twins, may)
		if err != nil {
			return err
		}
		stayed += len(page.Objects) - len(gone)
		if err := m.delete(ctx, gone); err != nil {
			return err
		}
		if q.Token = page.Next; q.Token == "" {
			break
		}
	}
	if stayed > 0 {
		m.o.Log.Warn("a folder's rename leaves alone what is no copy that it has made", "op", "rename", "prefix", prefix, "objects", stayed)
	}
	return nil
}

// deletable asks of each object whether it may go.
func (m *Mover) deletable(ctx context.Context, objects []object.Info, prefix string, twins *cursor, may func(ctx context.Context, info, twin object.Info) (bool, error)) ([]object.ID, error) {
	var mu sync.Mutex // guards gone
	var gone []object.ID
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(m.o.Parallel)
	for _, info := range objects {
		twin, err := twins.seek(ctx, twins.q.Prefix+strings.TrimPrefix(info.Key, prefix))
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		if twin.Key == "" {
			continue
		}
		g.Go(func() error {
			ok, err := may(gctx, info, twin)
			if ok && err == nil {
				mu.Lock()
				defer mu.Unlock()
				gone = append(gone, info.ID())
			}
			return err
		})
	}
	return gone, g.Wait()
}

// cursor goes through a listing in the order of its keys.
type cursor struct {
	list func(context.Context, object.Query) (object.Page, error)
	q    object.Query
	page []object.Info
	last bool // there is no page behind this one
}

// seek goes on to a key, and returns its object; one without a key: it is not there.
func (c *cursor) seek(ctx context.Context, key string) (object.Info, error) {
	for {
		for len(c.page) > 0 && c.page[0].Key < key {
			c.page = c.page[1:]
		}
		if len(c.page) > 0 && c.page[0].Key == key {
			return c.page[0], nil
		}
		if len(c.page) > 0 || c.last {
			return object.Info{}, nil
		}
		p, err := c.list(ctx, c.q)
		if err != nil {
			return object.Info{}, err
		}
		c.page, c.q.Token, c.last = p.Objects, p.Next, p.Next == ""
	}
}

// noSpace reports whether a local disk is full.
func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
