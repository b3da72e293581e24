package demoserver

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
)

// bucket is a directory of objects and, in memory, its index.
type bucket struct {
	name, dir string
	created   time.Time

	mu struct {
		sync.RWMutex
		// objects and keys hold the same keys, keys in the order of their bytes.
		objects map[string]*record // the records don't change
		keys    []string
		gone    bool // deleted: takes no more objects
	}
}

// loadBucket reads the index of the bucket in dir. A file that is not a whole object
// is left alone and logged.
func loadBucket(name, dir string, log *slog.Logger) (*bucket, error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	b := &bucket{name: name, dir: dir, created: fi.ModTime()}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	b.mu.objects = make(map[string]*record, len(entries))
	for _, e := range entries {
		r, err := readRecord(filepath.Join(dir, e.Name()))
		if err != nil {
			log.Warn("demo server: file left out", "bucket", name, "file", e.Name(), "error", err)
			continue
		}
		b.mu.objects[r.Key] = r
		b.mu.keys = append(b.mu.keys, r.Key)
	}
	slices.Sort(b.mu.keys)
	return b, nil
}

func (b *bucket) path(key string) string { return filepath.Join(b.dir, fileName(key)) }

// head returns what is known about the object under key.
func (b *bucket) head(key string) (*record, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if r := b.mu.objects[key]; r != nil {
		return r, nil
	}
	return nil, gofakes3.KeyNotFound(key)
}

// open opens the object under key, or the range want of it. The lock is held while the
// file is opened, so that record and bytes are of one version; once open, the bytes
// stay that version's whatever happens to the key. The caller closes the bytes.
func (b *bucket) open(key string, want *gofakes3.ObjectRangeRequest) (*record, *gofakes3.ObjectRange, *opened, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r := b.mu.objects[key]
	if r == nil {
		return nil, nil, nil, gofakes3.KeyNotFound(key)
	}
	got, err := want.Range(r.Size)
	if err != nil {
		return nil, nil, nil, err
	}
	off, n := int64(0), r.Size
	if got != nil {
		off, n = got.Start, got.Length
	}
	bytes, err := openRange(b.path(key), off, n)
	return r, got, bytes, err
}

// commit makes the bytes in t the object that r describes, if the conditions in ctx
// hold. The lock is held over the rename: condition, rename and index are one step.
func (b *bucket) commit(ctx context.Context, t *tempFile, r *record) error {
	if err := t.finish(r); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.gone {
		return gofakes3.BucketNotFound(b.name)
	}
	old := b.mu.objects[r.Key]
	etag := ""
	if old != nil {
		etag = old.etag()
	}
	if err := gofakes3.CheckWriteConditions(ctx, old != nil, etag); err != nil {
		return err
	}
	if err := os.Rename(t.Name(), b.path(r.Key)); err != nil {
		return err
	}
	if i, found := slices.BinarySearch(b.mu.keys, r.Key); !found {
		b.mu.keys = slices.Insert(b.mu.keys, i, r.Key)
	}
	b.mu.objects[r.Key] = r
	return nil
}

// remove deletes the object under key, if there is one. File and index go in one step,
// under the lock.
func (b *bucket) remove(key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.objects[key] == nil {
		return nil
	}
	if err := os.Remove(b.path(key)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	delete(b.mu.objects, key)
	if i, found := slices.BinarySearch(b.mu.keys, key); found {
		b.mu.keys = slices.Delete(b.mu.keys, i, i+1)
	}
	return nil
}

// drop removes the bucket's directory, if it holds no object; it takes none after that.
func (b *bucket) drop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.gone {
		return gofakes3.BucketNotFound(b.name)
	}
	if len(b.mu.keys) > 0 {
		return gofakes3.ResourceError(gofakes3.ErrBucketNotEmpty, b.name)
	}
	if err := os.Remove(b.dir); err != nil {
		return err
	}
	b.mu.gone = true
	return nil
}
