package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/writeback/overlay"
)

// shownChanges is how many changes status names.
const shownChanges = 1000

// mountStatus is what is not in S3 yet of one mount, or of a journal that no mount has.
type mountStatus struct {
	Remote    string `json:"remote"`
	Dir       string `json:"mountpoint,omitempty"` // empty: it is not mounted
	Writeback bool   `json:"writeback"`
	overlay.Status
}

func newStatusCmd(g *globals) *cobra.Command {
	cacheDir, asJSON := defaultCacheDir(g.getenv), false
	c := &cobra.Command{
		Use:   "status [DIR]",
		Short: "Show what is not in S3 yet",
		Long: `Status shows, for the mount on DIR or for all of yours, which changes are not in S3
yet, since when, and why those that fail do. Journals of mounts with --writeback
that were killed are shown, too: the next mount, or s3mount recover, uploads them.`,
		Args: arguments(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, done := g.untilSignal(c.Context())
			defer done()
			all, err := g.statuses(ctx, args, cacheDir)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(g.stdout)
				e.SetIndent("", "\t")
				return e.Encode(all)
			}
			return showStatus(g.stdout, all, time.Now())
		},
	}
	c.Flags().StringVar(&cacheDir, "cache-dir", cacheDir, "`DIR` that the mounts were given")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// status is a running mount's answer.
func (l *live) status() mountStatus {
	s := mountStatus{Remote: l.session.info.Remote, Dir: l.dir, Writeback: l.promises != nil, Status: overlay.Status{Changes: []overlay.Change{}}}
	if l.promises != nil {
		s.Status = l.promises.Status(shownChanges)
	}
	for _, p := range l.queue.Pending() { // being written, or on the way in strict mode
		c := overlay.Change{Op: "put", Key: p.Key, Bytes: p.Bytes, Since: p.Since, State: "modified"}
		if p.Err != nil {
			c.State, c.Error = "failing", p.Err.Error()
			s.Failing++
		}
		s.Pending++
		s.Bytes += p.Bytes
		if len(s.Changes) < shownChanges {
			s.Changes = append(s.Changes, c)
		}
	}
	return s
}

// answer answers the words of status and flush.
func (l *live) answer(ctx context.Context, word string) (any, error) {
	switch word {
	case "status":
		return l.status(), nil
	case "flush":
		err := l.queue.Flush(ctx)
		if l.promises != nil {
			err = errors.Join(err, l.promises.Flush(ctx))
		}
		if err != nil {
			err = errors.New(oneLine(err))
		}
		return nil, err
	}
	return nil, fmt.Errorf("the mount does not know %q: it is of another version of s3mount", word)
}

// statuses asks the mount that args name, or all, and looks into the journals of those that
// ended.
func (g *globals) statuses(ctx context.Context, args []string, cacheDir string) ([]mountStatus, error) {
	all := []mountStatus{}
	sockets, err := g.sockets(args)
	if err != nil {
		return nil, err
	}
	for _, path := range sockets {
		var s mountStatus
		if err := ask(ctx, path, "status", &s); err != nil {
			if len(args) > 0 {
				return nil, noMount(args[0], err)
			}
			continue // it has just ended
		}
		all = append(all, s)
	}
	if len(args) > 0 {
		return all, nil
	}
	left, err := leftJournals(cacheDir)
	return append(all, left...), err
}

// sockets lists where the mount that args name, or all, listen.
func (g *globals) sockets(args []string) ([]string, error) {
	if len(args) == 0 {
		paths, err := filepath.Glob(filepath.Join(runtimeDir(g.getenv), "*.sock"))
		slices.Sort(paths)
		return paths, err
	}
	abs, err := filepath.Abs(args[0])
	if err != nil {
		return nil, err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return nil, noMount(args[0], errNoMount)
	}
	path := socketPath(filepath.Join(parent, filepath.Base(abs)), g.getenv)
	if _, err := os.Stat(path); err != nil {
		return nil, noMount(args[0], errNoMount)
	}
	return []string{path}, nil
}

func noMount(dir string, err error) error {
	if errors.Is(err, errNoMount) {
		return hinted(fmt.Errorf("%s: %w", dir, err), "s3mount status lists all mounts")
	}
	return fmt.Errorf("%s: %w", dir, err)
}

// showStatus prints statuses for a person.
func showStatus(w io.Writer, all []mountStatus, now time.Time) error {
	if len(all) == 0 {
		fmt.Fprintln(w, "nothing is mounted, and nothing waits to be uploaded")
	}
	for _, s := range all {
		where := s.Dir
		if where == "" {
			where = "not mounted"
		}
		fmt.Fprintf(w, "%s (%s): %s\n", s.Remote, where, s.summary())
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, c := range s.Changes {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", c.State, c.Op, escaped(c.Key), size(c.Bytes), now.Sub(c.Since).Round(time.Second), oneText(c.Error))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if more := s.Pending - len(s.Changes); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
	return nil
}

func oneText(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

func (s *mountStatus) summary() string {
	if s.Pending == 0 {
		return "all is in S3"
	}
	text := fmt.Sprintf("%d changes of %s are not in S3", s.Pending, size(s.Bytes))
	if s.Pending == 1 {
		text = fmt.Sprintf("1 change of %s is not in S3", size(s.Bytes))
	}
	if s.Failing > 0 {
		text += fmt.Sprintf(", %d of them failing", s.Failing)
	}
	return text
}

func newFlushCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "flush [DIR]",
		Short: "Wait until everything is in S3",
		Long: `Flush returns when everything that the mount on DIR, or each of your mounts, had
promised when it was called is in S3. It fails when the store does not take
something, and names that.`,
		Args: arguments(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, done := g.untilSignal(c.Context())
			defer done()
			sockets, err := g.sockets(args)
			if err != nil {
				return err
			}
			var errs []error
			for _, path := range sockets {
				err := ask(ctx, path, "flush", nil)
				if len(args) > 0 && err != nil {
					return noMount(args[0], err)
				}
				if !errors.Is(err, errNoMount) {
					errs = append(errs, err)
				}
			}
			return errors.Join(errs...)
		},
	}
}
