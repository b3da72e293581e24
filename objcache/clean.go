package objcache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// Usage is what files take of the local disk.
type Usage struct {
	Files int   // versions of objects
	Bytes int64 // of the disk, indexes included
}

func (u *Usage) add(other Usage) {
	u.Files += other.Files
	u.Bytes += other.Bytes
}

// Survey adds up what a cache has in its folder dir, also while a Cache has it open. A
// folder that is not there is empty.
func Survey(dir string) (u Usage, err error) {
	err = eachFile(dir, func(path string, d fs.DirEntry) error {
		st, err := d.Info()
		if err == nil {
			u.add(usageOf(path, st))
		}
		return nil // one that is gone meanwhile takes nothing
	})
	return u, err
}

func usageOf(path string, st fs.FileInfo) (u Usage) {
	if strings.HasSuffix(path, dataSuffix) {
		u.Files = 1
	}
	u.Bytes = st.Size()
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		u.Bytes = sys.Blocks * 512
	}
	return u
}

// Clear removes what a cache has in its folder dir, also while a Cache of this or of
// another process has it open: that fetches again what it needs, and counts the space
// as free when it notices. Files that are read past the mount are in use, and stay.
func Clear(dir string) (freed, kept Usage, err error) {
	var failed []error
	err = eachFile(dir, func(path string, d fs.DirEntry) error {
		st, err := d.Info()
		if err != nil {
			return nil // it is gone
		}
		u := usageOf(path, st)
		switch removed, err := removeUnused(path); {
		case err != nil:
			failed = append(failed, object.Errorf(object.KindOf(err), "clear cache", path, "%w", err))
			kept.add(u)
		case removed:
			freed.add(u)
		default:
			kept.add(u)
		}
		return nil
	})
	return freed, kept, errors.Join(err, errors.Join(failed...))
}

// removeUnused removes a file unless somebody holds its lock.
func removeUnused(path string) (bool, error) {
	if data, ok := strings.CutSuffix(path, indexSuffix); ok && locked(data+dataSuffix) {
		return false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist), ignoreMissing(err)
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false, nil
	}
	err = ignoreMissing(os.Remove(path))
	return err == nil, err
}

func locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// eachFile calls f with the files in dir that a cache has named.
func eachFile(dir string, f func(path string, d fs.DirEntry) error) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := cacheFile(d); !ok {
			return nil
		}
		return f(path, d)
	})
	if err != nil {
		return object.Errorf(object.KindOf(err), "look at cache", dir, "%w", err)
	}
	return nil
}
