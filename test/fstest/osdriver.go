package fstest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// OS drives a directory of this machine: a mount, or a local folder as the reference.
type OS struct {
	Root string
	// NoLinks says of a reference that no hard links are to be tried.
	NoLinks bool
}

func (d OS) at(path string) string { return filepath.Join(d.Root, path) }

// Open implements Driver, as do the methods that follow.
func (d OS) Open(path string, flag int, mode os.FileMode) (File, error) {
	f, err := os.OpenFile(d.at(path), flag, mode)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return osFile{f}, nil
}

type osFile struct{ *os.File }

func (f osFile) PunchHole(off, size int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, size)
}

func (d OS) SetXattr(path, name string, value []byte) error {
	return unix.Lsetxattr(d.at(path), name, value, 0)
}

func (d OS) RemoveXattr(path, name string) error { return unix.Lremovexattr(d.at(path), name) }

func (d OS) Xattrs(path string) (map[string]string, error) {
	list := make([]byte, 1<<16)
	n, err := unix.Llistxattr(d.at(path), list)
	all := map[string]string{}
	for name := range strings.SplitSeq(string(list[:max(n, 0)]), "\x00") {
		if !strings.HasPrefix(name, "user.") || err != nil {
			continue
		}
		value := make([]byte, 1<<12)
		if n, err = unix.Lgetxattr(d.at(path), name, value); err == nil {
			all[name] = string(value[:n])
		}
	}
	return all, err
}

func (d OS) Mkdir(path string, mode os.FileMode) error { return os.Mkdir(d.at(path), mode) }
func (d OS) Unlink(path string) error                  { return unix.Unlink(d.at(path)) }
func (d OS) Rmdir(path string) error                   { return unix.Rmdir(d.at(path)) }
func (d OS) Rename(from, to string) error              { return unix.Rename(d.at(from), d.at(to)) }
func (d OS) Exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, d.at(a), unix.AT_FDCWD, d.at(b), unix.RENAME_EXCHANGE)
}
func (d OS) Link(from, to string) error                { return unix.Link(d.at(from), d.at(to)) }
func (d OS) Symlink(target, path string) error         { return os.Symlink(target, d.at(path)) }
func (d OS) Readlink(path string) (string, error)      { return os.Readlink(d.at(path)) }
func (d OS) Truncate(path string, size int64) error    { return os.Truncate(d.at(path), size) }
func (d OS) Chmod(path string, mode os.FileMode) error { return os.Chmod(d.at(path), mode) }

func (d OS) Chtimes(path string, mtime time.Time) error {
	t := unix.NsecToTimespec(mtime.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, d.at(path), []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}

func (d OS) Lstat(path string) (Stat, error) {
	st, err := os.Lstat(d.at(path))
	if err != nil {
		return Stat{}, err
	}
	s := Stat{Mode: st.Mode(), Size: st.Size(), Mtime: st.ModTime()}
	if st.IsDir() {
		s.Size = 0
	} else {
		s.Links = uint64(st.Sys().(*syscall.Stat_t).Nlink)
	}
	return s, nil
}

func (d OS) ReadDir(path string) ([]string, error) {
	f, err := os.Open(d.at(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
