package objcache

import (
	"context"
	"fmt"
	"io"

	"github.com/s3mount/s3mount/object"
)

// load brings adjacent blocks of a version into memory, in order, from disk and by
// GETs. One goroutine runs it.
type load struct {
	v      *version
	blocks []*block
	owner  *Reader // whose load ahead it is; nil for a demanded one
	slot   bool    // it holds a slot; only its goroutine looks at it once started
	ctx    context.Context
	cancel context.CancelFunc

	// Cache.mu guards these.
	next      int  // the first of blocks that is neither ready nor failed
	abandoned bool // the owner does not want it any more
	dead      bool // nobody wants the rest
}

func (c *Cache) newLoad(v *version) *load {
	l := &load{v: v}
	l.ctx, l.cancel = context.WithTimeout(c.ctx, c.o.FetchTimeout)
	return l
}

// demandLocked starts to load the blocks from first to last that are missing and
// adjacent, as far as one GET goes and there is memory. It returns the first, nil if
// there is no buffer even for that.
func (c *Cache) demandLocked(v *version, first, last int64) *block {
	limit := max(min(maxRun, c.o.Memory/4)/c.blockSize, 1)
	last = min(last, first+limit-1)
	var blocks []*block
	for i := first; i <= last && v.blocks[i] == nil; i++ {
		buf := c.demandBufferLocked(c.blockLen(v, i))
		if buf == nil {
			break
		}
		blocks = append(blocks, c.newBlockLocked(v, i, buf, nil))
	}
	if len(blocks) == 0 {
		return nil
	}
	l := c.newLoad(v)
	l.blocks = blocks
	c.startLocked(l)
	return blocks[0]
}

// startLocked runs l. The cache must not be closed.
func (c *Cache) startLocked(l *load) {
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		c.finish(l, c.fill(l))
	}()
}

// fill loads the blocks of l. On an error those that are ready stay so.
func (c *Cache) fill(l *load) error {
	s := c.session(l.v)
	defer s.close()
	for i := 0; i < len(l.blocks); {
		b := l.blocks[i]
		if s.read(b.index, b.buf) {
			if !c.settle(l, b, false) {
				return context.Canceled
			}
			i++
			continue
		}
		n := 1
		for i+n < len(l.blocks) && !s.has(l.blocks[i+n].index) {
			n++
		}
		if err := c.fetch(l, l.blocks[i:i+n]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

// session opens what the disk has of v; nil, which works too, if that is nothing.
func (c *Cache) session(v *version) *session {
	if !v.onDisk.Load() {
		return nil
	}
	return c.disk.open(v.name, v.size)
}

// fetch loads adjacent blocks of l by one GET, and hands each one out when it is whole.
func (c *Cache) fetch(l *load, blocks []*block) error {
	if !l.slot {
		if err := c.takeSlot(l.ctx); err != nil {
			return err
		}
		l.slot = true
	}
	r := object.Range{Off: blocks[0].index * c.blockSize}
	for _, b := range blocks {
		r.Len += int64(len(b.buf))
	}
	body, err := c.get(l.ctx, l.v.id, r)
	if err != nil {
		return err
	}
	defer body.Close()
	for i, b := range blocks {
		if err := readFull(body, b.buf, i == len(blocks)-1); err != nil {
			return fmt.Errorf("block %d: %w", b.index, err)
		}
		if !c.settle(l, b, true) {
			return context.Canceled
		}
	}
	return nil
}

func (c *Cache) get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	c.mu.Lock()
	c.mu.stats.Fetches++
	c.mu.Unlock()
	return c.o.Fetcher.Get(ctx, id, r)
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

// settle publishes b, the next block of l, and returns whether the rest is wanted.
func (c *Cache) settle(l *load, b *block, fetched bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.next++
	if fetched {
		c.mu.stats.FetchedByte += int64(len(b.buf))
		if l.v.onDisk.Load() && !b.gone && c.disk.offer(b) {
			b.refs++
		}
	} else {
		c.mu.stats.DiskBlocks++
	}
	c.readyLocked(b)
	c.killUnwantedLocked(l)
	return !l.dead
}

// killUnwantedLocked ends l if it was abandoned and nobody waits for what is left. Its
// blocks are forgotten at once, so that nobody starts to wait for them.
func (c *Cache) killUnwantedLocked(l *load) {
	if !l.abandoned || l.dead {
		return
	}
	rest := l.blocks[l.next:]
	for _, b := range rest {
		if b.refs > 0 {
			return
		}
	}
	l.dead = true
	l.cancel()
	for _, b := range rest {
		c.forgetLocked(b)
	}
}

// finish ends l: err reaches those who wait for what is not ready. The load-ahead of
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
	for _, b := range l.blocks[l.next:] {
		c.failLocked(b, err)
	}
	r := l.owner
	if r == nil {
		return
	}
	delete(r.loads, l)
	switch {
	case l.abandoned:
	case err != nil:
		r.stream.bytes = 0
	default:
		c.loadAheadLocked(r)
	}
}

// direct reads p from off on without a block, by a GET of its own.
func (c *Cache) direct(ctx context.Context, v *version, p []byte, off int64) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.FetchTimeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	if err := c.takeSlot(ctx); err != nil {
		return 0, err
	}
	defer c.freeSlot()
	body, err := c.get(ctx, v.id, object.Range{Off: off, Len: int64(len(p))})
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
