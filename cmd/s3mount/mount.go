package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/fusefs"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/writeback"
)

func newMountCmd(g *globals) *cobra.Command {
	o := defaultMountOptions(g.getenv)
	c := &cobra.Command{
		Use:   "mount remote:bucket[/prefix] DIR",
		Short: "Show a bucket as a directory",
		Long: `Mount shows a bucket, or a prefix of it, as the directory DIR, until it is
unmounted, interrupted or terminated. close() and fsync() return when S3 has
what was written, and fail when S3 does not take it.

Ctrl-C and SIGTERM upload what is open, unmount and exit with 0. A second
signal gives up, and names what was not uploaded.`,
		Example: "  s3mount mount minio:photos /mnt/photos\n  s3mount mount --daemon --read-only aws:logs/2026 /mnt/logs",
		Args:    exactArgs("remote:bucket", "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.daemon {
				return daemonize(c.Context(), g)
			}
			return g.mount(c.Context(), args[0], args[1], &o)
		},
	}
	o.addFlags(c.Flags())
	return c
}

// mount runs the mount command in the foreground.
func (g *globals) mount(ctx context.Context, place, dir string, o *mountOptions) (err error) {
	tell := g.parent()
	defer func() { tell(err) }()
	if err := o.validate(); err != nil {
		return err
	}
	log, closeLog, err := g.logger()
	if err != nil {
		return err
	}
	defer closeLog()
	bucket, name, err := g.openBucket(ctx, place, o.retryFor, log)
	if err != nil {
		return err
	}
	return g.serve(ctx, bucket, name, dir, o, log, func(io.Writer) { tell(nil) })
}

// openBucket connects to the bucket and prefix that a path names.
func (g *globals) openBucket(ctx context.Context, place string, retryFor time.Duration, log *slog.Logger) (*s3remote.Bucket, string, error) {
	p, err := config.ParsePath(place)
	if err != nil {
		return nil, "", usageError{err}
	}
	if p.Bucket == "" {
		return nil, "", usageError{fmt.Errorf("%s names no bucket: write %sbucket", p, p)}
	}
	client, err := g.openRemote(ctx, p, retryFor, log)
	if err != nil {
		return nil, "", err
	}
	bucket, err := client.Bucket(p.Bucket, p.Prefix)
	return bucket, p.String(), err
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
	live.session.close(err)
	return err
}

// live is a mount that answers.
type live struct {
	*mounted
	server  *fusefs.Server
	session *session
	dir     string
}

// start mounts a bucket. A signal ends it, and leaves nothing behind.
func (g *globals) start(ctx context.Context, bucket *s3remote.Bucket, name, dir string, o *mountOptions, log *slog.Logger) (l *live, err error) {
	ctx, done := g.untilSignal(ctx)
	defer done()
	l = &live{}
	if l.dir, err = checkMountPoint(dir, o); err != nil {
		return nil, err
	}
	if err := fusefs.CheckDevice(); err != nil {
		return nil, err
	}
	if err := bucket.Check(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if l.session, err = openSession(l.dir, name, g.getenv); err != nil {
		return nil, err
	}
	if l.mounted, err = assemble(ctx, bucket, bucket.String(), o, log); err != nil {
		l.session.close(nil)
		return nil, err
	}
	if l.server, err = fusefs.Mount(l.dir, l.fuseOptions(name, o)); err != nil {
		err = errors.Join(err, l.close(ctx))
		l.session.close(nil)
		return nil, err
	}
	return l, nil
}

// untilSignal returns a context that a signal ends; done gives the signals back.
func (g *globals) untilSignal(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case s := <-g.signals:
			cancel(fmt.Errorf("interrupted (%s)", s))
		case <-stop:
		}
	}()
	return ctx, func() {
		close(stop)
		<-stopped
		cancel(nil)
	}
}

// busyGrace is how long programs that have files open may go on after a signal.
const busyGrace = 5 * time.Second

// untilUnmounted waits for the end of a mount and leaves nothing behind.
func (g *globals) untilUnmounted(ctx context.Context, m *live, log *slog.Logger) error {
	gone := make(chan struct{})
	go func() {
		m.server.Wait()
		close(gone)
	}()
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	select {
	case <-gone:
	case s := <-g.signals:
		log.Info("unmounting", "signal", s.String())
		detach(m.server, m.dir, log)
		select {
		case <-gone:
		case <-g.signals:
			giveUp()
		case <-time.After(busyGrace):
			log.Warn("files in the mount are still open: what they hold is uploaded, later writes fail")
		}
	}
	done := make(chan error, 1)
	go func() { done <- m.close(ctx) }()
	select {
	case err := <-done:
		return uploadError(err)
	case s := <-g.signals:
		left := m.queue.Pending()
		giveUp()
		<-done
		return fmt.Errorf("gave up at the second signal (%s); not uploaded:%s", s, pendingList(left))
	}
}

func uploadError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("not everything could be uploaded: %w", err)
}

func pendingList(left []writeback.Pending) string {
	if len(left) == 0 {
		return " nothing"
	}
	text := ""
	for _, p := range left {
		text += fmt.Sprintf("\n  %s (%d bytes)", p.Key, p.Bytes)
	}
	return text
}

// detach unmounts; a mount with open files loses its name only.
func detach(server *fusefs.Server, dir string, log *slog.Logger) {
	err := server.Unmount()
	if err == nil {
		return
	}
	log.Debug("unmount", "err", err)
	if err := detachMount(dir); err != nil && !errors.Is(err, unix.EINVAL) {
		log.Warn("the mount point could not be freed", "dir", dir, "err", err)
	}
}
