package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/transfer"
)

func newCopyCmd(g *globals) *cobra.Command {
	var o transferFlags
	c := &cobra.Command{
		Use:   "copy SOURCE DESTINATION",
		Short: "Copy files that are new or changed",
		Long: `Copy copies what is in SOURCE into DESTINATION. Files that are there already, with the
same size and time, are left alone; nothing is deleted. A file as SOURCE is copied into
DESTINATION under its name. A bucket that is not there is made.

Each file is written as a whole or not at all: an interrupted copy can be repeated, and
sends what is missing. Within one remote, the store copies by itself.` + pathHelp,
		Example: "  s3mount copy -P ~/photos minio:photos\n  s3mount copy --include '*.jpg' minio:photos/2026 /tmp/2026",
		Args:    arguments(0, "SOURCE", "DESTINATION"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.copy(ctx, args[0], args[1], &o, false)
		}),
	}
	o.addRunFlags(g, c.Flags())
	o.addCopyFlags(c.Flags())
	return c
}

func newSyncCmd(g *globals) *cobra.Command {
	var o transferFlags
	c := &cobra.Command{
		Use:   "sync SOURCE DESTINATION",
		Short: "Make a destination the same as a source",
		Long: `Sync copies as copy does, and then deletes from DESTINATION what SOURCE does not have.
It deletes only after every copy succeeded and both sides were listed to their ends.
Try it with --dry-run first. A file as SOURCE is copied, and nothing is deleted.` + pathHelp,
		Example: "  s3mount sync --dry-run ~/photos minio:photos\n  s3mount sync --max-delete 100 --backup-dir minio:old/photos ~/photos minio:photos",
		Args:    arguments(0, "SOURCE", "DESTINATION"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.copy(ctx, args[0], args[1], &o, true)
		}),
	}
	c.Flags().BoolVar(&o.deleteExcluded, "delete-excluded", false, "delete files of the destination, too, that the filters leave out")
	o.addRunFlags(g, c.Flags())
	o.addDeleteFlags(c.Flags())
	o.addCopyFlags(c.Flags())
	return c
}

// copy is copy or, with mirror, sync.
func (j *job) copy(ctx context.Context, from, to string, o *transferFlags, mirror bool) error {
	if err := o.validate(); err != nil {
		return err
	}
	src, err := j.open(ctx, from, wantAny)
	if err != nil {
		return err
	}
	dst, err := j.open(ctx, to, wantTarget)
	if err != nil {
		return err
	}
	t, err := j.options(ctx, o, &src, &dst)
	if err != nil {
		return err
	}
	if src.file == "" {
		if err := apart(&src, &dst, mirror, &t); err != nil {
			return coded(exitFatal, err)
		}
	}
	do := transfer.Copy
	switch {
	case src.file != "":
		t.Filter.Files(src.file)
	case mirror:
		do = transfer.Sync
	}
	s, err := j.run(o, &t, func() (transfer.Summary, error) { return do(ctx, src.root, dst.root, t) })
	switch {
	case err != nil:
		return j.ended(err)
	case o.errorOnNothing && s.Copied == 0 && s.Deleted == 0:
		return coded(exitNothing, errors.New("no file had to be copied (--error-on-no-transfer)"))
	}
	return nil
}

// run shows the progress of a call, and its summary at the end.
func (j *job) run(o *transferFlags, t *transfer.Options, call func() (transfer.Summary, error)) (transfer.Summary, error) {
	p := j.showProgress(o, t.Stats)
	s, err := call()
	p.stop()
	if o.progress || o.verbose > 0 || o.dryRun {
		j.notice("%s", summaryText(s, t.Stats.Snapshot().Elapsed, o.dryRun))
	}
	return s, err
}

// showProgress begins to show the progress where the flags ask for it; stop ends it.
func (j *job) showProgress(o *transferFlags, stats *transfer.Stats) *progress {
	every := o.stats
	if !o.progress && o.verbose == 0 {
		every = 0
	}
	return startProgress(stats, j.screen, j.log, o.progress && j.screen.live && !o.interactive, every)
}

// failuresError is the error of a call in which something failed. Files that failed were
// told before; a side that could not be listed is told here.
type failuresError struct {
	*transfer.Failures // leaves the exit code to the first of them
	sides              []error
}

func (e *failuresError) Error() string {
	var texts []string
	for _, err := range e.sides {
		texts = append(texts, err.Error())
	}
	switch n := e.N - int64(len(e.sides)); {
	case n == 1:
		texts = append(texts, "1 error, which is told above")
	case n > 1:
		texts = append(texts, fmt.Sprintf("%d errors, which are told above", n))
	}
	if e.Kept {
		texts = append(texts, "nothing was deleted therefore")
	}
	return strings.Join(texts, "; ")
}

// ended is the error that a call of package transfer ends a command with.
func (j *job) ended(err error) error {
	var f *transfer.Failures
	if errors.As(err, &f) {
		j.mu.Lock()
		defer j.mu.Unlock()
		err = &failuresError{f, j.mu.sides}
		var most *transfer.TooManyDeletes
		if errors.As(f, &most) {
			return coded(exitFatal, err)
		}
		return err
	}
	return withHint(err)
}

// apart refuses to copy a place onto itself or into itself, and to mirror one to what is
// around it, which would delete it; a filter may keep the inner one out.
func apart(src, dst *place, mirror bool, t *transfer.Options) error {
	a, b := src.where(), dst.where()
	inside := func(inner, outer string, f *transfer.Filter) bool {
		path, ok := strings.CutPrefix(inner, outer)
		return ok && !f.Apart(strings.TrimSuffix(path, "/"))
	}
	kept := t.Filter
	if t.DeleteExcluded {
		kept = nil
	}
	switch {
	case a == b:
		return fmt.Errorf("%s and %s are the same place: nothing is done", src, dst)
	case inside(b, a, t.Filter):
		return fmt.Errorf("%s is inside of %s: nothing is done: choose another destination, or exclude it", dst, src)
	case mirror && inside(a, b, kept):
		return fmt.Errorf("%s is inside of %s, where sync would delete it: nothing is done: choose another destination, or exclude it", src, dst)
	}
	return nil
}
