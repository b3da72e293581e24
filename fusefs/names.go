package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs"
)

func (s *server) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	ctx, end := s.begin(cancel, h)
	defer end()
	e, err := s.fs.Lookup(ctx, node(h.NodeId), name)
	if object.Is(err, object.KindNotFound) {
		out.NodeId = 0 // the kernel remembers that the name is free
		out.SetEntryTimeout(s.o.AbsentTimeout)
		return fuse.OK
	}
	return s.entry("lookup", e, err, out)
}

func (s *server) entry(op string, e vfs.Entry, err error, out *fuse.EntryOut) fuse.Status {
	if err == nil {
		s.fill(e, out)
	}
	return s.status(op, err)
}

func (s *server) Forget(id, count uint64) { s.fs.Forget(node(id), count) }

func (s *server) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	e, err := s.fs.Mkdir(ctx, node(in.NodeId), name, in.Mode&0o7777, s.caller(&in.InHeader))
	return s.entry("mkdir", e, err, out)
}

func (s *server) Mknod(cancel <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	e, err := s.fs.Mknod(ctx, node(in.NodeId), name, in.Mode, in.Rdev, s.caller(&in.InHeader))
	return s.entry("mknod", e, err, out)
}

func (s *server) Symlink(cancel <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	ctx, end := s.begin(cancel, h)
	defer end()
	e, err := s.fs.Symlink(ctx, node(h.NodeId), name, target, s.caller(h))
	return s.entry("symlink", e, err, out)
}

func (s *server) Readlink(cancel <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	ctx, end := s.begin(cancel, h)
	defer end()
	target, err := s.fs.Readlink(ctx, node(h.NodeId))
	return []byte(target), s.status("readlink", err)
}

func (s *server) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	e, err := s.fs.Link(ctx, node(in.Oldnodeid), node(in.NodeId), name)
	return s.entry("link", e, err, out)
}

func (s *server) Unlink(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	ctx, end := s.begin(cancel, h)
	defer end()
	return s.status("unlink", s.fs.Unlink(ctx, node(h.NodeId), name))
}

func (s *server) Rmdir(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	ctx, end := s.begin(cancel, h)
	defer end()
	return s.status("rmdir", s.fs.Rmdir(ctx, node(h.NodeId), name))
}

func (s *server) Rename(cancel <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	switch in.Flags {
	case 0, unix.RENAME_NOREPLACE:
		return s.status("rename", s.fs.Rename(ctx, node(in.NodeId), oldName, node(in.Newdir), newName, in.Flags != 0))
	case unix.RENAME_EXCHANGE:
		return s.status("rename", s.fs.Exchange(ctx, node(in.NodeId), oldName, node(in.Newdir), newName))
	}
	return fuse.EINVAL // RENAME_WHITEOUT, or flags that exclude one another, as rename(2) says
}
