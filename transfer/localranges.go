package transfer

import (
	"context"
	"crypto/md5"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
)

// wholeSize is the size in bytes up to which a file is fetched by one request, and the
// least of the ranges that a large one is cut into. With it, a file never costs more
// requests than it does rclone.
const wholeSize = 64 << 20

// cut returns how many bytes of a file one request fetches. Files of up to four times
// wholeSize are halved. Of larger ones, streams fetch ranges of equal size, as many each:
// the last round of requests is as wide as the others.
func cut(size int64, streams int) int64 {
	const step = 1 << 20
	n := size / wholeSize
	switch {
	case streams < 2 || size <= wholeSize:
		return size
	case n < 4:
		n = 2
	case n > int64(streams):
		n -= n % int64(streams)
	}
	return ((size+n-1)/n + step - 1) / step * step
}

// filling is a local file whose ranges come at the same time. Its sum is taken of what is
// written, in order, right behind the bytes that come: nothing is read once more when all
// are there. Where the source's ETag tells of parts, these are summed up instead, each as it
// comes; only if that is not what the ETag says, the file is read once more.
type filling struct {
	w            *localWrite
	size, length int64 // of the file, of its ranges but the last
	// parts are summed up instead, where the source tells of them; nil: it does not.
	parts *partSums

	mu    sync.Mutex // guards what follows
	more  *sync.Cond // something has come, or the context has ended
	came  []int64    // bytes of each range that are in their place
	ended error
}

func newFilling(w *localWrite, size, length int64) *filling {
	f := &filling{w: w, size: size, length: length}
	if v, ok := w.content.(versioned); ok {
		f.alignTo(newPartSums(v.version(), size))
	}
	f.came = make([]int64, (size+f.length-1)/f.length)
	f.more = sync.NewCond(&f.mu)
	return f
}

// versioned is Content that knows its ETag; empty: it does not.
type versioned interface{ version() string }

// alignTo makes ranges of whole parts, and as many or fewer, unless they became much larger
// by that.
func (f *filling) alignTo(p *partSums) {
	if p == nil {
		return
	}
	if length := (f.length + p.size - 1) / p.size * p.size; length <= 2*f.length && length < f.size {
		f.parts, f.length = p, length
	}
}

func (f *filling) run(ctx context.Context) error {
	if err := f.w.file.Truncate(f.size); err != nil { // the sum's reader sees holes in it, not its end
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(gctx, func() { f.end(gctx.Err()) })
	defer stop()
	g.SetLimit(f.w.l.o.Streams + 1) // before the first Go: a limit that is set later is waited for
	if f.parts == nil {
		g.Go(func() error { return f.sum(gctx) })
	}
	for i := range f.came {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return f.fetch(gctx, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil || f.parts == nil:
		return ctx.Err()
	case f.parts.match():
		return f.w.learnSum(ctx)
	}
	return f.sum(ctx) // the ETag is of another kind
}

// fetch brings the i-th range.
func (f *filling) fetch(ctx context.Context, i int) error {
	off := int64(i) * f.length
	came := func(n int) { f.add(i, n) }
	n := min(f.length, f.size-off)
	if f.parts == nil {
		return f.w.copyRange(ctx, off, n, nil, came)
	}
	sums := f.parts.at(off)
	err := f.w.copyRange(ctx, off, n, sums, came)
	if err == nil {
		sums.close()
	}
	return err
}

// add tells that n more bytes of a range are in their place.
func (f *filling) add(i, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.came[i] += int64(n)
	f.more.Broadcast()
}

func (f *filling) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = err
	f.more.Broadcast()
}

// wait returns how many bytes have come behind off: some, or an error.
func (f *filling) wait(off int64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if n := f.behindLocked(off); n > 0 {
			return n, nil
		}
		if f.ended != nil {
			return 0, f.ended
		}
		f.more.Wait()
	}
}

// behindLocked returns how many bytes there are from off to the end of its range.
func (f *filling) behindLocked(off int64) int64 {
	i := off / f.length
	return f.came[i] - (off - i*f.length)
}

// sum checks the sum of the file as it comes, if there is one to compare with.
func (f *filling) sum(ctx context.Context) error {
	sum, buf := md5.New(), make([]byte, copyBuf)
	for off := int64(0); off < f.size; {
		n, err := f.wait(off)
		if err != nil {
			return err
		}
		if off == 0 {
			if err := f.w.learnSum(ctx); err != nil || f.w.o.MD5 == "" {
				return err
			}
		}
		in := &contentRange{ctx: ctx, path: f.w.path, r: io.NewSectionReader(f.w.file, off, n), left: n}
		if _, err := io.CopyBuffer(sum, in, buf); err != nil {
			return err
		}
		off += n
	}
	return f.w.verify(ctx, sum)
}

// tellingWriter tells how many bytes were written.
type tellingWriter struct {
	w    io.Writer
	tell func(int)
}

func (t *tellingWriter) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	if n > 0 {
		t.tell(n)
	}
	return n, err
}
