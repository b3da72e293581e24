package objcache

import (
	"sync"

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

// Get returns what is known of key. The Meta in it is shared and must not be changed.
func (m *Metadata) Get(key string) (object.Info, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.infos.Get(key)
}

// Put keeps i in the place of what is known of i.Key. Its Meta must not be changed any
// more.
func (m *Metadata) Put(i object.Info) {
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

// Remove forgets key.
func (m *Metadata) Remove(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.infos.Remove(key)
}

// Len returns the number of entries.
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
