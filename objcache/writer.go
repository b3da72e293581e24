package objcache

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// maxBatch bounds the blocks that are written at a time.
const maxBatch = 8

// blocks is whose blocks the disk cache keeps: the Cache.
type blocks interface {
	// take returns adjacent blocks of one version that wait to be written, n at most, and
	// pins them until letGo.
	take(n int) []*block
	letGo([]*block)
	waiting() int64 // bytes of the blocks that wait
	busy() bool     // GETs are under way
}

// rouse tells the writer that there is something to do.
func (d *diskCache) rouse() {
	select {
	case d.wake <- struct{}{}:
	default: // it is told already
	}
}

// writer is the state of the goroutine that writes blocks, and checksums of adopted
// files in between.
type writer struct {
	d       *diskCache
	last    *session // of the version that was written last
	lastOf  *version
	sum     *session // the adopted file in work
	sumNext int64    // the block of it that is next
	scratch []byte
}

// yieldTime is how long the writer waits at a time while others need the processor.
const yieldTime = 10 * time.Millisecond

// write runs until ctx ends. It lets GETs under way go first, as long as what waits to be
// written is little: the making of two files takes as long as fetching a small object,
// and can be done later.
func (d *diskCache) write(ctx context.Context) {
	w := &writer{d: d, scratch: make([]byte, 128<<10)}
	defer func() {
		w.last.close()
		w.sum.close()
	}()
	for {
		waiting := d.blocks.waiting()
		switch {
		case ctx.Err() != nil:
			w.finish()
			return
		case waiting > 0 && (waiting >= d.patient || !d.blocks.busy()):
			w.storeSome()
		case w.startSum():
			w.sumBlock()
		default:
			w.pause(ctx, waiting > 0)
		}
	}
}

// pause waits for something to do; with soon, not long.
func (w *writer) pause(ctx context.Context, soon bool) {
	var later <-chan time.Time
	if soon {
		later = time.After(yieldTime)
	} else {
		w.rest()
	}
	select {
	case <-ctx.Done():
	case <-w.d.wake:
	case <-later:
	}
}

// closeTime is how long a cache that is closed goes on to write what waits.
const closeTime = time.Second

// finish writes what waits still, as far as there is time.
func (w *writer) finish() {
	for end := time.Now().Add(closeTime); time.Now().Before(end); {
		if !w.storeSome() {
			return
		}
	}
}

// rest closes files, so that the space of one that is evicted becomes free.
func (w *writer) rest() {
	w.last.close()
	w.last, w.lastOf = nil, nil
}

// storeSome writes adjacent blocks and lets go of them; false: none waits.
func (w *writer) storeSome() bool {
	run := w.d.blocks.take(w.d.batch)
	if len(run) == 0 {
		return false
	}
	defer w.d.blocks.letGo(run)
	v := run[0].v
	if w.d.off.Load() || !v.onDisk.Load() {
		return true
	}
	if w.lastOf != v || !w.last.alive() {
		w.last.close()
		w.lastOf = v
		var err error
		if w.last, err = w.d.create(v.name, v.size); err != nil {
			w.failed(err)
		}
	}
	if w.last == nil {
		return true
	}
	contents := make([]summed, len(run))
	for i, b := range run {
		contents[i] = b.summed()
	}
	if err := w.last.write(run[0].index, contents); err != nil {
		w.failed(err)
	}
	return true
}

// alive reports whether the files can still be found by readers.
func (s *session) alive() bool {
	if s == nil {
		return false
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return s.e.state == live
}

// failed ends the writing for good: a disk that is full or failing makes no reader
// wait, and no second line in the log.
func (w *writer) failed(err error) {
	if tooBig(err) {
		return
	}
	if !w.d.off.Swap(true) {
		w.d.log.Warn("the disk cache is off: writing to it failed", "dir", w.d.dir, "err", err)
	}
}

// create opens the files of a version, and makes them if there are none. It returns
// nil without an error if the budget has no room.
func (d *diskCache) create(n name, size int64) (*session, error) {
	if e := d.find(n, size); e != nil {
		return d.openEntry(e), nil
	}
	e := d.claimFor(n, size)
	if e == nil {
		return nil, nil
	}
	cost := indexCost(size, d.blockSize)
	d.makeRoom()
	if !d.reserve(cost, e) {
		d.remove(e)
		return nil, nil
	}
	err := d.createFiles(n, size)
	d.mu.Lock()
	e.size, e.reserved = size, cost
	if err == nil {
		d.settleLocked(e, true, time.Now())
	}
	d.mu.Unlock()
	if err != nil {
		d.remove(e)
		return nil, err
	}
	return d.openEntry(e), nil
}

// claimFor returns an entry in state making for an object of size bytes; nil if there
// is one already, or somebody else is at work on it.
func (d *diskCache) claimFor(n name, size int64) *entry {
	d.mu.Lock()
	e := d.mu.entries[n]
	if e == nil {
		e = d.claimLocked(n)
		e.blank = true
		d.mu.Unlock()
		return e
	}
	other := e.state == live && e.size != size
	d.mu.Unlock()
	if !other {
		return nil
	}
	return d.claim(n)
}

// makeRoom keeps the number of entries within its bound.
func (d *diskCache) makeRoom() {
	for {
		d.mu.Lock()
		over := len(d.mu.entries) > d.maxEntries
		d.mu.Unlock()
		if !over {
			return
		}
		if _, ok := d.evictOldest(nil); !ok {
			return
		}
	}
}

// createFiles makes a data file without data and an index without blocks.
func (d *diskCache) createFiles(n name, size int64) error {
	path := d.path(n, dataSuffix)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(data.Truncate(size), data.Close()); err != nil {
		return err
	}
	return d.createIndex(n, size)
}

func (d *diskCache) createIndex(n name, size int64) error {
	index, err := os.OpenFile(d.path(n, indexSuffix), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(d.pwrite(index, 0, encodeHeader(n, d.blockSize, size)), index.Close())
}

// startSum makes sure that an adopted file is in work; false if there is none.
func (w *writer) startSum() bool {
	for w.sum == nil {
		d := w.d
		d.mu.Lock()
		if len(d.mu.unsummed) == 0 {
			d.mu.unsummed = nil
			d.mu.Unlock()
			return false
		}
		e := d.mu.unsummed[0]
		d.mu.unsummed = d.mu.unsummed[1:]
		d.mu.Unlock()
		w.sum, w.sumNext = w.openSum(e), 0
	}
	return true
}

// openSum makes the index of an adopted file; nil if that can't be: the file serves
// this process, and is removed by the next.
func (w *writer) openSum(e *entry) *session {
	d := w.d
	e.io.Lock()
	defer e.io.Unlock()
	d.mu.Lock()
	ok, size := e.state == live && e.whole, e.size
	d.mu.Unlock()
	cost := indexCost(size, d.blockSize)
	if !ok || d.off.Load() || !d.reserve(cost, e) {
		return nil
	}
	if err := d.createIndex(e.name, size); err != nil {
		d.budget.Release(cost)
		w.failed(err)
		return nil
	}
	d.credit(e, cost)
	return d.openEntry(e)
}

// sumBlock writes the record of one block of the adopted file in work. After the last,
// the file is like any other.
func (w *writer) sumBlock() {
	s, d := w.sum, w.d
	if s.alive() && w.sumNext*d.blockSize < s.size {
		err := w.sumOne(s, w.sumNext)
		w.sumNext++
		if err == nil {
			return
		}
		w.failed(err)
	} else if w.sumNext*d.blockSize >= s.size {
		d.mu.Lock()
		s.e.whole = false
		d.mu.Unlock()
	}
	s.close()
	w.sum = nil
}

func (w *writer) sumOne(s *session, index int64) error {
	h := crc32.New(castagnoli)
	part := io.NewSectionReader(s.data, index*s.d.blockSize, s.blockLen(index))
	if n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{part}, w.scratch); err != nil {
		return err
	} else if n < s.blockLen(index) {
		return io.ErrUnexpectedEOF
	}
	r := makeRecord(index, h.Sum32())
	return s.d.pwrite(s.index, recordOffset(index), r[:])
}
