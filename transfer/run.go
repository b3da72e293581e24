package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/s3mount/s3mount/object"
)

const (
	defaultCheckers = 16
	// backlog is how many actions may wait for a worker: enough to show what is ahead.
	backlog = 2000
	// maxRetried bounds the files that are kept for another try.
	maxRetried = 10_000
)

// Failures is the error of a call in which files failed. Each was reported.
type Failures struct {
	N     int64
	First error
	// Kept says that Sync deleted nothing because of them.
	Kept bool
}

func (e *Failures) Error() string {
	s := plural(e.N, "error")
	if e.Kept {
		s += ", so nothing was deleted"
	}
	return s + "; first: " + e.First.Error()
}

// plural counts things.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func (e *Failures) Unwrap() error { return e.First }

// runner is one Copy or Sync.
type runner struct {
	src, dst Endpoint
	o        Options
	sync     bool
	deletes  *spool

	last        bool        // nothing is tried again any more
	keepFolders bool        // folders that get empty are not removed
	deleting    bool        // deletes have begun
	sawSrc      bool        // the source has a file; plan is the only one to set it
	unblocked   bool        // deletes are over: what is still blocked has failed
	incomplete  atomic.Bool // a side was not walked to its end
	stop        context.CancelCauseFunc

	confirming sync.Mutex     // Confirm is called by one at a time
	quit       error          // of Confirm: it is not called any more; guarded by confirming
	agreed     sync.WaitGroup // what agree said yes to; Add only with confirming held

	mu      sync.Mutex // guards what follows
	again   []Pair     // failed, to be tried again
	blocked []job      // a folder stands where a file is to be, or the other way round
	first   error
	errors  int64
}

func run(ctx context.Context, src, dst Endpoint, o Options, sync bool) (Summary, error) {
	o = o.withDefaults()
	if err := checkPlaces(src, dst, &o, sync); err != nil {
		return Summary{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{src: src, dst: dst, o: o, sync: sync, deletes: newSpool(o.TempDir), stop: cancel}
	defer r.deletes.close()
	err := r.run(ctx)
	return o.Stats.summary(), err
}

func (r *runner) run(ctx context.Context) error {
	r.last = r.o.Retries == 1
	r.pass(ctx, r.pairs(ctx))
	for try := 2; try <= r.o.Retries && len(r.again) > 0 && ctx.Err() == nil; try++ {
		r.last = try == r.o.Retries
		again := r.again
		r.again = nil
		r.o.Log.Info("trying again what failed", "files", len(again), "try", try)
		r.pass(ctx, r.afresh(ctx, again))
	}
	if r.sync {
		r.deleteExtra(ctx)
	}
	return r.result(ctx)
}

// result is the error of the whole call.
func (r *runner) result(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		return localError("transfer", "", cause)
	}
	if r.errors == 0 {
		return nil
	}
	return &Failures{N: r.errors, First: r.first, Kept: r.sync && !r.deleting}
}

// pairs joins both sides. A destination that is not there yet is empty.
func (r *runner) pairs(ctx context.Context) iter.Seq2[Pair, error] {
	if paths, ok := r.o.Filter.paths(); ok {
		return Merge(statAll(ctx, r.src, paths, r.o.Checkers, rootThere(ctx, r.src)), statAll(ctx, r.dst, paths, r.o.Checkers, anyRoot))
	}
	w := WalkOptions{Fast: r.o.Fast}
	dstFilter := r.o.Filter
	if r.o.DeleteExcluded {
		dstFilter = nil
	}
	dst := func(yield func(File, error) bool) {
		first := true
		for f, err := range walkPaths(ctx, r.dst, w, dstFilter) {
			if first && object.Is(err, object.KindNotFound) {
				return
			}
			first = false
			if !yield(f, err) {
				return
			}
		}
	}
	return Merge(walkPaths(ctx, r.src, w, r.o.Filter), dst)
}

// afresh looks at files that failed once more.
func (r *runner) afresh(ctx context.Context, pairs []Pair) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		for _, p := range pairs {
			fresh := Pair{}
			src, err := r.src.Stat(ctx, p.Path())
			if err != nil {
				r.fail(ctx, p, Action{Op: OpCopy, Path: p.Path(), Err: err})
				continue
			}
			fresh.Src = &src
			dst, err := r.dst.Stat(ctx, p.Path())
			switch {
			case err == nil && !dst.Dir:
				fresh.Dst = &dst
			case err != nil && !absent(object.KindOf(err)): // what is there is not to be overwritten unseen
				r.fail(ctx, p, Action{Op: OpCopy, Path: p.Path(), Err: err})
				continue
			}
			if !yield(fresh, nil) {
				return
			}
		}
	}
}

// absent are the answers of a destination that has no such file: also one that is not there
// itself, or has a file where the path has a folder.
func absent(k object.Kind) bool {
	return k == object.KindNotFound || k == object.KindNoBucket || k == object.KindNotDir
}

// pass plans and does one round: one goroutine plans, Checkers find out what a plan
// needs, and Transfers act. Those that have nothing to act on check, too. All have ended
// when it returns.
func (r *runner) pass(ctx context.Context, pairs iter.Seq2[Pair, error]) {
	l := line{checks: make(chan Pair, r.o.Checkers), work: make(chan job, backlog)}
	var working sync.WaitGroup
	for range r.o.Checkers {
		working.Go(func() {
			for p := range l.checks {
				r.check(ctx, p, func(j job) { r.hand(ctx, j, l.work) })
				l.unchecked.Done()
			}
		})
	}
	for range r.o.Transfers {
		working.Go(func() { r.transferrer(ctx, &l) })
	}
	r.plan(ctx, pairs, &l)
	close(l.checks)
	l.unchecked.Wait()
	r.o.Stats.listed.Store(true) // all work is known
	close(l.work)
	working.Wait()
}

// line is what workers wait at.
type line struct {
	checks    chan Pair
	work      chan job
	unchecked sync.WaitGroup // pairs in checks or being checked; only plan adds
}

// check hands a pair on to be checked.
func (l *line) check(ctx context.Context, p Pair) {
	l.unchecked.Add(1)
	select {
	case l.checks <- p:
	case <-ctx.Done():
		l.unchecked.Done()
	}
}

// transferrer acts, and checks while there is nothing to act on. What comes of its own
// checks it does itself: were it to wait for room in work, nobody might be left to make it.
func (r *runner) transferrer(ctx context.Context, l *line) {
	checks := l.checks
	for {
		select {
		case j, ok := <-l.work:
			if !ok {
				return
			}
			r.act(ctx, j)
			continue
		default:
		}
		select {
		case j, ok := <-l.work:
			if !ok {
				return
			}
			r.act(ctx, j)
		case p, ok := <-checks:
			if !ok {
				checks = nil
				continue
			}
			var todo []job
			r.check(ctx, p, func(j job) { r.settle(j, func(j job) { todo = append(todo, j) }) })
			l.unchecked.Done()
			for _, j := range todo {
				r.act(ctx, j)
			}
		}
	}
}

// job is an action, and the pair that led to it.
type job struct {
	pair Pair
	a    Action
}

// plan decides what can be decided at once and hands on the rest.
func (r *runner) plan(ctx context.Context, pairs iter.Seq2[Pair, error], l *line) {
	for p, err := range pairs {
		switch {
		case err != nil:
			r.failedListing(ctx, err)
			return
		case ctx.Err() != nil:
			r.incomplete.Store(true)
			return
		case r.brokenEntry(p):
			continue
		}
		r.sawSrc = r.sawSrc || p.Src != nil
		if r.o.Filter.needsTime() && (p.Src != nil || r.sync) {
			l.check(ctx, p)
			continue
		}
		p = r.choose(p)
		if p.Src == nil && p.Dst == nil {
			continue
		}
		a, n := decide(p, &r.o, r.sync, known{})
		if n != needNothing {
			l.check(ctx, p)
			continue
		}
		r.hand(ctx, job{p, a}, l.work)
	}
}

func send[T any](ctx context.Context, to chan<- T, v T) {
	select {
	case to <- v:
	case <-ctx.Done():
	}
}

// choose applies the bounds of size and age. A file that they leave out is as if it were
// on neither side, unless excluded files are to be deleted.
func (r *runner) choose(p Pair) Pair {
	f := r.o.Filter
	if p.Src != nil && !f.Match(*p.Src) {
		if !r.o.DeleteExcluded {
			return Pair{}
		}
		p.Src = nil
	}
	if p.Src == nil && p.Dst != nil && !r.o.DeleteExcluded && !f.Match(*p.Dst) {
		return Pair{}
	}
	return p
}

// brokenEntry reports an entry that could not be walked or looked at.
func (r *runner) brokenEntry(p Pair) bool {
	for _, f := range []*File{p.Src, p.Dst} {
		if f != nil && f.Err != nil {
			r.incomplete.Store(true)
			r.finalFailure(Action{Op: OpFailed, Path: f.Path, Err: f.Err})
			return true
		}
	}
	return false
}

// hand gives an action to whom it concerns.
func (r *runner) hand(ctx context.Context, j job, work chan<- job) {
	r.settle(j, func(j job) { send(ctx, work, j) })
}

// settle does what takes no transfer; act gets the rest.
func (r *runner) settle(j job, act func(job)) {
	switch j.a.Op {
	case OpDelete:
		r.mu.Lock()
		err := r.deletes.add(j.a.Dst)
		r.mu.Unlock()
		if err != nil {
			r.incomplete.Store(true)
			r.finalFailure(Action{Op: OpFailed, Path: j.a.Path, Err: err})
		}
	case OpSame, OpUncertain, OpSkip:
		if j.pair.Src != nil {
			r.done(j.a)
		}
	default:
		if j.a.Op == OpCopy {
			r.o.Stats.expect(j.a.Src.Size)
		}
		act(j)
	}
}

// done counts and reports an action.
func (r *runner) done(a Action) {
	r.o.Stats.count(a)
	if r.o.Report != nil {
		r.o.Report(a)
	}
}

// failedListing reports a side that could not be walked to its end.
func (r *runner) failedListing(ctx context.Context, err error) {
	r.incomplete.Store(true)
	if ctx.Err() != nil {
		return
	}
	var side *SideError
	path := ""
	if errors.As(err, &side) {
		path, err = r.dst.String(), side.Err
		if side.Src {
			path = r.src.String()
		}
	}
	r.finalFailure(Action{Op: OpFailed, Path: path, Err: err})
}

// fail keeps a pair for another try, or gives it up.
func (r *runner) fail(ctx context.Context, p Pair, a Action) {
	if ctx.Err() != nil {
		return // the call's own end is reported, not that of each file
	}
	kind := object.KindOf(a.Err)
	if fatal(kind) {
		r.finalFailure(a)
		r.stop(a.Err)
		return
	}
	r.mu.Lock()
	blocked := r.sync && !r.unblocked && (kind == object.KindIsDir || kind == object.KindNotDir) && len(r.blocked) < maxRetried
	again := !r.last && !permanent(kind) && len(r.again) < maxRetried
	switch {
	case blocked:
		r.blocked = append(r.blocked, job{p, a})
	case again:
		r.again = append(r.again, p)
	}
	r.mu.Unlock()
	if !blocked && !again {
		r.finalFailure(a)
		return
	}
	r.o.Log.Debug("failed, to be tried again", "path", a.Path, "err", a.Err)
}

// finalFailure counts and reports a failure.
func (r *runner) finalFailure(a Action) {
	r.mu.Lock()
	r.errors++
	if r.first == nil {
		r.first = a.Err
	}
	r.mu.Unlock()
	r.done(a)
}

// fatal are failures that every other file would have, too.
func fatal(k object.Kind) bool {
	switch k {
	case object.KindNoBucket, object.KindCredentials, object.KindClockSkew, object.KindWrongRegion:
		return true
	}
	return false
}

// permanent are failures that another try cannot mend.
func permanent(k object.Kind) bool {
	switch k {
	case object.KindInvalid, object.KindNotUTF8, object.KindNameTooLong, object.KindTooLarge, object.KindPermission,
		object.KindArchived, object.KindUnsupported, object.KindExists, object.KindIsDir, object.KindNotDir, object.KindReadOnly, object.KindLoop:
		return true
	}
	return false
}
