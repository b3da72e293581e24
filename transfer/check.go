package transfer

import (
	"context"
	"sync"
)

// Check compares src and dst by sizes and, unless Options.SizeOnly, by MD5 sums or, with
// Options.Download, byte by byte, and changes nothing. Every file is reported with what was
// found; where sums are compared, a file without one on both sides is OpUncertain. oneWay leaves out what only dst has. The error is a
// *Failures if something could not be compared, else a *Differences if something differs.
func Check(ctx context.Context, src, dst Endpoint, oneWay bool, o Options) (Summary, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{src: src, dst: dst, o: o, stop: cancel, last: true}
	pairs := make(chan Pair, o.Checkers)
	var running sync.WaitGroup
	for range o.Checkers {
		running.Go(func() {
			for p := range pairs {
				r.compare(ctx, p)
			}
		})
	}
	for p, err := range r.pairs(ctx) {
		if err != nil {
			r.failedListing(ctx, err)
			break
		}
		if p.Src != nil || !oneWay || p.Dst.Err != nil {
			send(ctx, pairs, p)
		}
	}
	close(pairs)
	running.Wait()
	o.Stats.listed.Store(true)
	s := o.Stats.summary()
	if err := r.result(ctx); err != nil {
		return s, err
	}
	if s.Missing+s.Extra+s.Differ > 0 {
		return s, &Differences{s}
	}
	return s, nil
}

// Differences is the error of a Check that found some.
type Differences struct{ Found Summary }

func (e *Differences) Error() string {
	return plural(e.Found.Missing+e.Found.Extra+e.Found.Differ, "difference") + " found"
}

// compare looks at one pair and reports what it found.
func (r *runner) compare(ctx context.Context, p Pair) {
	if ctx.Err() != nil || r.brokenEntry(p) {
		return
	}
	if r.o.Filter.needsTime() {
		if err := r.fillTimes(ctx, &p); err != nil {
			r.fail(ctx, p, Action{Op: OpFailed, Path: p.Path(), Err: err})
			return
		}
	}
	if p = r.choose(p); p.Src == nil && p.Dst == nil {
		return
	}
	a, err := r.find(ctx, p)
	if err != nil {
		a.Op, a.Err = OpFailed, err
		r.fail(ctx, p, a)
		return
	}
	r.done(a)
}

// find says how a pair compares.
func (r *runner) find(ctx context.Context, p Pair) (Action, error) {
	a := Action{Path: p.Path()}
	if p.Src != nil {
		a.Src = *p.Src
	}
	if p.Dst != nil {
		a.Dst = *p.Dst
	}
	switch {
	case p.Dst == nil:
		a.Op = OpMissing
		return a, nil
	case p.Src == nil:
		a.Op = OpExtra
		return a, nil
	case p.Src.Size != p.Dst.Size:
		a.Op, a.Why = OpDiffer, "sizes differ"
		return a, nil
	case r.o.SizeOnly:
		a.Op = OpSame
		return a, nil
	}
	if r.o.Download {
		var err error
		a.Op, a.Why, err = r.compareBytes(ctx, p)
		return a, err
	}
	if err := fillSums(ctx, r.src, r.dst, &p); err != nil {
		return a, err
	}
	a.Src, a.Dst = *p.Src, *p.Dst
	a.Op, a.Why, _ = compareSums(a.Src, a.Dst, known{sums: true})
	if a.Op == OpCopy {
		a.Op = OpDiffer
	}
	return a, nil
}
