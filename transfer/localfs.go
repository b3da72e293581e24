package transfer

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// localFS is what Local needs of a folder. *os.Root is one: it follows no symbolic link
// out of the folder, whatever a key or a racing process makes of the path.
type localFS interface {
	Open(name string) (*os.File, error)
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	Lstat(name string) (fs.FileInfo, error)
	Stat(name string) (fs.FileInfo, error)
	Mkdir(name string, perm fs.FileMode) error
	MkdirAll(name string, perm fs.FileMode) error
	Rename(oldname, newname string) error
	Remove(name string) error
	Chtimes(name string, atime, mtime time.Time) error
}

// linkedFS is a folder in which symbolic links are followed, out of it as well: the user
// asked for that.
type linkedFS struct{ dir string }

func (l linkedFS) path(name string) string { return filepath.Join(l.dir, name) }

func (l linkedFS) Open(name string) (*os.File, error) { return os.Open(l.path(name)) }
func (l linkedFS) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(l.path(name), flag, perm)
}
func (l linkedFS) Lstat(name string) (fs.FileInfo, error)    { return os.Lstat(l.path(name)) }
func (l linkedFS) Stat(name string) (fs.FileInfo, error)     { return os.Stat(l.path(name)) }
func (l linkedFS) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(l.path(name), perm) }
func (l linkedFS) MkdirAll(name string, perm fs.FileMode) error {
	return os.MkdirAll(l.path(name), perm)
}
func (l linkedFS) Rename(from, to string) error { return os.Rename(l.path(from), l.path(to)) }
func (l linkedFS) Remove(name string) error     { return os.Remove(l.path(name)) }
func (l linkedFS) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(l.path(name), atime, mtime)
}
