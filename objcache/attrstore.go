package objcache

import (
	"cmp"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/s3mount/s3mount/object"
)

// AttributesOptions says where attributes of known versions are kept on disk.
type AttributesOptions struct {
	// Dir holds the file. It exists.
	Dir string
	// Limit bounds the bytes on disk, also while the file grows; at least 1 MiB.
	Limit int64
	Log   *slog.Logger
	Now   func() time.Time // default time.Now
}

const (
	attrName = "attributes"
	// attrPending bounds what waits to be written. What comes beyond is not kept: it
	// costs a HEAD later.
	attrPending = 16_384
	// attrBatch and attrDelay are when what waits is written: at so many records, or
	// after so long.
	attrBatch = 1024
	attrDelay = time.Second
)

// Attributes keeps the metadata of versions of objects on disk, over the end of the
// process: what costs a HEAD costs it once. It is a cache: the file has a hard limit,
// beyond which what was written first goes first; it is never synced, a part that a crash
// tore is empty, and a file that makes no sense is begun anew. It believes nothing that a
// listing does not confirm. It is safe for concurrent use. The caller closes it.
type Attributes struct {
	log      *slog.Logger
	now      func() time.Time
	maxPages uint32

	file struct {
		sync.RWMutex // shared by readers; exclusively to write pages and to exchange the file
		*attrFile
	}
	pending struct {
		sync.Mutex
		records map[attrKey][]byte
		writing map[attrKey][]byte // what the writer has taken, until it is in the file
		closed  bool
	}
	wake chan struct{} // capacity 1: there is enough to be written
	stop chan struct{}
	done chan struct{}
	bufs sync.Pool // of *[attrPageSize]byte
}

// OpenAttributes opens the file in a folder and starts its writer. A file that is damaged
// is begun anew, with a line in the log. It fails where the folder can't be used, or
// another process has the file.
func OpenAttributes(o AttributesOptions) (*Attributes, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	path := filepath.Join(o.Dir, attrName)
	os.Remove(path + ".new") // of a mount that was killed
	f, damaged, err := openAttrFile(path, maxAttrPages(o.Limit))
	if err != nil {
		return nil, err
	}
	if damaged != nil {
		o.Log.Warn("the attributes kept from earlier mounts are thrown away", "file", path, "err", damaged)
	}
	a := &Attributes{log: o.Log, now: o.Now, maxPages: maxAttrPages(o.Limit),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	a.file.attrFile = f
	a.pending.records = map[attrKey][]byte{}
	a.bufs.New = func() any { return new([attrPageSize]byte) }
	go a.write()
	return a, nil
}

// maxAttrPages is the largest number of pages that a file grows to: while it grows, the
// old one of half the size is there as well.
func maxAttrPages(limit int64) uint32 {
	pages := uint32(minAttrPages)
	for attrFileSize(2*pages)+attrFileSize(pages) <= limit && pages < 1<<24 {
		pages *= 2
	}
	return pages
}

// Get returns the content type and metadata of the version that a listing shows.
func (a *Attributes) Get(i object.Info) (contentType string, meta object.Meta, ok bool) {
	k := attrKeyOf(i.Key)
	value := a.waiting(k)
	if value == nil {
		buf := a.bufs.Get().(*[attrPageSize]byte)
		defer a.bufs.Put(buf)
		var old bool
		if value, old = a.read(k, buf[:]); old {
			defer func() {
				if ok {
					a.add(k, slices.Clone(value)) // it is in use: make it new
				}
			}()
		}
	}
	v, contentType, meta, ok := decodeAttr(value)
	if !ok || !v.is(i) {
		return "", nil, false
	}
	return contentType, meta, true
}

// waiting returns a record that is not in the file yet, or nil.
func (a *Attributes) waiting(k attrKey) []byte {
	a.pending.Lock()
	defer a.pending.Unlock()
	if value, ok := a.pending.records[k]; ok {
		return value
	}
	return a.pending.writing[k]
}

func (a *Attributes) read(k attrKey, buf []byte) (value []byte, old bool) {
	a.file.RLock() // across a read of 4 KiB: writers are in the background
	defer a.file.RUnlock()
	if a.file.attrFile == nil {
		return nil, false
	}
	p, err := a.file.read(k.page(a.file.pages), buf)
	if err != nil {
		return nil, false
	}
	return p.find(k)
}

// Put keeps the metadata of a version. Of one that this mount stored, LastModified may be
// zero: it was stored just now. It does no more than to queue the record.
func (a *Attributes) Put(i object.Info) {
	if i.Meta == nil || i.ETag == "" {
		return
	}
	if value := encodeAttr(i, a.now()); value != nil {
		a.add(attrKeyOf(i.Key), value)
	}
}

// Remove forgets a key. It does no more than to queue that.
func (a *Attributes) Remove(key string) { a.add(attrKeyOf(key), attrRemoved) }

// attrRemoved waits in the place of a record that is to be removed. More of these may wait
// than of others: a record that is kept though its key was changed is wrong, and not missing.
var attrRemoved = []byte{}

func (a *Attributes) add(k attrKey, value []byte) {
	a.pending.Lock()
	defer a.pending.Unlock()
	most := attrPending
	if len(value) == 0 {
		most *= 4
	}
	if _, again := a.pending.records[k]; a.pending.closed || !again && len(a.pending.records) >= most {
		return
	}
	a.pending.records[k] = value
	if len(a.pending.records) >= attrBatch {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// Close writes what waits and closes the file.
func (a *Attributes) Close() error {
	a.pending.Lock()
	closed := a.pending.closed
	a.pending.closed = true
	a.pending.Unlock()
	if closed {
		return nil
	}
	close(a.stop)
	<-a.done
	a.file.Lock()
	defer a.file.Unlock()
	if a.file.attrFile == nil {
		return nil
	}
	return a.file.f.Close()
}

// write is the writer's loop.
func (a *Attributes) write() {
	defer close(a.done)
	tick := time.NewTicker(attrDelay)
	defer tick.Stop()
	for {
		last := false
		select {
		case <-a.wake:
		case <-tick.C:
		case <-a.stop:
			last = true
		}
		if err := a.flush(); err != nil {
			a.log.Warn("attributes can't be kept on disk any more: each mount asks for them again", "err", err)
			a.giveUp()
			return
		}
		if last {
			return
		}
	}
}

// giveUp ends the keeping, after a failure of the disk.
func (a *Attributes) giveUp() {
	a.pending.Lock()
	a.pending.closed, a.pending.records, a.pending.writing = true, nil, nil
	a.pending.Unlock()
	a.file.Lock()
	defer a.file.Unlock()
	a.file.f.Close()
	a.file.attrFile = nil
}

type attrRecord struct {
	key   attrKey
	value []byte
}

// flush writes what waits, page by page. A page that is full makes the file grow, up to
// its limit.
func (a *Attributes) flush() error {
	a.pending.Lock()
	taken := a.pending.records
	if len(taken) == 0 {
		a.pending.Unlock()
		return nil
	}
	a.pending.records, a.pending.writing = map[attrKey][]byte{}, taken
	a.pending.Unlock()
	defer func() {
		a.pending.Lock()
		defer a.pending.Unlock()
		a.pending.writing = nil
	}()
	records := make([]attrRecord, 0, len(taken))
	for k, v := range taken {
		records = append(records, attrRecord{k, v})
	}
	for len(records) > 0 {
		var err error
		if records, err = a.writePages(records); err != nil {
			return err
		}
		if len(records) > 0 {
			if err := a.grow(); err != nil {
				return err
			}
		}
	}
	return nil
}

// writePages puts records into their pages, and returns those that found no room while
// the file may still grow.
func (a *Attributes) writePages(records []attrRecord) (left []attrRecord, err error) {
	pages := a.file.pages // only this goroutine changes it
	byPage := func(x, y attrRecord) int { return cmp.Compare(x.key.page(pages), y.key.page(pages)) }
	slices.SortFunc(records, byPage)
	for len(records) > 0 {
		n := 1
		for n < len(records) && byPage(records[n], records[0]) == 0 {
			n++
		}
		full, err := a.writePage(records[0].key.page(pages), records[:n])
		if err != nil {
			return nil, err
		}
		left = append(left, full...)
		records = records[n:]
	}
	return left, nil
}

// writePage puts records into the page that they are all of.
func (a *Attributes) writePage(page uint32, records []attrRecord) (full []attrRecord, err error) {
	a.file.Lock() // across a read and a write of 4 KiB: readers must not see half of it
	defer a.file.Unlock()
	var buf [attrPageSize]byte
	p, err := a.file.read(page, buf[:])
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if len(r.value) == 0 {
			p.remove(r.key)
			continue
		}
		if a.file.pages < a.maxPages && !p.room(r.key, r.value) {
			full = append(full, r)
			continue
		}
		p.put(r.key, r.value)
	}
	return full, a.file.write(page, p)
}

// grow doubles the file. Only the writer writes, so that readers go on with the old one.
func (a *Attributes) grow() error {
	old := a.file.attrFile
	now, err := old.doubled()
	if err != nil {
		return err
	}
	a.file.Lock()
	a.file.attrFile = now
	a.file.Unlock()
	return old.f.Close()
}
