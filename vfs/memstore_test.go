package vfs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mount/s3mount/object"
)

// memStore is a bucket in memory: what vfs, objcache and writeback ask of one.
type memStore struct {
	mu      sync.Mutex
	objects map[string]memObject
	uploads map[string]*memUpload
	pageMax int
	clock   time.Time // LastModified of the next write; a tick later each time
	tick    time.Duration
	count   map[string]int
	bytes   int64 // that were sent as bodies of objects
	// fail is asked before each request; an error is the answer.
	fail func(op, key string) error
}

type memObject struct {
	info object.Info
	data []byte
}

type memUpload struct {
	key   string
	o     object.PutOptions
	parts map[int][]byte
}

func newMemStore() *memStore {
	return &memStore{objects: map[string]memObject{}, uploads: map[string]*memUpload{}, pageMax: 1000,
		clock: time.Unix(1_700_000_000, 0), tick: time.Second, count: map[string]int{}}
}

func (m *memStore) begin(op, key string) error {
	m.count[op]++
	if m.fail != nil {
		return m.fail(op, key)
	}
	return nil
}

// put stores an object behind the file system's back.
func (m *memStore) put(key, data string, meta object.Meta) object.Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.putLocked(key, []byte(data), object.PutOptions{Meta: meta})
}

func (m *memStore) putLocked(key string, data []byte, o object.PutOptions) object.Info {
	sum := md5.Sum(data)
	m.clock = m.clock.Add(m.tick)
	info := object.Info{Key: key, ETag: hex.EncodeToString(sum[:]), Size: int64(len(data)), LastModified: m.clock,
		ContentType: o.ContentType, Meta: o.Meta.Clone()}
	m.objects[key] = memObject{info, data}
	return info
}

func (m *memStore) get(key string) (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	return string(o.data), ok
}

func (m *memStore) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

func (m *memStore) requests(op string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count[op]
}

// sent returns how many bytes of objects were read, or asked for.
func (m *memStore) sent() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes
}

func (m *memStore) List(_ context.Context, q object.Query) (p object.Page, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("List", q.Prefix); err != nil {
		return p, err
	}
	after := cmp.Or(q.Token, q.After)
	limit := m.pageMax
	if q.Max > 0 {
		limit = min(limit, q.Max)
	}
	n := 0
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		rest, ok := strings.CutPrefix(key, q.Prefix)
		if !ok || key <= after {
			continue
		}
		name, folder := key, false
		if i := strings.Index(rest, "/"); q.Delimiter != "" && i >= 0 {
			name, folder = q.Prefix+rest[:i+1], true
			if name <= after || slices.Contains(p.Prefixes, name) {
				continue
			}
		}
		if n == limit {
			p.Next = "more"
			break
		}
		n++
		if folder {
			p.Prefixes = append(p.Prefixes, name)
			after = name + "\xff"
		} else {
			info := m.objects[key].info
			info.Meta, info.ContentType = nil, ""
			p.Objects = append(p.Objects, info)
			after = key
		}
	}
	if p.Next != "" {
		p.Next = after
	}
	return p, nil
}

func (m *memStore) Head(_ context.Context, key string) (object.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Head", key); err != nil {
		return object.Info{}, err
	}
	o, ok := m.objects[key]
	if !ok {
		return object.Info{}, object.Errorf(object.KindNotFound, "HeadObject", key, "")
	}
	return o.info, nil
}

func (m *memStore) Get(_ context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Get", id.Key); err != nil {
		return nil, err
	}
	o, ok := m.objects[id.Key]
	if !ok {
		return nil, object.Errorf(object.KindNotFound, "GetObject", id.Key, "")
	}
	if id.ETag != "" && o.info.ETag != id.ETag {
		return nil, object.Errorf(object.KindStale, "GetObject", id.Key, "")
	}
	end := min(r.End(), int64(len(o.data)))
	m.bytes += end - r.Off
	return io.NopCloser(bytes.NewReader(o.data[r.Off:end])), nil
}

func (m *memStore) Put(_ context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return object.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Put", key); err != nil {
		return object.Info{}, err
	}
	if err := m.holdsLocked("Put", key, o.Condition); err != nil {
		return object.Info{}, err
	}
	info := m.putLocked(key, data, o)
	return object.Info{Key: key, ETag: info.ETag, Size: info.Size}, nil
}

func (m *memStore) Copy(_ context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Copy", dst); err != nil {
		return object.Info{}, err
	}
	from, ok := m.objects[src.Key]
	if !ok {
		return object.Info{}, object.Errorf(object.KindNotFound, "CopyObject", src.Key, "")
	}
	if src.ETag != "" && from.info.ETag != src.ETag {
		return object.Info{}, object.Errorf(object.KindStale, "CopyObject", src.Key, "")
	}
	if m.holdsLocked("Copy", dst, object.Condition{IfAbsent: o.IfAbsent, IfMatch: o.IfMatch}) != nil {
		return object.Info{}, object.Errorf(object.KindExists, "CopyObject", dst, "")
	}
	po := object.PutOptions{Meta: from.info.Meta, ContentType: from.info.ContentType}
	if o.Meta != nil {
		po = object.PutOptions{Meta: o.Meta, ContentType: o.ContentType}
	}
	info := m.putLocked(dst, from.data, po)
	return object.Info{Key: dst, ETag: info.ETag, LastModified: info.LastModified}, nil
}

func (m *memStore) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Delete", key); err != nil {
		return err
	}
	delete(m.objects, key)
	return nil
}

func (m *memStore) DeleteVersion(_ context.Context, id object.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("Delete", id.Key); err != nil {
		return err
	}
	if o, ok := m.objects[id.Key]; ok && o.info.ETag != id.ETag {
		return object.Errorf(object.KindConflict, "delete", id.Key, "it is another version")
	}
	delete(m.objects, id.Key)
	return nil
}

func (m *memStore) DeleteMany(_ context.Context, keys []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("DeleteMany", ""); err != nil {
		return err
	}
	for _, k := range keys {
		delete(m.objects, k)
	}
	return nil
}

func (m *memStore) CreateUpload(_ context.Context, key string, o object.PutOptions) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("CreateUpload", key); err != nil {
		return "", err
	}
	id := fmt.Sprintf("upload-%d", len(m.uploads)+m.count["CreateUpload"])
	m.uploads[id] = &memUpload{key: key, o: o, parts: map[int][]byte{}}
	return id, nil
}

func (m *memStore) UploadPart(_ context.Context, key, id string, number int, body *io.SectionReader) (object.Part, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return object.Part{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("UploadPart", key); err != nil {
		return object.Part{}, err
	}
	u := m.uploads[id]
	if u == nil {
		return object.Part{}, object.Errorf(object.KindNotFound, "UploadPart", key, "")
	}
	u.parts[number] = data
	sum := md5.Sum(data)
	return object.Part{Number: number, ETag: hex.EncodeToString(sum[:]), Size: int64(len(data))}, nil
}

func (m *memStore) CopyPart(_ context.Context, key, id string, number int, src object.ID, r object.Range) (object.Part, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("CopyPart", key); err != nil {
		return object.Part{}, err
	}
	from, ok := m.objects[src.Key]
	if !ok || from.info.ETag != src.ETag {
		return object.Part{}, object.Errorf(object.KindStale, "CopyPart", src.Key, "")
	}
	data := from.data[r.Off:r.End()]
	m.uploads[id].parts[number] = data
	sum := md5.Sum(data)
	return object.Part{Number: number, ETag: hex.EncodeToString(sum[:]), Size: r.Len}, nil
}

// holdsLocked checks a condition.
func (m *memStore) holdsLocked(op, key string, c object.Condition) error {
	o, there := m.objects[key]
	if c.IfAbsent && there || c.IfMatch != "" && (!there || o.info.ETag != c.IfMatch) {
		return object.Errorf(object.KindConflict, op, key, "there: %v, with %q, want %+v", there, o.info.ETag, c)
	}
	return nil
}

func (m *memStore) CompleteUpload(_ context.Context, key, id string, parts []object.Part, c object.Condition) (object.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin("CompleteUpload", key); err != nil {
		return object.Info{}, err
	}
	if err := m.holdsLocked("CompleteUpload", key, c); err != nil {
		return object.Info{}, err
	}
	u := m.uploads[id]
	if u == nil {
		return object.Info{}, object.Errorf(object.KindNotFound, "CompleteUpload", key, "")
	}
	var data []byte
	for _, p := range parts {
		data = append(data, u.parts[p.Number]...)
	}
	delete(m.uploads, id)
	return m.putLocked(key, data, u.o), nil
}

func (m *memStore) AbortUpload(_ context.Context, _, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.uploads, id)
	return nil
}

func (m *memStore) ListUploads(context.Context, string) ([]object.Upload, error) { return nil, nil }

func memObjectInfo(key string) object.Info { return object.Info{Key: key, ETag: "e"} }
