package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/object"
)

func newMkdirCmd(g *globals) *cobra.Command {
	var o jobFlags
	var dry bool
	c := &cobra.Command{
		Use:   "mkdir PATH",
		Short: "Make a bucket or a local folder",
		Long:  "Mkdir makes the bucket of a path; one that is there already is no error. There are no\nfolders in a bucket until something is in them. A local path is made as a folder, with\nthose above it." + pathHelp,
		Args:  arguments(0, "PATH"),
		RunE: g.onFiles(&o, func(ctx context.Context, j *job, args []string) error {
			return j.mkdir(ctx, args[0], dry)
		}),
	}
	addDryRun(c, &dry)
	o.addFlags(g, c.Flags())
	return c
}

func addDryRun(c *cobra.Command, dry *bool) {
	c.Flags().BoolVarP(dry, "dry-run", "n", false, "tell what would be done, and do nothing")
}

func (j *job) mkdir(ctx context.Context, arg string, dry bool) error {
	p, err := j.open(ctx, arg, wantFolder)
	switch {
	case err != nil:
		return err
	case dry:
		j.notice("would make %s", p)
		return nil
	case p.local:
		err = p.root.Mkdir(ctx, "")
	default:
		err = p.explain(p.client.CreateBucket(ctx, p.remote.Bucket))
	}
	if err == nil {
		j.log.Info(fmt.Sprintf("made %s", p))
	}
	return err
}

func newRmdirCmd(g *globals) *cobra.Command {
	var o jobFlags
	var dry bool
	c := &cobra.Command{
		Use:   "rmdir PATH",
		Short: "Remove an empty bucket or folder",
		Long:  "Rmdir removes a bucket, the marker of a folder in a bucket, or a local folder. What is\nin it stays, and makes it fail." + pathHelp,
		Args:  arguments(0, "PATH"),
		RunE: g.onFiles(&o, func(ctx context.Context, j *job, args []string) error {
			return j.rmdir(ctx, args[0], dry)
		}),
	}
	addDryRun(c, &dry)
	o.addFlags(g, c.Flags())
	return c
}

func (j *job) rmdir(ctx context.Context, arg string, dry bool) error {
	p, err := j.open(ctx, arg, wantFolder)
	switch {
	case err != nil:
		return err
	case dry:
		j.notice("would remove %s", p)
		return nil
	}
	if err := p.removeFolder(ctx); err != nil {
		return err
	}
	j.log.Info(fmt.Sprintf("removed %s", p))
	return nil
}

// removeFolder removes the folder or bucket that the place names, if it is empty.
func (p *place) removeFolder(ctx context.Context) error {
	var err error
	if p.local || p.path() != "" {
		err = p.root.Rmdir(ctx, "")
	} else {
		err = p.client.DeleteBucket(ctx, p.remote.Bucket)
	}
	if object.Is(err, object.KindNotEmpty) {
		return fmt.Errorf("%s is not empty: s3mount purge removes it with what is in it", p)
	}
	return p.explain(err)
}

// notice tells what a user should read although nothing is wrong.
func (j *job) notice(format string, args ...any) {
	j.log.Log(context.Background(), levelNotice, fmt.Sprintf(format, args...))
}
