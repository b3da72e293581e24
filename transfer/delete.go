package transfer

import (
	"context"
	"errors"
	"iter"
	"path"

	"github.com/s3mount/s3mount/object"
)

// Delete deletes the files of ep that the Filter chooses. It is told what to delete by a
// walk that has ended, so that MaxDelete can be kept. Folders stay.
func Delete(ctx context.Context, ep Endpoint, o Options) (Summary, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{dst: ep, o: o, deletes: newSpool(o.TempDir), stop: cancel, last: true, keepFolders: true}
	defer r.deletes.close()
	for f, err := range List(ctx, ep, WalkOptions{Fast: o.Fast}, o.Filter) {
		if err == nil && f.Err == nil {
			err = r.deletes.add(f)
		}
		switch {
		case err != nil:
			r.failedListing(ctx, &SideError{Err: err})
			return o.Stats.summary(), r.result(ctx)
		case f.Err != nil:
			r.finalFailure(Action{Op: OpFailed, Path: f.Path, Err: f.Err})
		}
	}
	r.deleteList(ctx, ep, r.deletes)
	return o.Stats.summary(), r.result(ctx)
}

// deleteExtra deletes what the source has not. Any failure before, and any side that was
// not walked to its end, keeps everything.
func (r *runner) deleteExtra(ctx context.Context) {
	if err := r.sourceExists(ctx); err != nil && ctx.Err() == nil {
		r.finalFailure(Action{Op: OpFailed, Path: r.src.String(), Err: err})
	}
	if ctx.Err() != nil || r.incomplete.Load() || r.errors > 0 {
		r.giveUpBlocked(ctx)
		return
	}
	if !r.deleteList(ctx, r.dst, r.deletes) || r.o.DryRun {
		r.giveUpBlocked(ctx)
		return
	}
	if len(r.blocked) == 0 {
		return
	}
	pairs := make([]Pair, len(r.blocked))
	for i, j := range r.blocked {
		pairs[i] = j.pair
	}
	r.last, r.unblocked = true, true
	r.pass(ctx, r.afresh(ctx, pairs))
}

// sourceExists tells a prefix of a bucket that is empty, and so may be a typing error, from
// one whose files the filter leaves out.
func (r *runner) sourceExists(ctx context.Context) error {
	b, ok := r.src.(*bucket)
	if !ok || r.sawSrc || b.prefix == "" || r.deletes.number == 0 {
		return nil
	}
	page, err := b.store.List(ctx, object.Query{Prefix: b.prefix, Max: 1})
	if err == nil && len(page.Objects) == 0 {
		err = object.Errorf(object.KindNotFound, "sync", b.String(), "nothing has this prefix, and an empty source would delete all of the destination; use delete if that is meant")
	}
	return err
}

// giveUpBlocked reports what a file or folder of the destination stood in the way of.
func (r *runner) giveUpBlocked(ctx context.Context) {
	for _, j := range r.blocked {
		if ctx.Err() == nil {
			r.finalFailure(j.a)
		}
	}
}

// removeBatch is how many files are deleted by one request.
const removeBatch = 1000

// deleteList deletes files, and reports whether all of them are gone.
func (r *runner) deleteList(ctx context.Context, ep Endpoint, list *spool) bool {
	if most := r.o.MaxDelete; most != nil && list.number > *most {
		r.finalFailure(Action{Op: OpFailed, Path: ep.String(), Err: &object.Error{
			Op: "delete", Key: ep.String(), Kind: object.KindInvalid, Err: &TooManyDeletes{list.number, *most},
		}})
		return false
	}
	before := r.errors
	r.deleting = true
	batch := make([]File, 0, removeBatch)
	for f, err := range list.all() {
		if err != nil {
			r.finalFailure(Action{Op: OpFailed, Path: f.Path, Err: err})
			break
		}
		if batch = append(batch, f); len(batch) == removeBatch {
			r.deleteBatch(ctx, ep, batch)
			batch = batch[:0]
		}
	}
	r.deleteBatch(ctx, ep, batch)
	if _, isLocal := ep.(*local); isLocal && !r.o.DryRun && !r.keepFolders {
		removeEmpty(ctx, ep, list.all())
	}
	return r.errors == before && ctx.Err() == nil
}

// deleteBatch deletes some files, one request for all where it can be.
func (r *runner) deleteBatch(ctx context.Context, ep Endpoint, batch []File) {
	var paths []string
	var files []File
	for _, f := range batch {
		if ctx.Err() != nil {
			return
		}
		a := Action{Op: OpDelete, Path: f.Path, Dst: f}
		ok, err := r.confirm(a)
		if err != nil {
			defer r.stop(err) // after what was agreed to
			break
		}
		switch {
		case !ok:
			a.Op, a.Why = OpSkip, "not confirmed"
			r.done(a)
		case r.o.DryRun:
			r.done(a)
		case r.saved(ctx, a):
			paths, files = append(paths, f.Path), append(files, f)
		}
	}
	if len(paths) == 0 || ctx.Err() != nil {
		return
	}
	failed, all := perPath(ep.Remove(ctx, paths), paths)
	for _, f := range files {
		a := Action{Op: OpDelete, Path: f.Path, Dst: f, Err: all}
		if err := failed[f.Path]; err != nil {
			a.Err = err
		}
		if a.Err == nil {
			r.done(a)
		} else if ctx.Err() == nil {
			r.finalFailure(a)
		}
	}
}

// saved copies a file to the backup folder before it is deleted.
func (r *runner) saved(ctx context.Context, a Action) bool {
	if r.o.BackupDir == nil {
		return true
	}
	a.Err = r.backup(ctx, a.Dst)
	if a.Err != nil && ctx.Err() == nil {
		r.finalFailure(a)
	}
	return a.Err == nil
}

// perPath takes an error of Remove apart: by path, and what concerns all.
func perPath(err error, paths []string) (failed map[string]error, all error) {
	if err == nil {
		return nil, nil
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		if len(paths) == 1 {
			return map[string]error{paths[0]: err}, nil
		}
		return nil, err
	}
	known := make(map[string]bool, len(paths))
	for _, p := range paths {
		known[p] = true
	}
	failed = map[string]error{}
	for _, e := range joined.Unwrap() {
		var oe *object.Error
		if !errors.As(e, &oe) || !known[oe.Key] {
			return nil, joined.Unwrap()[0] // it cannot be told which
		}
		failed[oe.Key] = e
	}
	return failed, nil
}

// removeEmpty removes the folders that deletes left empty.
func removeEmpty(ctx context.Context, ep Endpoint, files iter.Seq2[File, error]) {
	last := ""
	for f, err := range files {
		dir := path.Dir(f.Path)
		if err != nil || dir == last {
			continue
		}
		last = dir
		for dir != "." && ep.Rmdir(ctx, dir) == nil {
			dir = path.Dir(dir)
		}
	}
}
