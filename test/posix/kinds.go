package posix

import "golang.org/x/sys/unix"

// kind is a kind of file.
type kind struct {
	name string
	fmt  uint32 // S_IFMT
	make func(path string, mode uint32) op
}

var (
	regular = kind{"regular", unix.S_IFREG, create}
	folder  = kind{"folder", unix.S_IFDIR, mkdir}
	fifo    = kind{"fifo", unix.S_IFIFO, mkfifo}
	char    = kind{"char", unix.S_IFCHR, func(p string, m uint32) op { return mknod(p, unix.S_IFCHR|m, unix.Mkdev(1, 3)) }}
	block   = kind{"block", unix.S_IFBLK, func(p string, m uint32) op { return mknod(p, unix.S_IFBLK|m, unix.Mkdev(7, 300)) }}
	socket  = kind{"socket", unix.S_IFSOCK, bind}
	slink   = kind{"symlink", unix.S_IFLNK, func(p string, _ uint32) op { return symlink("nowhere", p) }}
)

var (
	files    = []kind{regular, fifo, char, block, socket} // have a mode, are no folder
	withMode = append([]kind{folder}, files...)
	notDirs  = append([]kind{slink}, files...)
	kinds    = append([]kind{folder}, notDirs...)
)

// remove removes a file of the kind.
func (k kind) remove(path string) op {
	if k.fmt == unix.S_IFDIR {
		return rmdir(path)
	}
	return unlink(path)
}
