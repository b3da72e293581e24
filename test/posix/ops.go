package posix

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// op is one call, and how it is written in the name of a check.
type op struct {
	text string
	do   func() error
}

func opf(do func() error, format string, args ...any) op {
	return op{fmt.Sprintf(format, args...), do}
}

// short writes a long path so that it can be told in a name.
func short(path string) string {
	if len(path) <= 60 {
		return path
	}
	return fmt.Sprintf("%s…(%d bytes)", path[:12], len(path))
}

func chmod(path string, mode uint32) op {
	return opf(func() error { return unix.Chmod(path, mode) }, "chmod %s %04o", short(path), mode)
}

func fchmod(path string, mode uint32) op {
	return opf(func() error {
		return opened(path, unix.O_RDONLY|unix.O_NONBLOCK, func(fd int) error { return unix.Fchmod(fd, mode) })
	}, "fchmod %s %04o", short(path), mode)
}

func chown(path string, uid, gid int) op {
	return opf(func() error { return unix.Chown(path, uid, gid) }, "chown %s %d:%d", short(path), uid, gid)
}

func lchown(path string, uid, gid int) op {
	return opf(func() error { return unix.Lchown(path, uid, gid) }, "lchown %s %d:%d", short(path), uid, gid)
}

func fchown(path string, uid, gid int) op {
	return opf(func() error {
		return opened(path, unix.O_RDONLY|unix.O_NONBLOCK, func(fd int) error { return unix.Fchown(fd, uid, gid) })
	}, "fchown %s %d:%d", short(path), uid, gid)
}

func mkdir(path string, mode uint32) op {
	return opf(func() error { return unix.Mkdir(path, mode) }, "mkdir %s %04o", short(path), mode)
}

func mkfifo(path string, mode uint32) op {
	return opf(func() error { return unix.Mkfifo(path, mode) }, "mkfifo %s %04o", short(path), mode)
}

func mknod(path string, mode uint32, dev uint64) op {
	return opf(func() error { return unix.Mknod(path, mode, int(dev)) }, "mknod %s %06o %d,%d", short(path), mode, unix.Major(dev), unix.Minor(dev))
}

func bind(path string, mode uint32) op { return mknod(path, unix.S_IFSOCK|mode, 0) }

func create(path string, mode uint32) op {
	return open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, mode)
}

var flagNames = []struct {
	flag int
	name string
}{
	{unix.O_WRONLY, "WRONLY"}, {unix.O_RDWR, "RDWR"}, {unix.O_CREAT, "CREAT"}, {unix.O_EXCL, "EXCL"},
	{unix.O_TRUNC, "TRUNC"}, {unix.O_APPEND, "APPEND"}, {unix.O_DIRECTORY, "DIRECTORY"}, {unix.O_NOFOLLOW, "NOFOLLOW"},
	{unix.O_NONBLOCK, "NONBLOCK"}, {unix.O_PATH, "PATH"},
}

func flagText(flags int) string {
	names := []string{}
	for _, f := range flagNames {
		if flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	if flags&unix.O_ACCMODE == 0 {
		names = append([]string{"RDONLY"}, names...)
	}
	return strings.Join(names, "|")
}

func open(path string, flags int, mode uint32) op {
	return opf(func() error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	}, "open %s %s %04o", short(path), flagText(flags), mode)
}

// opened opens a file for what is done with its descriptor.
func opened(path string, flags int, do func(fd int) error) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

func write(path string, flags int, data string) op {
	return opf(func() error {
		return opened(path, flags, func(fd int) error {
			_, err := unix.Write(fd, []byte(data))
			return err
		})
	}, "write %s %s %d bytes", short(path), flagText(flags), len(data))
}

func read(path string, flags int) op {
	return opf(func() error {
		return opened(path, flags, func(fd int) error {
			_, err := unix.Read(fd, make([]byte, 64))
			return err
		})
	}, "read %s %s", short(path), flagText(flags))
}

func unlink(path string) op {
	return opf(func() error { return unix.Unlink(path) }, "unlink %s", short(path))
}

func rmdir(path string) op {
	return opf(func() error { return unix.Rmdir(path) }, "rmdir %s", short(path))
}

func rename(from, to string) op {
	return opf(func() error { return unix.Rename(from, to) }, "rename %s %s", short(from), short(to))
}

func rename2(from, to string, flags uint) op {
	return opf(func() error { return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags) }, "rename2 %s %s %d", short(from), short(to), flags)
}

func link(from, to string) op {
	return opf(func() error { return unix.Link(from, to) }, "link %s %s", short(from), short(to))
}

func symlink(target, path string) op {
	return opf(func() error { return unix.Symlink(target, path) }, "symlink %s %s", short(target), short(path))
}

func readlink(path string) op {
	return opf(func() error {
		_, err := unix.Readlink(path, make([]byte, 8192))
		return err
	}, "readlink %s", short(path))
}

func truncate(path string, size int64) op {
	return opf(func() error { return unix.Truncate(path, size) }, "truncate %s %d", short(path), size)
}

func ftruncate(path string, flags int, size int64) op {
	return opf(func() error {
		return opened(path, flags, func(fd int) error { return unix.Ftruncate(fd, size) })
	}, "ftruncate %s %s %d", short(path), flagText(flags), size)
}

func fallocate(path string, flags int, off, size int64) op {
	return opf(func() error {
		return opened(path, flags, func(fd int) error { return unix.Fallocate(fd, 0, off, size) })
	}, "fallocate %s %s %d+%d", short(path), flagText(flags), off, size)
}

func stat(path string) op {
	return opf(func() error { return unix.Stat(path, new(unix.Stat_t)) }, "stat %s", short(path))
}

func lstat(path string) op {
	return opf(func() error { return unix.Lstat(path, new(unix.Stat_t)) }, "lstat %s", short(path))
}

func chdir(path string) op { // and back
	return opf(func() error {
		return opened(".", unix.O_PATH, func(here int) error {
			if err := unix.Chdir(path); err != nil {
				return err
			}
			return unix.Fchdir(here)
		})
	}, "chdir %s", short(path))
}

func readdir(path string) op {
	return opf(func() error {
		return opened(path, unix.O_RDONLY|unix.O_DIRECTORY, func(fd int) error {
			_, err := unix.Getdents(fd, make([]byte, 4096))
			return err
		})
	}, "readdir %s", short(path))
}

// stamp is one time of utimensat.
type stamp struct {
	text string
	ts   unix.Timespec
}

var (
	now  = stamp{"NOW", unix.Timespec{Nsec: unix.UTIME_NOW}}
	omit = stamp{"OMIT", unix.Timespec{Nsec: unix.UTIME_OMIT}}
)

func at(sec, nsec int64) stamp {
	return stamp{fmt.Sprintf("%d.%09d", sec, nsec), unix.Timespec{Sec: sec, Nsec: nsec}}
}

func utimens(path string, atime, mtime stamp, flags int) op {
	return opf(func() error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{atime.ts, mtime.ts}, flags)
	}, "utimens %s %s %s", short(path), atime.text, mtime.text)
}

// badPath makes a call whose path is no memory of the process.
func badPath(name string, trap uintptr, args ...uintptr) op {
	return opf(func() error {
		a := [6]uintptr{}
		copy(a[:], args)
		if _, _, e := unix.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5]); e != 0 {
			return e
		}
		return nil
	}, "%s", name)
}

// cstring is a path for badPath that is right.
func cstring(s string) uintptr {
	p, _ := unix.BytePtrFromString(s)
	keep = append(keep, p)
	return uintptr(unsafe.Pointer(p))
}

// keep holds what raw calls point to.
var keep []*byte
