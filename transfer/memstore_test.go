package transfer

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/s3mount/s3mount/object"
)

// listStore answers listings out of sorted keys, fast enough for a million of them. It
// has nothing else.
type listStore struct {
	Store
	keys     []string
	page     int
	requests atomic.Int64
	now      atomic.Int64 // requests under way
	peak     atomic.Int64
	wait     chan struct{} // each request takes one, if not nil
	broken   func(n int64) error
}

func (s *listStore) String() string { return "list" }

func (s *listStore) List(ctx ctxT, q object.Query) (object.Page, error) {
	n := s.requests.Add(1)
	s.peak.Store(max(s.peak.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	if s.wait != nil {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return object.Page{}, ctx.Err()
		}
	}
	if s.broken != nil {
		if err := s.broken(n); err != nil {
			return object.Page{}, err
		}
	}
	after := q.After
	if q.Token != "" {
		after = q.Token
	}
	at, found := slices.BinarySearch(s.keys, max(after, q.Prefix))
	if found && after >= q.Prefix && after != "" {
		at++
	}
	if strings.HasSuffix(q.Token, q.Delimiter) && q.Delimiter != "" && q.Token != "" {
		at = s.behind(q.Token)
	}
	var p object.Page
	last := ""
	for size := 0; at < len(s.keys) && strings.HasPrefix(s.keys[at], q.Prefix); size++ {
		if size == s.page {
			p.Next = last
			return p, nil
		}
		key := s.keys[at]
		dir, _, inside := strings.Cut(key[len(q.Prefix):], "/")
		if q.Delimiter != "" && inside {
			last = q.Prefix + dir + "/"
			p.Prefixes = append(p.Prefixes, last)
			at = s.behind(last)
			continue
		}
		last = key
		p.Objects = append(p.Objects, object.Info{Key: key, ETag: "0123456789abcdef0123456789abcdef", Size: 1})
		at++
	}
	return p, nil
}

// behind is the index behind all keys with a prefix.
func (s *listStore) behind(prefix string) int {
	at, _ := slices.BinarySearch(s.keys, prefix[:len(prefix)-1]+"0") // "0" comes behind "/"
	return at
}
