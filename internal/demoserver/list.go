package demoserver

import (
	"context"
	"slices"
	"sort"
	"strings"

	"github.com/rclone/gofakes3"
)

// ListBucket returns a page of the keys under a prefix, those with the delimiter behind
// it rolled up. The marker is the last key or common prefix of the page before; a marker
// that is a common prefix passes over all keys in it.
func (s *store) ListBucket(_ context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	b, err := s.bucket(name)
	if err != nil {
		return nil, err
	}
	if prefix == nil {
		prefix = new(gofakes3.Prefix)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := gofakes3.NewObjectList()
	last, n := "", int64(0)
	for i := b.firstLocked(*prefix, page.Marker); i < len(b.mu.keys) && strings.HasPrefix(b.mu.keys[i], prefix.Prefix); n++ {
		if page.MaxKeys > 0 && n == page.MaxKeys {
			list.IsTruncated, list.NextMarker = true, last
			break
		}
		key := b.mu.keys[i]
		if group, ok := commonPrefix(key, *prefix); ok {
			list.AddPrefix(group)
			last, i = group, b.behindLocked(group)
			continue
		}
		list.Add(b.mu.objects[key].content())
		last, i = key, i+1
	}
	return list, nil
}

// content is the entry of an object in a listing.
func (r *record) content() *gofakes3.Content {
	class := r.Headers["X-Amz-Storage-Class"]
	if class == "" {
		class = string(gofakes3.StorageStandard)
	}
	return &gofakes3.Content{
		Key:          r.Key,
		LastModified: gofakes3.NewContentTime(r.Modified),
		ETag:         `"` + r.etag() + `"`,
		Size:         r.Size,
		StorageClass: gofakes3.StorageClass(class),
	}
}

// commonPrefix returns the group that key is rolled up into, if it is.
func commonPrefix(key string, p gofakes3.Prefix) (group string, ok bool) {
	if p.Delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(p.Prefix):], p.Delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(p.Prefix)+i+len(p.Delimiter)], true
}

// firstLocked returns the index of the first key to list: under the prefix, and behind
// the marker.
func (b *bucket) firstLocked(p gofakes3.Prefix, marker string) int {
	first, _ := slices.BinarySearch(b.mu.keys, p.Prefix)
	if marker == "" {
		return first
	}
	i, found := slices.BinarySearch(b.mu.keys, marker)
	if found {
		i++
	}
	if strings.HasPrefix(marker, p.Prefix) {
		if group, ok := commonPrefix(marker, p); ok && group == marker {
			i = b.behindLocked(group)
		}
	}
	return max(i, first)
}

// behindLocked returns the index of the first key behind all those that begin with group.
func (b *bucket) behindLocked(group string) int {
	return sort.Search(len(b.mu.keys), func(i int) bool {
		return b.mu.keys[i] > group && !strings.HasPrefix(b.mu.keys[i], group)
	})
}
