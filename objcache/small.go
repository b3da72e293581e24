package objcache

import (
	"context"

	"github.com/s3mount/s3mount/object"
)

// Fetch brings a small version into memory, for somebody who is likely to read it soon.
// It returns what the store told of the version beside its bytes, as a HEAD does; without
// a Key if that was not learned, since the bytes were there, or there is no room for
// them. It fails as a read does.
func (c *Cache) Fetch(ctx context.Context, id object.ID, size int64) (object.Info, error) {
	r := c.Reader(id, size)
	defer r.Close()
	l := c.startFetch(r.v)
	if l == nil {
		return object.Info{}, nil
	}
	defer c.wg.Done()
	defer context.AfterFunc(ctx, l.cancel)()
	err := c.fill(l)
	c.finish(l, err)
	if err != nil {
		return object.Info{}, readError(id.Key, err)
	}
	return l.info, nil
}

// startFetch returns a load of what is missing at the beginning of v, which the caller
// runs; nil if nothing is, or there is no memory that nobody needs more. Loads are
// counted in c.wg.
func (c *Cache) startFetch(v *version) *load {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed || v.size == 0 {
		return nil
	}
	l := c.newLoad(v)
	c.claimRunLocked(l, 0, v.size, c.spareBufferLocked)
	if len(l.pieces) == 0 {
		l.cancel()
		return nil
	}
	c.wg.Add(1)
	return l
}

// spareBufferLocked returns a buffer of n bytes, if need be from blocks that were read
// already; nil if there are none.
func (c *Cache) spareBufferLocked(n int) []byte {
	for {
		if b := c.mu.pool.get(n); b != nil {
			return b
		}
		if !c.evictReadLocked() {
			return nil
		}
	}
}

// informed is a body that knows what the store told beside it.
type informed interface{ Info() object.Info }
