package fstest

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/vfs"
	"github.com/s3mount/s3mount/writeback"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed only")
	seeds = flag.Int("seeds", 12, "how many seeds to run")
	steps = flag.Int("steps", 1500, "operations of each seed")
)

// Small parts and blocks bring multipart uploads, copies of parts, and blocks that are changed
// in part into small files.
var smallParts = writeback.Options{PartSize: 16 << 10, MinPart: 8 << 10, MultipartOver: 32 << 10, CopyOver: 16 << 10}

const smallBlock = 8 << 10

// newVFS assembles a file system on a bucket of a stand-in, in this process.
func newVFS(t testing.TB, fake *s3fake.Server, bucket string, cacheTime time.Duration) *vfs.FS {
	t.Helper()
	client, err := s3remote.New(context.Background(), s3remote.Config{Provider: "Other", Endpoint: fake.URL(), Region: fake.Region()})
	check(t, err)
	fake.Bucket(bucket)
	b, err := client.Bucket(bucket, "")
	check(t, err)
	disk := budget.NewDisk(1 << 30)
	dir := t.TempDir()
	cache, err := objcache.New(objcache.Options{Fetcher: b, Dir: dir + "/blocks", Memory: 32 << 20, Disk: disk, BlockSize: smallBlock})
	check(t, err)
	o := smallParts
	o.Dir, o.Uploader, o.Cache, o.Disk = dir+"/staging", b, cache, disk
	queue, err := writeback.NewQueue(o)
	check(t, err)
	fs := vfs.New(vfs.Options{Store: b, Cache: cache, Meta: objcache.NewMetadata(1000), Queue: queue, UnsentDir: dir + "/unsent", DirCacheTime: cacheTime})
	t.Cleanup(func() {
		check(t, fs.Close(context.Background()))
		check(t, queue.Close(context.Background()))
		check(t, cache.Close())
		client.Close()
	})
	return fs
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRandomOperations compares random operations on vfs with a local folder, and then
// the bucket as a new mount sees it.
func TestRandomOperations(t *testing.T) {
	first, n := uint64(1), *seeds
	if *seed != 0 {
		first, n = *seed, 1
	}
	for s := first; s < first+uint64(n); s++ {
		t.Run(fmt.Sprintf("seed %d", s), func(t *testing.T) {
			fake := s3fake.Start(t, s3fake.Options{MinPart: smallParts.MinPart})
			cacheTime := time.Duration(s%2) * 10 * time.Second
			local := OS{Root: t.TempDir()}
			Random(t, s, *steps, VFS{newVFS(t, fake, "random", cacheTime)}, local)
			Compare(t, VFS{newVFS(t, fake, "random", 0)}, local)
		})
	}
}
