package objcache

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/s3mount/s3mount/object"
)

// load brings adjacent bytes of a version into memory, in order, from disk and by
// GETs. One goroutine runs it.
type load struct {
	v      *version
	pieces []*piece
	owner  *stream // whose load ahead it is; nil for a demanded one
	slot   bool    // it holds a slot; only its goroutine looks at it once started
	ctx    context.Context
	cancel context.CancelFunc
	info   object.Info // what the store told with the bytes; without a Key: nothing

	// Cache.mu guards these.
	next      int  // the first of pieces that is not settled
	abandoned bool // the owner does not want it any more
	dead      bool // nobody wants the rest
}

func (c *Cache) newLoad(v *version) *load {
	l := &load{v: v}
	l.ctx, l.cancel = context.WithTimeout(c.ctx, c.o.FetchTimeout)
	return l
}

// maxVisits is how many reads find something missing in a block until all that is
// missing is loaded: who comes again and again is likely to want the rest, and only
// whole blocks go to disk.
const maxVisits = 3

// demandLocked starts to load what is missing from off to end, up to the first byte
// that is there or coming, as far as one GET goes and there is memory. It returns the
// first piece, nil if there is no buffer even for that. With follow, a block that somebody
// comes back to again and again is filled.
func (c *Cache) demandLocked(v *version, off, end int64, follow bool) *piece {
	limit := max(min(maxRun, c.o.Memory/4), c.blockSize)
	end = min(end, off-off%c.blockSize+limit)
	if b := v.blocks[off/c.blockSize]; b != nil && follow {
		if b.visits++; b.visits >= maxVisits-1 { // the first made the block
			off, end = c.gapLocked(b, off, end)
		}
	}
	l := c.newLoad(v)
	c.claimRunLocked(l, off, end, c.demandBufferLocked)
	if len(l.pieces) == 0 {
		l.cancel()
		return nil
	}
	c.startLocked(l)
	return l.pieces[0]
}

// gapLocked widens what is asked for to all that is missing around off in the block b.
func (c *Cache) gapLocked(b *block, off, end int64) (int64, int64) {
	start := b.index * c.blockSize
	missing := ^(b.valid | b.coming)
	lo := int(off - start)
	end = max(end, off+int64(c.run(b, missing, lo)))
	lo -= lo % int(c.unit)
	for lo > 0 && c.run(b, missing, lo-int(c.unit)) > 0 {
		lo -= int(c.unit)
	}
	return start + int64(lo), end
}

// claimRunLocked gives l the pieces from off to end, up to the first byte that is there
// or coming, or a block that buffer has no memory for. It returns where that is.
func (c *Cache) claimRunLocked(l *load, off, end int64, buffer func(n int) []byte) int64 {
	for off < end {
		index := off / c.blockSize
		start := index * c.blockSize
		b := l.v.blocks[index]
		if b == nil {
			buf := buffer(c.blockLen(l.v, index))
			if buf == nil {
				return off
			}
			b = c.newBlockLocked(l.v, index, buf, l.owner)
		}
		lo := int(off - start)
		lo -= lo % int(c.unit)
		n := c.run(b, ^(b.valid | b.coming), lo)
		if n == 0 {
			return off
		}
		most := int(min(ceilDiv(end-start, c.unit)*c.unit, int64(len(b.buf))))
		hi := min(most, lo+n)
		l.pieces = append(l.pieces, c.claimLocked(b, lo, hi))
		off = start + int64(hi)
		if hi < most {
			return off
		}
	}
	return off
}

// startLocked runs l. The cache must not be closed.
func (c *Cache) startLocked(l *load) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		c.finish(l, c.fill(l))
	}()
}

// fill loads the pieces of l. On an error those that are settled stay so.
func (c *Cache) fill(l *load) error {
	s := c.session(l.v)
	defer s.close()
	for i := 0; i < len(l.pieces); {
		p := l.pieces[i]
		if c.takesAll(p) && s.read(p.b.index, p.b.buf) {
			if !c.settle(l, p, false) {
				return context.Canceled
			}
			i++
			continue
		}
		n := 1
		for i+n < len(l.pieces) && !(c.takesAll(l.pieces[i+n]) && s.has(l.pieces[i+n].b.index)) {
			n++
		}
		if err := c.fetch(l, l.pieces[i:i+n]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// takesAll reports whether p is of a whole block. Only the goroutine of p's load asks,
// which alone changes that.
func (c *Cache) takesAll(p *piece) bool { return p.lo == 0 && p.hi == len(p.b.buf) }

// session opens what the disk has of v; nil, which works too, if that is nothing.
func (c *Cache) session(v *version) *session {
	if !v.onDisk.Load() {
		return nil
	}
	return c.disk.open(v.name, v.size)
}

// fetch loads adjacent pieces of l by one GET, and hands each one out when it is whole.
func (c *Cache) fetch(l *load, pieces []*piece) error {
	if !l.slot && !l.v.id.Local() { // those read others by this cache, which need a slot then
		if err := c.takeSlot(l.ctx); err != nil {
			return err
		}
		l.slot = true
	}
	r := c.rangeOf(pieces)
	began := time.Now()
	body, err := c.get(l.ctx, l.v, r)
	if err != nil {
		return err
	}
	defer body.Close()
	answered := time.Now()
	if b, ok := body.(informed); ok {
		l.info = b.Info()
	}
	for i, p := range pieces {
		var in io.Reader = body
		sum := summing{r: body}
		if c.takesAll(p) && l.v.onDisk.Load() {
			in = &sum
		}
		if err := readFull(in, p.b.buf[p.lo:p.hi], i == len(pieces)-1); err != nil {
			return fmt.Errorf("block %d: %w", p.b.index, err)
		}
		if in == &sum {
			p.b.crc, p.b.hasCRC = sum.crc, true // nobody else has the block before it is settled
		}
		if i == len(pieces)-1 {
			c.learn(answered.Sub(began), time.Since(answered), r.Len)
		}
		if !c.settle(l, p, true) {
			return context.Canceled
		}
	}
	return nil
}

// summing sums what is read from r.
type summing struct {
	r   io.Reader
	crc uint32
}

func (s *summing) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.crc = crc32.Update(s.crc, castagnoli, p[:n])
	return n, err
}

// rangeOf makes the pieces what is wanted of them, and returns the bytes they span.
func (c *Cache) rangeOf(pieces []*piece) object.Range {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := object.Range{}
	for i, p := range pieces {
		c.narrowLocked(p)
		if i == 0 {
			r.Off = p.b.index*c.blockSize + int64(p.lo)
		}
		r.Len += int64(p.hi - p.lo)
	}
	return r
}

// get opens a range of v. Of a version without an ETag it takes that which the first answer
// tells, so that a reader of it has no bytes of another.
func (c *Cache) get(ctx context.Context, v *version, r object.Range) (io.ReadCloser, error) {
	id := v.id
	c.mu.Lock()
	c.mu.stats.Fetches++
	if id.ETag == "" {
		id.ETag = v.told
	}
	c.mu.Unlock()
	body, err := c.o.Fetcher.Get(ctx, id, r)
	if b, ok := body.(informed); err == nil && v.id.ETag == "" && ok && !c.tell(v, b.Info().ETag) {
		body.Close() // nothing of it is used
		return nil, object.Errorf(object.KindStale, "read", id.Key, "the object was replaced")
	}
	return body, err
}

// tell notes the ETag of what came for a version without one; false: another came before.
func (c *Cache) tell(v *version, etag string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.told == "" {
		v.told = etag
	}
	return v.told == etag
}

// readFull fills p. With last it makes sure that the body ends there, so that an error
// that a body gives only at its end is seen before its bytes are believed.
func readFull(body io.Reader, p []byte, last bool) error {
	if n, err := io.ReadFull(body, p); err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, len(p), shortBody(err))
	}
	if !last {
		return nil
	}
	var extra [1]byte
	switch n, err := io.ReadFull(body, extra[:]); {
	case n > 0:
		return fmt.Errorf("the store sent more than the range that was asked for")
	case err != io.EOF:
		return fmt.Errorf("at the end of the range: %w", err)
	}
	return nil
}

// shortBody makes the end of a body that should go on an error that nobody takes for
// the end of the object.
func shortBody(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// settle publishes p, the next piece of l, and returns whether the rest is wanted.
func (c *Cache) settle(l *load, p *piece, fetched bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.next++
	b := p.b
	b.refs++ // until it is offered
	c.settleLocked(p, nil)
	if fetched {
		c.mu.stats.FetchedByte += int64(p.hi - p.lo)
		if c.whole(b) && l.v.onDisk.Load() {
			c.offerLocked(b)
		}
	} else {
		c.mu.stats.DiskBlocks++
	}
	c.unpinLocked(b)
	c.killUnwantedLocked(l)
	return !l.dead
}

// killUnwantedLocked ends l if it was abandoned and nobody waits for what is left. The
// blocks of that are forgotten at once, since l may still write into them.
func (c *Cache) killUnwantedLocked(l *load) {
	if !l.abandoned || l.dead {
		return
	}
	rest := l.pieces[l.next:]
	for _, p := range rest {
		if p.waiters > 0 {
			return
		}
	}
	l.dead = true
	l.cancel()
	for _, p := range rest {
		c.forgetLocked(p.b)
	}
}

// finish ends l: err reaches those who wait for what is not there. The load-ahead of
// its owner goes on, or starts small again after an error.
func (c *Cache) finish(l *load, err error) {
	l.cancel()
	if l.slot {
		c.freeSlot()
	}
	if err != nil {
		err = readError(l.v.id.Key, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range l.pieces[l.next:] {
		c.settleLocked(p, err)
	}
	s := l.owner
	if s == nil {
		return
	}
	delete(s.loads, l)
	switch {
	case l.abandoned:
	case err != nil:
		s.bytes = 0
	default:
		c.loadAheadLocked(s)
	}
}

// direct reads p from off on without a block, by a GET of its own.
func (c *Cache) direct(ctx context.Context, v *version, p []byte, off int64) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.FetchTimeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	if !v.id.Local() {
		if err := c.takeSlot(ctx); err != nil {
			return 0, err
		}
		defer c.freeSlot()
	}
	body, err := c.get(ctx, v, object.Range{Off: off, Len: int64(len(p))})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if err := readFull(body, p, true); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.mu.stats.FetchedByte += int64(len(p))
	c.mu.Unlock()
	return len(p), nil
}

// takeSlot waits for the right to run a GET.
func (c *Cache) takeSlot(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for one of %d parallel requests: %w", cap(c.slots), ctx.Err())
	}
}

// trySlot takes a slot for a load ahead, and leaves some for demanded ones.
func (c *Cache) trySlot() bool {
	if len(c.slots) >= cap(c.slots)-cap(c.slots)/8 {
		return false
	}
	select {
	case c.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (c *Cache) freeSlot() { <-c.slots }
