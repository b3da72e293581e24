package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/fusefs"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
)

func newMountCmd(g *globals) *cobra.Command {
	o := defaultMountOptions(g.getenv)
	c := &cobra.Command{
		Use:   "mount remote:bucket[/prefix] DIR",
		Short: "Show a bucket as a directory",
		Long: `Mount shows a bucket, or a prefix of it, as the directory DIR, until it is
unmounted, interrupted or terminated. close() and fsync() return when S3 has
what was written, and fail when S3 does not take it. With --writeback they return
when it is durable in a journal in --cache-dir, and S3 gets it a moment later:
s3mount status shows what is not there yet, and s3mount flush waits for it.

Ctrl-C, SIGTERM and the end of the terminal upload what is open, unmount and
exit with 0. A second signal gives up, and names what was not uploaded and where
it is kept.

A remote is a section of the config file, in the form of an rclone.conf:

  [minio]
  type = s3
  provider = Minio
  endpoint = http://127.0.0.1:9000
  access_key_id = minioadmin
  secret_access_key = minioadmin`,
		Example: "  s3mount mount minio:photos /mnt/photos\n  s3mount mount --daemon --read-only aws:logs/2026 /mnt/logs",
		Args:    arguments(0, "remote:bucket", "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.daemon && !g.isChild() {
				if err := g.askForChild(c.Context(), args[0]); err != nil {
					return err
				}
				return g.daemonize(c.Context())
			}
			return g.mount(c.Context(), args[0], args[1], &o)
		},
	}
	o.addFlags(c.Flags())
	g.addS3Flags(c.Flags())
	return c
}

// mount runs the mount command in the foreground.
func (g *globals) mount(ctx context.Context, place, dir string, o *mountOptions) (err error) {
	tell := g.parent()
	defer func() { tell(err) }()
	if err := o.validate(); err != nil {
		return err
	}
	stop, err := o.profiles.start()
	if err != nil {
		return err
	}
	defer func() {
		if late := stop(); err == nil {
			err = late
		}
	}()
	log, closeLog, err := g.logger()
	if err != nil {
		return err
	}
	defer closeLog()
	bucket, name, err := g.openBucket(ctx, place, o.retryFor, log)
	if err != nil {
		return err
	}
	return g.serve(ctx, bucket, name, dir, o, log, func(io.Writer) {
		if g.isChild() {
			os.Chdir("/") // where it was started is not in use by it: it can be unmounted
		}
		tell(nil)
	})
}

// parsePlace reads remote:bucket/prefix.
func parsePlace(place string) (config.RemotePath, error) {
	p, err := config.ParsePath(place)
	if err != nil {
		if !strings.Contains(place, ",") { // no options: no secrets
			err = fmt.Errorf("%q: %w", place, err)
		}
		return p, usageError{hinted(err, "write remote:bucket or remote:bucket/prefix")}
	}
	if p.Bucket == "" {
		return p, usageError{fmt.Errorf("%s names no bucket: write %sbucket", p, p)}
	}
	return p, nil
}

// openBucket connects to the bucket and prefix that a path names.
func (g *globals) openBucket(ctx context.Context, place string, retryFor time.Duration, log *slog.Logger) (*s3remote.Bucket, string, error) {
	ctx, done := g.untilSignal(ctx)
	defer done()
	p, err := parsePlace(place)
	if err != nil {
		return nil, "", err
	}
	client, err := g.openRemote(ctx, p, retryFor, log)
	if err != nil {
		return nil, "", err
	}
	bucket, err := client.Bucket(p.Bucket, p.Prefix)
	return bucket, p.String(), hinted(err, "write remote:bucket/prefix")
}

// serve mounts a bucket on dir and serves it until it is unmounted or a signal comes.
// ready is called when the mount answers.
func (g *globals) serve(ctx context.Context, bucket *s3remote.Bucket, name, dir string, o *mountOptions, log *slog.Logger, ready func(io.Writer)) error {
	live, err := g.start(ctx, bucket, name, dir, o, log)
	if err != nil {
		return err
	}
	log.Info("mounted", "remote", name, "on", live.dir)
	ready(g.stdout)
	err = g.untilUnmounted(ctx, live, log)
	live.end(err)
	return err
}

// live is a mount that answers.
type live struct {
	*mounted
	server  *fusefs.Server
	session *session
	control *control // nil: none answers
	dir     string
}

// end takes away what other commands find the mount by, once it is unmounted. err is what
// umount tells who waits for it.
func (l *live) end(err error) {
	l.control.close()
	l.session.close(err)
}

// start mounts a bucket. A signal ends it, and leaves nothing behind.
func (g *globals) start(ctx context.Context, bucket *s3remote.Bucket, name, dir string, o *mountOptions, log *slog.Logger) (l *live, err error) {
	ctx, done := g.untilSignal(ctx)
	defer done()
	l = &live{}
	if l.dir, err = checkMountPoint(dir, o, "choose an empty directory, or give --allow-non-empty"); err != nil {
		return nil, err
	}
	if err := fusefs.Check(l.dir, o.allowOther); err != nil {
		return nil, err
	}
	if err := checkBucket(ctx, bucket, name); err != nil {
		return nil, err
	}
	if l.session, err = openSession(l.dir, name, g.getenv); err != nil {
		return nil, err
	}
	if l.mounted, err = assemble(ctx, bucket, bucket.String(), o, log); err != nil {
		l.session.close(nil)
		return nil, err
	}
	if err := l.folder.describe(folderOwner{Remote: name, Dir: l.dir}); err != nil {
		log.Warn("s3mount cache will not know what this mount's folder is for", "dir", l.folder.path, "err", err)
	}
	if l.server, err = fusefs.Mount(l.dir, l.fuseOptions(name, o)); err != nil {
		err = errors.Join(err, l.close(ctx))
		l.session.close(nil)
		return nil, err
	}
	if l.control, err = listen(socketPath(l.dir, g.getenv), l.answer, log); err != nil {
		log.Warn("s3mount status will not see this mount", "err", err)
	}
	return l, nil
}

// checkPatience is how long a store may take to answer the first request: somebody waits
// for the mount and wants to hear of a wrong endpoint.
const checkPatience = 20 * time.Second

// checkBucket finds out whether the bucket can be used.
func checkBucket(ctx context.Context, bucket *s3remote.Bucket, name string) error {
	within, cancel := context.WithTimeoutCause(ctx, checkPatience, fmt.Errorf("no answer within %v", checkPatience))
	defer cancel()
	err := bucket.Check(within)
	if err == nil {
		return nil
	}
	if why := interrupted(ctx); why != nil {
		return why
	}
	hint := checkHints[object.KindOf(err)]
	if e := (*object.Error)(nil); errors.As(err, &e) && e.Kind == object.KindNoBucket && e.Code == "" {
		hint = "check the bucket's name, and endpoint of the remote: the answer has no code of S3"
	}
	return hinted(fmt.Errorf("%s: %w", name, err), hint)
}
