package overlay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
	"github.com/s3mount/s3mount/writeback/journal"
)

// Store is the bucket behind an Overlay.
type Store interface {
	List(ctx context.Context, q object.Query) (object.Page, error)
	Head(ctx context.Context, key string) (object.Info, error)
	Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error)
	Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error)
	Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error)
	DeleteMany(ctx context.Context, keys []string) error
}

// Listener hears of versions that have come to stand in the store. It is called with no lock
// held.
type Listener interface {
	// Stored says that the version local of its key is now. now.Meta is nil where it is
	// not known.
	Stored(local object.ID, now object.Info)
	// Lost says that the version local is not, and will not be, under its key, as somebody
	// else changed that.
	Lost(local object.ID)
}

// Cache takes over what is known of versions that the store has.
type Cache interface {
	writeback.Cache
	// Adopt moves the file of size bytes at path, with what it reserved of the disk budget.
	Adopt(id object.ID, size int64, path string, reserved int64) error
}

// Options configure an Overlay. Dir, Store, Sender and Disk are required.
type Options struct {
	// Dir holds the journal and the files of pending versions. It belongs to one bucket and
	// prefix, and to one process at a time.
	Dir   string
	Store Store
	// Sender uploads what is large, or not wholly local. It is not the queue of the files that
	// are promised here.
	Sender *writeback.Queue
	Disk   *budget.Disk
	// Unsent is the folder for what is local of a version that can't be stored, since the
	// store no longer has what it rests on; empty: nothing is kept.
	Unsent string
	Host   string // in the names of versions that lost a race; default the machine's
	// MaxOps bounds the operations that are pending, and the local versions that are still
	// known after they came to stand; default 10,000. Who would exceed the first waits up to Patience (default 2 minutes) and fails with KindNoSpace.
	MaxOps   int
	Patience time.Duration
	// Parallel bounds the puts and copies under way; default 32. Of few bytes, twice as many
	// may be.
	Parallel int
	// Quiet is how long an operation waits for others that make it unneeded; default 150 ms.
	// One whose key keeps changing waits ten times as long at most, as does one of few bytes
	// while others are promised.
	Quiet time.Duration
	// Retry is the first pause after a failure; it doubles up to a hundred times that.
	// Default 300 ms.
	Retry time.Duration
	// Settle is how long a read waits for an upload that has replaced what it reads, and whose
	// answer is not there. Default 10 s.
	Settle time.Duration
	// Small is how many bytes of a version are kept in the journal; default 64 KiB.
	Small int64
	// SegmentSize is that of the journal.
	SegmentSize int64
	// Look leaves the folder as it is. Such an Overlay tells its Status, and no more.
	Look  bool
	Log   *slog.Logger
	Clock func() time.Time
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Patience, 2*time.Minute)
	def(&o.Quiet, 150*time.Millisecond)
	def(&o.Retry, 300*time.Millisecond)
	def(&o.Settle, 10*time.Second)
	if o.MaxOps == 0 {
		o.MaxOps = 10_000
	}
	if o.Parallel == 0 {
		o.Parallel = 32
	}
	if o.Small == 0 {
		o.Small = 64 << 10
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // empty if there is none
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// Overlay is a store with pending changes. Its methods may be called concurrently.
type Overlay struct {
	Options
	instance string // random, in the names of versions
	depth    int    // maxDepth, and less in tests
	log      *journal.Journal

	ctx    context.Context // ends with Close: requests run on it
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	wake   chan struct{} // the scheduler is to look again
	fresh  chan struct{} // something was promised

	// set before the first operation
	listener Listener
	cache    Cache
	base     func(id object.ID, size int64) writeback.Base // reads remote versions

	mu struct {
		sync.Mutex
		lastSeq    uint64
		names      uint64 // of files
		entries    map[string]*entry
		keys       []string  // of entries, sorted
		ops        []*op     // pending, by order
		old, young *listings // all that are under way
		versions   map[string]*version
		aliases    *simplelru.LRU[string, object.Info]
		running    int
		deleting   bool // a batch of deletes is under way
		bytes      int64
		urgent     int           // somebody waits for everything: nothing waits for quiet
		changed    chan struct{} // closed when an operation ends
		failures   map[string]error
		promised   time.Time // when something last was
		lastDone   time.Time // when the store last took something
		closing    bool
		closed     bool
		trash      []*layer // to be deleted once the journal is synced
	}
}

// Open reads what is pending in a folder. Nothing is sent before Start. A
// *journal.DamageError comes with an Overlay that works.
func Open(opts Options) (*Overlay, error) {
	o := &Overlay{Options: opts.withDefaults(), depth: maxDepth, instance: rand.Text()[:10], wake: make(chan struct{}, 1), fresh: make(chan struct{}, 1)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.mu.entries = map[string]*entry{}
	o.mu.old, o.mu.young = newListings(), newListings()
	o.mu.versions = map[string]*version{}
	o.mu.failures = map[string]error{}
	o.mu.changed = make(chan struct{})
	o.mu.aliases, _ = simplelru.NewLRU[string, object.Info](max(1, o.MaxOps), nil) // fails for sizes below 1 only
	o.base = o.plainBase
	if !o.Look {
		if err := os.MkdirAll(o.layerDir(), 0o700); err != nil {
			return nil, localError("open journal", "", err)
		}
	}
	r := &replay{o: o, ops: map[uint64]*replayed{}, done: map[uint64]*doneRecord{}, gone: map[uint64]bool{}, notes: map[uint64]*shared{}, seqs: map[string]uint64{}}
	log, err := journal.Open(journal.Options{Dir: o.journalDir(), SegmentSize: o.SegmentSize, Look: o.Look, Log: o.Log}, r.read)
	var damage *journal.DamageError
	if err != nil && !errors.As(err, &damage) {
		return nil, localError("open journal", "", err)
	}
	o.log = log
	if err := errors.Join(r.apply(), o.removeStrays(damage != nil)); err != nil {
		o.log.Close()
		return nil, err
	}
	if damage != nil {
		return o, damage
	}
	return o, nil
}

func (o *Overlay) journalDir() string { return filepath.Join(o.Dir, "log") }
func (o *Overlay) layerDir() string   { return filepath.Join(o.Dir, "data") }

// SetListener names who hears of versions that were stored. Before the first operation.
func (o *Overlay) SetListener(l Listener) { o.listener = l }

// SetCache names the cache, and how remote versions are read through it. Before the first
// operation.
func (o *Overlay) SetCache(c Cache, read func(id object.ID, size int64) writeback.Base) {
	o.cache, o.base = c, read
	o.Sender.SetCache(c)
}

// Start begins to send what is pending.
func (o *Overlay) Start() { o.tasks.Go(o.schedule) }

func (o *Overlay) rouse() { note(o.wake) }

// note tells a channel of one place what may have been told already.
func note(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Sync returns once everything that was promised is durable, deletes too.
func (o *Overlay) Sync(context.Context) error {
	return localError("sync journal", "", o.log.SyncAll())
}

// Flush sends what is pending now, and waits for it. It fails with a *PendingError once
// nothing is left but what the store refuses, when the store has taken nothing for
// Options.Patience, or when ctx ends.
func (o *Overlay) Flush(ctx context.Context) error {
	o.mu.Lock()
	upto := o.mu.lastSeq
	o.mu.urgent++
	for _, p := range o.mu.ops {
		p.next = time.Time{} // what failed is tried at once
	}
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.mu.urgent--
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := o.Clock()
	for {
		o.rouse()
		o.mu.Lock()
		left, stuck := o.leftLocked(upto)
		if stuck == nil {
			stuck = o.hopelessLocked(left, began)
		}
		changed := o.mu.changed
		o.mu.Unlock()
		if left == 0 {
			return nil
		}
		if stuck != nil {
			return stuck
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(&PendingError{Count: left}, context.Cause(ctx))
		}
	}
}

// PendingError says that changes are in the journal and not in the store.
type PendingError struct {
	Count int
	First error // why one of them is not; nil: there was no time
}

func (e *PendingError) Error() string {
	s := fmt.Sprintf("%d changes are in the journal, and not in the store", e.Count)
	if e.Count == 1 {
		s = "1 change is in the journal, and not in the store"
	}
	if e.First != nil {
		s += ": " + e.First.Error()
	}
	return s
}

func (e *PendingError) Unwrap() error { return e.First }

// leftLocked counts the operations up to seq. stuck is set if none of them can go on before
// the store changes its mind.
func (o *Overlay) leftLocked(upto uint64) (left int, stuck error) {
	l := newLook(o)
	var first error
	can := o.mu.running > 0 || o.mu.deleting
	for _, p := range o.mu.ops {
		_, stuck := l.nextLocked(p)
		can = can || !stuck
		if p.seq > upto {
			continue
		}
		if left++; first == nil && p.refused {
			first = p.err
		}
	}
	if left > 0 && !can {
		return left, &PendingError{Count: left, First: first}
	}
	return left, nil
}

// hopelessLocked is an error if the store has taken nothing for as long as somebody who
// waits has patience.
func (o *Overlay) hopelessLocked(left int, began time.Time) error {
	if o.mu.lastDone.After(began) {
		began = o.mu.lastDone
	}
	if o.Clock().Sub(began) < o.Patience {
		return nil
	}
	for _, p := range o.mu.ops {
		if p.err != nil {
			return &PendingError{Count: left, First: p.err}
		}
	}
	return nil
}

// Close ends the sending; what is pending stays in the journal. Flush before. Nothing may
// be called afterwards.
func (o *Overlay) Close() error {
	o.mu.Lock()
	o.mu.closing = true
	o.mu.Unlock()
	o.cancel()
	o.tasks.Wait()
	o.empty()
	o.mu.Lock()
	o.mu.closed = true
	o.mu.Unlock()
	return localError("close journal", "", o.log.Close())
}

// Pending counts the operations that are not in the store.
func (o *Overlay) Pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.mu.ops)
}

func localError(op, key string, err error) error { return writeback.LocalError(op, key, err) }
