package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/fusefs"
)

// checkMountPoint returns the mount point's real path, if it can be mounted on. whenFull is
// what the user is told to do about one that is not empty.
func checkMountPoint(dir string, o *mountOptions, whenFull string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(abs)
	switch {
	case errors.Is(err, unix.ENOTCONN):
		return "", deadMount(dir)
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("mount point %s does not exist: make it with mkdir", dir)
	case err != nil:
		return "", fmt.Errorf("mount point: %w: choose another directory", err)
	case !st.IsDir():
		return "", fmt.Errorf("mount point %s is not a directory: choose an empty directory", dir)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("mount point: %w: choose another directory", err)
	}
	if kind := mountedOn(real); kind != "" {
		if errors.Is(unix.Statfs(real, new(unix.Statfs_t)), unix.ENOTCONN) { // attributes may be cached
			return "", deadMount(dir)
		}
		return "", fmt.Errorf("mount point %s: %s is already mounted there: unmount it first, or choose another directory", dir, kind)
	}
	if inside(real, o.cacheDir) || inside(o.cacheDir, real) {
		return "", fmt.Errorf("mount point %s and the cache %s are inside one another: choose another --cache-dir", dir, o.cacheDir)
	}
	if o.nonEmpty {
		return real, nil
	}
	if err := checkEmpty(dir, real, whenFull); err != nil {
		return "", err
	}
	return real, nil
}

func deadMount(dir string) error {
	return fmt.Errorf("mount point %s: a mount that died is still there: remove it with s3mount umount %s", dir, dir)
}

// checkEmpty looks into real, which the user wrote as dir.
func checkEmpty(dir, real, whenFull string) error {
	f, err := os.Open(real)
	if err != nil {
		return fmt.Errorf("mount point: %w: choose another directory", err)
	}
	defer f.Close()
	if names, err := f.Readdirnames(1); err != io.EOF {
		if err != nil {
			return fmt.Errorf("mount point: %w: choose another directory", err)
		}
		return fmt.Errorf("mount point %s is not empty (%s is there): %s", dir, escaped(names[0]), whenFull)
	}
	return nil
}

// inside reports whether path is dir or below it, with links in either resolved.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(realest(dir), realest(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// realest resolves the links in as much of a path as exists.
func realest(path string) string {
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest)
		}
		if path == "/" || path == "." {
			return filepath.Join(path, rest)
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}

// mountedOn returns the type of the file system that is mounted on dir itself, or "".
func mountedOn(dir string) string {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	kind := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		types := strings.Fields(after)
		if ok && len(fields) > 4 && len(types) > 0 && unescapeMount(fields[4]) == dir {
			kind = types[0]
		}
	}
	return kind
}

// unescapeMount undoes the octal escapes of /proc/self/mountinfo.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isOurs reports whether an s3mount is mounted on dir.
func isOurs(dir string) bool { return mountedOn(dir) == fusefs.FSType }
