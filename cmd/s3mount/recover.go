package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/writeback/journal"
	"github.com/s3mount/s3mount/writeback/overlay"
)

func newRecoverCmd(g *globals) *cobra.Command {
	o := defaultMountOptions(g.getenv)
	c := &cobra.Command{
		Use:   "recover [remote:bucket[/prefix]]",
		Short: "Upload what killed mounts with --writeback have promised",
		Long: `Recover uploads what mounts with --writeback had promised when they were killed, or
were told to give up: of one bucket, or of all that have something in --cache-dir.
A mount of the bucket with the same --cache-dir does so, too.`,
		Args: arguments(1),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, done := g.untilSignal(c.Context())
			defer done()
			return g.recover(ctx, args, &o)
		},
	}
	c.Flags().StringVar(&o.cacheDir, "cache-dir", o.cacheDir, "`DIR` that the mounts were given")
	c.Flags().DurationVar(&o.retryFor, "retry-for", o.retryFor, "how long a request that fails is repeated before it counts as failed")
	g.addS3Flags(c.Flags())
	return c
}

func (g *globals) recover(ctx context.Context, args []string, o *mountOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	log, closeLog, err := g.logger()
	if err != nil {
		return err
	}
	defer closeLog()
	remotes, err := journaledRemotes(o.cacheDir)
	if err != nil {
		return err
	}
	if len(args) > 0 {
		remotes = args
	}
	var errs []error
	count := 0
	for _, remote := range remotes {
		n, err := g.recoverOne(ctx, remote, o, log)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", remote, err))
		}
		if count += n; n > 0 {
			fmt.Fprintf(g.stdout, "%s: %d uploaded\n", remote, n)
		}
	}
	if count == 0 && len(errs) == 0 {
		fmt.Fprintln(g.stdout, "nothing waits to be uploaded")
	}
	return errors.Join(errs...)
}

// recoverOne uploads what mounts of one bucket have left, and returns how many changes those
// were.
func (g *globals) recoverOne(ctx context.Context, remote string, o *mountOptions, log *slog.Logger) (count int, err error) {
	bucket, _, err := g.openBucket(ctx, remote, o.retryFor, log)
	if err != nil {
		return 0, err
	}
	for _, path := range folderPaths(o.cacheDir, folderName(bucket.String())) {
		if !hasJournal(path) {
			break // they come first
		}
		folder, err := lockFolder(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // its mount uploads it
		}
		if err != nil {
			return count, cacheError(o.cacheDir, err)
		}
		s, _ := lookInto(folder) // what is wrong with it, drain tells
		err = drain(ctx, folder, bucket, budget.NewDisk(int64(o.cacheSize)), o, log)
		folder.Close()
		if err != nil {
			return count, err
		}
		count += s.Pending
	}
	return count, nil
}

// journals lists the folders in which changes wait, and no mount has.
func journals(cacheDir string) (folders []string) {
	paths, _ := filepath.Glob(filepath.Join(cacheDir, "mounts", "*")) // fails for bad patterns only
	for _, path := range paths {
		if hasJournal(path) {
			folders = append(folders, path)
		}
	}
	return folders
}

// ownerOf reads what a mount wrote into its folder.
func ownerOf(path string) (o folderOwner, err error) {
	b, err := os.ReadFile(filepath.Join(path, ownerFile))
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err == nil && o.Remote == "" {
		err = errors.New("it names no remote")
	}
	if err != nil {
		err = hinted(fmt.Errorf("changes wait in %s, of an unknown bucket: %w", path, err), "s3mount recover remote:bucket")
	}
	return o, err
}

// journaledRemotes lists the buckets of which changes wait.
func journaledRemotes(cacheDir string) (remotes []string, err error) {
	var errs []error
	for _, path := range journals(cacheDir) {
		o, err := ownerOf(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		remotes = append(remotes, o.Remote)
	}
	slices.Sort(remotes)
	return slices.Compact(remotes), errors.Join(errs...)
}

// leftJournals tells what waits in folders that no mount has.
func leftJournals(cacheDir string) (all []mountStatus, err error) {
	var errs []error
	for _, path := range journals(cacheDir) {
		folder, err := lockFolder(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return all, cacheError(cacheDir, err)
		}
		s, err := lookInto(folder)
		folder.Close()
		errs = append(errs, err)
		if s.Pending > 0 {
			owner, _ := ownerOf(path) // empty if it is not known
			all = append(all, mountStatus{Remote: owner.Remote, Writeback: true, Status: s})
		}
	}
	return all, errors.Join(errs...)
}

// lookInto reads the journal of a folder that the caller has locked, and changes nothing: what
// is damaged is for the next mount to tell. Of a damaged one there is a status beside the error.
func lookInto(folder *cacheFolder) (overlay.Status, error) {
	o, err := overlay.Open(overlay.Options{Dir: folder.journalDir(), Disk: budget.NewDisk(0), Look: true})
	var damage *journal.DamageError
	if err != nil && !errors.As(err, &damage) {
		return overlay.Status{}, cacheError(folder.path, err)
	}
	return o.Status(shownChanges), errors.Join(err, o.Close())
}

// leftIn counts the changes that wait in a folder which no mount has.
func leftIn(path string) (n int, ok bool) {
	if !hasJournal(path) {
		return 0, false
	}
	folder, err := lockFolder(path)
	if err != nil {
		return 0, false // its mount tells
	}
	defer folder.Close()
	s, err := lookInto(folder)
	return s.Pending, err == nil || errors.As(err, new(*journal.DamageError))
}
