package treemove

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

var errCrashed = object.Errorf(object.KindUnavailable, "crash", "", "the process is dead")

// bucket is a store in memory on which the process can die at any request.
type bucket struct {
	mu      sync.Mutex // guards what follows
	objects map[string]stored
	page    int // keys in one answer
	clock   time.Time
	rnd     *rand.Rand

	left    int // steps until the crash; below 0: none comes
	crashed bool
	refuse  string // a key that nothing can be copied to
}

type stored struct {
	info object.Info
	body string
}

func newBucket(rnd *rand.Rand) *bucket {
	return &bucket{objects: map[string]stored{}, page: 1000, clock: time.Unix(1_700_000_000, 0), rnd: rnd, left: -1}
}

// put stores an object as others do. One in parts has an ETag that its copy has not.
func (b *bucket) put(key, body string, meta object.Meta, parts bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.putLocked(key, body, meta, parts)
}

func (b *bucket) putLocked(key, body string, meta object.Meta, parts bool) object.Info {
	b.clock = b.clock.Add(time.Second)
	sum := md5.Sum([]byte(body))
	etag := hex.EncodeToString(sum[:])
	if parts {
		etag += "-2"
	}
	info := object.Info{Key: key, ETag: etag, Size: int64(len(body)), LastModified: b.clock, Meta: meta.Clone()}
	b.objects[key] = stored{info, body}
	return info
}

func (b *bucket) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.clock
}

// bodies are all objects.
func (b *bucket) bodies() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]string{}
	for k, o := range b.objects {
		all[k] = o.body
	}
	return all
}

// stepLocked counts a step. mayLand says that it may take effect, though the process dies
// in it.
func (b *bucket) stepLocked() (mayLand bool, err error) {
	if b.crashed {
		return false, errCrashed
	}
	if b.left == 0 {
		b.crashed = true
		return true, errCrashed
	}
	b.left--
	return true, nil
}

// crashAfter makes the process that uses the store die in so many steps; below 0: never.
func (b *bucket) crashAfter(steps int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.crashed, b.refuse = steps, false, ""
}

// recordStep is a step that writes or removes a record in dir.
func (b *bucket) recordStep(dir string) func(string) error {
	return func(string) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		mayLand, err := b.stepLocked()
		if err != nil && mayLand && b.rnd.IntN(2) == 0 { // it died while it wrote
			err = errors.Join(err, os.WriteFile(dir+"/1.json.tmp", []byte("{"), 0o600))
		}
		return err
	}
}

func (b *bucket) List(_ context.Context, q object.Query) (p object.Page, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.stepLocked(); err != nil {
		return p, err
	}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if !strings.HasPrefix(key, q.Prefix) || key <= q.Token {
			continue
		}
		if len(p.Objects) == b.page {
			p.Next = p.Objects[b.page-1].Key
			break
		}
		info := b.objects[key].info
		info.Meta = nil
		p.Objects = append(p.Objects, info)
	}
	return p, nil
}

func (b *bucket) Head(_ context.Context, key string) (object.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.stepLocked(); err != nil {
		return object.Info{}, err
	}
	o, ok := b.objects[key]
	if !ok {
		return object.Info{}, object.Errorf(object.KindNotFound, "HeadObject", key, "")
	}
	return o.info, nil
}

func (b *bucket) Copy(_ context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mayLand, err := b.stepLocked()
	if dst == b.refuse {
		return object.Info{}, object.Errorf(object.KindPermission, "CopyObject", dst, "")
	}
	from, ok := b.objects[src.Key]
	if !ok || from.info.ETag != src.ETag {
		return object.Info{}, cmp.Or(err, error(object.Errorf(object.KindStale, "CopyObject", src.Key, "")))
	}
	if !mayLand || err != nil && b.rnd.IntN(2) == 0 {
		return object.Info{}, err
	}
	if to, there := b.objects[dst]; there && o.IfAbsent || o.IfMatch != "" && (!there || to.info.ETag != o.IfMatch) {
		return object.Info{}, cmp.Or(err, error(object.Errorf(object.KindExists, "CopyObject", dst, "")))
	}
	return b.putLocked(dst, from.body, from.info.Meta, false), err
}

func (b *bucket) DeleteMany(_ context.Context, keys []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	mayLand, err := b.stepLocked()
	for _, k := range keys {
		if mayLand && (err == nil || b.rnd.IntN(2) == 0) {
			delete(b.objects, k)
		}
	}
	return err
}

// recordDir is a folder for records where syncing costs nothing, if the machine has one.
func recordDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "treemove-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestBucketCounts(t *testing.T) {
	b := newBucket(rand.New(rand.NewPCG(1, 1)))
	b.crashAfter(1)
	if _, err := b.List(t.Context(), object.Query{}); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := b.DeleteMany(t.Context(), nil); !errors.Is(err, errCrashed) {
			t.Errorf("%v after the crash", err)
		}
	}
}
