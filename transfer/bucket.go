package transfer

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"

	"github.com/s3mount/s3mount/internal/mtime"
	"github.com/s3mount/s3mount/object"
)

// Store is a bucket, or what is under a prefix in it. *s3remote.Bucket is one.
type Store interface {
	// String tells two stores apart: with the same String they hold the same objects.
	String() string
	List(ctx context.Context, q object.Query) (object.Page, error)
	Head(ctx context.Context, key string) (object.Info, error)
	Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error)
	Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error)
	Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error)
	Delete(ctx context.Context, key string) error
	DeleteMany(ctx context.Context, keys []string) error
	CreateUpload(ctx context.Context, key string, o object.PutOptions) (uploadID string, err error)
	UploadPart(ctx context.Context, key, uploadID string, number int, body *io.SectionReader) (object.Part, error)
	CompleteUpload(ctx context.Context, key, uploadID string, parts []object.Part, c object.Condition) (object.Info, error)
	AbortUpload(ctx context.Context, key, uploadID string) error
}

// CrossCopier is a Store that can copy from another one of the same account without the
// bytes passing through here. ok is false where it cannot. Without it, only copies
// within one Store are left to the store.
type CrossCopier interface {
	CopyFrom(ctx context.Context, from any, src object.ID, dst string, o object.CopyOptions) (_ object.Info, ok bool, err error)
}

// SummedStore is a Store that takes a part with its SHA-256 where that is known, and
// refuses one that has another. It reads the part once less.
type SummedStore interface {
	UploadSummedPart(ctx context.Context, key, uploadID string, number int, body *io.SectionReader, sum [32]byte) (object.Part, error)
}

// Informer is a body of Store.Get that tells what the answer said about the version: its
// time and metadata. It saves a HEAD for each file that is fetched.
type Informer interface{ Info() object.Info }

// maxKey is the longest key in bytes that S3 takes.
const maxKey = 1024

// bucket is what is under a prefix of a Store as an Endpoint.
type bucket struct {
	store  Store
	prefix string
	o      BucketOptions
	parts  *semaphore.Weighted // of all files that go up at a time
	memory *semaphore.Weighted // bytes of what passes through memory: relay of them
	relay  int64
	// noSums is set when ETags that look like MD5 sums turn out to be none.
	noSums atomic.Bool
	// foreign is the store of the last source that the store could not copy from itself.
	foreign atomic.Pointer[string]
}

// allParts is how many parts of all files go up at a time, unless one file alone may have
// more.
const allParts = 32

// NewBucket returns the endpoint of what is under prefix in a store. prefix is empty or
// gets a "/" at its end. No request is made.
func NewBucket(s Store, prefix string, o BucketOptions) (Endpoint, error) {
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	if !utf8.ValidString(prefix) {
		return nil, object.Errorf(object.KindNotUTF8, "open", prefix, "")
	}
	b := &bucket{store: s, prefix: prefix, o: o.withDefaults(), parts: semaphore.NewWeighted(int64(max(o.Parallel, allParts)))}
	b.setRelay(relayMemory)
	b.noSums.Store(o.NoETagMD5)
	return b, nil
}

func (b *bucket) String() string {
	if b.o.Name != "" {
		return b.o.Name
	}
	return b.store.String() + b.prefix
}

// key makes a key of a path, for an operation that would create it.
func (b *bucket) key(op, path string) (string, error) {
	key := b.prefix + path
	switch {
	case path == "":
		return "", object.Errorf(object.KindInvalid, op, path, "an empty key")
	case !utf8.ValidString(path):
		return "", object.Errorf(object.KindNotUTF8, op, path, "S3's keys are UTF-8: rename the file")
	case len(key) > maxKey:
		return "", object.Errorf(object.KindNameTooLong, op, path, "the key has %d bytes, and S3 takes %d", len(key), maxKey)
	}
	return key, nil
}

// file describes an object; its time is known only with its metadata.
func (b *bucket) file(info object.Info) File {
	info.OtherETag = info.OtherETag || b.noSums.Load()
	f := File{Path: strings.TrimPrefix(info.Key, b.prefix), Size: info.Size, Info: info}
	f.MD5, _ = info.MD5()
	if info.Meta != nil {
		f.ModTime = infoTime(info)
	}
	return f
}

func (b *bucket) Stat(ctx context.Context, path string) (File, error) {
	if path == "" || !utf8.ValidString(path) || len(b.prefix+path) > maxKey {
		return File{}, object.Errorf(object.KindNotFound, "stat", path, "")
	}
	info, err := b.store.Head(ctx, b.prefix+path)
	if err != nil {
		return File{}, err
	}
	if strings.HasSuffix(path, "/") && info.Size == 0 { // a folder's marker is no file
		return File{}, object.Errorf(object.KindNotFound, "stat", path, "")
	}
	if info.Meta == nil {
		info.Meta = object.Meta{}
	}
	return b.file(info), nil
}

func (b *bucket) id(f File) object.ID { return object.ID{Key: b.prefix + f.Path, ETag: f.Info.ETag} }

func (b *bucket) Open(ctx context.Context, f File, r object.Range) (io.ReadCloser, error) {
	if r.Len == 0 {
		r.Len = f.Size - r.Off
	}
	if r.Len <= 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return b.store.Get(ctx, b.id(f), r)
}

// Content pins the version by its ETag: one that a listing did not tell is asked for.
func (b *bucket) Content(ctx context.Context, f File) (Content, error) {
	if f.Info.ETag == "" {
		now, err := b.Stat(ctx, f.Path)
		switch {
		case err != nil:
			return nil, err
		case now.Size != f.Size:
			return nil, changed(f.Path)
		case now.Info.ETag == "" && f.Size > wholeSize:
			return nil, object.Errorf(object.KindUnsupported, "read", f.Path, "the store tells no ETag, so that a file of several ranges could be of several versions")
		}
		f = now
	}
	c := &bucketContent{b: b, f: f}
	if f.Info.Meta != nil {
		c.info.Store(&f.Info)
	}
	return c, nil
}

// bucketContent is a version of an object. It is pinned by its ETag, so that it never
// changes; it may be gone.
type bucketContent struct {
	b    *bucket
	f    File
	info atomic.Pointer[object.Info]
}

func (c *bucketContent) Size() int64      { return c.f.Size }
func (c *bucketContent) Unchanged() error { return nil }
func (c *bucketContent) Close() error     { return nil }
func (c *bucketContent) version() string  { return c.f.Info.ETag }

func (c *bucketContent) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if n == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	body, err := c.b.store.Get(ctx, c.b.id(c.f), object.Range{Off: off, Len: n})
	if err != nil {
		return nil, err
	}
	if in, ok := body.(Informer); ok && c.info.Load() == nil {
		if info := in.Info(); info.Meta != nil {
			c.info.Store(&info)
		}
	}
	return body, nil
}

// Info returns the metadata, from the answer to a Range or by asking for it.
func (c *bucketContent) Info(ctx context.Context) (object.Info, error) {
	if info := c.info.Load(); info != nil {
		return *info, nil
	}
	f, err := c.b.Stat(ctx, c.f.Path)
	switch {
	case err != nil:
		return object.Info{}, err
	case c.f.Info.ETag != "" && f.Info.ETag != c.f.Info.ETag:
		return object.Info{}, changed(c.f.Path)
	}
	c.info.Store(&f.Info)
	return f.Info, nil
}

// doubted reports whether the MD5 sum that the file's ETag looks like is none, after it
// was not the content's: a listing does not tell that an object is encrypted.
func (c *bucketContent) doubted(ctx context.Context) (bool, error) {
	f, err := c.b.Stat(ctx, c.f.Path)
	if err == nil && f.Info.OtherETag {
		c.b.noSums.Store(true)
	}
	return f.Info.OtherETag, err
}

func (b *bucket) Remove(ctx context.Context, paths []string) error {
	if len(paths) == 1 {
		return b.store.Delete(ctx, b.prefix+paths[0])
	}
	keys := make([]string, len(paths))
	for i, p := range paths {
		keys[i] = b.prefix + p
	}
	return b.relative(b.store.DeleteMany(ctx, keys))
}

// relative makes the keys in errors of several keys paths.
func (b *bucket) relative(err error) error {
	var joined interface{ Unwrap() []error }
	if b.prefix == "" || !errors.As(err, &joined) {
		return err
	}
	errs := joined.Unwrap()
	out := make([]error, len(errs))
	for i, e := range errs {
		out[i] = e
		if oe, ok := e.(*object.Error); ok {
			c := *oe
			c.Key = strings.TrimPrefix(c.Key, b.prefix)
			out[i] = &c
		}
	}
	return errors.Join(out...)
}

// Mkdir does nothing: a folder is there when something is in it.
func (b *bucket) Mkdir(ctx context.Context, path string) error { return nil }

func (b *bucket) Rmdir(ctx context.Context, path string) error {
	dir := b.prefix
	if path != "" {
		dir += path + "/"
	}
	page, err := b.store.List(ctx, object.Query{Prefix: dir, Max: 2})
	if err != nil {
		return err
	}
	for _, o := range page.Objects {
		if o.Key != dir || o.Size > 0 {
			return object.Errorf(object.KindNotEmpty, "rmdir", path, "")
		}
	}
	if len(page.Objects) == 0 || dir == "" {
		return nil
	}
	return b.store.Delete(ctx, dir)
}

// SetModTime replaces the metadata by a copy of the object onto itself.
func (b *bucket) SetModTime(ctx context.Context, f File, t time.Time) (File, error) {
	info := f.Info
	if info.Meta == nil {
		now, err := b.Stat(ctx, f.Path)
		if err != nil {
			return File{}, err
		}
		info = now.Info
	}
	meta := info.Meta.Clone()
	meta[mtime.Key] = mtime.Format(t)
	key := b.prefix + f.Path
	got, err := b.store.Copy(ctx, object.ID{Key: key, ETag: info.ETag}, key, object.CopyOptions{Meta: meta, ContentType: info.ContentType, Size: info.Size})
	if err != nil {
		return File{}, err
	}
	got.Key, got.Meta, got.Size = key, meta, info.Size
	return b.file(got), nil
}

// ServerCopy leaves the copy to the store if that has both sides. The source is asked for
// its metadata first: a time that is only the store's own is written into the copy, so
// that it is the same afterwards.
func (b *bucket) ServerCopy(ctx context.Context, from Endpoint, f File, path string) (File, bool, error) {
	src, ok := from.(*bucket)
	if !ok || !b.reaches(src) {
		return File{}, false, nil
	}
	key, err := b.key("copy", path)
	if err != nil {
		return File{}, true, err
	}
	o, info, err := src.copyOptions(ctx, f)
	if err != nil {
		return File{}, true, err
	}
	id := object.ID{Key: info.Key, ETag: info.ETag}
	var got object.Info
	if src.store.String() == b.store.String() {
		got, err = b.store.Copy(ctx, id, key, o)
	} else {
		got, ok, err = b.store.(CrossCopier).CopyFrom(ctx, src.store, id, key, o)
	}
	if !ok {
		there := src.store.String()
		b.foreign.Store(&there)
	}
	if !ok || err != nil {
		return File{}, ok, err
	}
	got.Key, got.Size, got.Meta = key, info.Size, info.Meta
	return b.file(got), true, nil
}

// reaches reports whether the store may be able to copy from another one.
func (b *bucket) reaches(src *bucket) bool {
	there := src.store.String()
	if there == b.store.String() {
		return true
	}
	foreign := b.foreign.Load()
	_, crosses := b.store.(CrossCopier)
	return crosses && (foreign == nil || *foreign != there)
}

// copyOptions are those of a copy of the version that f describes.
func (b *bucket) copyOptions(ctx context.Context, f File) (object.CopyOptions, object.Info, error) {
	info := f.Info
	if info.Meta == nil {
		now, err := b.Stat(ctx, f.Path)
		if err != nil {
			return object.CopyOptions{}, info, err
		}
		if info.ETag != "" && now.Info.ETag != info.ETag {
			return object.CopyOptions{}, info, changed(f.Path)
		}
		info = now.Info
	}
	o := object.CopyOptions{Size: info.Size}
	if _, ok := mtime.Parse(info.Meta[mtime.Key]); !ok {
		info.Meta = info.Meta.Clone()
		info.Meta[mtime.Key] = mtime.Format(info.LastModified)
		o.Meta, o.ContentType = info.Meta, info.ContentType
	}
	return o, info, nil
}
