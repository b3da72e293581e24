package demoserver

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
	"golang.org/x/sys/unix"
)

// The data folder holds a mark, which is locked while a server runs, a directory for
// each bucket, and the files of what is under way.
const (
	markName    = "s3mount-demo"
	bucketsName = "buckets"
	tempName    = "under-way"
)

// lastModified is the name under which gofakes3 wants an object's time in its headers.
const lastModified = "Last-Modified"

// store is the data of a server. It is gofakes3's Backend and MultipartBackend.
type store struct {
	dir     string
	log     *slog.Logger
	mark    *os.File // locked
	uploads uploads

	mu struct { // leaf: nothing else is locked while it is held, but for a new bucket's directory
		sync.RWMutex
		buckets map[string]*bucket
	}
}

var (
	_ gofakes3.Backend          = (*store)(nil)
	_ gofakes3.MultipartBackend = (*store)(nil)
)

// openStore opens the data in dir, or makes it; sweeps away what an earlier server left
// unfinished; and keeps other servers out until close. A folder that holds anything else
// is refused, and not touched.
func openStore(dir string, log *slog.Logger) (*store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &store{dir: dir, log: log}
	s.uploads.init(filepath.Join(dir, tempName))
	if s.mark, err = claim(dir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, s.mark.Close())
	}
	return s, nil
}

// claim locks the mark of dir, and makes both where dir is missing or empty.
func claim(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, markName)
	if _, err := os.Stat(path); len(entries) > 0 && err != nil {
		return nil, fmt.Errorf("%s is neither empty nor the data of a demo server", dir)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another demo server: %w", dir, err), f.Close())
	}
	return f, nil
}

func (s *store) load() error {
	if err := os.RemoveAll(s.uploads.dir); err != nil {
		return err
	}
	root := filepath.Join(s.dir, bucketsName)
	for _, d := range []string{s.uploads.dir, root} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	s.mu.buckets = make(map[string]*bucket, len(entries))
	for _, e := range entries {
		b, err := loadBucket(e.Name(), filepath.Join(root, e.Name()), s.log)
		if err != nil {
			return fmt.Errorf("bucket %q: %w", e.Name(), err)
		}
		s.mu.buckets[e.Name()] = b
	}
	return nil
}

// close lets another server have the data. No request may run any more.
func (s *store) close() error { return s.mark.Close() }

func (s *store) bucket(name string) (*bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.mu.buckets[name]; b != nil {
		return b, nil
	}
	return nil, gofakes3.BucketNotFound(name)
}

// ListBuckets returns all buckets.
func (s *store) ListBuckets(context.Context) ([]gofakes3.BucketInfo, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []gofakes3.BucketInfo
	for b := range maps.Values(s.mu.buckets) {
		list = append(list, gofakes3.BucketInfo{Name: b.name, CreationDate: gofakes3.NewContentTime(b.created)})
	}
	return list, nil
}

// CreateBucket makes a bucket. The library has checked that the name is a legal one,
// and so a plain file name.
func (s *store) CreateBucket(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.buckets[name] != nil {
		return gofakes3.ResourceError(gofakes3.ErrBucketAlreadyExists, name)
	}
	dir := filepath.Join(s.dir, bucketsName, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	b, err := loadBucket(name, dir, s.log)
	if err != nil {
		return err
	}
	s.mu.buckets[name] = b
	return nil
}

// BucketExists says whether there is a bucket of that name.
func (s *store) BucketExists(_ context.Context, name string) (bool, error) {
	_, err := s.bucket(name)
	return err == nil, nil
}

// DeleteBucket removes an empty bucket.
func (s *store) DeleteBucket(_ context.Context, name string) error {
	b, err := s.bucket(name)
	if err != nil {
		return err
	}
	if err := b.drop(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.buckets, name)
	return nil
}

// object puts r into the library's words.
func (r *record) object(contents io.ReadCloser, rng *gofakes3.ObjectRange) *gofakes3.Object {
	headers := maps.Clone(r.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	headers[lastModified] = r.Modified.UTC().Format(http.TimeFormat)
	return &gofakes3.Object{Name: r.Key, Metadata: headers, Size: r.Size, Hash: r.Hash, Range: rng, Contents: contents}
}

// HeadObject returns an object without its bytes.
func (s *store) HeadObject(_ context.Context, bucketName, key string) (*gofakes3.Object, error) {
	b, err := s.bucket(bucketName)
	if err != nil {
		return nil, err
	}
	r, err := b.head(key)
	if err != nil {
		return nil, err
	}
	return r.object(http.NoBody, nil), nil
}

// GetObject returns an object or a range of it; the caller closes its contents.
func (s *store) GetObject(ctx context.Context, bucketName, key string, want *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	b, err := s.bucket(bucketName)
	if err != nil {
		return nil, err
	}
	r, got, contents, err := b.open(key, want)
	if err != nil {
		return nil, err
	}
	if err := checkCopyCondition(ctx, r.etag()); err != nil {
		_ = contents.Close() // read-only; and the library knows its errors by their type, so nothing is joined to one
		return nil, err
	}
	return r.object(contents, got), nil
}

// PutObject stores an object, or nothing.
func (s *store) PutObject(ctx context.Context, bucketName, key string, headers map[string]string, input io.Reader, size int64) (gofakes3.PutObjectResult, error) {
	var none gofakes3.PutObjectResult
	b, err := s.bucket(bucketName)
	if err != nil {
		return none, err
	}
	t, err := newTemp(s.uploads.dir)
	if err != nil {
		return none, err
	}
	defer t.discard()
	n, sum, err := receive(t, input, size)
	if err != nil {
		return none, err
	}
	r := newRecord(key, n, sum, headers)
	if err := b.commit(ctx, t, r); err != nil {
		return none, err
	}
	return gofakes3.PutObjectResult{ETag: `"` + r.etag() + `"`}, nil
}

// receive writes input to t and returns its size and MD5. Fewer bytes than size, where
// that is known (not -1), are an error.
func receive(t *tempFile, input io.Reader, size int64) (int64, []byte, error) {
	h := md5.New()
	n, err := io.CopyBuffer(io.MultiWriter(t, h), input, make([]byte, copyBuffer(size)))
	if err == nil && size >= 0 && n != size || errors.Is(err, io.ErrUnexpectedEOF) {
		err = gofakes3.ErrIncompleteBody
	}
	return n, h.Sum(nil), err
}

// copyBuffer is the size of the buffer to receive size bytes with.
func copyBuffer(size int64) int64 {
	const small, large = 4 << 10, 256 << 10
	if size < 0 {
		return large
	}
	return min(max(size, small), large)
}

func newRecord(key string, size int64, hash []byte, headers map[string]string) *record {
	headers = maps.Clone(headers)
	delete(headers, lastModified)
	return &record{Key: key, Size: size, Hash: hash, Modified: time.Now().Truncate(time.Second), Headers: headers}
}

// CopyObject copies an object; the copy has the source's ETag and the headers given.
func (s *store) CopyObject(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string, headers map[string]string) (gofakes3.CopyObjectResult, error) {
	var none gofakes3.CopyObjectResult
	dst, err := s.bucket(dstBucket)
	if err != nil {
		return none, err
	}
	src, err := s.GetObject(ctx, srcBucket, srcKey, nil)
	if err != nil {
		return none, err
	}
	defer src.Contents.Close()
	t, err := newTemp(s.uploads.dir)
	if err != nil {
		return none, err
	}
	defer t.discard()
	if _, err := io.Copy(t.File, src.Contents); err != nil {
		return none, err
	}
	r := newRecord(dstKey, src.Size, src.Hash, headers)
	if err := dst.commit(ctx, t, r); err != nil {
		return none, err
	}
	return gofakes3.CopyObjectResult{ETag: `"` + r.etag() + `"`, LastModified: gofakes3.NewContentTime(r.Modified)}, nil
}

// DeleteObject deletes an object; that there is none is no error.
func (s *store) DeleteObject(_ context.Context, bucketName, key string) (gofakes3.ObjectDeleteResult, error) {
	b, err := s.bucket(bucketName)
	if err != nil {
		return gofakes3.ObjectDeleteResult{}, err
	}
	return gofakes3.ObjectDeleteResult{}, b.remove(key)
}

// DeleteMulti deletes objects, each with an answer of its own.
func (s *store) DeleteMulti(_ context.Context, bucketName string, keys ...string) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	b, err := s.bucket(bucketName)
	if err != nil {
		return result, err
	}
	for _, key := range keys {
		if err := b.remove(key); err != nil {
			e := gofakes3.ErrorResultFromError(err)
			e.Key = key
			result.Error = append(result.Error, e)
			continue
		}
		result.Deleted = append(result.Deleted, gofakes3.ObjectID{Key: key})
	}
	return result, nil
}
