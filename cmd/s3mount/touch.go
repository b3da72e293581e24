package main

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/transfer"
)

type touchOptions struct {
	jobFlags
	timestamp                   string
	noCreate, localTime, dryRun bool
}

func newTouchCmd(g *globals) *cobra.Command {
	var o touchOptions
	c := &cobra.Command{
		Use:   "touch FILE",
		Short: "Make an empty file, or set the time of one",
		Long: `Touch sets the time of a file's last modification to now or to --timestamp. A file that
is not there is made, empty; with it, its bucket. The content of an object is not sent:
the store copies it onto itself.` + pathHelp,
		Example: "  s3mount touch -t 2026-01-02T03:04:05 minio:photos/list.txt",
		Args:    arguments(0, "FILE"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.touch(ctx, args[0], &o)
		}),
	}
	f := c.Flags()
	f.BoolVarP(&o.noCreate, "no-create", "C", false, "do not make a file that is not there")
	f.StringVarP(&o.timestamp, "timestamp", "t", "", "the `TIME`, as in 2026-01-02, 2026-01-02T15:04:05 or 2026-01-02T15:04:05.123456789, in UTC")
	f.BoolVar(&o.localTime, "localtime", false, "--timestamp is in the local zone")
	addDryRun(c, &o.dryRun)
	o.addFlags(g, f)
	return c
}

// touchForms are the forms of --timestamp. The first one is rclone's shortest.
var touchForms = []string{"060102", "2006-01-02", "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.RFC3339Nano}

func (o *touchOptions) time() (time.Time, error) {
	if o.timestamp == "" {
		return time.Now(), nil
	}
	zone := time.UTC
	if o.localTime {
		zone = time.Local
	}
	for _, form := range touchForms {
		if t, err := time.ParseInLocation(form, o.timestamp, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError{fmt.Errorf("--timestamp %q is wrong: it is a time like 2026-01-02T15:04:05", o.timestamp)}
}

func (j *job) touch(ctx context.Context, arg string, o *touchOptions) error {
	at, err := o.time()
	if err != nil {
		return err
	}
	folder, name, err := splitFile(arg)
	if err != nil {
		return err
	}
	p, err := j.open(ctx, folder, wantTarget)
	if err != nil {
		return err
	}
	f, err := p.root.Stat(ctx, name)
	switch {
	case object.Is(err, object.KindNotFound) && o.noCreate:
		j.notice("%s is not there, and not made (--no-create)", arg)
		return nil
	case object.Is(err, object.KindNotFound) && o.dryRun:
		j.notice("would make %s", arg)
		return nil
	case object.Is(err, object.KindNotFound), object.Is(err, object.KindNoBucket):
		return p.explain(j.makeEmpty(ctx, &p, name, at))
	case err != nil:
		return p.explain(err)
	case o.dryRun:
		j.notice("would set the time of %s to %s", arg, when(at, nanosForm))
		return nil
	}
	_, err = p.root.SetModTime(ctx, f, at)
	return p.explain(err)
}

func (j *job) makeEmpty(ctx context.Context, p *place, name string, at time.Time) error {
	if err := p.root.Mkdir(ctx, ""); err != nil {
		return err
	}
	_, err := p.root.Put(ctx, name, transfer.NewContent(nil), transfer.PutOptions{ModTime: at})
	return err
}

// splitFile cuts the name of a file off the argument that names it.
func splitFile(arg string) (folder, name string, err error) {
	p, err := parseArg(arg)
	if err != nil {
		return "", "", err
	}
	missing := usageError{fmt.Errorf("%s names no file: write %s/FILE", p, strings.TrimSuffix(p.String(), "/"))}
	if p.local {
		if strings.HasSuffix(arg, "/") {
			return "", "", missing
		}
		return filepath.Dir(arg), filepath.Base(arg), nil
	}
	if p.remote.Path == "" || strings.HasSuffix(p.remote.Path, "/") {
		return "", "", missing
	}
	name = path.Base(p.remote.Path)
	return strings.TrimSuffix(strings.TrimSuffix(arg, name), "/"), name, nil
}
