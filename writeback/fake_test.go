package writeback

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mount/s3mount/object"
)

// fakeStore is an Uploader that really assembles objects in memory.
type fakeStore struct {
	// hook runs at the beginning of each request, without the lock; its error is the
	// request's. It may block, and must end with ctx.
	hook func(ctx context.Context, op, key string, number int) error
	// after runs when a request has had its effect; its error is the request's.
	after func(op, key string) error
	// minPart is the least size of a part that is not the last.
	minPart int

	mu struct {
		sync.Mutex
		objects map[string]fakeObject
		uploads map[string]*fakeUpload
		counts  map[string]int
		serial  int
		flying  int
		most    int // requests at once
		size    func(int64) int64
	}
}

type fakeObject struct {
	data []byte
	etag string
	opts object.PutOptions
}

type fakeUpload struct {
	key   string
	opts  object.PutOptions
	at    time.Time
	parts map[int]fakeObject
}

// sumOf is the sum of a part, which a Summed upload tells and wants back.
func (u *fakeUpload) sumOf(p fakeObject) string {
	if !u.opts.Summed {
		return ""
	}
	return "sum of " + p.etag
}

func newFakeStore() *fakeStore {
	f := &fakeStore{}
	f.mu.objects = map[string]fakeObject{}
	f.mu.uploads = map[string]*fakeUpload{}
	f.mu.counts = map[string]int{}
	return f
}

// do runs one request: the hook, then effect under the lock, then after.
func (f *fakeStore) do(ctx context.Context, op, key string, number int, effect func() error) error {
	f.begin(op)
	defer f.end()
	if f.hook != nil {
		if err := f.hook(ctx, op, key, number); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := f.locked(effect); err != nil {
		return err
	}
	if f.after != nil {
		return f.after(op, key)
	}
	return nil
}

func (f *fakeStore) begin(op string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.counts[op]++
	f.mu.flying++
	f.mu.most = max(f.mu.most, f.mu.flying)
}

func (f *fakeStore) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.flying--
}

func (f *fakeStore) locked(effect func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return effect()
}

func (f *fakeStore) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.counts[op]
}

func (f *fakeStore) object(key string) (fakeObject, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.mu.objects[key]
	return o, ok
}

func (f *fakeStore) uploadCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.mu.uploads)
}

// readBody reads the body twice, as a client does that sends a hash ahead, and refuses
// bytes that change meanwhile.
func readBody(key string, body *io.SectionReader) ([]byte, error) {
	read := func() ([]byte, error) {
		data := make([]byte, body.Size())
		_, err := io.ReadFull(io.NewSectionReader(body, 0, body.Size()), data)
		return data, err
	}
	first, err := read()
	if err != nil {
		return nil, object.Errorf(object.KindOther, "read body", key, "%w", err)
	}
	second, err := read()
	if err != nil || !bytes.Equal(first, second) {
		return nil, object.Errorf(object.KindInvalid, "read body", key, "BadDigest")
	}
	return second, nil
}

func (f *fakeStore) storeLocked(key string, data []byte, o object.PutOptions) object.Info {
	f.mu.serial++
	obj := fakeObject{data: data, etag: fmt.Sprintf("%x-%d", md5.Sum(data), f.mu.serial), opts: o}
	f.mu.objects[key] = obj
	size := int64(len(data))
	if f.mu.size != nil {
		size = f.mu.size(size)
	}
	return object.Info{Key: key, ETag: obj.etag, Size: size}
}

func (f *fakeStore) Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (info object.Info, err error) {
	err = f.do(ctx, "Put", key, 0, func() error {
		data, err := readBody(key, body)
		if err == nil {
			err = f.holdsLocked("Put", key, o.Condition)
		}
		if err == nil {
			info = f.storeLocked(key, data, o)
		}
		return err
	})
	return info, err
}

func (f *fakeStore) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (info object.Info, err error) {
	err = f.do(ctx, "Copy", dst, 0, func() error {
		obj, ok := f.mu.objects[src.Key]
		if !ok || src.ETag != "" && src.ETag != obj.etag {
			return object.Errorf(object.KindStale, "Copy", dst, "")
		}
		opts := obj.opts
		if o.Meta != nil {
			opts = object.PutOptions{Meta: o.Meta, ContentType: o.ContentType}
		}
		info = f.storeLocked(dst, obj.data, opts)
		return nil
	})
	return info, err
}

func (f *fakeStore) CreateUpload(ctx context.Context, key string, o object.PutOptions) (id string, err error) {
	err = f.do(ctx, "CreateUpload", key, 0, func() error {
		f.mu.serial++
		id = fmt.Sprintf("upload-%d", f.mu.serial)
		f.mu.uploads[id] = &fakeUpload{key: key, opts: o, at: time.Now(), parts: map[int]fakeObject{}}
		return nil
	})
	return id, err
}

func (f *fakeStore) uploadLocked(op, key, id string) (*fakeUpload, error) {
	u := f.mu.uploads[id]
	if u == nil || u.key != key {
		return nil, object.Errorf(object.KindNotFound, op, key, "NoSuchUpload")
	}
	return u, nil
}

func (f *fakeStore) UploadPart(ctx context.Context, key, id string, number int, body *io.SectionReader) (part object.Part, err error) {
	err = f.do(ctx, "UploadPart", key, number, func() error {
		u, err := f.uploadLocked("UploadPart", key, id)
		if err != nil {
			return err
		}
		data, err := readBody(key, body)
		if err != nil {
			return err
		}
		f.mu.serial++
		p := fakeObject{data: data, etag: fmt.Sprintf("part-%d", f.mu.serial)}
		u.parts[number] = p
		part = object.Part{Number: number, ETag: p.etag, Size: int64(len(data)), CRC32C: u.sumOf(p)}
		return nil
	})
	return part, err
}

func (f *fakeStore) CopyPart(ctx context.Context, key, id string, number int, src object.ID, r object.Range) (part object.Part, err error) {
	err = f.do(ctx, "CopyPart", key, number, func() error {
		u, err := f.uploadLocked("CopyPart", key, id)
		if err != nil {
			return err
		}
		if u.opts.Summed {
			return object.Errorf(object.KindUnsupported, "CopyPart", key, "the upload has sums")
		}
		obj, ok := f.mu.objects[src.Key]
		if !ok || src.ETag != obj.etag {
			return object.Errorf(object.KindStale, "CopyPart", key, "")
		}
		if r.Len < 1 || r.End() > int64(len(obj.data)) {
			return object.Errorf(object.KindInvalid, "CopyPart", key, "InvalidRange %v", r)
		}
		f.mu.serial++
		p := fakeObject{data: bytes.Clone(obj.data[r.Off:r.End()]), etag: fmt.Sprintf("part-%d", f.mu.serial)}
		u.parts[number] = p
		part = object.Part{Number: number, ETag: p.etag, Size: r.Len}
		return nil
	})
	return part, err
}

// holdsLocked checks a condition.
func (f *fakeStore) holdsLocked(op, key string, c object.Condition) error {
	obj, there := f.mu.objects[key]
	if c.IfAbsent && there || c.IfMatch != "" && (!there || obj.etag != c.IfMatch) {
		return object.Errorf(object.KindConflict, op, key, "there: %v, with %q, want %+v", there, obj.etag, c)
	}
	return nil
}

func (f *fakeStore) CompleteUpload(ctx context.Context, key, id string, parts []object.Part, c object.Condition) (info object.Info, err error) {
	err = f.do(ctx, "CompleteUpload", key, 0, func() error {
		u, err := f.uploadLocked("CompleteUpload", key, id)
		if err != nil {
			return err
		}
		if err := f.holdsLocked("CompleteUpload", key, c); err != nil {
			return err
		}
		var data []byte
		for i, p := range parts {
			have, ok := u.parts[p.Number]
			if !ok || have.etag != p.ETag || p.CRC32C != u.sumOf(have) || i > 0 && p.Number <= parts[i-1].Number {
				return object.Errorf(object.KindInvalid, "CompleteUpload", key, "InvalidPart %d", p.Number)
			}
			if i < len(parts)-1 && len(have.data) < f.minPart {
				return object.Errorf(object.KindInvalid, "CompleteUpload", key, "EntityTooSmall %d", p.Number)
			}
			data = append(data, have.data...)
		}
		o := u.opts
		o.Summed = false
		info = f.storeLocked(key, data, o)
		delete(f.mu.uploads, id)
		return nil
	})
	return info, err
}

func (f *fakeStore) AbortUpload(ctx context.Context, key, id string) error {
	return f.do(ctx, "AbortUpload", key, 0, func() error {
		delete(f.mu.uploads, id)
		return nil
	})
}

func (f *fakeStore) ListUploads(ctx context.Context, prefix string) (list []object.Upload, err error) {
	err = f.do(ctx, "ListUploads", prefix, 0, func() error {
		for id, u := range f.mu.uploads {
			if strings.HasPrefix(u.key, prefix) {
				list = append(list, object.Upload{Key: u.key, ID: id, Initiated: u.at})
			}
		}
		return nil
	})
	return list, err
}

func (f *fakeStore) Head(ctx context.Context, key string) (info object.Info, err error) {
	err = f.do(ctx, "Head", key, 0, func() error {
		obj, ok := f.mu.objects[key]
		if !ok {
			return object.Errorf(object.KindNotFound, "Head", key, "")
		}
		info = object.Info{Key: key, ETag: obj.etag, Size: int64(len(obj.data)), Meta: obj.opts.Meta}
		return nil
	})
	return info, err
}

// fakeBase is a Base in memory.
type fakeBase struct {
	data []byte
	err  error
	mu   struct {
		sync.Mutex
		closed int
		reads  int
	}
}

func (b *fakeBase) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.reads++
	if b.mu.closed > 0 {
		return 0, object.Errorf(object.KindBadHandle, "read", "", "the base is closed")
	}
	if b.err != nil {
		return 0, b.err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return bytes.NewReader(b.data).ReadAt(p, off)
}

func (b *fakeBase) ReadOnly(ctx context.Context, p []byte, off int64) (int, error) {
	return b.ReadAt(ctx, p, off)
}

// seed stores an object as another client does.
func (f *fakeStore) seed(key string, data []byte) object.Info {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.storeLocked(key, bytes.Clone(data), meta("others'"))
}

// remove deletes an object as another client does.
func (f *fakeStore) remove(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mu.objects, key)
}

// storeBase reads one version from the store, and notes which ranges.
type storeBase struct {
	f     *fakeStore
	id    object.ID
	bytes *atomic.Int64
}

func (b storeBase) ReadAt(_ context.Context, p []byte, off int64) (int, error) {
	obj, ok := b.f.object(b.id.Key)
	if !ok || obj.etag != b.id.ETag {
		return 0, object.Errorf(object.KindStale, "read", b.id.Key, "")
	}
	n, err := bytes.NewReader(obj.data).ReadAt(p, off)
	b.bytes.Add(int64(n))
	return n, err
}

func (b storeBase) ReadOnly(ctx context.Context, p []byte, off int64) (int, error) {
	return b.ReadAt(ctx, p, off)
}

func (b storeBase) Close() {}

func (b *fakeBase) open(object.ID, int64) Base { return b }

func (b *fakeBase) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.closed++
}

func (b *fakeBase) closedTimes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.closed
}

const (
	testPart = 64 << 10
	testOver = 2 * testPart
	testMin  = testPart
)
