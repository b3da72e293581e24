package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/objcache"
)

// cacheFlags are the flags of the commands on the cache.
type cacheFlags struct {
	dir    string
	asJSON bool
}

func newCacheCmd(g *globals) *cobra.Command {
	o := cacheFlags{dir: defaultCacheDir(g.getenv)}
	c := &cobra.Command{
		Use:   "cache",
		Short: "Show and clear the mounts' cache",
		Long:  "The mounts keep blocks of files on the local disk, in --cache-dir. What is there can\nbe cleared at any time, also while it is mounted: it is downloaded again.",
		Args:  arguments(0),
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	show := &cobra.Command{
		Use:     "show",
		Aliases: []string{"ls"},
		Short:   "Show what is cached of which bucket",
		Long:    "Show lists the buckets of which something is cached: how much of the disk that takes,\nof how many files, how many files are not in S3 yet, and where the bucket is mounted.",
		Args:    arguments(0),
		RunE:    func(c *cobra.Command, _ []string) error { return g.cacheShow(&o) },
	}
	clear := &cobra.Command{
		Use:   "clear [remote:bucket]",
		Short: "Remove what is cached",
		Long:  "Clear removes the cached blocks of a bucket, or of all. What is not in S3 is never\nremoved, and of a mount the files that are being read stay.",
		Args:  arguments(1),
		RunE:  func(c *cobra.Command, args []string) error { return g.cacheClear(&o, args) },
	}
	for _, sub := range []*cobra.Command{show, clear} {
		sub.Flags().StringVar(&o.dir, "cache-dir", o.dir, "`DIR` that the mounts were given")
		sub.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
		c.AddCommand(sub)
	}
	return c
}

// cachedBucket is a mount's folder as cache show tells it.
type cachedBucket struct {
	folder  string
	Remote  string `json:"remote"` // empty: not known
	Bytes   int64  `json:"bytes"`
	Files   int    `json:"files"`
	Waiting int    `json:"waiting"` // files that are being written, or were when the mount died
	Mounted string `json:"mountpoint,omitempty"`
}

// cacheReport is what cache show --json prints.
type cacheReport struct {
	Dir     string         `json:"dir"`
	Buckets []cachedBucket `json:"buckets"`
	Unsent  []string       `json:"unsent"` // files that S3 did not take
}

func (g *globals) cacheShow(o *cacheFlags) error {
	r, err := o.survey()
	if err != nil {
		return err
	}
	if o.asJSON {
		return outputError(json.NewEncoder(g.stdout).Encode(r))
	}
	return outputError(r.print(g.stdout))
}

// survey looks at all folders. One that can't be read is an error.
func (o *cacheFlags) survey() (*cacheReport, error) {
	if o.dir == "" {
		return nil, usageError{errors.New("--cache-dir is empty: name a directory")}
	}
	r := &cacheReport{Dir: o.dir, Buckets: []cachedBucket{}, Unsent: []string{}}
	folders, err := entries(filepath.Join(o.dir, "mounts"))
	if err != nil {
		return nil, unreadable(o.dir, err)
	}
	for _, folder := range folders {
		b, err := surveyFolder(folder)
		if err != nil {
			return nil, unreadable(folder, err)
		}
		r.Buckets = append(r.Buckets, b)
	}
	slices.SortFunc(r.Buckets, func(a, b cachedBucket) int {
		return strings.Compare(a.Remote+"\x00"+a.folder, b.Remote+"\x00"+b.folder)
	})
	unsent, err := entries(filepath.Join(o.dir, "unsent"))
	if err != nil {
		return nil, unreadable(o.dir, err)
	}
	r.Unsent = append(r.Unsent, unsent...)
	return r, nil
}

func unreadable(path string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("--cache-dir: %s can't be read: %w: is it the directory that the mounts were given?", path, err)
}

// entries returns the paths in a folder; none if it is not there.
func entries(dir string) (paths []string, err error) {
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range list {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths, nil
}

func surveyFolder(path string) (cachedBucket, error) {
	b := cachedBucket{folder: path}
	u, err := objcache.Survey(filepath.Join(path, "blocks"))
	if err != nil {
		return b, err
	}
	b.Bytes, b.Files = u.Bytes, u.Files
	staged, err := entries(filepath.Join(path, "staging", "staged"))
	if err != nil {
		return b, err
	}
	for _, path := range staged {
		if st, err := os.Stat(path); err == nil && st.Size() > 0 { // else it is kept to be used
			b.Waiting++
		}
	}
	if n, ok := leftIn(path); ok {
		b.Waiting += n
	}
	var owner folderOwner
	if text, err := os.ReadFile(filepath.Join(path, ownerFile)); err == nil && json.Unmarshal(text, &owner) == nil {
		b.Remote = owner.Remote
	}
	if folderInUse(path) {
		b.Mounted = owner.Dir
	}
	return b, nil
}

// folderInUse reports whether a mount has the folder's lock. A mount that starts at this
// very moment takes another folder.
func folderInUse(path string) bool {
	f, err := os.Open(filepath.Join(path, "lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil
}

func (r *cacheReport) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var bytes int64
	for i, b := range r.Buckets {
		if i == 0 {
			fmt.Fprintln(t, "BUCKET\tSIZE\tFILES\tNOT IN S3\tMOUNTED ON")
		}
		bytes += b.Bytes
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\n", orUnknown(b.Remote), bytesText(b.Bytes), b.Files, b.Waiting, orDash(b.Mounted))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	total := bytesText(bytes)
	if len(r.Buckets) == 0 {
		total = "nothing"
	}
	if _, err := fmt.Fprintf(w, "%s in %s\n", total, r.Dir); err != nil {
		return err
	}
	for _, path := range r.Unsent {
		if _, err := fmt.Fprintf(w, "not taken by S3: %s\n", path); err != nil {
			return err
		}
	}
	return nil
}

func orUnknown(remote string) string {
	if remote == "" {
		return "(not known)"
	}
	return remote
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// clearReport is what cache clear --json prints.
type clearReport struct {
	Freed  int64 `json:"freed"`  // bytes
	InUse  int64 `json:"in_use"` // bytes of files that a mount is reading
	Unsent int   `json:"unsent"` // files that are not in S3, and stay
}

func (g *globals) cacheClear(o *cacheFlags, args []string) error {
	r, err := o.survey()
	if err != nil {
		return err
	}
	buckets := r.Buckets
	if len(args) > 0 {
		place, err := parsePlace(args[0])
		if err != nil {
			return err
		}
		if buckets = r.of(place.String()); len(buckets) == 0 {
			return fmt.Errorf("nothing of %s is cached in %s: s3mount cache show lists what is", place, o.dir)
		}
	}
	done := clearReport{Unsent: len(r.Unsent)}
	var errs []error
	for _, b := range buckets {
		freed, kept, err := objcache.Clear(filepath.Join(b.folder, "blocks"))
		errs = append(errs, err)
		done.Freed += freed.Bytes
		done.InUse += kept.Bytes
		done.Unsent += b.Waiting
		if err == nil && b.Mounted == "" {
			errs = append(errs, removeFolder(b.folder))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if o.asJSON {
		return outputError(json.NewEncoder(g.stdout).Encode(done))
	}
	return outputError(done.print(g.stdout))
}

// removeFolder removes the folder of a mount that is gone, unless it holds something that
// the next mount needs to put the bucket in order.
func removeFolder(path string) error {
	c, err := lockFolder(path)
	if err != nil {
		return nil // a mount has begun
	}
	defer c.Close()
	for _, sub := range []string{"staged", "uploads"} {
		if left, err := entries(filepath.Join(path, "staging", sub)); len(left) > 0 || err != nil {
			return err
		}
	}
	if hasJournal(path) {
		return nil
	}
	return os.RemoveAll(path)
}

// of returns the folders of a bucket, or of a prefix in it.
func (r *cacheReport) of(name string) (found []cachedBucket) {
	for _, b := range r.Buckets {
		if b.Remote == name || strings.HasPrefix(b.Remote, strings.TrimSuffix(name, "/")+"/") {
			found = append(found, b)
		}
	}
	return found
}

func (r clearReport) print(w io.Writer) error {
	text := bytesText(r.Freed) + " freed"
	if r.InUse > 0 {
		text += ", " + bytesText(r.InUse) + " in use"
	}
	if r.Unsent > 0 {
		text += fmt.Sprintf("; what is not in S3 stays (%d), s3mount cache show tells of it", r.Unsent)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
