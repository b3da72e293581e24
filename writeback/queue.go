package writeback

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
	"sync/atomic"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/internal/durable"
	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/object"
)

// Uploader is what the queue needs from the store. All methods may be called
// concurrently, honour ctx, retry on their own until a deadline of their own, and fail
// with *object.Error. A body may be read more than once.
type Uploader interface {
	// Put stores a whole object, atomically.
	Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error)
	// Copy makes a new version on the server's side. With src.ETag set it fails with
	// KindStale when another version is there.
	Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error)
	CreateUpload(ctx context.Context, key string, o object.PutOptions) (uploadID string, err error)
	UploadPart(ctx context.Context, key, uploadID string, number int, body *io.SectionReader) (object.Part, error)
	// CopyPart makes a part of a range of one version that the store has. It fails with
	// KindStale when that version is gone, and KindUnsupported where the store cannot.
	CopyPart(ctx context.Context, key, uploadID string, number int, src object.ID, r object.Range) (object.Part, error)
	// CompleteUpload makes the parts into an object, atomically.
	CompleteUpload(ctx context.Context, key, uploadID string, parts []object.Part, c object.Condition) (object.Info, error)
	// AbortUpload of what is gone is no error.
	AbortUpload(ctx context.Context, key, uploadID string) error
	ListUploads(ctx context.Context, prefix string) ([]object.Upload, error)
	Head(ctx context.Context, key string) (object.Info, error)
}

// Base is the remote version beneath an edit. ReadAt has the meaning of io.ReaderAt, may
// be called concurrently, and may go to the network. ReadOnly is the same for who needs no
// byte beside those: nothing is read ahead. Close is called once, after the last of them
// returned.
type Base interface {
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
	ReadOnly(ctx context.Context, p []byte, off int64) (int, error)
	Close()
}

// Open makes the reader of a version of size bytes, without asking anybody.
type Open func(id object.ID, size int64) Base

// The defaults of Options.
const (
	DefaultParallel      = 16 // to begin with
	DefaultPartSize      = 8 << 20
	DefaultMultipartOver = 16 << 20
	DefaultCopyOver      = 16 << 20
)

// Between these many requests in flight the queue finds out how many are best.
const (
	leastParallel = 4
	mostParallel  = 64
)

// maxPut is S3's limit for one PutObject.
const maxPut = 5 << 30

// Options configure a Queue. Dir, Uploader and Disk are required.
type Options struct {
	// Dir holds the staged files and the records of uploads. It belongs to one bucket
	// and prefix, and to one process at a time. It is created if it is missing.
	Dir      string
	Uploader Uploader
	Promiser Promiser // nil: versions go to the store at once
	Cache    Cache    // nil: nobody is told what is known of versions
	Disk     *budget.Disk
	Parallel int // requests in flight over all files; 0: as many as the line to the store takes
	PerFile  int // parts of one file in flight; 0: as many as there are requests
	// PartSize is the size of the first 900 parts of a multipart upload, in bytes;
	// stores refuse less than 5 MiB. 0: DefaultPartSize.
	PartSize int64
	// MultipartOver is the size in bytes over which a file goes up in parts.
	// 0: DefaultMultipartOver.
	MultipartOver int64
	// CopyOver is the size in bytes over which the store copies what an edit has not
	// changed. 0: DefaultCopyOver.
	CopyOver int64
	// MinPart is the least size in bytes that the store takes of a part that is not the
	// last. 0: S3's.
	MinPart int64
	Log     *slog.Logger     // nil: nothing is logged
	Clock   func() time.Time // nil: time.Now
}

func (o Options) withDefaults() Options {
	if o.PerFile == 0 && o.Parallel == 0 {
		o.PerFile = mostParallel + 1 // one waits: so it is seen that more could be sent
	}
	if o.Parallel == 0 {
		o.Parallel = DefaultParallel
	}
	if o.PerFile == 0 {
		o.PerFile = o.Parallel
	}
	if o.PartSize == 0 {
		o.PartSize = DefaultPartSize
	}
	if o.MultipartOver == 0 {
		o.MultipartOver = DefaultMultipartOver
	}
	if o.CopyOver == 0 {
		o.CopyOver = DefaultCopyOver
	}
	if o.MinPart == 0 {
		o.MinPart = parts.MinSize
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

func (o Options) validate() error {
	bad := func(format string, args ...any) error {
		return object.Errorf(object.KindInvalid, "write queue", "", format, args...)
	}
	switch {
	case o.Dir == "" || o.Uploader == nil || o.Disk == nil:
		return bad("Dir, Uploader and Disk are required")
	case o.Parallel < 1 || o.PerFile < 1:
		return bad("Parallel is %d, PerFile %d", o.Parallel, o.PerFile)
	case o.PartSize < 1 || o.PartSize > maxPartSize:
		return bad("PartSize is %d, not within 1 and %d", o.PartSize, int64(maxPartSize))
	case o.CopyOver < 0 || o.MinPart < 1:
		return bad("CopyOver is %d, MinPart %d", o.CopyOver, o.MinPart)
	case o.MultipartOver < 0 || o.MultipartOver > maxPut:
		return bad("MultipartOver is %d, not within 0 and %d", o.MultipartOver, int64(maxPut))
	}
	return nil
}

// Queue owns the staged files of one mount and everything that runs for them.
type Queue struct {
	Options
	layout layout
	// extentLimit is maxExtents, and less in tests.
	extentLimit int
	instance    string // random; in the names of this process's files
	lock        *os.File
	slots       *slots
	pace        *pace
	urgent      atomic.Bool // always true: the flag of requests that a ticket waits for
	idle        atomic.Bool // always false: the flag of requests that nobody waits for
	sequence    atomic.Uint64
	ctx         context.Context // ends when Close gives up waiting
	cancel      context.CancelFunc
	tasks       sync.WaitGroup
	mu          struct {
		sync.Mutex
		closing    bool // no new files and tickets
		stopped    bool // no new goroutines
		staged     map[*Staged]struct{}
		spare      []spareFile
		spareEnd   *time.Timer // nil: there never were any
		multiparts map[*multipart]struct{}
	}
}

// NewQueue takes hold of Options.Dir; it fails with KindBusy while another process does.
// It starts no goroutine. Close it.
func NewQueue(o Options) (*Queue, error) {
	pace := newPace(o.Parallel, o.Parallel, o.Parallel)
	if o.Parallel == 0 {
		pace = newPace(DefaultParallel, leastParallel, mostParallel)
	}
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	q := &Queue{
		Options:     o,
		layout:      layout{first: o.PartSize},
		extentLimit: maxExtents,
		instance:    rand.Text(),
		slots:       newSlots(o.Parallel),
		pace:        pace,
	}
	for _, dir := range []string{q.stagedDir(), q.recordDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, localError("make directory", "", err)
		}
	}
	if err := durable.SyncDir(o.Dir); err != nil {
		return nil, localError("make directory", "", err)
	}
	lock, err := lockDir(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	q.lock = lock
	q.urgent.Store(true)
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.mu.staged = map[*Staged]struct{}{}
	q.mu.multiparts = map[*multipart]struct{}{}
	return q, nil
}

func (q *Queue) stagedDir() string { return filepath.Join(q.Dir, "staged") }
func (q *Queue) recordDir() string { return filepath.Join(q.Dir, "uploads") }

// newName makes a file name that no other process and no earlier call has used.
func (q *Queue) newName() string {
	return fmt.Sprintf("%s-%d", q.instance, q.sequence.Add(1))
}

func (q *Queue) newPath() string { return filepath.Join(q.stagedDir(), q.newName()) }

// requestTimeout bounds one request that moves n bytes. The Uploader has deadlines that
// are much nearer; this one ends what slipped through them.
func requestTimeout(n int64) time.Duration {
	const slowest = 64 << 10 // bytes a second
	return 10*time.Minute + time.Duration(n/slowest)*time.Second
}

// errClosed is the failure of calls on a closing queue.
func errClosed(op, key string) error {
	return object.Errorf(object.KindCanceled, op, key, "the write queue is closed")
}

// spawn runs f in a goroutine that Close waits for; false: Close no longer waits, and f
// is not run. New work, as opposed to what running work needs, is refused from the
// moment Close is called.
func (q *Queue) spawn(isNew bool, f func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.stopped || isNew && q.mu.closing {
		return false
	}
	q.tasks.Go(f)
	return true
}

// request runs f in a slot. A request that somebody waits for has urgent set. The
// context of f ends after requestTimeout(n) at the latest.
func (q *Queue) request(ctx context.Context, urgent *atomic.Bool, n int64, f func(context.Context) error) error {
	if err := q.slots.acquire(ctx, urgent); err != nil {
		return err
	}
	defer q.slots.release()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout(n))
	defer cancel()
	return f(ctx)
}

// Pending is a file whose content is not in the store, or on its way there.
type Pending struct {
	Key   string
	Bytes int64     // the file's size
	Since time.Time // of the first change that is not stored
	Err   error     // how the last upload failed; nil: none failed
}

// Pending lists what is modified or being uploaded, and has a key to go to.
func (q *Queue) Pending() []Pending {
	var list []Pending
	for _, s := range q.files() {
		if p, ok := s.pending(); ok {
			list = append(list, p)
		}
	}
	return list
}

func (q *Queue) files() []*Staged {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]*Staged, 0, len(q.mu.staged))
	for s := range q.mu.staged {
		list = append(list, s)
	}
	return list
}

// SetCache names who is told what is known of versions, before the first file.
func (q *Queue) SetCache(c Cache) { q.Cache = c }

// Flush waits for the tickets that are not done when it is called, and returns their
// errors joined, or the context's.
func (q *Queue) Flush(ctx context.Context) error {
	var errs []error
	for _, t := range q.tickets() {
		if _, err := t.Wait(ctx); err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (q *Queue) tickets() []*Ticket {
	var list []*Ticket
	for _, s := range q.files() {
		list = append(list, s.running()...)
	}
	return list
}

// GiveUp ends the requests under way and fails those to come, where nobody can wait any
// longer. Keep still works, with what is local. The queue has to be closed all the same.
func (q *Queue) GiveUp() { q.cancel() }

// Close waits for the tickets and for the aborts in the background. When ctx ends first,
// it cancels them and returns the context's error. Staged files that are still open are
// finished: modified ones stay on the disk and are named in the log, until the next
// Recover; whoever wants to have them calls Keep before. Nothing runs, and no disk
// budget is taken, when it returns. Closing again does nothing.
func (q *Queue) Close(ctx context.Context) error {
	if !q.beginClose() {
		return nil
	}
	for _, t := range q.tickets() {
		_, _ = t.Wait(ctx) // the ticket's owner has its error
	}
	for _, s := range q.files() {
		s.leaveBehind()
	}
	err := q.waitTasks(ctx)
	q.cancel()
	q.dropSpare()
	if e := q.lock.Close(); e != nil && err == nil {
		err = localError("unlock", "", e)
	}
	return err
}

func (q *Queue) beginClose() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := !q.mu.closing
	q.mu.closing = true
	return first
}

// waitTasks waits for all goroutines until ctx ends, then cancels them and waits on.
func (q *Queue) waitTasks(ctx context.Context) error {
	stop := context.AfterFunc(ctx, q.cancel)
	q.stopSpawning()
	q.tasks.Wait()
	if !stop() {
		return wrap("close the write queue", "", ctx.Err())
	}
	return nil
}

func (q *Queue) stopSpawning() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.stopped = true
}
