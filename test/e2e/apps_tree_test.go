package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// netSource copies the standard library's package net, some 430 files in 40 folders, to
// a local folder, adds what source code has none of, and gives every file, folder and
// link a time of its own, to the nanosecond.
func netSource(t testing.TB) string {
	t.Helper()
	src := filepath.Join(t.TempDir(), "net")
	sh(t, "/", "cp", "-r", goEnv(t, "GOROOT")+"/src/net", src)
	must(t, os.Mkdir(src+"/empty folder", 0o700))
	write(t, src+"/empty file", "")
	write(t, src+"/odd ~name+ö%41", "odd")
	must(t, os.Chmod(src+"/net.go", 0o600))
	must(t, os.Chmod(src+"/http", 0o750))
	must(t, os.Symlink("net.go", src+"/link"))
	must(t, os.Symlink("../not there", src+"/http/dangling"))
	var paths []string
	must(t, filepath.WalkDir(src, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	for i, path := range paths {
		setTime(t, path, time.Unix(1_500_000_000+int64(i), 1+int64(i)*1_234_567%1_000_000_000))
	}
	return src
}

// setTime sets the times of a file, folder or link.
func setTime(t testing.TB, path string, at time.Time) {
	t.Helper()
	ts := unix.NsecToTimespec(at.UnixNano())
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

// tree describes everything below a folder, by path: type, mode, content, and with
// times also the mtime in nanoseconds.
func tree(t testing.TB, root string, times bool) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		all[rel], err = describe(path, times)
		return err
	}))
	return all
}

func describe(path string, times bool) (string, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	what := ""
	switch {
	case st.Mode().IsRegular():
		what, err = sum(path)
	case st.Mode()&os.ModeSymlink != 0:
		what, err = os.Readlink(path)
	}
	if times {
		what += fmt.Sprint(" mtime ", st.ModTime().UnixNano())
	}
	return fmt.Sprint(st.Mode(), " ", what), err
}

// sum returns the size and SHA-256 of a file.
func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return fmt.Sprintf("%d bytes %x", n, h.Sum(nil)), err
}

// sameTree fails unless two folders' descriptions agree.
func sameTree(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for path, w := range want {
		if g, ok := got[path]; !ok {
			t.Errorf("%s: %q is missing", what, path)
		} else if g != w {
			t.Errorf("%s: %q is %q, want %q", what, path, g, w)
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			t.Errorf("%s: %q should not be there", what, path)
		}
	}
}
