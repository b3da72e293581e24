package overlay

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/object"
)

// List returns a page of what the store has with the pending changes on top. A page with
// Next set has an entry; it may have more entries than Query.Max.
func (o *Overlay) List(ctx context.Context, q object.Query) (object.Page, error) {
	defer o.endList(o.beginList())
	after, inner := q.After, q
	if q.Token != "" {
		var err error
		if after, inner.Token, err = parseToken(q.Token); err != nil {
			return object.Page{}, err
		}
	}
	var page object.Page
	for {
		pending := o.pendingIn(q.Prefix, after)
		if q.Max > 0 {
			inner.Max = min(1000, q.Max+len(pending))
		}
		got, err := o.Store.List(ctx, inner)
		if err != nil {
			return object.Page{}, err
		}
		end := lastOf(got)
		if got.Next == "" {
			end = ""
		}
		m := merge{o: o, q: q, after: after, end: end}
		if err := m.page(ctx, got, pending); err != nil {
			return object.Page{}, err
		}
		page.Objects = append(page.Objects, m.objects...)
		page.Prefixes = append(page.Prefixes, m.prefixes...)
		page.Next = ""
		if got.Next == "" {
			return page, nil
		}
		page.Next = makeToken(end, got.Next)
		if n := len(page.Objects) + len(page.Prefixes); n > 0 && n >= q.Max {
			return page, nil
		}
		after, inner.After, inner.Token = end, "", got.Next
	}
}

// listings are some that are under way, and the entries that ended since the first of them
// began: the key's next operation goes on with the entry that they have. There are two
// generations, so that listings without a pause do not keep entries for ever.
type listings struct {
	active int
	ended  map[string]*entry
}

func newListings() *listings { return &listings{ended: map[string]*entry{}} }

func (o *Overlay) beginList() *listings {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.young.active++
	return o.mu.young
}

// endList ends a listing. Once the old ones have ended, the young ones are the old.
func (o *Overlay) endList(l *listings) {
	o.mu.Lock()
	defer o.mu.Unlock()
	l.active--
	for range 2 {
		if o.mu.old.active == 0 {
			o.mu.old, o.mu.young = o.mu.young, newListings()
		}
	}
}

// endedLocked notes an entry that has no more operations.
func (o *Overlay) endedLocked(e *entry) {
	if o.mu.old.active+o.mu.young.active > 0 {
		o.mu.young.ended[e.key] = e
	}
}

// resumedLocked takes out the entry of a key that listings under way have; nil: none.
func (o *Overlay) resumedLocked(key string) *entry {
	e := o.mu.young.ended[key]
	if e == nil {
		e = o.mu.old.ended[key]
	}
	delete(o.mu.young.ended, key)
	delete(o.mu.old.ended, key)
	return e
}

// makeToken makes a token of the last key that was listed and the store's own.
func makeToken(last, token string) string { return strconv.Itoa(len(last)) + ":" + last + token }

func parseToken(s string) (last, token string, err error) {
	digits, rest, _ := strings.Cut(s, ":")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > len(rest) {
		return "", "", object.Errorf(object.KindInvalid, "list", "", "this is no token of a listing")
	}
	return rest[:n], rest[n:], nil
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

// pendingIn returns the entries below a prefix and behind a key, in order. A common prefix
// that is behind that key may have keys before it.
func (o *Overlay) pendingIn(prefix, after string) []*entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, _ := slices.BinarySearch(o.mu.keys, prefix)
	if after > prefix {
		at, _ = slices.BinarySearch(o.mu.keys, after)
	}
	var list []*entry
	for _, key := range o.mu.keys[at:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if key > after {
			list = append(list, o.mu.entries[key])
		}
	}
	return list
}

// merge lays pending changes over one page of the store.
type merge struct {
	o          *Overlay
	q          object.Query
	after, end string // the page is of the names between; no end: all that follow

	objects  []object.Info
	prefixes []string
}

// page merges. pending were the changes before the store was asked: one that came to stand
// since may not be in its answer. Those that came since are added.
func (m *merge) page(ctx context.Context, got object.Page, pending []*entry) error {
	changes := map[string]*object.Info{}
	for _, list := range [][]*entry{pending, m.o.pendingIn(m.q.Prefix, m.after)} {
		m.o.mu.Lock()
		for _, e := range list {
			if e.lost && e.over {
				delete(changes, e.key)
				continue
			}
			changes[e.key] = e.info
		}
		m.o.mu.Unlock()
	}
	folders := map[string]bool{} // common prefixes: something is certainly there
	gone := map[string]bool{}    // common prefixes in which keys go
	for key, info := range changes {
		name, folder := m.nameOf(key)
		if !m.within(name) {
			continue
		}
		switch {
		case folder && info != nil:
			folders[name] = true
		case folder:
			gone[name] = true
		case info != nil:
			shown := *info
			shown.Meta = nil
			m.objects = append(m.objects, shown)
		}
	}
	for _, info := range got.Objects {
		if _, changed := changes[info.Key]; !changed {
			m.objects = append(m.objects, info)
		}
	}
	var ask []string
	for _, p := range got.Prefixes {
		if !gone[p] {
			folders[p] = true
		} else if !folders[p] {
			ask = append(ask, p)
		}
	}
	if err := m.askAll(ctx, ask, folders); err != nil {
		return err
	}
	for p := range folders {
		m.prefixes = append(m.prefixes, p)
	}
	slices.SortFunc(m.objects, func(a, b object.Info) int { return strings.Compare(a.Key, b.Key) })
	slices.Sort(m.prefixes)
	return nil
}

// nameOf returns how a key shows in the listing: itself, or a common prefix.
func (m *merge) nameOf(key string) (name string, folder bool) {
	if m.q.Delimiter == "" {
		return key, false
	}
	rest := key[len(m.q.Prefix):]
	if i := strings.Index(rest, m.q.Delimiter); i >= 0 {
		return key[:len(m.q.Prefix)+i+len(m.q.Delimiter)], true
	}
	return key, false
}

func (m *merge) within(name string) bool {
	return name > m.after && (m.end == "" || name <= m.end)
}

// askAll finds out which of common prefixes, in which keys are about to go, keep some.
func (m *merge) askAll(ctx context.Context, prefixes []string, found map[string]bool) error {
	alive := make([]bool, len(prefixes))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, p := range prefixes {
		g.Go(func() (err error) {
			alive[i], err = m.alive(ctx, p)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, p := range prefixes {
		if alive[i] {
			found[p] = true
		}
	}
	return nil
}

// alive reports whether a key that stays is below a prefix.
func (m *merge) alive(ctx context.Context, prefix string) (bool, error) {
	page, err := m.o.List(ctx, object.Query{Prefix: prefix, Max: 1})
	return len(page.Objects) > 0, err
}
