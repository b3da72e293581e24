package transfer

import (
	"context"

	"github.com/s3mount/s3mount/object"
)

// check finds out what a pair's decision needs, and hands the decision on.
func (r *runner) check(ctx context.Context, p Pair, hand func(job)) {
	if ctx.Err() != nil {
		return
	}
	if r.o.Filter.needsTime() {
		if err := r.fillTimes(ctx, &p); err != nil {
			r.fail(ctx, p, Action{Op: OpFailed, Path: p.Path(), Err: err})
			return
		}
		if p = r.choose(p); p.Src == nil && p.Dst == nil {
			return
		}
	}
	a, err := r.resolve(ctx, &p)
	if err != nil {
		a.Err = err
		r.fail(ctx, p, a)
		return
	}
	hand(job{p, a})
}

// resolve decides a pair, asking for what is needed.
func (r *runner) resolve(ctx context.Context, p *Pair) (Action, error) {
	var k known
	for {
		a, n := decide(*p, &r.o, r.sync, k)
		var err error
		switch n {
		case needNothing:
			return a, nil
		case needTimes:
			k.times, err = true, r.fillTimes(ctx, p)
		case needMD5:
			k.sums, err = true, fillSums(ctx, r.src, r.dst, p)
		}
		if err != nil {
			return Action{Op: OpCopy, Path: p.Path()}, err
		}
	}
}

// fillTimes asks for times that are not known. A destination that is gone is no error.
func (r *runner) fillTimes(ctx context.Context, p *Pair) error {
	if p.Src != nil && p.Src.ModTime.IsZero() {
		f, err := r.src.Stat(ctx, p.Src.Path)
		if err != nil {
			return err
		}
		p.Src = &f
	}
	if p.Dst != nil && p.Dst.ModTime.IsZero() {
		f, err := r.dst.Stat(ctx, p.Dst.Path)
		switch {
		case object.Is(err, object.KindNotFound):
			p.Dst = nil
		case err != nil:
			return err
		default:
			p.Dst = &f
		}
	}
	return nil
}

// fillSums finds the MD5 sums of both sides. A local file is not read in vain: where the
// store does not know the other side's, neither is needed.
func fillSums(ctx context.Context, src, dst Endpoint, p *Pair) error {
	s, d := *p.Src, *p.Dst
	p.Src, p.Dst = &s, &d
	sides := []struct {
		ep Endpoint
		f  *File
	}{{src, &s}, {dst, &d}}
	if _, remote := dst.(*bucket); remote {
		sides[0], sides[1] = sides[1], sides[0]
	}
	for _, side := range sides {
		sum, err := MD5(ctx, side.ep, *side.f)
		if err != nil || sum == "" {
			return err
		}
		side.f.MD5 = sum
	}
	return nil
}

// act does an action, after it was confirmed.
func (r *runner) act(ctx context.Context, j job) {
	if ctx.Err() != nil {
		return
	}
	end, err := r.agree(j.a)
	switch {
	case err != nil:
		r.stop(err)
		return
	case end == nil:
		j.a.Op, j.a.Why = OpSkip, "not confirmed"
		r.done(j.a)
		return
	}
	defer end()
	if r.o.Immutable && j.pair.Dst != nil {
		j.a.Err = object.Errorf(object.KindExists, j.a.Op.String(), j.a.Path, "it differs in the destination, where files are immutable")
		r.finalFailure(j.a)
		return
	}
	if r.o.DryRun {
		r.done(j.a)
		return
	}
	if err := r.perform(ctx, j.a); err != nil {
		j.a.Err = err
		r.fail(ctx, j.pair, j.a)
		return
	}
	r.done(j.a)
}

// confirm asks whether to do an action.
func (r *runner) confirm(a Action) (bool, error) {
	r.confirming.Lock() // held while the user thinks: questions come one by one
	defer r.confirming.Unlock()
	return r.askLocked(a)
}

// agree is confirm for an action beside others. On a yes the caller calls end when it is
// done with it; nil is a no. Who gives up answering has all ended that he agreed to.
func (r *runner) agree(a Action) (end func(), err error) {
	r.confirming.Lock()
	defer r.confirming.Unlock()
	ok, err := r.askLocked(a)
	switch {
	case err != nil:
		r.agreed.Wait()
		return nil, err
	case !ok:
		return nil, nil
	}
	r.agreed.Add(1)
	return r.agreed.Done, nil
}

func (r *runner) askLocked(a Action) (bool, error) {
	if r.o.Confirm == nil || r.o.DryRun {
		return true, nil
	}
	if r.quit != nil {
		return false, r.quit
	}
	ok, err := r.o.Confirm(a)
	r.quit = err
	return ok, err
}

func (r *runner) perform(ctx context.Context, a Action) error {
	if a.Op == OpSetTime {
		_, err := r.dst.SetModTime(ctx, a.Dst, a.Src.ModTime)
		return err
	}
	if a.Dst.Path != "" && r.o.BackupDir != nil {
		if err := r.backup(ctx, a.Dst); err != nil {
			return err
		}
	}
	_, err := CopyFile(ctx, r.src, a.Src, r.dst, a.Path, r.o.Stats)
	return err
}

// backup copies a file of the destination into the backup folder.
func (r *runner) backup(ctx context.Context, f File) error {
	if _, err := CopyFile(ctx, r.dst, f, r.o.BackupDir, f.Path, nil); err != nil {
		return err
	}
	r.done(Action{Op: OpBackup, Path: f.Path, Dst: f})
	return nil
}

// CopyFile copies one file, by the store if it can, and returns it as it is in the
// destination. stats may be nil.
func CopyFile(ctx context.Context, src Endpoint, f File, dst Endpoint, path string, stats *Stats) (_ File, err error) {
	if stats == nil {
		stats = NewStats()
	}
	p := stats.begin(path, f.Size)
	defer func() { p.end(err == nil) }()
	if sc, ok := dst.(ServerCopier); ok {
		if got, ok, err := sc.ServerCopy(ctx, src, f, path); ok {
			return got, err
		}
	}
	content, err := src.Content(ctx, f)
	if err != nil {
		return File{}, vanished(f.Path, err)
	}
	defer content.Close()
	return dst.Put(ctx, path, content, PutOptions{ModTime: f.ModTime, MD5: f.MD5, Sent: p.sent})
}

// vanished says more of a source that is not there any more.
func vanished(path string, err error) error {
	if object.Is(err, object.KindNotFound) {
		return object.Errorf(object.KindNotFound, "read", path, "it vanished after it was listed")
	}
	return err
}
