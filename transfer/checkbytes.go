package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

const (
	// compareBuf is how many bytes of each side are compared at a time.
	compareBuf = 128 << 10
	// compareStreams is how many ranges of one large file are compared at a time.
	compareStreams = 4
)

// unequal is the error that ends the comparison of two contents at a byte that differs.
type unequal struct{ at int64 }

func (u unequal) Error() string { return fmt.Sprintf("contents differ at byte %d", u.at) }

// compareBytes reads both sides of a pair of one size, and says whether they are the same.
// It holds two buffers for each range of a large file that is under way.
func (r *runner) compareBytes(ctx context.Context, p Pair) (op Op, why string, err error) {
	r.o.Stats.totalBytes.Add(p.Src.Size)
	shown := r.o.Stats.begin(p.Path(), p.Src.Size)
	defer func() { shown.end(err == nil) }()
	var differ unequal
	switch err = r.readBoth(ctx, p, shown.sent); {
	case errors.As(err, &differ):
		return OpDiffer, differ.Error(), nil
	case err != nil:
		return OpFailed, "", localError("compare", p.Path(), err)
	}
	return OpSame, "", nil
}

// readBoth returns nil if both sides have the same bytes, and were not changed meanwhile.
func (r *runner) readBoth(ctx context.Context, p Pair, read func(int64)) error {
	src, err := r.src.Content(ctx, *p.Src)
	if err != nil {
		return vanished(p.Path(), err)
	}
	defer src.Close()
	dst, err := r.dst.Content(ctx, *p.Dst)
	if err != nil {
		return vanished(p.Path(), err)
	}
	defer dst.Close()
	if err := compareContents(ctx, src, dst, p.Src.Size, read); err != nil {
		return err
	}
	return errors.Join(src.Unchanged(), dst.Unchanged())
}

// compareContents compares two contents of a size, several ranges of a large one at a time.
func compareContents(ctx context.Context, a, b Content, size int64, read func(int64)) error {
	if size <= 2*rangeSize {
		return compareRange(ctx, a, b, 0, size, read)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(compareStreams)
	for off := int64(0); off < size && gctx.Err() == nil; off += rangeSize {
		g.Go(func() error { return compareRange(gctx, a, b, off, min(rangeSize, size-off), read) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// compareRange compares n bytes from off on.
func compareRange(ctx context.Context, a, b Content, off, n int64, read func(int64)) error {
	x, err := a.Range(ctx, off, n)
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := b.Range(ctx, off, n)
	if err != nil {
		return err
	}
	defer y.Close()
	bufs := make([]byte, 2*min(compareBuf, n))
	p, q := bufs[:len(bufs)/2], bufs[len(bufs)/2:]
	for end := off + n; off < end; {
		p, q = p[:min(int64(len(p)), end-off)], q[:min(int64(len(q)), end-off)]
		if _, err := io.ReadFull(x, p); err != nil {
			return err
		}
		if _, err := io.ReadFull(y, q); err != nil {
			return err
		}
		if !bytes.Equal(p, q) {
			return unequal{off + int64(differsAt(p, q))}
		}
		off += int64(len(p))
		read(int64(len(p)))
	}
	return nil
}

// differsAt is the index of the first byte in which two slices of one length differ.
func differsAt(p, q []byte) int {
	for i := range p {
		if p[i] != q[i] {
			return i
		}
	}
	return len(p)
}
