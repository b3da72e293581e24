package objcache

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

// Fetcher reads ranges of remote objects.
type Fetcher interface {
	// Get returns exactly the bytes r of the version id. If id.ETag is not empty and
	// another version is there, it fails with object.KindStale. The body fails if it
	// can't deliver all bytes; the caller closes it. It may be called in parallel.
	Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error)
}

// Options configure a Cache. Only Fetcher must be set.
type Options struct {
	Fetcher Fetcher
	// Dir is the folder of the disk cache; empty: none. It must belong to one Cache at
	// a time (the caller holds a lock) and to one bucket: files in it are named by key
	// and ETag only. Files that the cache did not name itself are left alone.
	Dir string
	// Memory is the hard limit, in bytes, for blocks, those in flight included.
	// 0: 128 MiB. It must hold one block. Whole blocks are outside of the garbage
	// collector's heap, so a limit set by debug.SetMemoryLimit does not count them.
	Memory int64
	// Disk is the budget that the files in Dir draw on. New registers the cache as the
	// one that gives space back (OnPressure). Needed with Dir.
	Disk *budget.Disk
	// MinFree is how many bytes of the disk of Dir the cache leaves free: while it has
	// less, blocks are evicted, and none are written.
	MinFree int64
	// Log gets what goes wrong without failing a read; nil: nothing is logged.
	Log *slog.Logger
	// BlockSize is the unit of caching in bytes, a power of two from 4 KiB to 64 MiB;
	// 0: 256 KiB. What is on disk in another block size is forgotten. Memory holds parts
	// of blocks, too, in units of 4 KiB or a 64th of the block.
	BlockSize int
	// MaxFetches bounds the GETs at a time; 0: 64.
	MaxFetches int
	// FetchTimeout is the deadline of one load, its wait for a free GET included;
	// 0: 5 minutes. The Fetcher's own, shorter, timeouts find stalls.
	FetchTimeout time.Duration
}

const (
	defaultMemory       = 128 << 20
	defaultBlockSize    = 256 << 10
	defaultMaxFetches   = 64
	defaultFetchTimeout = 5 * time.Minute
	// maxRun bounds the bytes of one GET: long enough to make the first byte's latency
	// small against the transfer, short enough to give up soon.
	maxRun = 8 << 20
)

func (o *Options) setDefaults() {
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.BlockSize == 0 {
		o.BlockSize = defaultBlockSize
	}
	if o.MaxFetches == 0 {
		o.MaxFetches = defaultMaxFetches
	}
	if o.FetchTimeout == 0 {
		o.FetchTimeout = defaultFetchTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) validate() error {
	invalid := func(format string, args ...any) error {
		return object.Errorf(object.KindInvalid, "open cache", "", format, args...)
	}
	bs := o.BlockSize
	switch {
	case o.Fetcher == nil:
		return invalid("no fetcher")
	case bs < minBuffer || bs > 64<<20 || bs&(bs-1) != 0:
		return invalid("block size %d is not a power of two from 4 KiB to 64 MiB", bs)
	case o.Memory < int64(bs):
		return invalid("a memory budget of %d bytes does not hold one block of %d bytes", o.Memory, bs)
	case o.MaxFetches < 0 || o.FetchTimeout < 0 || o.MinFree < 0:
		return invalid("negative limit")
	case o.Dir != "" && o.Disk == nil:
		return invalid("a disk cache needs a disk budget")
	}
	return nil
}

// Cache holds blocks of object versions. It is safe for concurrent use.
type Cache struct {
	o         Options
	blockSize int64
	unit      int64      // parts of blocks are of this many bytes, or multiples
	disk      *diskCache // nil: no disk cache
	// slots holds one token per running GET. A demanded load waits to send; a load
	// ahead only takes a slot that is free, so it never delays a demanded one.
	slots chan struct{}

	// The context of all loads: they outlive the reads that start them.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // loads; Add only with mu held and not closed

	// mu is a leaf: it is never held across network, disk or another lock.
	mu struct {
		sync.Mutex
		closed   bool
		versions map[object.ID]*version // those that have a reader or a block
		pool     pool
		// The ready blocks, each in one list. Evicted in this order: cold (given up by
		// its reader), warm (read before), ahead (loaded ahead, not read yet).
		cold, warm, ahead *blockList
		// Between warm and ahead come those that the disk does not have as yet.
		unsaved unsaved
		// What readers hold ahead: bytes in all, and who has some.
		held    int64
		holders map[*Reader]struct{}
		meter   meter
		stats   Stats
	}
}

// Stats are gauges and counters of a Cache.
type Stats struct {
	MemoryUsed  int64 // bytes of buffers that hold or await blocks
	MemoryTotal int64 // the same with the buffers that are free for reuse
	Blocks      int   // blocks in memory that are ready
	Fetches     int64 // GETs begun
	FetchedByte int64 // bytes that GETs delivered into blocks or to callers
	DiskBlocks  int64 // blocks that were read from disk
	Dropped     int64 // blocks that were evicted before they were on disk, because it lagged behind
}

// New opens a cache. What an earlier process left in Dir is used from the start, and
// counted into the disk budget in the background.
func New(o Options) (*Cache, error) {
	return newCache(o, mapBuffer, unmapBuffer)
}

// newCache is New with the source of block-sized buffers named.
func newCache(o Options, alloc func(int) []byte, free func([]byte)) (*Cache, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Cache{o: o, blockSize: int64(o.BlockSize), slots: make(chan struct{}, o.MaxFetches)}
	c.unit = max(minBuffer, c.blockSize/maxUnits)
	c.mu.meter = meter{latency: firstLatency, rate: firstRate}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.versions = make(map[object.ID]*version)
	c.mu.holders = make(map[*Reader]struct{})
	c.mu.pool = newPool(o.Memory, o.BlockSize, alloc, free)
	c.mu.cold, c.mu.warm, c.mu.ahead = newBlockList(), newBlockList(), newBlockList()
	c.mu.unsaved = newUnsaved()
	if o.Dir == "" {
		return c, nil
	}
	d, err := openDisk(o, c)
	if err != nil {
		c.cancel()
		return nil, err
	}
	c.disk = d
	return c, nil
}

// Reader returns a reader of one version whose size in bytes is known. It costs no
// request; a version that is not there shows when it is read. The caller closes it.
func (c *Cache) Reader(id object.ID, size int64) *Reader {
	r := &Reader{c: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.v = c.versionLocked(id, max(size, 0))
	r.v.readers[r] = struct{}{}
	return r
}

// Adopt makes the file at path the cached copy of the version id: it is moved into
// the cache (path must be on the same file system) and must not be changed by anybody
// any more. The caller vouches that its size bytes are the object's; that is believed
// until this process ends, and a background pass writes checksums for the time after.
// The reserved bytes that the caller took from the disk budget belong to the cache
// from then on. On an error the caller still owns both file and reservation.
func (c *Cache) Adopt(id object.ID, size int64, path string, reserved int64) error {
	if c.disk == nil {
		return object.Errorf(object.KindUnsupported, "adopt", id.Key, "there is no disk cache")
	}
	if id.ETag == "" {
		return object.Errorf(object.KindUnsupported, "adopt", id.Key, "the version has no ETag")
	}
	return c.disk.adopt(id, size, path, reserved)
}

// Drop forgets what is cached of a version, in memory and on disk. Readers of it go on
// and fetch what they need.
func (c *Cache) Drop(id object.ID) {
	c.mu.Lock()
	if v := c.mu.versions[id]; v != nil {
		c.detachLocked(v)
	}
	c.mu.Unlock()
	if c.disk != nil && id.ETag != "" {
		c.disk.drop(nameOf(id))
	}
}

// Stats returns the state of the gauges and counters.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.mu.stats
	s.MemoryUsed, s.MemoryTotal = c.mu.pool.used, c.mu.pool.total
	s.Blocks = c.mu.cold.Len() + c.mu.warm.Len() + c.mu.unsaved.read.Len() + c.mu.ahead.Len()
	return s
}

// Close cancels all loads, waits for them and for the disk writer, and gives the
// memory back. What is on disk stays, and stays counted in the disk budget. Reads fail
// from then on. It returns nil always, and can be called again.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.mu.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	if c.disk != nil {
		c.disk.close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range []*blockList{c.mu.cold, c.mu.warm, c.mu.unsaved.read, c.mu.ahead} {
		for _, b := range l.Keys() {
			c.forgetLocked(b)
		}
	}
	c.mu.pool.close()
	return nil
}

var errClosed = errors.New("the cache is closed")

// readError makes err, met while reading key, an error of package object.
func readError(key string, err error) error {
	var e *object.Error
	known := errors.As(err, &e)
	switch {
	case errors.Is(err, io.EOF):
		// An EOF from the network must not pass for the end of the object, whose bytes
		// a caller would take to be complete: the chain is cut, the text stays.
		cut := object.Errorf(object.KindOf(err), "read", key, "%v", err)
		if known {
			cut.Code, cut.RequestID = e.Code, e.RequestID
		}
		return cut
	case known:
		return err
	}
	return object.Errorf(object.KindOf(err), "read", key, "%w", err)
}
