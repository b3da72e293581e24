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
	closed bool
	stream stream
	held   int64               // bytes of buffers in ahead
	ahead  map[*block]struct{} // loaded ahead for this reader, loading ones too; not read yet
	loads  map[*load]struct{}  // those that are under way for ahead
}

// ReadAt fills p from off on. It returns fewer bytes than len(p) only with an error:
// io.EOF at the end of the object, else an *object.Error; the bytes before it are
// valid. When ctx ends it returns at once, and what it waited for is still loaded.
func (r *Reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, object.Errorf(object.KindInvalid, "read", r.v.id.Key, "negative offset %d", off)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= r.v.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), r.v.size-off))
	n := 0
	for n < want {
		m, err := r.readSome(ctx, p[n:want], off+int64(n), n == 0)
		n += m
		if err != nil {
			return n, readError(r.v.id.Key, err)
		}
	}
	if want < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readSome reads into p what the block at off has of it, or all of p if there is no
// memory for blocks.
func (r *Reader) readSome(ctx context.Context, p []byte, off int64, first bool) (int, error) {
	b, ready, err := r.pin(off, len(p), first)
	if err != nil {
		return 0, err
	}
	if b == nil {
		return r.c.direct(ctx, r.v, p, off)
	}
	defer r.c.unpin(b)
	if !ready {
		select {
		case <-b.done:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if b.err != nil { // not written after done is closed
			return 0, b.err
		}
	}
	return copy(p, b.buf[off-b.index*r.c.blockSize:]), nil
}

// pin finds the block at off, or begins to load it with its successors among the n
// bytes that are wanted, and pins it; nil if there is no memory. The first pin of a
// read also moves the read-ahead.
func (r *Reader) pin(off int64, n int, first bool) (b *block, ready bool, err error) {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return nil, false, object.Errorf(object.KindCanceled, "read", r.v.id.Key, "%w", errClosed)
	}
	if r.closed {
		return nil, false, object.Errorf(object.KindBadHandle, "read", r.v.id.Key, "the reader is closed")
	}
	if first && !r.stream.note(off, int64(n)) {
		r.abandonLocked()
	}
	index := off / c.blockSize
	b = r.v.blocks[index]
	if b == nil {
		b = c.demandLocked(r.v, index, (off+int64(n)-1)/c.blockSize)
	}
	if b != nil {
		c.useLocked(b)
		ready = b.ready
	}
	if first {
		c.loadAheadLocked(r)
	}
	return b, ready, nil
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
	r.abandonLocked()
	r.v.readers--
	c.releaseVersionLocked(r.v)
}
