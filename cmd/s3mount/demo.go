package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/internal/demoserver"
	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
)

type demoOptions struct {
	mountOptions
	keep  string
	check bool
}

func newDemoCmd(g *globals) *cobra.Command {
	o := demoOptions{mountOptions: defaultMountOptions(g.getenv)}
	c := &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Try it: an S3 server, a bucket and a mount in one command",
		Long: `Demo starts an S3 server inside this process, on loopback, makes a bucket with
a few files in it, and mounts it on DIR (or a new directory). Ctrl-C ends it and
leaves nothing behind; with --keep, the server's data stays for the next time. The
tour of --check has a bucket of its own.`,
		Args: arguments(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.check && len(args) > 0 {
				return usageError{fmt.Errorf("demo --check makes its own mount point: leave %s out", args[0])}
			}
			if o.check {
				return g.tour(c.Context(), &o)
			}
			return g.demo(c.Context(), &o, append(args, "")[0])
		},
	}
	f := c.Flags()
	f.StringVar(&o.keep, "keep", "", "keep the server's data in `DIR`")
	f.BoolVar(&o.check, "check", false, "do the tour by itself: copy, sync, edit, rename, remount, compare")
	return c
}

const demoBucket = "demo"

// demoPlace is a demo's server, bucket and temporary folder.
type demoPlace struct {
	server *demoserver.Server
	client *s3remote.Client
	bucket *s3remote.Bucket
	temp   string
	mnt    string // the mount point in temp; it is made by whoever mounts there
}

// openDemo starts the server and makes the bucket, which may be there in data that was kept.
// Without a name it is a new one. The caller closes it.
func openDemo(ctx context.Context, bucket, keep string, log *slog.Logger) (*demoPlace, error) {
	d := &demoPlace{}
	if err := d.open(ctx, bucket, keep, log); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *demoPlace) open(ctx context.Context, bucket, keep string, log *slog.Logger) (err error) {
	if d.temp, err = os.MkdirTemp("", "s3mount-demo-"); err != nil {
		return err
	}
	if bucket == "" {
		bucket = filepath.Base(d.temp)
	}
	d.mnt = filepath.Join(d.temp, "mnt")
	if d.server, err = demoserver.Start(ctx, demoserver.Options{Dir: keep, Log: log}); err != nil {
		if keep != "" {
			err = fmt.Errorf("--keep: %w: choose another folder", err)
		}
		return err
	}
	d.client, err = s3remote.New(ctx, s3remote.Config{
		Provider:        "Other",
		Endpoint:        d.server.Endpoint,
		Region:          d.server.Region,
		AccessKeyID:     d.server.AccessKey,
		SecretAccessKey: secret.New(d.server.SecretKey),
		Log:             log,
	})
	if err != nil {
		return err
	}
	err = d.client.CreateBucket(ctx, bucket)
	if err != nil && !object.Is(err, object.KindExists) {
		return err
	}
	d.bucket, err = d.client.Bucket(bucket, "")
	return err
}

func (d *demoPlace) close() error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	if d.temp == "" {
		return errors.Join(errs...)
	}
	// What is mounted must not be emptied: rmdir refuses a mount point.
	if err := os.Remove(d.mnt); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, os.RemoveAll(d.temp))...)
}

// samples are the files of a new demo bucket.
var samples = []struct{ key, text string }{
	{"hello.txt", "Hello from a bucket.\n"},
	{"photos/2026/a photo.txt", "This would be a photo.\n"},
	{"notes/shopping list.md", "- apples\n- object storage\n"},
}

// fill puts the samples into an empty bucket. One that was kept is left as it is.
func (d *demoPlace) fill(ctx context.Context) error {
	page, err := d.bucket.List(ctx, object.Query{Max: 1})
	if err != nil || len(page.Objects) > 0 {
		return err
	}
	for _, s := range samples {
		if err := putText(ctx, d.bucket, s.key, s.text); err != nil {
			return err
		}
	}
	return nil
}

// putText stores a small text object.
func putText(ctx context.Context, b *s3remote.Bucket, key, text string) error {
	body := io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
	_, err := b.Put(ctx, key, body, object.PutOptions{ContentType: "text/plain; charset=utf-8"})
	return err
}

// checkDemo finds what is wrong with the arguments before anything is made.
func checkDemo(o *demoOptions, dir string) error {
	if dir == "" {
		return nil
	}
	mount := o.mountOptions
	mount.cacheDir = filepath.Join(os.TempDir(), "s3mount-demo-") // its beginning is known only
	real, err := checkMountPoint(dir, &mount, "choose an empty directory")
	if err != nil || o.keep == "" {
		return err
	}
	keep, err := filepath.Abs(o.keep)
	if err == nil && (inside(real, keep) || inside(keep, real)) {
		err = fmt.Errorf("mount point %s and --keep %s are inside one another: choose another folder", dir, o.keep)
	}
	return err
}

// demo runs until it is interrupted.
func (g *globals) demo(ctx context.Context, o *demoOptions, dir string) (err error) {
	log, closeLog, err := g.logger()
	if err != nil {
		return err
	}
	defer closeLog()
	if err := checkDemo(o, dir); err != nil {
		return err
	}
	d, err := openDemo(ctx, demoBucket, o.keep, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.fill(ctx); err != nil {
		return err
	}
	o.cacheDir = d.temp + "/cache"
	if dir == "" {
		dir = d.mnt
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	return g.serve(ctx, d.bucket, "demo", dir, &o.mountOptions, log, func(w io.Writer) {
		io.WriteString(w, strings.NewReplacer("DIR", dir, "ENDPOINT", d.server.Endpoint,
			"ACCESS", d.server.AccessKey, "SECRET", d.server.SecretKey).Replace(welcome))
	})
}

const welcome = `
A bucket is mounted on DIR

Try, in another terminal:

  ls -lR DIR
  cp -r /usr/include DIR/
  echo more >> DIR/hello.txt
  getfattr -d DIR/hello.txt

The same bucket for another S3 client: ENDPOINT, bucket demo,
access key ACCESS, secret key SECRET

Ctrl-C ends it.
`
