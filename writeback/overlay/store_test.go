package overlay

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mount/s3mount/object"
)

// memStore is a bucket in memory. fail decides what becomes of a write.
type memStore struct {
	mu      sync.Mutex
	objects map[string]memObject
	writes  int
	batches int // of deletes
	page    int // entries of a page; 0: 1,000
	uploads map[string]*memUpload
	// fail is asked before each write, with the lock held.
	fail func(op, key string) outcome
	// listed is called when a listing is made, before it is returned.
	listed func()
	// asked is called when a key is asked for, before it is looked at.
	asked func(key string)
	// log has the writes that were done.
	log []string
}

type memObject struct {
	info object.Info
	data []byte
}

type memUpload struct {
	key   string
	o     object.PutOptions
	parts map[int][]byte
	began time.Time
}

type outcome uint8

const (
	works      outcome = iota
	unanswered         // it is done, and the answer gets lost
	lost               // it is not done
	denied
)

func newMemStore() *memStore {
	return &memStore{objects: map[string]memObject{}, uploads: map[string]*memUpload{}}
}

func (m *memStore) write(op, key string, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	how := works
	if m.fail != nil {
		how = m.fail(op, key)
	}
	unavailable := object.Errorf(object.KindUnavailable, op, key, "")
	switch how {
	case lost:
		return unavailable
	case denied:
		return object.Errorf(object.KindPermission, op, key, "")
	}
	if err := do(); err != nil {
		return err
	}
	m.log = append(m.log, op+" "+key)
	if how == unanswered {
		return unavailable
	}
	return nil
}

func (m *memStore) putLocked(key string, data []byte, meta object.Meta, contentType string) object.Info {
	m.writes++
	info := object.Info{Key: key, ETag: fmt.Sprintf("etag%d", m.writes), Size: int64(len(data)), Meta: meta.Clone(), ContentType: contentType}
	m.objects[key] = memObject{info, data}
	return info
}

func (m *memStore) holdsLocked(op, key string, c object.Condition) error {
	o, ok := m.objects[key]
	if c.IfAbsent && ok || c.IfMatch != "" && (!ok || o.info.ETag != c.IfMatch) {
		return object.Errorf(object.KindConflict, op, key, "")
	}
	return nil
}

func (m *memStore) Put(_ context.Context, key string, body *io.SectionReader, o object.PutOptions) (info object.Info, err error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return info, err
	}
	err = m.write("put", key, func() error {
		if err := m.holdsLocked("put", key, o.Condition); err != nil {
			return err
		}
		info = m.putLocked(key, data, o.Meta, o.ContentType)
		return nil
	})
	return info, err
}

func (m *memStore) Copy(_ context.Context, src object.ID, dst string, o object.CopyOptions) (info object.Info, err error) {
	err = m.write("copy", dst, func() error {
		from, ok := m.objects[src.Key]
		if !ok || from.info.ETag != src.ETag {
			return object.Errorf(object.KindStale, "copy", src.Key, "")
		}
		if m.holdsLocked("copy", dst, object.Condition{IfAbsent: o.IfAbsent, IfMatch: o.IfMatch}) != nil {
			return object.Errorf(object.KindExists, "copy", dst, "")
		}
		meta, contentType := o.Meta, o.ContentType
		if meta == nil {
			meta, contentType = from.info.Meta, from.info.ContentType
		}
		info = m.putLocked(dst, from.data, meta, contentType)
		return nil
	})
	return info, err
}

func (m *memStore) DeleteMany(_ context.Context, keys []string) error {
	var errs []error
	m.mu.Lock()
	m.batches++
	m.mu.Unlock()
	for _, key := range keys {
		errs = append(errs, m.write("delete", key, func() error {
			delete(m.objects, key)
			return nil
		}))
	}
	return joined(errs)
}

// joined joins errors as s3remote does.
func joined(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return severalErrors(errs)
}

type severalErrors []error

func (s severalErrors) Error() string   { return fmt.Sprint([]error(s)) }
func (s severalErrors) Unwrap() []error { return s }

func (m *memStore) Head(_ context.Context, key string) (object.Info, error) {
	if m.asked != nil {
		m.asked(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return o.info, object.Errorf(object.KindNotFound, "head", key, "")
	}
	return o.info, nil
}

func (m *memStore) Get(_ context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[id.Key]
	if !ok || o.info.ETag != id.ETag {
		return nil, object.Errorf(object.KindStale, "get", id.Key, "")
	}
	return io.NopCloser(bytes.NewReader(o.data[r.Off:r.End()])), nil
}

func (m *memStore) List(_ context.Context, q object.Query) (p object.Page, err error) {
	if m.listed != nil {
		defer m.listed()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	after := cmp.Or(q.Token, q.After)
	limit := cmp.Or(m.page, 1000)
	if q.Max > 0 {
		limit = min(limit, q.Max)
	}
	last := ""
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		name, folder := shownAs(key, q)
		if !strings.HasPrefix(key, q.Prefix) || name <= after || name == last {
			continue
		}
		if len(p.Objects)+len(p.Prefixes) == limit {
			p.Next = last
			break
		}
		if last = name; folder {
			p.Prefixes = append(p.Prefixes, name)
		} else {
			info := m.objects[key].info
			info.Meta = nil
			p.Objects = append(p.Objects, info)
		}
	}
	return p, nil
}

func shownAs(key string, q object.Query) (name string, folder bool) {
	if q.Delimiter != "" && len(key) > len(q.Prefix) {
		if i := strings.Index(key[len(q.Prefix):], q.Delimiter); i >= 0 {
			return key[:len(q.Prefix)+i+1], true
		}
	}
	return key, false
}

func (m *memStore) CreateUpload(_ context.Context, key string, o object.PutOptions) (id string, err error) {
	err = m.write("create", key, func() error {
		m.writes++
		id = fmt.Sprint("upload", m.writes)
		m.uploads[id] = &memUpload{key: key, o: o, parts: map[int][]byte{}, began: time.Now()}
		return nil
	})
	return id, err
}

func (m *memStore) UploadPart(_ context.Context, key, id string, number int, body *io.SectionReader) (object.Part, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return object.Part{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.uploads[id]
	if u == nil {
		return object.Part{}, object.Errorf(object.KindNotFound, "part", key, "")
	}
	u.parts[number] = data
	return object.Part{Number: number, ETag: "part", Size: int64(len(data))}, nil
}

func (m *memStore) CopyPart(_ context.Context, key, id string, number int, src object.ID, r object.Range) (object.Part, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, u := m.objects[src.Key], m.uploads[id]
	if from.info.ETag != src.ETag || from.info.ETag == "" {
		return object.Part{}, object.Errorf(object.KindStale, "copy part", src.Key, "")
	}
	if u == nil {
		return object.Part{}, object.Errorf(object.KindNotFound, "copy part", key, "")
	}
	u.parts[number] = from.data[r.Off:r.End()]
	return object.Part{Number: number, ETag: "part", Size: r.Len}, nil
}

func (m *memStore) CompleteUpload(_ context.Context, key, id string, parts []object.Part, c object.Condition) (info object.Info, err error) {
	err = m.write("put", key, func() error {
		u := m.uploads[id]
		if u == nil {
			return object.Errorf(object.KindNotFound, "complete", key, "")
		}
		if err := m.holdsLocked("put", key, c); err != nil {
			return err
		}
		var data []byte
		for _, p := range parts {
			data = append(data, u.parts[p.Number]...)
		}
		delete(m.uploads, id)
		info = m.putLocked(key, data, u.o.Meta, u.o.ContentType)
		return nil
	})
	return info, err
}

func (m *memStore) AbortUpload(_ context.Context, _, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.uploads, id)
	return nil
}

func (m *memStore) ListUploads(_ context.Context, prefix string) (all []object.Upload, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, u := range m.uploads {
		if strings.HasPrefix(u.key, prefix) {
			all = append(all, object.Upload{Key: u.key, ID: id, Initiated: u.began})
		}
	}
	return all, nil
}

// content returns what the bucket holds.
func (m *memStore) content() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]string{}
	for key, o := range m.objects {
		all[key] = describe(o.data, o.info.Meta)
	}
	return all
}

// describe makes content and metadata one comparable text.
func describe(data []byte, meta object.Meta) string { return fmt.Sprintf("%q %v", data, meta) }
