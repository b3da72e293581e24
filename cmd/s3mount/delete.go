package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/transfer"
)

func newDeleteCmd(g *globals) *cobra.Command {
	var o transferFlags
	c := &cobra.Command{
		Use:   "delete PATH",
		Short: "Delete files",
		Long: `Delete deletes the files of a path that the filters choose, or one file. Folders and
buckets stay. Try it with --dry-run first.` + pathHelp,
		Example: "  s3mount delete --dry-run --min-age 30d minio:logs",
		Args:    arguments(0, "PATH"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.delete(ctx, args[0], &o)
		}),
	}
	o.addRunFlags(g, c.Flags())
	o.addDeleteFlags(c.Flags())
	return c
}

func (j *job) delete(ctx context.Context, arg string, o *transferFlags) error {
	if err := o.validate(); err != nil {
		return err
	}
	p, err := j.open(ctx, arg, wantAny)
	if err != nil {
		return err
	}
	t, err := j.options(ctx, o, &p)
	if err != nil {
		return err
	}
	if p.file != "" {
		t.Filter.Files(p.file)
	}
	_, err = j.run(o, &t, func() (transfer.Summary, error) { return transfer.Delete(ctx, p.root, t) })
	return j.ended(err)
}

func newPurgeCmd(g *globals) *cobra.Command {
	var o transferFlags
	c := &cobra.Command{
		Use:   "purge PATH",
		Short: "Delete a folder or bucket with all that is in it",
		Long: `Purge deletes everything in a path, and then the path itself: the bucket, if it names a
bucket. Filters don't count. Try it with --dry-run first.` + pathHelp,
		Args: arguments(0, "PATH"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.purge(ctx, args[0], &o)
		}),
	}
	o.retries = 3
	f := c.Flags()
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "tell what would be done, and do nothing")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "ask first")
	f.BoolVarP(&o.progress, "progress", "P", false, "show the progress")
	o.addFlags(g, f)
	return c
}

func (j *job) purge(ctx context.Context, arg string, o *transferFlags) error {
	if err := o.validate(); err != nil {
		return err
	}
	p, err := j.open(ctx, arg, wantFolder)
	if err != nil {
		return err
	}
	if err := refuseRoot(&p, j.getenv("HOME")); err != nil {
		return err
	}
	t, err := j.options(ctx, o, &p)
	if err != nil {
		return err
	}
	refused := false
	if ask := t.Confirm; ask != nil {
		t.Confirm = func(a transfer.Action) (bool, error) {
			ok, err := ask(a)
			refused = refused || !ok
			return ok, err
		}
	}
	_, err = j.run(o, &t, func() (transfer.Summary, error) { return transfer.Purge(ctx, p.root, t) })
	switch {
	case err != nil:
		return j.ended(err)
	case o.dryRun:
		j.notice("would remove %s itself", &p)
		return nil
	case refused:
		return nil
	}
	err = p.removeFolder(ctx)
	if object.Is(err, object.KindNotFound) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// refuseRoot keeps a slip of the keyboard from deleting a machine: the root, the user's home,
// and what the home lies in.
func refuseRoot(p *place, home string) error {
	if !p.local {
		return nil
	}
	path := strings.TrimSuffix(transfer.RealPath(p.arg), "/") + "/"
	if path == "/" || home != "" && strings.HasPrefix(strings.TrimSuffix(transfer.RealPath(home), "/")+"/", path) {
		return coded(exitFatal, fmt.Errorf("%s is not purged: it is the root, or has your home in it", p))
	}
	return nil
}
