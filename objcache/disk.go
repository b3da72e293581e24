package objcache

import (
	"container/heap"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

const (
	dataSuffix  = ".data"
	indexSuffix = ".index"
	probe       = "s3mount-probe-*.tmp"
	// maxEntries bounds the versions on disk, and so the memory that knows them (about
	// 200 bytes each).
	maxEntries = 1 << 16
	// touchAfter is how old the time of last use on disk may get. It orders eviction
	// after a restart only.
	touchAfter = time.Minute
)

// diskCache keeps blocks in files. One goroutine writes blocks, one looks once at what
// an earlier process left; readers read in their own.
type diskCache struct {
	dir        string
	blockSize  int64
	maxEntries int
	budget     *budget.Disk
	log        *slog.Logger
	blocks     blocks
	// pwrite writes the concatenation of p to a file; tests make it fail.
	pwrite func(f *os.File, off int64, p ...[]byte) error
	// syncOut makes the kernel write a file's pages; tests make it fail.
	syncOut func(f *os.File, flags int) error
	// free returns the free space of the disk of a folder; tests change it.
	free    func(dir string) (int64, bool)
	minFree int64
	patient int64 // as many bytes of blocks wait while GETs are under way
	batch   int   // the most blocks that are written at a time

	wake chan struct{} // tells the writer of blocks, or an entry in mu.unsummed
	// wakeKeeper tells the keeper of an entry in mu.unkept.
	wakeKeeper chan struct{}
	off        atomic.Bool // writing failed: the disk is only read
	damaged    atomic.Int64

	cancel context.CancelFunc
	wg     sync.WaitGroup

	// mu is a leaf: it is never held across an operation on a file.
	mu struct {
		sync.Mutex
		closed  bool
		entries map[name]*entry
		live    *simplelru.LRU[name, *entry] // used by this process
		old     entryHeap                    // found at the start and not used since
		scanned bool                         // a name that is not in entries is not on disk
		// unsummed are adopted entries whose checksums are to be written.
		unsummed []*entry
		// unkept are entries whose proofs the keeper is to complete, each one once.
		unkept []*entry
		pinned int64 // bytes of the entries that can't be evicted
	}
}

// entry is a version that has files, or is about to get or lose them. Who makes or
// removes the files owns the paths; everybody else waits for settled, or does without.
type entry struct {
	name name
	// io is held across the reading and writing of one record with its block's space,
	// so that the bytes of a block are reserved and released once.
	io sync.Mutex

	// diskCache.mu guards the rest.
	size     int64 // bytes of the object
	state    entryState
	settled  chan struct{} // closes when the state is neither making nor removing
	reserved int64         // bytes of the budget
	whole    bool          // all bytes of the data file are valid, with a record or without
	blank    bool          // while making: it begins without blocks
	used     time.Time
	heapAt   int // place in old; -1: not there
	proof    proof
	pins     int // Wholes that need it: it is in no list for eviction
	// pinnedBytes is what it has added to diskCache.mu.pinned.
	pinnedBytes int64
	heir        *entry // that has its file and its pins now
}

type entryState uint8

const (
	making entryState = iota
	live
	removing
)

// openDisk opens the cache in o.Dir for the blocks of b.
func openDisk(o Options, b blocks) (*diskCache, error) {
	if err := prepareDir(o.Dir); err != nil {
		return nil, dirError(o.Dir, err)
	}
	// Blocks that are being written are pinned: an eighth of the memory at most.
	batch := min(max(int(o.Memory/8)/o.BlockSize, 1), maxBatch)
	d := &diskCache{
		dir: o.Dir, blockSize: int64(o.BlockSize), maxEntries: maxEntries,
		budget: o.Disk, log: o.Log, blocks: b, pwrite: pwrite, syncOut: syncOut,
		free: freeSpace, minFree: o.MinFree,
		patient: o.Memory / 16, batch: batch,
		wake: make(chan struct{}, 1), wakeKeeper: make(chan struct{}, 1),
	}
	d.mu.entries = make(map[name]*entry)
	d.mu.live = newEntryList()
	d.budget.OnPressure(d.reclaim)
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.wg.Go(func() { d.scan(ctx) })
	d.wg.Go(func() { d.write(ctx) })
	d.wg.Go(func() { d.keep(ctx) })
	if d.minFree > 0 {
		d.wg.Go(func() { d.watchFloor(ctx) })
	}
	return d, nil
}

func newEntryList() *simplelru.LRU[name, *entry] {
	l, _ := simplelru.NewLRU[name, *entry](math.MaxInt, nil) // fails for sizes below 1 only
	return l
}

// prepareDir makes the folder and finds out whether files can be made in it.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	leftovers, err := filepath.Glob(filepath.Join(escapeGlob(dir), probe))
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		os.Remove(path) // what stays is an empty file
	}
	f, err := os.CreateTemp(dir, probe)
	if errors.Is(err, syscall.ENOSPC) {
		return nil // what is cached can still be read
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// escapeGlob makes filepath.Glob take dir by the letter.
func escapeGlob(dir string) string {
	out := make([]byte, 0, len(dir))
	for i := range len(dir) {
		switch dir[i] {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, dir[i])
	}
	return string(out)
}

func dirError(dir string, err error) error {
	kind := object.KindOther
	switch {
	case errors.Is(err, fs.ErrPermission):
		kind = object.KindPermission
	case errors.Is(err, syscall.EROFS):
		kind = object.KindReadOnly
	case errors.Is(err, syscall.ENOTDIR):
		kind = object.KindNotDir
	}
	return object.Errorf(kind, "open cache", dir, "%w", err)
}

// close stops the goroutines, after the writer has had some time for what waits.
func (d *diskCache) close() {
	d.mu.Lock()
	d.mu.closed = true
	d.mu.Unlock()
	d.cancel()
	d.wg.Wait()
}

// path returns the path of one of a version's files.
func (d *diskCache) path(n name, suffix string) string {
	s := n.String()
	return filepath.Join(d.dir, s[:1], s[1:2], s+suffix)
}

// claimLocked adds an entry whose files the caller makes or looks at. The name must be
// free.
func (d *diskCache) claimLocked(n name) *entry {
	e := &entry{name: n, state: making, settled: make(chan struct{}), heapAt: -1}
	d.mu.entries[n] = e
	return e
}

// settleLocked ends making: the files are there.
func (d *diskCache) settleLocked(e *entry, hot bool, used time.Time) {
	e.state, e.used = live, used
	if hot {
		d.mu.live.Add(e.name, e)
	} else {
		heap.Push(&d.mu.old, e)
	}
	close(e.settled)
}

// touchLocked notes a use of a live entry.
func (d *diskCache) touchLocked(e *entry) {
	if e.pins > 0 {
		return
	}
	if e.heapAt >= 0 {
		heap.Remove(&d.mu.old, e.heapAt)
	}
	d.mu.live.Add(e.name, e)
}

// retireLocked makes a live entry one that the caller removes.
func (d *diskCache) retireLocked(e *entry) bool {
	if e.state != live {
		return false
	}
	if e.heapAt >= 0 {
		heap.Remove(&d.mu.old, e.heapAt)
	}
	d.mu.live.Remove(e.name)
	e.state, e.settled = removing, make(chan struct{})
	return true
}

// remove deletes the files of an entry that the caller retired, or is making, and
// gives its space back. Sessions that have them open go on.
func (d *diskCache) remove(e *entry) (freed int64) {
	err := errors.Join(os.Remove(d.path(e.name, indexSuffix)), os.Remove(d.path(e.name, dataSuffix)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("a file of the disk cache can't be removed", "err", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.pins == 0 { // else the space is free once the last has closed the file
		freed = e.reserved
		e.reserved = 0
		d.budget.Release(freed)
	}
	d.goneLocked(e)
	return freed
}

// goneLocked forgets an entry that has no files any more.
func (d *diskCache) goneLocked(e *entry) {
	delete(d.mu.entries, e.name)
	close(e.settled)
}

// find returns the live entry of a version; nil if there is none. It waits while its
// files are looked at or moved in, but not while the writer makes them, however long
// the disk takes for that.
func (d *diskCache) find(n name, size int64) *entry {
	for {
		d.mu.Lock()
		e := d.mu.entries[n]
		if e == nil && !d.mu.scanned {
			e = d.claimLocked(n)
			d.mu.Unlock()
			if !d.inspect(e, true) {
				return nil
			}
			continue
		}
		if e == nil || e.state == removing || e.state == making && e.blank || e.state == live && e.size != size {
			d.mu.Unlock()
			return nil
		}
		if e.state == live {
			d.touchLocked(e)
			d.mu.Unlock()
			return e
		}
		settled := e.settled
		d.mu.Unlock()
		<-settled
	}
}

// claim returns an entry in state making, after removing what is there.
func (d *diskCache) claim(n name) *entry {
	for {
		d.mu.Lock()
		e := d.mu.entries[n]
		if e == nil {
			e = d.claimLocked(n)
			d.mu.Unlock()
			return e
		}
		retired := d.retireLocked(e)
		settled := e.settled
		d.mu.Unlock()
		if retired {
			d.remove(e)
		} else {
			<-settled
		}
	}
}

// drop removes the files of a version.
func (d *diskCache) drop(n name) {
	d.mu.Lock()
	absent := d.mu.scanned && d.mu.entries[n] == nil
	d.mu.Unlock()
	if !absent {
		d.remove(d.claim(n))
	}
}

// evictOldest removes the least recently used version, but not keep. It returns false
// if there is none.
func (d *diskCache) evictOldest(keep *entry) (freed int64, ok bool) {
	d.mu.Lock()
	e := d.oldestLocked(keep)
	if e == nil || !d.retireLocked(e) {
		d.mu.Unlock()
		return 0, false
	}
	d.mu.Unlock()
	return d.remove(e), true
}

func (d *diskCache) oldestLocked(keep *entry) *entry {
	if len(d.mu.old) > 0 && d.mu.old[0] != keep {
		return d.mu.old[0]
	}
	_, e, ok := d.mu.live.GetOldest()
	if ok && e == keep && d.mu.live.Len() > 1 {
		d.touchLocked(e) // keep is in use, so it is recent
		_, e, ok = d.mu.live.GetOldest()
	}
	if !ok || e == keep {
		return nil
	}
	return e
}

// reserve takes n bytes of the budget, if need be from other versions than keep, and
// makes sure that the disk has them.
func (d *diskCache) reserve(n int64, keep *entry) bool {
	if _, limit := d.budget.Usage(); n > limit || !d.leaveFree(n, keep) {
		return false
	}
	for !d.budget.TryReserve(n) {
		if _, ok := d.evictOldest(keep); !ok {
			return d.budget.TryReserve(n)
		}
	}
	return true
}

// reclaim frees about need bytes for others; it is the budget's OnPressure.
func (d *diskCache) reclaim(need int64) (freed int64) {
	for freed < need {
		n, ok := d.evictOldest(nil)
		if !ok {
			break
		}
		freed += n
	}
	return freed
}

// entryHeap is a heap of entries, the least recently used on top.
type entryHeap []*entry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].used.Before(h[j].used) }
func (h entryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapAt, h[j].heapAt = i, j
}

// Push is for package heap.
func (h *entryHeap) Push(x any) {
	e := x.(*entry)
	e.heapAt = len(*h)
	*h = append(*h, e)
}

// Pop is for package heap.
func (h *entryHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.heapAt = -1
	return e
}
