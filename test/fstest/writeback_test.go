package fstest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/vfs"
	"github.com/s3mount/s3mount/writeback"
	"github.com/s3mount/s3mount/writeback/overlay"
)

// later is a file system on a bucket that keeps its writes in a journal first.
type later struct {
	*vfs.FS
	overlay *overlay.Overlay
	close   func()
}

func newLater(t testing.TB, fake *s3fake.Server, bucket, dir string, cacheTime time.Duration) *later {
	t.Helper()
	client, err := s3remote.New(context.Background(), s3remote.Config{Provider: "Other", Endpoint: fake.URL(), Region: fake.Region()})
	check(t, err)
	fake.Bucket(bucket)
	b, err := client.Bucket(bucket, "")
	check(t, err)
	disk := budget.NewDisk(1 << 30)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	so := smallParts
	so.Dir, so.Uploader, so.Disk, so.Log = dir+"/sending", b, disk, log
	sender, err := writeback.NewQueue(so)
	check(t, err)
	o, err := overlay.Open(overlay.Options{Dir: dir + "/journal", Store: b, Sender: sender, Disk: disk, Log: log, Quiet: 5 * time.Millisecond, Small: 8 << 10})
	check(t, err)
	cache, err := objcache.New(objcache.Options{Fetcher: o, Dir: dir + "/blocks", Memory: 32 << 20, Disk: disk, Log: log, BlockSize: smallBlock})
	check(t, err)
	o.SetCache(cache, func(id object.ID, size int64) writeback.Base { return cache.Reader(id, size) })
	queue, err := writeback.NewQueue(writeback.Options{Dir: dir + "/staging", Uploader: b, Promiser: o, Cache: cache, Disk: disk, Log: log})
	check(t, err)
	fs := vfs.New(vfs.Options{Store: o, Promises: o, Cache: cache, Meta: objcache.NewMetadata(1000), Queue: queue,
		UnsentDir: dir + "/unsent", DirCacheTime: cacheTime, Log: log})
	o.SetListener(fs)
	o.Start()
	l := &later{FS: fs, overlay: o}
	l.close = func() {
		l.close = func() {}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		check(t, errors.Join(fs.Close(ctx), queue.Close(ctx), o.Flush(ctx), o.Close(), sender.Close(ctx), cache.Close()))
		client.Close()
	}
	t.Cleanup(func() { l.close() })
	return l
}

// TestRandomOperationsWriteback is TestRandomOperations with a journal in front of the store.
func TestRandomOperationsWriteback(t *testing.T) {
	first, n := uint64(1), *seeds
	if *seed != 0 {
		first, n = *seed, 1
	}
	for s := first; s < first+uint64(n); s++ {
		t.Run(fmt.Sprintf("seed %d", s), func(t *testing.T) {
			fake := s3fake.Start(t, s3fake.Options{MinPart: smallParts.MinPart})
			cacheTime := time.Duration(s%2) * 10 * time.Second
			local := OS{Root: t.TempDir(), NoLinks: true}
			l := newLater(t, fake, "random", t.TempDir(), cacheTime)
			Random(t, s, *steps, VFS{l.FS}, local)
			Compare(t, VFS{l.FS}, local)
			check(t, l.overlay.Flush(context.Background()))
			Compare(t, VFS{newVFS(t, fake, "random", 0)}, local)
		})
	}
}
