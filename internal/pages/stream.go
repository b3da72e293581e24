package pages

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/s3mount/s3mount/object"
)

// Options says what is listed, and how far ahead.
type Options[S any] struct {
	List func(context.Context, object.Query) (object.Page, error)
	// Prefix, Delimiter and After are as in object.Query.
	Prefix, Delimiter, After string
	// Parallel bounds the requests under way; default 8.
	Parallel int
	// Ahead bounds the pages that are held, asked for or there; default 16.
	Ahead int
	// Stamp is called before each request; its result comes with the request's keys.
	Stamp func() S
}

// Page is a part of the listing. Its keys and prefixes come behind those of the pages
// before, each slice in order.
type Page[S any] struct {
	Objects  []object.Info
	Prefixes []string
	Stamp    S    // made before the request
	Last     bool // the listing ends here; the page may be empty
}

// Stream is a listing under way. Next is for one caller at a time; Close ends it.
type Stream[S any] struct {
	o      Options[S]
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		segments []*segment[S] // in order, without a gap between them
		kinds    map[string]*kind
		taken    int           // pages that Next has returned
		window   int           // requests that may be under way
		busy     int           // requests under way
		changed  chan struct{} // closed when a request has ended
	}
}

// segment is a range of keys: behind after, up to end.
type segment[S any] struct {
	after, end string // keys up to after are known; end is empty for the last one
	token      string // continues at after; empty: by after itself
	kind       *kind  // nil: it is there
	pages      []Page[S]
	busy, done bool
	err        error
}

// kind is what guesses of one level behind one text have in common.
type kind struct {
	proven bool
	busy   int
}

// New makes a Stream. The first request is sent by Next; all end with Close.
func New[S any](o Options[S]) *Stream[S] {
	if o.Parallel == 0 {
		o.Parallel = 8
	}
	if o.Ahead == 0 {
		o.Ahead = 16
	}
	s := &Stream[S]{o: o}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.segments = []*segment[S]{{after: o.After}}
	s.mu.kinds = map[string]*kind{}
	s.mu.changed = make(chan struct{})
	return s
}

// Begin gives the stream its first page, which was asked for already, from Options.After
// on. Before the first Next.
func (s *Stream[S]) Begin(page object.Page, stamp S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deliverLocked(s.mu.segments[0], page, stamp)
}

// Close ends all requests and waits for them. Next fails afterwards.
func (s *Stream[S]) Close() {
	s.cancel()
	s.wg.Wait()
}

// Ready reports whether Next would return without waiting.
func (s *Stream[S]) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passLocked()
	return len(s.mu.segments) == 0 || len(s.mu.segments[0].pages) > 0
}

// Next returns the next page, with the end of ctx an error. After an error it may be
// called again, and asks again. After the last page it returns empty ones.
func (s *Stream[S]) Next(ctx context.Context) (Page[S], error) {
	for {
		p, wait, err := s.take()
		if wait == nil {
			return p, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return Page[S]{}, object.Errorf(object.KindOf(ctx.Err()), "list", s.o.Prefix, "%w", ctx.Err())
		}
	}
}

// take returns the next page if it is there; otherwise it is asked for, and wait is
// closed when there is news.
func (s *Stream[S]) take() (p Page[S], wait chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passLocked()
	if len(s.mu.segments) == 0 {
		return Page[S]{Last: true}, nil, nil
	}
	if err := s.ctx.Err(); err != nil {
		return p, nil, object.Errorf(object.KindOf(err), "list", s.o.Prefix, "%w", err)
	}
	first := s.mu.segments[0]
	if err := first.err; err != nil {
		first.err = nil
		return p, nil, err
	}
	if len(first.pages) > 0 {
		p = first.pages[0]
		first.pages[0] = Page[S]{} // what is passed is not held
		first.pages = first.pages[1:]
		s.passLocked()
		p.Last = len(s.mu.segments) == 0
		if s.mu.taken++; s.mu.taken > 1 {
			s.widenLocked()
		}
		return p, nil, nil
	}
	s.widenLocked()
	return p, s.mu.changed, nil
}

// passLocked drops the segments that are through.
func (s *Stream[S]) passLocked() {
	for len(s.mu.segments) > 0 && s.mu.segments[0].done && len(s.mu.segments[0].pages) == 0 {
		s.mu.segments[0] = nil // what is passed is not held
		s.mu.segments = s.mu.segments[1:]
	}
}

// widenLocked lets more requests be under way, if more than the first page is wanted, and
// begins them.
func (s *Stream[S]) widenLocked() {
	switch {
	case s.mu.taken == 0:
		s.mu.window = 1
	default:
		s.mu.window = min(max(4, 2*s.mu.window), s.o.Parallel)
	}
	s.launchLocked()
}

// launchLocked begins requests, the next keys first. Guesses that are not proven come two
// at a time.
func (s *Stream[S]) launchLocked() {
	held, doubtful := 0, 0
	for _, seg := range s.mu.segments {
		held += len(seg.pages)
		if seg.busy && seg.kind != nil && !seg.kind.proven {
			doubtful++
		}
	}
	held += s.mu.busy
	for i, seg := range s.mu.segments {
		head := i == 0 && len(seg.pages) == 0
		switch {
		case seg.busy || seg.done || seg.err != nil:
			continue
		case !head && (s.mu.taken == 0 || s.mu.busy >= s.mu.window || held >= s.o.Ahead):
			continue
		case !head && seg.kind != nil && !seg.kind.proven:
			if seg.kind.busy > 0 || doubtful >= 2 {
				continue
			}
			doubtful++
		}
		s.beginLocked(seg)
		held++
	}
}

func (s *Stream[S]) beginLocked(seg *segment[S]) {
	seg.busy = true
	s.mu.busy++
	if seg.kind != nil {
		seg.kind.busy++
	}
	q := object.Query{Prefix: s.o.Prefix, Delimiter: s.o.Delimiter, After: seg.after, Token: seg.token}
	s.wg.Go(func() {
		stamp := s.o.Stamp()
		page, err := s.o.List(s.ctx, q)
		s.mu.Lock()
		defer s.mu.Unlock()
		seg.busy = false
		s.mu.busy--
		if seg.kind != nil {
			seg.kind.busy--
		}
		if err != nil {
			seg.err = err
		} else {
			s.deliverLocked(seg, page, stamp)
		}
		if s.mu.taken > 0 && err == nil {
			s.launchLocked()
		}
		close(s.mu.changed)
		s.mu.changed = make(chan struct{})
	})
}

// deliverLocked gives a page to the segment that asked for it, and what is beyond its end
// to those behind that have asked for nothing yet.
func (s *Stream[S]) deliverLocked(seg *segment[S], page object.Page, stamp S) {
	at := slices.Index(s.mu.segments, seg)
	last := lastOf(page)
	through := page.Next == "" // the listing ends with the page
	if last == "" && !through {
		seg.token = page.Next
		return
	}
	for i, to := range s.mu.segments[at:] {
		if i > 0 && (to.busy || to.done || !through && to.after >= last) {
			continue
		}
		if i > 0 && len(to.pages) > 0 {
			continue
		}
		p := Page[S]{Objects: within(page.Objects, func(o object.Info) string { return o.Key }, to),
			Prefixes: within(page.Prefixes, func(p string) string { return p }, to), Stamp: stamp}
		if len(p.Objects)+len(p.Prefixes) > 0 {
			to.pages = append(to.pages, p)
			if to.kind != nil {
				to.kind.proven = true
			}
		}
		if through || to.end != "" && last >= to.end {
			to.done = true
		} else {
			to.after, to.token = last, page.Next
		}
	}
	if !seg.done {
		s.splitLocked(at, page)
	}
}

func lastOf(p object.Page) (last string) {
	if n := len(p.Objects); n > 0 {
		last = p.Objects[n-1].Key
	}
	if n := len(p.Prefixes); n > 0 {
		last = max(last, p.Prefixes[n-1])
	}
	return last
}

// within returns what of a sorted slice is in a segment.
func within[T, S any](all []T, key func(T) string, seg *segment[S]) []T {
	from, _ := slices.BinarySearchFunc(all, seg.after, func(v T, after string) int {
		if key(v) <= after {
			return -1
		}
		return 1
	})
	to := len(all)
	if seg.end != "" {
		to, _ = slices.BinarySearchFunc(all, seg.end, func(v T, end string) int {
			if key(v) <= end {
				return -1
			}
			return 1
		})
	}
	return all[from:max(from, to):max(from, to)]
}

// maxSegments bounds the segments of a stream.
const maxSegments = 256

// far is how many pages are taken until segments get larger: each costs a request to find
// its end.
const far = 8

// splitLocked makes segments of what a segment has behind a page, where there may be keys.
func (s *Stream[S]) splitLocked(at int, page object.Page) {
	seg, names := s.mu.segments[at], s.names(page)
	end := strings.TrimPrefix(seg.end, s.o.Prefix)
	if len(s.mu.segments) >= maxSegments {
		return
	}
	least := worthwhile
	if s.mu.taken > far {
		least = 3 * 1000
	}
	var more []*segment[S]
	suffix := "" // of what is like the last name
	if n := len(page.Prefixes); n > 0 && page.Prefixes[n-1] == lastOf(page) {
		suffix = s.o.Delimiter
	}
	before := seg.after
	for _, g := range guesses(names, end, least) {
		after := s.o.Prefix + g.at + suffix
		if after <= before || seg.end != "" && after >= seg.end {
			continue // names are in another order with the delimiter behind them: a- a a/ b
		}
		before = after
		k := s.mu.kinds[g.level]
		if k == nil {
			k = &kind{}
			s.mu.kinds[g.level] = k
		}
		more = append(more, &segment[S]{after: after, kind: k})
	}
	if len(more) == 0 {
		return
	}
	for i, m := range more[:len(more)-1] {
		m.end = more[i+1].after
	}
	more[len(more)-1].end, seg.end = seg.end, more[0].after
	s.mu.segments = slices.Insert(s.mu.segments, at+1, more...)
	if len(s.mu.kinds) > 2*maxSegments {
		clear(s.mu.kinds) // those in use are with their segments
	}
}

// names merges a page's keys and prefixes, without what they have in common.
func (s *Stream[S]) names(page object.Page) []string {
	all := make([]string, 0, len(page.Objects)+len(page.Prefixes))
	for _, o := range page.Objects {
		all = append(all, o.Key[len(s.o.Prefix):])
	}
	for _, p := range page.Prefixes {
		all = append(all, strings.TrimSuffix(p[len(s.o.Prefix):], s.o.Delimiter))
	}
	if len(page.Prefixes) > 0 {
		slices.Sort(all)
	}
	return all
}
