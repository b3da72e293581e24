package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/fusefs"
	"github.com/s3mount/s3mount/vfs"
)

// busyGrace is how long programs that have files open may go on after a signal.
const busyGrace = 5 * time.Second

// untilUnmounted waits for the end of a mount and leaves nothing behind. A signal
// unmounts, and the uploads are waited for; a second one gives them up; a third one does
// not wait for anything.
func (g *globals) untilUnmounted(ctx context.Context, m *live, log *slog.Logger) error {
	gone := make(chan struct{})
	go func() {
		m.server.Wait()
		close(gone)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	giveUp := func() {
		m.server.Abort()
		cancel()
	}
	var seen []os.Signal
	select {
	case <-gone:
	case s := <-g.signals:
		seen = append(seen, s)
		log.Info("unmounting", "signal", s.String())
		detach(m.server, m.dir, log)
		if s := g.awaitPrograms(m, gone, log); s != nil {
			seen = append(seen, s)
			giveUp()
		}
	}
	done := make(chan error, 1)
	go func() { done <- m.close(ctx) }()
	for {
		select {
		case err := <-done:
			return endError(seen, err)
		case s := <-g.signals:
			switch seen = append(seen, s); len(seen) {
			case 1:
				log.Info("uploading what is left; another signal gives up", "signal", s.String())
			case 2:
				giveUp()
			default:
				return endError(seen, m.pending())
			}
		}
	}
}

// awaitPrograms gives programs that have files open a little time, and returns a signal
// that comes in it.
func (g *globals) awaitPrograms(m *live, gone <-chan struct{}, log *slog.Logger) os.Signal {
	if m.server.OpenFiles() == 0 {
		return nil // a shell that stands in the mount need not be waited for
	}
	grace := time.NewTimer(busyGrace)
	defer grace.Stop()
	select {
	case <-gone:
	case s := <-g.signals:
		return s
	case <-grace.C:
		log.Warn("files in the mount are still open: what they hold is uploaded, later writes fail")
	}
	return nil
}

// endError is what a mount's process ends with: nil if all is in S3.
func endError(seen []os.Signal, err error) error {
	switch {
	case err == nil:
		return nil
	case len(seen) < 2:
		return fmt.Errorf("not everything could be uploaded: %s", oneLine(err))
	}
	return fmt.Errorf("gave up at the second signal (%s), not uploaded: %s", seen[1], oneLine(err))
}

// oneLine writes joined errors behind one another. What was given up is named without
// its cause: the signal is.
func oneLine(err error) string {
	var texts []string
	for _, e := range leaves(err) {
		var unsent *vfs.UnsentError
		text := e.Error()
		if errors.As(e, &unsent) && unsent.Kept != "" && errors.Is(unsent.Err, context.Canceled) {
			text = fmt.Sprintf("%q is kept in %s", unsent.Key, unsent.Kept)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// leaves takes joined errors apart.
func leaves(err error) (all []error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || !strings.Contains(err.Error(), "\n") { // errors.Join's, and no sentence of several
		return []error{err}
	}
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
}

// pending names what is not uploaded, as an error.
func (m *live) pending() error {
	var errs []error
	for _, p := range m.queue.Pending() {
		errs = append(errs, fmt.Errorf("%q (%d bytes, in %s)", p.Key, p.Bytes, m.folder.path))
	}
	if errs == nil {
		return errors.New("nothing")
	}
	return errors.Join(errs...)
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
