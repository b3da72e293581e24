package objcache

import (
	"context"
	"io"

	"github.com/s3mount/s3mount/object"
)

// Reader reads one version. It keeps the state of its own read-ahead, so every open
// handle has one. It is safe for concurrent use.
type Reader struct {
	c *Cache
	v *version

	// Cache.mu guards the rest.
	closed  bool
	held    int64 // bytes of buffers in the streams' ahead
	streams []*stream
	reads   int // so far
	// The last read, its distance from the one before, and how often in a row that was
	// the same.
	lastOff, lastLen, lastStep int64
	steps                      int
}

// ID returns the version that is read.
func (r *Reader) ID() object.ID { return r.v.id }

// ReadAt fills p from off on. It returns fewer bytes than len(p) only with an error:
// io.EOF at the end of the object, else an *object.Error; the bytes before it are
// valid. When ctx ends it returns at once, and what it waited for is still loaded.
func (r *Reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return r.copyTo(ctx, p, off, true)
}

// ReadOnly is ReadAt for who needs no byte beside those of p: nothing is loaded ahead, and of
// what is read nothing is concluded. What is fetched is p, rounded to units of the cache.
func (r *Reader) ReadOnly(ctx context.Context, p []byte, off int64) (int, error) {
	return r.copyTo(ctx, p, off, false)
}

func (r *Reader) copyTo(ctx context.Context, p []byte, off int64, follow bool) (int, error) {
	n := 0
	err := r.each(ctx, p, off, follow, func(b *block, part []byte) {
		n += len(part)
		if b != nil {
			copy(p[n-len(part):], part)
			r.c.unpin(b)
		}
	})
	return n, err
}

// each calls yield with the bytes of the object from off on, as many as p has. They are
// part of the pinned block b, which yield lets go of; or, if b is nil, there was no
// memory for blocks, and they are at their place in p. With follow, the read tells where the
// reader goes, and what is there is loaded ahead.
func (r *Reader) each(ctx context.Context, p []byte, off int64, follow bool, yield func(b *block, part []byte)) error {
	if off < 0 {
		return object.Errorf(object.KindInvalid, "read", r.v.id.Key, "negative offset %d", off)
	}
	if len(p) == 0 {
		return nil
	}
	if off >= r.v.size {
		return io.EOF
	}
	want := int(min(int64(len(p)), r.v.size-off))
	for n := 0; n < want; {
		at := off + int64(n)
		b, m, err := r.await(ctx, at, want-n, follow, follow && n == 0)
		if err == nil && b == nil {
			m, err = r.c.direct(ctx, r.v, p[n:want], at)
		}
		if err != nil {
			return readError(r.v.id.Key, err)
		}
		if b != nil {
			lo := int(at % r.c.blockSize)
			yield(b, b.buf[lo:lo+m])
		} else {
			yield(nil, p[n:n+m])
		}
		n += m
	}
	if want < len(p) {
		return io.EOF
	}
	return nil
}

// await returns the block at off, pinned, when it has bytes from there on, and how many
// of the n that are wanted; nil if there is no memory for it.
func (r *Reader) await(ctx context.Context, off int64, n int, follow, first bool) (*block, int, error) {
	c := r.c
	for {
		s, err := r.seek(off, n, follow, first)
		if err != nil || s.b == nil || s.n > 0 {
			return s.b, s.n, err
		}
		select {
		case <-s.done:
			err = nil
		case <-ctx.Done():
			err = ctx.Err()
		}
		c.mu.Lock()
		s.p.waiters--
		if err == nil {
			err = s.p.err
		}
		if err == nil {
			s.n = min(c.run(s.b, s.b.valid, int(off%c.blockSize)), n)
		}
		if s.n == 0 {
			c.unpinLocked(s.b)
		}
		c.mu.Unlock()
		if err != nil || s.n > 0 {
			return s.b, s.n, err
		}
		first = false
	}
}

// sought is where the byte at an offset is, or what to wait for.
type sought struct {
	b    *block // pinned; nil: no memory for it
	n    int    // how many bytes are there; 0: p has to come first
	p    *piece
	done chan struct{} // of p
}

// seek finds the byte at off, or begins to load it with what is missing of the n bytes
// behind it. The first seek of a read that is followed also moves the read-ahead.
func (r *Reader) seek(off int64, n int, follow, first bool) (s sought, err error) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return s, object.Errorf(object.KindCanceled, "read", r.v.id.Key, "%w", errClosed)
	}
	if r.closed {
		return s, object.Errorf(object.KindBadHandle, "read", r.v.id.Key, "the reader is closed")
	}
	var st *stream
	if first {
		st = r.noteLocked(off, int64(n))
	}
	lo := int(off % c.blockSize)
	s.b = r.v.blocks[off/c.blockSize]
	if s.b != nil {
		s.n = min(c.run(s.b, s.b.valid, lo), n)
		s.p = s.b.pieceLocked(lo)
	}
	if s.n == 0 && s.p == nil {
		if s.p = c.demandLocked(r.v, off, off+int64(n), follow); s.p != nil {
			s.b = s.p.b
		} else {
			s.b = nil
		}
	}
	if s.b != nil {
		c.useLocked(s.b)
	}
	if s.b != nil && s.n == 0 {
		s.p.waiters++
		s.done = s.p.done
	}
	if st != nil {
		c.loadAheadLocked(st)
	}
	return s, nil
}

// Close gives up what was loaded ahead. Loads that another reader waits for go on.
// Reads under way end as they would have. It can be called again.
func (r *Reader) Close() {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	for len(r.streams) > 0 {
		r.endLocked(r.streams[0])
	}
	delete(r.v.readers, r)
	c.releaseVersionLocked(r.v)
}
