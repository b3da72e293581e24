package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tour is demo --check: what a user does on the first day, done by itself.
type tour struct {
	g    *globals
	d    *demoPlace
	o    mountOptions
	log  *slog.Logger
	tree string // the local tree that is copied in, and that the mount must equal
	mnt  string
	live *live
}

// tour runs the steps in order, prints a line for each, and stops at the first failure.
func (g *globals) tour(ctx context.Context, o *demoOptions) (err error) {
	log, closeLog, err := g.logger()
	if err != nil {
		return err
	}
	defer closeLog()
	ctx, done := g.untilSignal(ctx)
	defer done()
	d, err := openDemo(ctx, "", o.keep, log) // not the bucket in which a user may have files
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	t := &tour{g: g, d: d, o: o.mountOptions, log: log, tree: d.temp + "/tree", mnt: d.mnt}
	t.o.cacheDir = d.temp + "/cache"
	defer func() { err = errors.Join(err, t.unmount()) }()
	for _, s := range t.steps() {
		began := time.Now()
		err := s.run(ctx)
		if why := interrupted(ctx); why != nil {
			return fmt.Errorf("%s: %w", s.name, why)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(g.stdout, "ok  %-52s %5.2f s\n", s.name, time.Since(began).Seconds())
	}
	fmt.Fprintln(g.stdout, "The tour is complete: everything works here.")
	return nil
}

type step struct {
	name string
	run  func(context.Context) error
}

func (t *tour) steps() []step {
	return []step{
		{"make a tree of files, folders and links", t.plant},
		{"mount a bucket", t.mount},
		{"copy the tree in (cp -a)", func(ctx context.Context) error { return t.exec(ctx, "cp", "-a", t.tree, t.mnt+"/") }},
		{"sync it twice (rsync -a): the second sends nothing", t.syncTwice},
		{"edit: append, overwrite, truncate", t.edit},
		{"rename a file and a folder", t.rename},
		{"compare", t.compare},
		{"unmount and mount again", t.remount},
		{"compare: content, times to the nanosecond, modes", t.compare},
		{"remove it all (rm -r)", t.remove},
		{"unmount, and remove the bucket", t.end},
	}
}

// plant makes the local tree, with names that break careless programs.
func (t *tour) plant(context.Context) error {
	random := rand.NewChaCha8([32]byte{1})
	for i, name := range []string{"a.txt", "with space", "ünïcode 🎉", "new\nline", "%s percent", "dash-/-x", "deep/er/and/deeper/file",
		"dir/1", "dir/2", "dir.x", "empty", "big.bin"} {
		size := map[string]int{"empty": 0, "big.bin": 20 << 20}[name]
		if name != "empty" && size == 0 {
			size = 100 * (i + 1)
		}
		data := make([]byte, size)
		random.Read(data)
		path := filepath.Join(t.tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o640|fs.FileMode(i%2)<<6); err != nil {
			return err
		}
		at := time.Unix(1_500_000_000+int64(i), int64(i)*111_111_111)
		if err := os.Chtimes(path, at, at); err != nil {
			return err
		}
	}
	return os.Symlink("deep/er", filepath.Join(t.tree, "link"))
}

func (t *tour) mount(ctx context.Context) (err error) {
	if err := os.MkdirAll(t.mnt, 0o755); err != nil {
		return err
	}
	t.live, err = t.g.start(ctx, t.d.bucket, "demo", t.mnt, &t.o, t.log)
	return err
}

func (t *tour) unmount() error {
	if t.live == nil {
		return nil
	}
	l := t.live
	t.live = nil
	detach(l.server, l.dir, t.log)
	l.server.Wait()
	err := endError(nil, l.close(context.Background()))
	l.end(nil)
	return err
}

// end leaves nothing of the tour in data that is kept.
func (t *tour) end(ctx context.Context) error {
	if err := t.unmount(); err != nil {
		return err
	}
	return t.d.client.DeleteBucket(ctx, t.d.bucket.Name())
}

func (t *tour) remount(ctx context.Context) error {
	if err := t.unmount(); err != nil {
		return err
	}
	return t.mount(ctx)
}

// exec runs a program of the machine.
func (t *tour) exec(ctx context.Context, name string, args ...string) error {
	_, err := t.output(ctx, name, args...)
	return err
}

func (t *tour) output(ctx context.Context, name string, args ...string) (string, error) {
	var out, problems bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = &out, &problems
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(problems.String()))
	}
	return out.String(), nil
}

func (t *tour) syncTwice(ctx context.Context) error {
	if _, err := exec.LookPath("rsync"); err != nil {
		return errors.New("rsync is missing: install it (apt-get install rsync)")
	}
	for range 2 {
		sent, err := t.output(ctx, "rsync", "-a", "--out-format=%i %n", t.tree+"/", t.mnt+"/tree/")
		if err != nil {
			return err
		}
		if sent != "" {
			return fmt.Errorf("rsync found differences after cp -a:\n%s", sent)
		}
	}
	return nil
}

// both applies an edit to the local tree and to the mount.
func (t *tour) both(edit func(root string) error) error {
	for _, root := range []string{t.tree, t.mnt + "/tree"} {
		if err := edit(root); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) edit(context.Context) error {
	at := time.Unix(1_600_000_000, 123_456_789)
	return t.both(func(root string) error {
		f, err := os.OpenFile(root+"/a.txt", os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("appended\n")
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if f, err = os.OpenFile(root+"/big.bin", os.O_RDWR, 0); err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("in the middle"), 7<<20)
		if err := errors.Join(err, f.Sync(), f.Close(), os.Truncate(root+"/with space", 10)); err != nil {
			return err
		}
		return errors.Join(os.Chtimes(root+"/a.txt", at, at), os.Chtimes(root+"/big.bin", at, at), os.Chtimes(root+"/with space", at, at))
	})
}

func (t *tour) rename(context.Context) error {
	at := time.Unix(1_600_000_001, 0)
	return t.both(func(root string) error {
		return errors.Join(os.Rename(root+"/dir.x", root+"/renamed"), os.Rename(root+"/dir", root+"/folder"),
			os.Chtimes(root+"/folder", at, at), os.Chtimes(root, at, at))
	})
}

func (t *tour) remove(context.Context) error {
	if err := os.RemoveAll(t.mnt + "/tree"); err != nil {
		return err
	}
	left, err := os.ReadDir(t.mnt)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%s is still there", left[0].Name())
	}
	return err
}

// compare walks both trees and reports the first difference.
func (t *tour) compare(context.Context) error {
	want, err := describeTree(t.tree)
	if err != nil {
		return err
	}
	got, err := describeTree(t.mnt + "/tree")
	if err != nil {
		return err
	}
	for i := range max(len(want), len(got)) {
		var w, g string
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w != g {
			return fmt.Errorf("the tree is\n  %s\nand the mount has\n  %s", w, g)
		}
	}
	return nil
}

// describeTree returns a line for each file of a tree: all that must be the same.
func describeTree(root string) (lines []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := os.Lstat(path)
		if err != nil {
			return err
		}
		content := ""
		switch {
		case st.Mode().IsRegular():
			content, err = sumOf(path)
		case st.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(path)
		}
		rel, _ := filepath.Rel(root, path) // path is below root
		size := st.Size()
		if st.IsDir() {
			size = 0
		}
		lines = append(lines, fmt.Sprintf("%q %v %d bytes %d.%09d %s", rel, st.Mode(), size, st.ModTime().Unix(), st.ModTime().Nanosecond(), content))
		return err
	})
	return lines, err
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), err
}
