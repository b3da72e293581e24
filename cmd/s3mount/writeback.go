package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/writeback"
	"github.com/s3mount/s3mount/writeback/journal"
	"github.com/s3mount/s3mount/writeback/overlay"
)

const (
	// pendingShare of --memory is for changes that are not in S3 yet.
	pendingShare = 16
	pendingEntry = 2000 // bytes, roughly, of one of them in memory
)

// promises are the changes of a mount with --writeback that are not in S3 yet.
type promises struct {
	*overlay.Overlay
	sender *writeback.Queue
}

// journalDir is where a mount's folder has the journal.
func (c *cacheFolder) journalDir() string { return filepath.Join(c.path, "journal") }

// hasJournal reports whether a mount with --writeback left changes in a folder.
func hasJournal(path string) bool {
	logs, _ := filepath.Glob(filepath.Join(path, "journal", "log", "*.log")) // fails for bad patterns only
	return len(logs) > 0
}

// openPromises opens the journal in a mount's folder. Nothing is sent before Start.
func openPromises(folder *cacheFolder, bucket *s3remote.Bucket, disk *budget.Disk, o *mountOptions, log *slog.Logger) (*promises, error) {
	sender, err := newQueue(filepath.Join(folder.path, "sending"), bucket, nil, nil, disk, log)
	if err != nil {
		return nil, cacheError(o.cacheDir, err)
	}
	ov, err := overlay.Open(overlay.Options{
		Dir: folder.journalDir(), Store: bucket, Sender: sender, Disk: disk,
		MaxOps: int(o.memory) / pendingShare / pendingEntry, Patience: o.retryFor, Log: log,
		Unsent: filepath.Join(o.cacheDir, "unsent"),
	})
	var damage *journal.DamageError
	if errors.As(err, &damage) {
		log.Error("what was written to files behind the damage is lost, if it was not uploaded yet", "op", "recover", "err", damage)
		err = nil
	}
	if err != nil {
		sender.Close(context.Background())
		return nil, cacheError(o.cacheDir, err)
	}
	return &promises{ov, sender}, nil
}

// newQueue makes the queue of the files in a folder. promiser is nil for those that go to the
// store at once, and cache where it is not told of them.
func newQueue(dir string, bucket *s3remote.Bucket, promiser writeback.Promiser, cache writeback.Cache, disk *budget.Disk, log *slog.Logger) (*writeback.Queue, error) {
	c := bucket.Config()
	return writeback.NewQueue(writeback.Options{
		Dir:           dir,
		Uploader:      bucket,
		Promiser:      promiser,
		Cache:         cache,
		Disk:          disk,
		PartSize:      min(c.ChunkSize, writeback.MaxPartSize),
		MultipartOver: c.UploadCutoff,
		PerFile:       c.UploadConcurrency,
		Log:           log,
	})
}

// start begins to send, with a cache that takes over what was sent.
func (p *promises) start(ctx context.Context, cache *objcache.Cache, log *slog.Logger) {
	if err := p.sender.Recover(ctx); err != nil {
		log.Warn("what an earlier mount left behind could not all be removed; the next mount tries again", "err", err)
	}
	if cache != nil {
		p.SetCache(cache, func(id object.ID, size int64) writeback.Base { return cache.Reader(id, size) })
	}
	p.Start()
}

// close sends what is pending, and ends the sending. What is not sent when ctx ends stays in
// the journal, and is the error.
func (p *promises) close(ctx context.Context) error {
	err := p.Flush(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	if n := p.Pending(); n > 0 && err == nil {
		err = &overlay.PendingError{Count: n}
	}
	if err != nil {
		err = fmt.Errorf("%w; the next mount of the bucket, or s3mount recover, uploads them", err)
	}
	return errors.Join(err, p.Overlay.Close(), p.sender.Close(ctx))
}

// drain sends what an earlier mount with --writeback left in a folder.
func drain(ctx context.Context, folder *cacheFolder, bucket *s3remote.Bucket, disk *budget.Disk, o *mountOptions, log *slog.Logger) error {
	p, err := openPromises(folder, bucket, disk, o, log)
	if err != nil {
		return err
	}
	if n := p.Pending(); n > 0 {
		log.Info("uploading what an earlier mount with --writeback has promised", "changes", n)
	}
	p.start(ctx, nil, log)
	within, cancel := context.WithTimeoutCause(ctx, o.retryFor+time.Minute, errors.New("it takes too long"))
	defer cancel()
	return p.close(within)
}
