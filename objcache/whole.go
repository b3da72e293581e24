package objcache

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// minWhole is the least size of a file that is worth to be read without the cache's
// code: a smaller one is one request.
const minWhole = 1 << 20

// A Whole is an open file that holds exactly the bytes of a version: each of its blocks
// was written by this process, or found right by it, and nobody has changed the file
// since. It keeps its place in the cache and in the disk budget until Close.
type Whole struct {
	d    *diskCache
	file *os.File
	e    *entry // pinned; nil: none. Guarded by d.mu
}

// Whole returns the file of a version that is wholly in the cache; nil: it is not, or
// not known to be, or too small, or there are too many. The caller closes it.
func (c *Cache) Whole(id object.ID, size int64) *Whole {
	if c.disk == nil || id.ETag == "" || size < minWhole {
		return nil
	}
	return c.disk.whole(nameOf(id), size)
}

func (d *diskCache) whole(n name, size int64) *Whole {
	d.mu.Lock()
	e := d.mu.entries[n]
	ok := e != nil && e.state == live && e.size == size && d.provedLocked(e)
	d.mu.Unlock()
	if !ok {
		return nil
	}
	f, err := os.Open(d.path(n, dataSuffix))
	if err != nil {
		return nil
	}
	w := &Whole{d: d, file: f}
	// The lock tells other processes that the file is in use (see Clear). It is shared:
	// one that cleans up has the exclusive one for a moment.
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil || !w.pin(e) {
		f.Close()
		return nil
	}
	return w
}

// provedLocked reports whether all bytes of a live entry are known to be right, and
// asks the keeper to find out where only little is missing.
func (d *diskCache) provedLocked(e *entry) bool {
	p, blocks := &e.proof, ceilDiv(e.size, d.blockSize)
	if p.writing {
		return false
	}
	if p.count == blocks && p.kept {
		return true
	}
	if p.count >= blocks-blocks/fewMissing {
		d.askKeeperLocked(e)
	}
	return false
}

// pin takes the entry's place for w, if w's file is what the proof of e is about.
func (w *Whole) pin(e *entry) bool {
	_, limit := w.d.budget.Usage()
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	w.d.compareLocked(e, w.file)
	if e.state != live || !w.d.provedLocked(e) || e.proof.at.size != e.size {
		return false
	}
	if e.pins == 0 && w.d.mu.pinned+e.reserved > limit/2 {
		return false // what is in use can't give way to what is written
	}
	w.d.pinLocked(e)
	w.e = e
	return true
}

// pinLocked takes a live entry out of what can be evicted.
func (d *diskCache) pinLocked(e *entry) {
	d.touchLocked(e)
	if e.pins++; e.pins == 1 {
		d.mu.live.Remove(e.name)
		e.pinnedBytes = e.reserved
		d.mu.pinned += e.pinnedBytes
	}
}

// movePinsLocked makes whoever has the file of an entry that is gone have that of its heir,
// which is the same.
func (d *diskCache) movePinsLocked(e, heir *entry) {
	if e.pins == 0 {
		return
	}
	d.mu.live.Remove(heir.name)
	d.mu.pinned += heir.reserved - e.pinnedBytes
	heir.pins, heir.pinnedBytes = e.pins, heir.reserved
	e.pins, e.pinnedBytes, e.heir, e.proof = 0, 0, heir, proof{}
}

// entryLocked returns the entry whose file w has; nil: none.
func (w *Whole) entryLocked() *entry {
	for w.e != nil && w.e.heir != nil {
		w.e = w.e.heir
	}
	return w.e
}

// releaseLocked ends the pin of w.
func (w *Whole) releaseLocked() {
	if e := w.entryLocked(); e != nil {
		w.d.unpinLocked(e)
		w.e = nil
	}
}

// unpinLocked ends a pin. Of an entry that is gone, the space becomes free only now.
func (d *diskCache) unpinLocked(e *entry) {
	if e.pins--; e.pins > 0 {
		return
	}
	d.mu.pinned -= e.pinnedBytes
	e.pinnedBytes = 0
	switch {
	case e.state == live:
		d.mu.live.Add(e.name, e)
	case d.mu.entries[e.name] != e: // its files are removed
		d.budget.Release(e.reserved)
		e.reserved = 0
	}
}

// Right reports whether nobody has changed the file since Whole returned it, and it is
// still that of its version in the cache.
func (w *Whole) Right() bool {
	now := stampOf(w.file)
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	e := w.entryLocked()
	return e != nil && e.state == live && e.proof.at == now && w.d.provedLocked(e)
}

// File is the open file. It must not be written, and not be used after Close.
func (w *Whole) File() *os.File { return w.file }

// Close ends the use of the file.
func (w *Whole) Close() {
	w.file.Close() // it was only read
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	w.releaseLocked()
}

// Take takes the file of w out of the cache, in which it is that of the version id: from
// then on it may be changed, and whoever reads w sees it. The file is moved to path, on
// the same file system, with the reserved bytes of the disk budget: as many as its size,
// rounded up to 4 KiB. On an error nothing has changed.
func (c *Cache) Take(w *Whole, id object.ID, path string) (reserved int64, err error) {
	if c.disk == nil {
		return 0, object.Errorf(object.KindUnsupported, "take", id.Key, "there is no disk cache")
	}
	return c.disk.take(w, id, path)
}

func (d *diskCache) take(w *Whole, id object.ID, path string) (int64, error) {
	fail := func(format string, args ...any) (int64, error) {
		return 0, object.Errorf(object.KindBusy, "take", id.Key, format, args...)
	}
	n := nameOf(id)
	d.mu.Lock()
	e := d.mu.entries[n]
	d.mu.Unlock()
	if e == nil {
		return fail("the file is no longer in the cache")
	}
	// Whoever changes the file holds io, and looks whether the entry is live first.
	e.io.Lock()
	defer e.io.Unlock()
	at := stampOf(w.file)
	d.mu.Lock()
	ok := e.proof.at == at && e.proof.count == ceilDiv(e.size, d.blockSize) && d.retireLocked(e)
	need, had := pages(e.size), e.reserved
	d.mu.Unlock()
	if !ok {
		return fail("the file is no longer in the cache")
	}
	if need > had && !d.reserve(need-had, e) {
		d.back(e)
		return fail("there is no room for it")
	}
	if err := os.Rename(d.path(n, dataSuffix), path); err != nil {
		d.budget.Release(max(need-had, 0))
		d.back(e)
		return fail("%w", err)
	}
	os.Remove(d.path(n, indexSuffix)) // one without data is found at the next start
	d.budget.Release(max(had-need, 0))
	d.mu.Lock()
	defer d.mu.Unlock()
	e.reserved = 0
	d.goneLocked(e)
	w.releaseLocked()
	return need, nil
}

// back makes an entry live again that take has retired.
func (d *diskCache) back(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.state = live
	if e.pins == 0 {
		d.mu.live.Add(e.name, e)
	}
	close(e.settled)
}

// Given tells that the file of w has come back into the cache by Adopt, as that of the
// version id: w keeps its place again. False: it has another file.
func (c *Cache) Given(w *Whole, id object.ID) bool {
	at := stampOf(w.file)
	d := c.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.mu.entries[nameOf(id)]
	if e == nil || e.state != live || e.proof.at != at || w.e != nil {
		return false
	}
	d.pinLocked(e)
	w.e = e
	return true
}

// Alone reports whether nobody else has the file of w open or mapped, this process
// included.
func (w *Whole) Alone() bool {
	fd := w.file.Fd()
	if _, err := unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return false
	}
	unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
	return true
}
