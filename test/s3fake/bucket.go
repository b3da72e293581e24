package s3fake

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// Bucket is a bucket of a Server. Its methods act behind the clients' backs: they are
// no requests, take no time, and meet no faults.
type Bucket struct {
	s       *Server
	name    string
	created time.Time

	mu      sync.RWMutex // guards what follows
	objects map[string]*entry
	keys    []string // of objects, sorted
	virtual []Virtual
	gone    map[string]bool // virtual keys that were deleted
	uploads map[string]*upload
	serial  uint64
}

// entry is one version of an object. It never changes.
type entry struct {
	key      string
	etag     string // without quotes
	body     *rope
	meta     map[string]string // names in lower case, without the x-amz-meta- in front
	header   map[string]string // other headers that are kept, by canonical name
	class    string            // storage class; empty: STANDARD
	modified time.Time
}

// keptHeaders are stored with an object and told with it.
var keptHeaders = []string{
	"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding",
	"Content-Language", "Expires",
}

func newBucket(s *Server, name string) *Bucket {
	return &Bucket{
		s: s, name: name, created: s.now(), objects: map[string]*entry{},
		gone: map[string]bool{}, uploads: map[string]*upload{},
	}
}

// Object is what Bucket.Get tells about a version.
type Object struct {
	Key, ETag    string
	Size         int64
	Meta         map[string]string // names in lower case
	ContentType  string
	StorageClass string
	LastModified time.Time
	// Parts is the number of parts it was uploaded in, 0 for one PUT or a copy.
	Parts int
}

// Put stores data under key and returns the ETag.
func (b *Bucket) Put(key string, data []byte, meta map[string]string) string {
	body, sum, err := b.s.takeIn(strings.NewReader(string(data)))
	if err != nil {
		panic(err) // reading memory does not fail
	}
	return b.place(key, body, sum.etag(), meta)
}

// PutPattern stores the first size bytes of a pattern under key, at no cost, and
// returns the ETag.
func (b *Bucket) PutPattern(key string, size int64, p Pattern, meta map[string]string) string {
	return b.place(key, patternBody(p, size), patternETag(p, size), meta)
}

func patternBody(p Pattern, size int64) *rope {
	body := &rope{}
	body.add(piece{n: size, pat: p})
	return body
}

// patternETag has the form of a multipart object's: it is no MD5.
func patternETag(p Pattern, size int64) string {
	return fmt.Sprintf("%016x%016x-1", uint64(p), uint64(size))
}

func (b *Bucket) place(key string, body *rope, etag string, meta map[string]string) string {
	e := &entry{key: key, etag: etag, body: body, modified: b.s.now(), meta: map[string]string{}}
	for k, v := range meta {
		e.meta[strings.ToLower(k)] = v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.putLocked(e)
	return etag
}

// SetStorageClass changes an object's storage class; GLACIER makes it unreadable. It
// reports whether there is such an object.
func (b *Bucket) SetStorageClass(key, class string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.getLocked(key)
	if e == nil {
		return false
	}
	changed := *e
	changed.class = class
	b.putLocked(&changed)
	return true
}

// Get returns what is under key, and whether anything is.
func (b *Bucket) Get(key string) ([]byte, bool) {
	b.mu.RLock()
	e := b.getLocked(key)
	b.mu.RUnlock()
	if e == nil {
		return nil, false
	}
	return e.body.bytes(), true
}

// Head tells about the version under key, and whether there is one.
func (b *Bucket) Head(key string) (Object, bool) {
	b.mu.RLock()
	e := b.getLocked(key)
	b.mu.RUnlock()
	if e == nil {
		return Object{}, false
	}
	o := Object{
		Key: e.key, ETag: e.etag, Size: e.body.size, Meta: maps.Clone(e.meta),
		ContentType: e.header["Content-Type"], StorageClass: e.class, LastModified: e.modified,
	}
	if _, parts, ok := strings.Cut(e.etag, "-"); ok {
		fmt.Sscan(parts, &o.Parts)
	}
	return o, true
}

// Delete removes what is under key, if anything is.
func (b *Bucket) Delete(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deleteLocked(key)
}

// Keys returns all keys with a prefix in the order of their bytes, without those of
// Virtual prefixes.
func (b *Bucket) Keys(prefix string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []string
	for i := sort.SearchStrings(b.keys, prefix); i < len(b.keys) && strings.HasPrefix(b.keys[i], prefix); i++ {
		out = append(out, b.keys[i])
	}
	return out
}

// Uploads returns the keys of the multipart uploads in progress, sorted.
func (b *Bucket) Uploads() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []string
	for _, u := range b.uploads {
		out = append(out, u.key)
	}
	slices.Sort(out)
	return out
}

func (b *Bucket) getLocked(key string) *entry {
	if e := b.objects[key]; e != nil {
		return e
	}
	if b.gone[key] {
		return nil
	}
	for i := range b.virtual {
		if n, ok := b.virtual[i].index(key); ok {
			return b.virtual[i].entry(n, b.created)
		}
	}
	return nil
}

func (b *Bucket) putLocked(e *entry) {
	if b.objects[e.key] == nil {
		i := sort.SearchStrings(b.keys, e.key)
		b.keys = slices.Insert(b.keys, i, e.key)
	}
	b.objects[e.key] = e
	delete(b.gone, e.key)
}

func (b *Bucket) deleteLocked(key string) {
	if b.objects[key] != nil {
		i := sort.SearchStrings(b.keys, key)
		b.keys = slices.Delete(b.keys, i, i+1)
		delete(b.objects, key)
	}
	for i := range b.virtual {
		if _, ok := b.virtual[i].index(key); ok {
			b.gone[key] = true
		}
	}
}

// seekLocked returns the first key that is not before from, and whether there is one.
func (b *Bucket) seekLocked(from string) (key string, ok bool) {
	if i := sort.SearchStrings(b.keys, from); i < len(b.keys) {
		key, ok = b.keys[i], true
	}
	for i := range b.virtual {
		k, found := b.virtual[i].seek(from, b.gone)
		if found && (!ok || k < key) {
			key, ok = k, true
		}
	}
	return key, ok
}
