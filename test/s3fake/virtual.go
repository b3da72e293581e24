package s3fake

import (
	"sort"
	"strconv"
	"strings"
	"time"
)

// Virtual is a prefix with many objects that exist only when looked at. Their keys are
// the prefix, a number from 0 on in as many digits as the last one has, and the suffix;
// their bytes are NewPattern(number). They can be overwritten and deleted like others.
type Virtual struct {
	Prefix string
	Suffix string
	N      int   // objects; more than 0
	Size   int64 // bytes of each
	// Meta makes the user metadata of an object; nil: none.
	Meta func(i int) map[string]string
}

// AddVirtual adds a virtual prefix. Virtual prefixes must not share keys.
func (b *Bucket) AddVirtual(v Virtual) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.virtual = append(b.virtual, v)
}

// Key returns the key of the i-th object.
func (v *Virtual) Key(i int) string {
	number := strconv.Itoa(i)
	return v.Prefix + strings.Repeat("0", v.digits()-len(number)) + number + v.Suffix
}

func (v *Virtual) digits() int { return len(strconv.Itoa(v.N - 1)) }

// index is the reverse of Key.
func (v *Virtual) index(key string) (int, bool) {
	if len(key) != len(v.Prefix)+v.digits()+len(v.Suffix) || !strings.HasPrefix(key, v.Prefix) ||
		!strings.HasSuffix(key, v.Suffix) {
		return 0, false
	}
	number := key[len(v.Prefix) : len(v.Prefix)+v.digits()]
	i, err := strconv.ParseUint(number, 10, 31)
	return int(i), err == nil && int(i) < v.N
}

// seek returns the first key that is not before from and not gone.
func (v *Virtual) seek(from string, gone map[string]bool) (string, bool) {
	for i := v.first(from); i < v.N; i++ {
		if key := v.Key(i); !gone[key] {
			return key, true
		}
	}
	return "", false
}

// first returns the index of the first key that is not before from; N: none. What lies
// outside of the prefix, and a key with something behind it, which is how pages go on, are
// found without a search.
func (v *Virtual) first(from string) int {
	if from <= v.Prefix {
		return 0
	}
	if !strings.HasPrefix(from, v.Prefix) {
		return v.N
	}
	if n := len(v.Prefix) + v.digits() + len(v.Suffix); len(from) > n {
		if i, ok := v.index(from[:n]); ok {
			return i + 1
		}
	}
	return sort.Search(v.N, func(i int) bool { return v.Key(i) >= from })
}

// entry makes the i-th object.
func (v *Virtual) entry(i int, created time.Time) *entry {
	p := NewPattern(uint64(i))
	e := &entry{
		key: v.Key(i), etag: patternETag(p, v.Size), body: patternBody(p, v.Size),
		modified: created, meta: map[string]string{},
	}
	if v.Meta != nil {
		e.meta = v.Meta(i)
	}
	return e
}
