package transfer

import (
	"context"
	"iter"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/s3mount/s3mount/object"
)

// Walk lists the bucket. Fast is one sequence of pages. Otherwise the listing is cut into
// shards that are listed at the same time: see shard. Either way the files come in the
// order of their keys.
func (b *bucket) Walk(ctx context.Context, o WalkOptions) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		root := b.prefix
		if o.Dir != "" {
			root += o.Dir + "/"
		}
		ctx, cancel := context.WithCancel(ctx)
		w := &bucketWalk{b: b, ctx: ctx, o: o, root: root, yield: yield, requests: semaphore.NewWeighted(int64(b.o.Checkers)),
			ahead: make(chan struct{}, pagesAhead*b.o.Checkers)}
		defer w.wait()
		defer cancel()
		first := shard{prefixes: []string{root}, flat: o.Depth == 0}
		if !first.flat {
			first = shard{prefix: root}
		}
		w.emit(w.list(first))
	}
}

// pagesAhead is how many pages for each request at a time are held for later.
const pagesAhead = 4

// bucketWalk is one walk. What is emitted is emitted by one goroutine, in order; others
// list shards ahead of it. A page ahead holds a token of ahead from before its request
// until it is emitted, so that memory is bounded; what comes next is listed without one,
// so that the walk always goes on.
type bucketWalk struct {
	b        *bucket
	ctx      context.Context
	o        WalkOptions
	root     string
	yield    func(File, error) bool
	requests *semaphore.Weighted
	ahead    chan struct{}
	last     string // path of the last file or folder, for the folders that keys imply
	running  sync.WaitGroup
}

// item is a file, a folder, or a shard whose items come in its place.
type item struct {
	file  File
	shard *shard
}

// page is what a request told: items in order, or an error.
type page struct {
	items []item
	err   error
}

// future is a page that is asked for.
type future chan page

// emit yields the items of a page, and lists its shards ahead. It is false when the walk
// is over. The last shard of a page takes the page's place, so that a long sequence of
// pages is held one at a time.
func (w *bucketWalk) emit(p page) bool {
	for {
		last, ok := w.emitItems(&p)
		if !ok || last == nil {
			return ok
		}
		p = *last
	}
}

// emitItems yields all items of a page but a shard at its end, whose page it returns.
func (w *bucketWalk) emitItems(p *page) (last *page, ok bool) {
	if p.err != nil {
		w.yield(File{}, p.err)
		return nil, false
	}
	var futures []future // of the shards that come next, in order
	next := 0            // item from which on shards have no future yet
	for i := range p.items {
		next = w.prefetch(p.items, max(next, i), &futures)
		it := p.items[i]
		p.items[i] = item{}
		if it.shard == nil {
			if !w.file(it.file) {
				return nil, false
			}
			continue
		}
		var below page
		if len(futures) > 0 {
			below, futures = w.await(futures[0]), futures[1:]
		} else {
			below, next = w.list(*it.shard), i+1
		}
		if i == len(p.items)-1 {
			return &below, true
		}
		if !w.emit(below) {
			return nil, false
		}
	}
	return nil, true
}

// prefetch starts to list shards from items[at] on, while there are tokens. It returns
// where it stopped. One page takes a share of the tokens only, so that pages within it
// find some.
func (w *bucketWalk) prefetch(items []item, at int, futures *[]future) int {
	for ; at < len(items); at++ {
		if items[at].shard == nil {
			continue
		}
		if len(*futures) >= w.b.o.Checkers {
			return at
		}
		select {
		case w.ahead <- struct{}{}:
		default:
			return at
		}
		f, s := make(future, 1), *items[at].shard
		*futures = append(*futures, f)
		w.running.Go(func() { f <- w.list(s) })
	}
	return at
}

// await takes a page that was listed ahead.
func (w *bucketWalk) await(f future) page {
	defer func() { <-w.ahead }()
	return <-f
}

func (w *bucketWalk) wait() { w.running.Wait() }

// file yields a file, and before it the folders that its key implies.
func (w *bucketWalk) file(f File) bool {
	if f.Path == "" { // the marker of the root itself
		return true
	}
	if f.Dir || strings.HasSuffix(f.Path, "/") && f.Size == 0 {
		return w.folders(strings.TrimSuffix(f.Path, "/") + "/")
	}
	if !w.folders(f.Path) {
		return false
	}
	if w.skipped(f.Path) != "" {
		return true
	}
	return w.yield(f, nil)
}

// folders yields the folders above a path that were not yet.
func (w *bucketWalk) folders(path string) bool {
	last := w.last
	w.last = path
	if !w.o.Dirs {
		return true
	}
	base := len(w.root) - len(w.b.prefix)
	for i := base; i < len(path); i++ {
		if path[i] != '/' || i == base || strings.HasPrefix(last, path[:i+1]) {
			continue
		}
		if w.skip(path[:i]) {
			return true
		}
		if !w.yield(File{Path: path[:i], Dir: true}, nil) {
			return false
		}
	}
	return true
}

func (w *bucketWalk) skip(dir string) bool { return w.o.Skip != nil && w.o.Skip(dir) }

// skipped returns the folder above a path that is passed over, empty if none is.
func (w *bucketWalk) skipped(path string) string {
	if w.o.Skip == nil {
		return ""
	}
	for i := len(w.root) - len(w.b.prefix); i < len(path); i++ {
		if path[i] == '/' && i > 0 && w.skip(path[:i]) {
			return path[:i]
		}
	}
	return ""
}

// ask sends one request, of at most Checkers at a time.
func (w *bucketWalk) ask(q object.Query) (object.Page, error) {
	if err := w.requests.Acquire(w.ctx, 1); err != nil {
		return object.Page{}, localError("list", w.b.String(), err)
	}
	defer w.requests.Release(1)
	return w.b.store.List(w.ctx, q)
}
