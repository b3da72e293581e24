package fstest

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs"
)

// VFS drives a vfs.FS in this process, the way the kernel does: it looks names up one
// by one, checks what the kernel checks before it asks, and gives its references back.
type VFS struct{ FS *vfs.FS }

// errno turns an error into the errno that a mount gives, for the kinds that the
// bodies cause.
func errno(err error) error {
	if err == nil {
		return nil
	}
	for kind, no := range map[object.Kind]unix.Errno{
		object.KindNotFound: unix.ENOENT, object.KindExists: unix.EEXIST, object.KindNotDir: unix.ENOTDIR,
		object.KindIsDir: unix.EISDIR, object.KindNotEmpty: unix.ENOTEMPTY, object.KindLoop: unix.EINVAL,
		object.KindInvalid: unix.EINVAL, object.KindNameTooLong: unix.ENAMETOOLONG, object.KindBadHandle: unix.EBADF,
		object.KindNoAttr: unix.ENODATA,
	} {
		if object.Is(err, kind) {
			return errors.Join(no, err)
		}
	}
	return err
}

var ctx = context.Background()

// walk looks a path up. done gives the references back.
func (d VFS) walk(p string) (e vfs.Entry, done func(), err error) {
	var held []vfs.NodeID
	done = func() {
		for _, n := range held {
			d.FS.Forget(n, 1)
		}
	}
	a, err := d.FS.GetAttr(ctx, vfs.RootID)
	e = vfs.Entry{Node: vfs.RootID, Attr: a}
	for _, name := range strings.Split(path.Clean(p), "/") {
		if name == "." || err != nil {
			continue
		}
		switch {
		case e.Attr.IsSymlink():
			err = unix.ENOENT // the bodies' links lead nowhere
			continue
		case !e.Attr.IsDir():
			err = unix.ENOTDIR
			continue
		}
		if e, err = d.FS.Lookup(ctx, e.Node, name); err == nil {
			held = append(held, e.Node)
		}
	}
	if err != nil {
		done()
		return e, func() {}, errno(err)
	}
	return e, done, nil
}

// parent looks a path's folder up.
func (d VFS) parent(p string) (vfs.NodeID, string, func(), error) {
	dir, name := path.Split(path.Clean(p))
	e, done, err := d.walk(dir)
	switch {
	case err == nil && e.Attr.IsSymlink():
		err = unix.ENOENT // as in walk
	case err == nil && !e.Attr.IsDir():
		err = unix.ENOTDIR
	}
	if err != nil {
		done()
		return 0, "", func() {}, err
	}
	return e.Node, name, done, nil
}

type vfsFile struct{ h *vfs.Handle }

// Open implements Driver, as do the methods that follow.
func (d VFS) Open(p string, flag int, mode os.FileMode) (File, error) {
	dir, name, done, err := d.parent(p)
	if err != nil {
		return nil, err
	}
	defer done()
	write := flag&unix.O_ACCMODE != os.O_RDONLY
	e, err := d.FS.Lookup(ctx, dir, name)
	if object.Is(err, object.KindNotFound) && flag&os.O_CREATE != 0 {
		e, h, err := d.FS.Create(ctx, dir, name, uint32(mode.Perm()), flag&os.O_EXCL != 0, vfs.Caller{})
		if err != nil {
			return nil, errno(err)
		}
		d.FS.Forget(e.Node, 1)
		return vfsFile{h}, nil
	}
	if err != nil {
		return nil, errno(err)
	}
	defer d.FS.Forget(e.Node, 1)
	switch {
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, unix.EEXIST
	case e.Attr.IsSymlink():
		return nil, unix.ELOOP // the bodies don't follow links
	case e.Attr.IsDir():
		return openFolder(flag)
	}
	h, _, err := d.FS.Open(ctx, e.Node, write)
	if err != nil {
		return nil, errno(err)
	}
	if flag&os.O_TRUNC != 0 {
		zero := int64(0)
		if _, err := d.FS.SetAttr(ctx, e.Node, vfs.SetAttr{Size: &zero}); err != nil {
			h.Release()
			return nil, errno(err)
		}
	}
	return vfsFile{h}, nil
}

// openFolder opens a folder as a file: the kernel does that without asking.
func openFolder(flag int) (File, error) {
	if flag&unix.O_ACCMODE != os.O_RDONLY || flag&os.O_CREATE != 0 {
		return nil, unix.EISDIR
	}
	return folder{}, nil
}

// folder is a folder that is open for reading.
type folder struct{}

func (folder) ReadAt([]byte, int64) (int, error)  { return 0, unix.EISDIR }
func (folder) WriteAt([]byte, int64) (int, error) { return 0, unix.EBADF }
func (folder) Truncate(int64) error               { return unix.EINVAL }
func (folder) PunchHole(int64, int64) error       { return unix.EBADF }
func (folder) Sync() error                        { return nil }
func (folder) Close() error                       { return nil }

func (f vfsFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.h.ReadAt(ctx, p, off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, errno(err)
}

func (f vfsFile) WriteAt(p []byte, off int64) (int, error) {
	p = slices.Clone(p)
	n, err := f.h.WriteAt(ctx, p, off)
	for i := range p {
		p[i] = 0xAA // FUSE uses its buffers again: nobody may keep them
	}
	return n, errno(err)
}

func (f vfsFile) Truncate(size int64) error { return errno(f.h.Truncate(ctx, size)) }
func (f vfsFile) PunchHole(off, size int64) error {
	return errno(f.h.Zero(ctx, off, size, true))
}
func (f vfsFile) Sync() error { return errno(f.h.Fsync(ctx)) }

func (f vfsFile) Close() error {
	defer f.h.Release()
	return errno(f.h.Flush(ctx))
}

func (d VFS) Mkdir(p string, mode os.FileMode) error {
	dir, name, done, err := d.parent(p)
	if err != nil {
		return err
	}
	defer done()
	e, err := d.FS.Mkdir(ctx, dir, name, uint32(mode.Perm()), vfs.Caller{})
	if err == nil {
		d.FS.Forget(e.Node, 1)
	}
	return errno(err)
}

func (d VFS) Unlink(p string) error {
	dir, name, done, err := d.parent(p)
	if err != nil {
		return err
	}
	defer done()
	return errno(d.FS.Unlink(ctx, dir, name))
}

func (d VFS) Rmdir(p string) error {
	dir, name, done, err := d.parent(p)
	if err != nil {
		return err
	}
	defer done()
	return errno(d.FS.Rmdir(ctx, dir, name))
}

func (d VFS) Rename(from, to string) error {
	fd, fn, fdone, err := d.parent(from)
	if err != nil {
		return err
	}
	defer fdone()
	td, tn, tdone, err := d.parent(to)
	if err != nil {
		return err
	}
	defer tdone()
	if _, err := d.Lstat(from); err == nil && strings.HasPrefix(from, to+"/") {
		return unix.ENOTEMPTY // the kernel sees this one itself
	}
	return errno(d.FS.Rename(ctx, fd, fn, td, tn, false))
}

func (d VFS) Exchange(a, b string) error {
	ad, an, adone, err := d.parent(a)
	if err != nil {
		return err
	}
	defer adone()
	bd, bn, bdone, err := d.parent(b)
	if err != nil {
		return err
	}
	defer bdone()
	return errno(d.FS.Exchange(ctx, ad, an, bd, bn))
}

func (d VFS) Link(from, to string) error {
	e, done, err := d.walk(from)
	if err != nil {
		return err
	}
	defer done()
	dir, name, tdone, err := d.parent(to)
	if err != nil {
		return err
	}
	defer tdone()
	if e.Attr.IsDir() { // the kernel sees this one itself, once the new name is free
		if _, err := d.Lstat(to); err == nil {
			return unix.EEXIST
		}
		return unix.EPERM
	}
	l, err := d.FS.Link(ctx, e.Node, dir, name)
	if err == nil {
		d.FS.Forget(l.Node, 1)
	}
	return errno(err)
}

func (d VFS) Symlink(target, p string) error {
	dir, name, done, err := d.parent(p)
	if err != nil {
		return err
	}
	defer done()
	e, err := d.FS.Symlink(ctx, dir, name, target, vfs.Caller{})
	if err == nil {
		d.FS.Forget(e.Node, 1)
	}
	return errno(err)
}

func (d VFS) Readlink(p string) (string, error) {
	e, done, err := d.walk(p)
	if err != nil {
		return "", err
	}
	defer done()
	target, err := d.FS.Readlink(ctx, e.Node)
	return target, errno(err)
}

func (d VFS) Lstat(p string) (Stat, error) {
	e, done, err := d.walk(p)
	if err != nil {
		return Stat{}, err
	}
	defer done()
	s := Stat{Mode: os.FileMode(e.Attr.Mode & 0o777), Size: e.Attr.Size, Links: uint64(e.Attr.Nlink), Mtime: e.Attr.Mtime}
	switch {
	case e.Attr.IsDir():
		s.Mode |= os.ModeDir
		s.Size, s.Links = 0, 0
	case e.Attr.IsSymlink():
		s.Mode |= os.ModeSymlink
	}
	return s, nil
}

func (d VFS) ReadDir(p string) (names []string, err error) {
	e, done, err := d.walk(p)
	if err != nil {
		return nil, err
	}
	defer done()
	h, err := d.FS.OpenDir(ctx, e.Node)
	if err != nil {
		return nil, errno(err)
	}
	defer d.FS.ReleaseDir(h)
	err = h.Read(ctx, 2, true, func(e vfs.DirEntry) bool {
		if e.Node != 0 {
			d.FS.Forget(e.Node, 1)
		}
		names = append(names, e.Name)
		return true
	})
	slices.Sort(names)
	return names, errno(err)
}

func (d VFS) set(p string, s vfs.SetAttr) error {
	e, done, err := d.walk(p)
	if err != nil {
		return err
	}
	defer done()
	_, err = d.FS.SetAttr(ctx, e.Node, s)
	return errno(err)
}

func (d VFS) Truncate(p string, size int64) error { return d.set(p, vfs.SetAttr{Size: &size}) }

func (d VFS) Chmod(p string, mode os.FileMode) error {
	m := uint32(mode.Perm())
	return d.set(p, vfs.SetAttr{Mode: &m})
}

func (d VFS) Chtimes(p string, mtime time.Time) error {
	return d.set(p, vfs.SetAttr{Mtime: &mtime, Atime: &mtime})
}

// onNode runs an operation on what a path leads to.
func (d VFS) onNode(p string, f func(vfs.NodeID) error) error {
	e, done, err := d.walk(p)
	if err != nil {
		return err
	}
	defer done()
	return errno(f(e.Node))
}

func (d VFS) SetXattr(p, name string, value []byte) error {
	return d.onNode(p, func(n vfs.NodeID) error { return d.FS.SetXattr(ctx, n, name, value, vfs.XattrAny) })
}

func (d VFS) RemoveXattr(p, name string) error {
	return d.onNode(p, func(n vfs.NodeID) error { return d.FS.RemoveXattr(ctx, n, name) })
}

func (d VFS) Xattrs(p string) (map[string]string, error) {
	all := map[string]string{}
	err := d.onNode(p, func(n vfs.NodeID) error {
		names, err := d.FS.ListXattr(ctx, n)
		for _, name := range names {
			v, err := d.FS.GetXattr(ctx, n, name)
			if err != nil {
				return err
			}
			all[name] = string(v)
		}
		return err
	})
	return all, err
}
