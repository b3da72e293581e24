package objcache

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/s3mount/s3mount/object"
)

const (
	// bytesPerEntry is the average size of an entry that the byte limit allows for.
	bytesPerEntry = 512
	// Estimates of what an entry costs beside its texts: the Info, its place in the
	// LRU and the map; and a name with its value in Meta.
	entryOverhead = 300
	pairOverhead  = 64
)

// Metadata keeps what is known about objects, by key, the least recently used going
// first. It judges nothing: how long an Info is believed is the caller's business. It
// is safe for concurrent use.
type Metadata struct {
	maxBytes int64
	disk     *Attributes // nil: none
	mu       struct {
		sync.Mutex
		infos *simplelru.LRU[string, object.Info]
		bytes int64
	}
}

// NewMetadata makes a store of at most limit entries, at least one, and of about
// 512 bytes per entry on average: entries that are larger make it hold fewer.
func NewMetadata(limit int) *Metadata {
	limit = max(limit, 1)
	m := &Metadata{maxBytes: int64(limit) * bytesPerEntry}
	m.mu.infos, _ = simplelru.NewLRU(limit, func(_ string, i object.Info) { // fails for sizes below 1 only
		m.mu.bytes -= infoBytes(i)
	})
	return m
}

// KeepOn makes Put keep metadata on disk as well, and Recall find it there. Before the
// first use; the caller closes d after the last.
func (m *Metadata) KeepOn(d *Attributes) { m.disk = d }

// Get returns what is known of key in memory. The Meta in it is shared and must not be
// changed.
func (m *Metadata) Get(key string) (object.Info, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.infos.Get(key)
}

// Recall completes the Info of a listing with the content type and metadata that are known
// of this version, in memory or on disk. It may read from the disk: no lock that others
// wait for may be held.
func (m *Metadata) Recall(i object.Info) (_ object.Info, ok bool) {
	if i.Meta != nil {
		return i, true
	}
	if have, ok := m.Get(i.Key); ok && have.Meta != nil && have.SameVersion(i) {
		i.Meta, i.ContentType = have.Meta, have.ContentType
		return i, true
	}
	if m.disk == nil || i.ETag == "" {
		return i, false
	}
	contentType, meta, ok := m.disk.Get(i)
	if !ok {
		return i, false
	}
	i.ContentType, i.Meta = contentType, meta
	m.keep(i)
	return i, true
}

// quiet is how long an object must be unchanged before what a HEAD says of it is kept
// for good: within the second of its LastModified the metadata may change unseen.
const quiet = 2 * time.Second

// Learn keeps what the store has just said of an object, in the place of what is known of
// i.Key. Its Meta must not be changed any more.
func (m *Metadata) Learn(i object.Info) {
	m.keep(i)
	if m.disk != nil && !i.LastModified.IsZero() && m.disk.now().Sub(i.LastModified) > quiet {
		m.disk.Put(i)
	}
}

// Put keeps what this mount has just stored, in the place of what is known of i.Key. Its
// Meta must not be changed any more.
func (m *Metadata) Put(i object.Info) {
	m.keep(i)
	if m.disk != nil && !i.ID().Local() {
		m.disk.Put(i)
	}
}

// keep keeps i in memory.
func (m *Metadata) keep(i object.Info) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.infos.Remove(i.Key)
	n := infoBytes(i)
	if n > m.maxBytes {
		return
	}
	m.mu.bytes += n
	m.mu.infos.Add(i.Key, i)
	for m.mu.bytes > m.maxBytes {
		m.mu.infos.RemoveOldest()
	}
}

// Remove forgets key, on disk as well: what is stored next under it may have the same bytes
// within the same seconds, and other metadata, as a folder's marker that another is renamed
// over.
func (m *Metadata) Remove(key string) {
	if m.disk != nil {
		m.disk.Remove(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.infos.Remove(key)
}

// Len returns the number of entries in memory.
func (m *Metadata) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.infos.Len()
}

// infoBytes estimates the memory that i takes.
func infoBytes(i object.Info) int64 {
	n := entryOverhead + len(i.Key) + len(i.ETag) + len(i.StorageClass) + len(i.ContentType)
	for k, v := range i.Meta {
		n += pairOverhead + len(k) + len(v)
	}
	return int64(n)
}
