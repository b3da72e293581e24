package vfs

import (
	"context"
	"strconv"

	"github.com/s3mount/s3mount/object"
)

// Many threads that come to a folder at once ask for the same listing. Here one of them
// asks, and the others wait for its answer.

// loadTogether is loadListing, once for all who want it at the same time.
func (fs *FS) loadTogether(ctx context.Context, p *Inode) error {
	return fs.listOnce(ctx, p.flight(), fs.keyOf(p), func() error { return fs.loadListing(fs.ctx, p) })
}

// listTogether is listFrom, once for all whose name the same page shows.
func (fs *FS) listTogether(ctx context.Context, p *Inode, name string) (f found, ok bool, err error) {
	mine := false
	err = fs.listOnce(ctx, p.flight(), fs.keyOf(p), func() (err error) {
		mine = true
		f, ok, err = fs.listFrom(fs.ctx, p, name)
		return err
	})
	switch {
	case err != nil:
		return found{}, false, err // f may still be written
	case mine:
		return f, ok, nil
	}
	fs.tree.Lock()
	l := fs.listingLocked(p)
	if l != nil && l.byName[name] != nil && fs.fresh(l.byName[name].at) {
		defer fs.tree.Unlock()
		return l.byName[name].found, true, nil
	}
	fs.tree.Unlock()
	return fs.listFrom(ctx, p, name)
}

// flight names the listing of a folder's content. It differs from all prefixes.
func (n *Inode) flight() string { return strconv.FormatUint(uint64(n.id), 10) }

// listOnce runs list unless it runs already for the flight, and waits for its end.
func (fs *FS) listOnce(ctx context.Context, flight, prefix string, list func() error) error {
	ch := fs.lists.DoChan(flight, func() (any, error) { return nil, list() })
	select {
	case r := <-ch:
		return r.Err
	case <-ctx.Done():
		return object.Errorf(object.KindOf(ctx.Err()), "list", prefix, "%w", ctx.Err())
	}
}
