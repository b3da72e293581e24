package transfer

import (
	"context"
	"iter"
	"sync"

	"github.com/s3mount/s3mount/object"
)

// List walks ep and yields what the filter chooses, in order. Folders that the filter
// leaves out are not even listed. With an exact list of files (Filter.Files) these are
// asked for one by one, and those that are not there are left out. A root that is not
// there is an error either way. f may be nil.
func List(ctx context.Context, ep Endpoint, w WalkOptions, f *Filter) iter.Seq2[File, error] {
	if paths, ok := f.paths(); ok {
		return statAll(ctx, ep, paths, defaultCheckers, rootThere(ctx, ep))
	}
	files := walkPaths(ctx, ep, w, f)
	if f.needsTime() {
		files = WithTimes(ctx, ep, files, defaultCheckers)
	}
	return func(yield func(File, error) bool) {
		for file, err := range files {
			if err == nil && file.Err == nil && !file.Dir && !f.Match(file) {
				continue
			}
			if !yield(file, err) {
				return
			}
		}
	}
}

// walkPaths is List by the rules for paths alone, without sizes and ages.
func walkPaths(ctx context.Context, ep Endpoint, w WalkOptions, f *Filter) iter.Seq2[File, error] {
	if f != nil {
		w.Skip = func(dir string) bool { return !f.MatchDir(dir) }
	}
	return func(yield func(File, error) bool) {
		for file, err := range ep.Walk(ctx, w) {
			if err == nil && !file.Dir && f != nil && !f.matchPath(file.Path) {
				continue
			}
			if !yield(file, err) {
				return
			}
		}
	}
}

// rootThere returns a function that looks, the first time it is called, whether the root of
// an endpoint is there. A file's own absence does not tell: HEAD has one answer for a key and
// a bucket that are not there.
func rootThere(ctx context.Context, ep Endpoint) func() error {
	return sync.OnceValue(func() error {
		switch ep := ep.(type) {
		case *local:
			_, err := ep.files()
			return err
		case *bucket:
			_, err := ep.store.List(ctx, object.Query{Prefix: ep.prefix, Max: 1})
			return err
		}
		return nil
	})
}

// anyRoot is for a root that need not be there.
func anyRoot() error { return nil }

// statAll asks for files one by one, several at a time. Those that are not there are left
// out, unless root has an error then, which ends it.
func statAll(ctx context.Context, ep Endpoint, paths []string, n int, root func() error) iter.Seq2[File, error] {
	names := func(yield func(File, error) bool) {
		for _, p := range paths {
			if !yield(File{Path: p}, nil) {
				return
			}
		}
	}
	return inOrder(ctx, names, n, func(ctx context.Context, f File) (File, bool, error) {
		got, err := ep.Stat(ctx, f.Path)
		switch {
		case object.Is(err, object.KindNotFound), object.Is(err, object.KindNoBucket):
			err := root()
			return got, err != nil, err
		case object.Is(err, object.KindCanceled):
			return got, true, err
		case err != nil:
			return File{Path: f.Path, Err: err}, true, nil
		case got.Dir || got.Mode.Type() != 0:
			return got, false, nil
		}
		return got, true, nil
	})
}

// WithTimes yields the files of a walk in their order with the ModTime filled in, asking
// for up to checkers of them at a time. A file that vanished meanwhile is left out.
func WithTimes(ctx context.Context, ep Endpoint, files iter.Seq2[File, error], checkers int) iter.Seq2[File, error] {
	return inOrder(ctx, files, max(1, checkers), func(ctx context.Context, f File) (File, bool, error) {
		if f.Dir || f.Err != nil || !f.ModTime.IsZero() {
			return f, true, nil
		}
		got, err := ep.Stat(ctx, f.Path)
		switch {
		case object.Is(err, object.KindNotFound):
			return f, false, nil
		case object.Is(err, object.KindCanceled):
			return f, true, err
		case err != nil:
			f.Err = err
			return f, true, nil
		}
		return got, true, nil
	})
}

// looked is what came of looking at one file.
type looked struct {
	file File
	keep bool
	err  error
}

// inOrder calls look for up to n files at a time, and yields the results in the order of
// the files. look runs on goroutines that end before inOrder does.
func inOrder(ctx context.Context, files iter.Seq2[File, error], n int, look func(context.Context, File) (File, bool, error)) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		queue := make([]chan looked, 0, n)
		emit := func() bool {
			got := <-queue[0]
			queue = queue[1:]
			return !got.keep && got.err == nil || yield(got.file, got.err) && got.err == nil
		}
		for file, err := range files {
			if len(queue) >= n && !emit() {
				return
			}
			result := make(chan looked, 1)
			queue = append(queue, result)
			if err != nil {
				result <- looked{err: err}
				break
			}
			running.Go(func() {
				var l looked
				l.file, l.keep, l.err = look(ctx, file)
				result <- l
			})
		}
		for len(queue) > 0 && emit() {
		}
	}
}
