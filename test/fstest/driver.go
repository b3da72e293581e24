// Package fstest holds tests that do not care how they reach a file system: the same
// bodies run on vfs in this process, and through the kernel on a mount. The reference
// is a local directory.
package fstest

import (
	"io"
	"os"
	"time"
)

// Driver reaches one file system. Paths are relative, with slashes. Errors are errnos
// where the file system gave one (errors.Is with unix.Errno works).
type Driver interface {
	Open(path string, flag int, mode os.FileMode) (File, error)
	Mkdir(path string, mode os.FileMode) error
	Unlink(path string) error
	Rmdir(path string) error
	Rename(from, to string) error
	Exchange(a, b string) error
	Link(from, to string) error
	Symlink(target, path string) error
	Readlink(path string) (string, error)
	Lstat(path string) (Stat, error)
	ReadDir(path string) ([]string, error) // sorted
	Truncate(path string, size int64) error
	Chmod(path string, mode os.FileMode) error
	Chtimes(path string, mtime time.Time) error
	// SetXattr sets an extended attribute of a file or folder; RemoveXattr removes it.
	SetXattr(path, name string, value []byte) error
	RemoveXattr(path, name string) error
	// Xattrs are the values of all extended attributes of the user.
	Xattrs(path string) (map[string]string, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	PunchHole(off, size int64) error // of what is before the end
	Sync() error
	Close() error
}

// Stat is what the tests compare of a file's attributes.
type Stat struct {
	Mode  os.FileMode
	Size  int64  // 0 for folders
	Links uint64 // 0 for folders
	Mtime time.Time
}
