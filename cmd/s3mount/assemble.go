package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/fusefs"
	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/vfs"
	"github.com/s3mount/s3mount/vfs/treemove"
	"github.com/s3mount/s3mount/writeback"
)

// openRemote finds the remote that a path names, in the config file or on the command
// line, and connects to it. It sends no request.
func (g *globals) openRemote(ctx context.Context, place config.RemotePath, retryFor time.Duration, log *slog.Logger) (*s3remote.Client, error) {
	c, err := g.remoteConfig(ctx, place, log)
	if err != nil {
		return nil, err
	}
	c.RetryDeadline = retryFor
	return s3remote.New(ctx, c)
}

// remoteConfig finds the remote that a path names, and how it is reached.
func (g *globals) remoteConfig(ctx context.Context, place config.RemotePath, log *slog.Logger) (s3remote.Config, error) {
	file, err := g.openConfig(ctx, place)
	if err != nil {
		return s3remote.Config{}, err
	}
	remote, err := file.Open(place)
	if err != nil {
		return s3remote.Config{}, hinted(err, remoteHints[object.KindOf(err)])
	}
	remote = remote.WithFlags(g.s3Flag)
	for _, w := range remote.Warnings() {
		log.Warn(w)
	}
	if err := remote.Refusal(); err != nil {
		return s3remote.Config{}, hinted(fmt.Errorf("remote %s: %w", remote.Name(), err), "use a remote without it: s3mount config copy, then config unset")
	}
	c, err := s3remote.FromRemote(remote.Get)
	if err != nil {
		return c, hinted(fmt.Errorf("remote %s: %w", remote.Name(), err), "correct it in the config file, or in the flag or variable that sets it")
	}
	c.Log = log
	return c, nil
}

// openConfig reads the config file, if the path needs one.
func (g *globals) openConfig(ctx context.Context, place config.RemotePath) (*config.File, error) {
	file := &config.File{}
	if place.Backend == "" {
		path, err := config.Find(g.config, g.getenv)
		if err != nil {
			return nil, hinted(err, "make one with s3mount config, or name one with --config")
		}
		if file, err = config.Load(ctx, path, g.passwords()); err != nil {
			return nil, hinted(err, configHints[object.KindOf(err)])
		}
	}
	file.LookupEnv = g.lookupEnv
	return file, nil
}

// The shares of --memory. What is left is for stacks, buffers of the HTTP client and the
// garbage collector's slack.
const (
	blockShare   = 2 // half for cached and prefetched blocks
	requestShare = 8
	metaShare    = 16
	inodeShare   = 8
	listingShare = 8

	metaEntry    = 600 // bytes, roughly, of one object's metadata in memory
	inodeEntry   = 1200
	listingEntry = 400

	// gcPercent trades memory, which the limit bounds, for time: requests leave much
	// garbage behind on a small heap.
	gcPercent = 300

	// attrShare of --cache-size is for attributes that are kept from mount to mount.
	attrShare = 50
)

// mounted is a file system and all that it stands on.
type mounted struct {
	fs    *vfs.FS
	queue *writeback.Queue
	cache *objcache.Cache
	attrs *objcache.Attributes // nil: none are kept
	// promises are nil where S3 has what was written when a call returns.
	promises *promises
	folder   *cacheFolder
	log      *slog.Logger
}

// fetchTimeout is how long bytes may take that a read needs: as long as a request for them is
// repeated while the store fails, and what a slow line takes for them.
func fetchTimeout(retryFor time.Duration) time.Duration { return retryFor + 5*time.Minute }

// assemble puts the packages together for one bucket. id tells this mount's folder in
// the cache from others'.
func assemble(ctx context.Context, bucket *s3remote.Bucket, id string, o *mountOptions, log *slog.Logger) (_ *mounted, err error) {
	blocks := int64(o.memory) / blockShare
	debug.SetMemoryLimit(int64(o.memory) - blocks) // the blocks lie outside of Go's heap
	debug.SetGCPercent(gcPercent)
	folder, err := openCache(o.cacheDir, id)
	if err != nil {
		return nil, err
	}
	m := &mounted{folder: folder, log: log}
	defer func() {
		if err != nil {
			m.close(ctx)
		}
	}()
	if err := folder.probe(); err != nil {
		return nil, err
	}
	attrSize := int64(o.cacheSize) / attrShare
	disk := budget.NewDisk(int64(o.cacheSize) - attrSize)
	on, err := m.standOn(ctx, bucket, disk, o)
	if err != nil {
		return nil, err
	}
	m.cache, err = objcache.New(objcache.Options{
		Fetcher: on.fetcher,
		Dir:     filepath.Join(folder.path, "blocks"),
		Memory:  blocks,
		Disk:    disk,
		MinFree: folder.floor(o.cacheMinFree),
		Log:     log,

		FetchTimeout: fetchTimeout(o.retryFor),
	})
	if err != nil {
		return nil, cacheError(o.cacheDir, err)
	}
	if m.queue, err = newQueue(filepath.Join(folder.path, "staging"), bucket, on.promiser, m.cache, disk, log); err != nil {
		return nil, cacheError(o.cacheDir, err)
	}
	if err := m.queue.Recover(ctx); err != nil {
		log.Warn("what an earlier mount left behind could not all be removed; the next mount tries again", "err", err)
	}
	host, err := os.Hostname()
	if err != nil {
		log.Warn("this machine's name is not known", "err", err)
	}
	m.fs = vfs.New(vfs.Options{
		Store:         on.store,
		Mover:         on.mover,
		Promises:      on.promises,
		Cache:         m.cache,
		Meta:          m.metadata(int(o.memory)/metaShare/metaEntry, attrSize),
		Queue:         m.queue,
		UnsentDir:     filepath.Join(o.cacheDir, "unsent"),
		ReadOnly:      o.readOnly,
		UID:           o.uid,
		GID:           o.gid,
		FileMode:      uint32(o.fileMode &^ o.umask),
		DirMode:       uint32(o.dirMode &^ o.umask),
		DirCacheTime:  o.dirCacheTime,
		MaxListed:     int(o.memory) / listingShare / listingEntry,
		MaxInodes:     int(o.memory) / inodeShare / inodeEntry,
		ServerModTime: o.serverTime,
		Host:          host,
		Log:           log,
	})
	if m.promises != nil {
		m.promises.SetListener(m.fs)
		m.promises.start(ctx, m.cache, log)
	}
	if !o.readOnly {
		if err := on.mover.Recover(ctx); err != nil {
			log.Warn("a rename that was interrupted could not be undone or finished; the next mount tries again", "err", err)
		}
	}
	return m, nil
}

// ground is what the file system stands on: the bucket, or the changes that are promised to
// it, with --writeback.
type ground struct {
	store    vfs.Store
	fetcher  objcache.Fetcher
	promises vfs.Promises       // nil in strict mode
	promiser writeback.Promiser // likewise
	mover    *treemove.Mover
}

// standOn finishes what earlier mounts have left in the folder, and opens the journal if
// there is to be one.
func (m *mounted) standOn(ctx context.Context, bucket *s3remote.Bucket, disk *budget.Disk, o *mountOptions) (ground, error) {
	disk.SetPatience(time.Second)
	renames := treemove.Options{Store: bucket, Dir: filepath.Join(m.folder.path, "renames"), Log: m.log}
	if o.writeback {
		disk.SetPatience(o.retryFor) // until uploads have made room
		p, err := openPromises(m.folder, bucket, disk, o, m.log)
		if err != nil {
			return ground{}, err
		}
		m.promises = p
		renames.Store, renames.Sync = p, p.Sync
		return ground{store: p, fetcher: p, promises: p, promiser: p, mover: treemove.New(renames)}, nil
	}
	if hasJournal(m.folder.path) {
		if err := drain(ctx, m.folder, bucket, disk, o, m.log); err != nil {
			return ground{}, hinted(err, "mount with --writeback")
		}
	}
	return ground{store: bucket, fetcher: bucket, mover: treemove.New(renames)}, nil
}

// metadata makes the store of attributes, in memory and in the mount's folder. Without the
// folder it does without: they are asked for again.
func (m *mounted) metadata(entries int, disk int64) *objcache.Metadata {
	meta := objcache.NewMetadata(entries)
	attrs, err := objcache.OpenAttributes(objcache.AttributesOptions{Dir: m.folder.path, Limit: disk, Log: m.log})
	if err != nil {
		m.log.Warn("attributes are not kept for the next mount", "dir", m.folder.path, "err", err)
		return meta
	}
	m.attrs = attrs
	meta.KeepOn(attrs)
	return meta
}

// close uploads what is left, and ends everything that assemble began. When ctx ends it
// gives up; what is not uploaded then is in the error, as *vfs.UnsentError. It may be
// called on half of a mounted.
func (m *mounted) close(ctx context.Context) error {
	var errs []error
	if m.fs != nil {
		errs = append(errs, m.fs.Close(ctx))
	}
	if m.queue != nil {
		// What was given up is known already, but for aborts: the next mount's work.
		if err := m.queue.Close(ctx); ctx.Err() == nil {
			errs = append(errs, err)
		}
	}
	if m.promises != nil {
		errs = append(errs, m.promises.close(ctx))
	}
	if m.cache != nil {
		errs = append(errs, m.cache.Close())
	}
	if m.attrs != nil {
		errs = append(errs, m.attrs.Close())
	}
	m.folder.Close()
	return errors.Join(errs...)
}

// fuseOptions says how a mounted file system is shown.
func (m *mounted) fuseOptions(name string, o *mountOptions) fusefs.Options {
	return fusefs.Options{
		FS:            m.fs,
		Name:          name,
		AllowOther:    o.allowOther,
		ReadOnly:      o.readOnly,
		ByRequests:    o.byRequests,
		Root:          vfs.Caller{UID: o.uid, GID: o.gid},
		Timeout:       o.attrTimeout,
		AbsentTimeout: min(o.attrTimeout, o.dirCacheTime),
		Memory:        max(16<<20, int(o.memory)/requestShare),
		Log:           m.log,
	}
}
