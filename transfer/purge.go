package transfer

import (
	"context"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/object"
)

// Purge deletes all of ep, folders and markers too, whatever the Filter says. DryRun,
// Confirm (asked once, for the whole) and Report are kept.
func Purge(ctx context.Context, ep Endpoint, o Options) (Summary, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &runner{dst: ep, o: o, stop: cancel, last: true}
	ok, err := r.confirm(Action{Op: OpDelete, Path: ep.String(), Why: "with all that is in it"})
	switch {
	case err != nil:
		r.stop(err)
	case ok:
		r.purge(ctx, ep)
	}
	return o.Stats.summary(), r.result(ctx)
}

func (r *runner) purge(ctx context.Context, ep Endpoint) {
	var err error
	switch ep := ep.(type) {
	case *bucket:
		err = r.purgeBucket(ctx, ep)
	case *local:
		err = r.purgeLocal(ctx, ep)
	default:
		err = object.Errorf(object.KindUnsupported, "purge", ep.String(), "")
	}
	if err != nil && ctx.Err() == nil {
		r.finalFailure(Action{Op: OpFailed, Path: ep.String(), Err: err})
	}
}

// purgeBucket lists the keys as they are and deletes them page by page, some pages at a
// time. A listing goes on behind its last key, so that deletes do not disturb it.
func (r *runner) purgeBucket(ctx context.Context, b *bucket) error {
	r.o.Confirm = nil // it was asked for the whole
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	err := b.keys(gctx, func(files []File) {
		g.Go(func() error {
			r.deleteBatch(gctx, b, files)
			return nil
		})
	})
	g.Wait()
	return err
}

// keys calls visit for each page of all keys, markers included.
func (b *bucket) keys(ctx context.Context, visit func([]File)) error {
	for token := ""; ; {
		page, err := b.store.List(ctx, object.Query{Prefix: b.prefix, Token: token})
		if err != nil {
			return err
		}
		files := make([]File, 0, len(page.Objects))
		for _, o := range page.Objects {
			files = append(files, b.file(o))
		}
		visit(files)
		if token = page.Next; token == "" {
			return nil
		}
	}
}

// purgeLocal deletes the folder itself, too.
func (r *runner) purgeLocal(ctx context.Context, l *local) error {
	if _, err := l.files(); err != nil {
		return err
	}
	for f, err := range l.Walk(ctx, WalkOptions{}) {
		switch {
		case err != nil:
			return err
		case f.Err != nil:
			return f.Err
		}
		a := Action{Op: OpDelete, Path: f.Path, Dst: f}
		if !r.o.DryRun {
			if a.Err = l.removeFile(f.Path); a.Err != nil {
				r.finalFailure(a)
				continue
			}
		}
		r.done(a)
	}
	if r.o.DryRun || r.errors > 0 || ctx.Err() != nil {
		return nil
	}
	return localError("purge", l.name, os.RemoveAll(l.dir))
}
