package fusefs

import (
	"bytes"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs"
)

func (s *server) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	a, err := s.fs.GetAttr(ctx, node(in.NodeId))
	return s.attr("getattr", a, err, out)
}

func (s *server) attr(op string, a vfs.Attr, err error, out *fuse.AttrOut) fuse.Status {
	if err == nil {
		out.SetTimeout(s.o.Timeout)
		fillAttr(a, &out.Attr)
	}
	return s.status(op, err)
}

func (s *server) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	a, err := s.fs.SetAttr(ctx, node(in.NodeId), changes(in, time.Now()))
	return s.attr("setattr", a, err, out)
}

// changes reads what a SETATTR request asks for.
func changes(in *fuse.SetAttrIn, now time.Time) (c vfs.SetAttr) {
	if v, ok := in.GetMode(); ok {
		c.Mode = &v
	}
	if v, ok := in.GetUID(); ok {
		c.UID = &v
	}
	if v, ok := in.GetGID(); ok {
		c.GID = &v
	}
	if v, ok := in.GetSize(); ok {
		size := int64(v) // over 2^63 it is negative, and refused
		c.Size = &size
	}
	if in.Valid&fuse.FATTR_MTIME != 0 {
		c.Mtime = when(in.Valid&fuse.FATTR_MTIME_NOW != 0, now, in.Mtime, in.Mtimensec)
	}
	c.KillPriv = in.Valid&fuse.FATTR_KILL_SUIDGID != 0 || in.Valid&(fuse.FATTR_UID|fuse.FATTR_GID) != 0
	if in.Valid&fuse.FATTR_ATIME != 0 {
		c.Atime = when(in.Valid&fuse.FATTR_ATIME_NOW != 0, now, in.Atime, in.Atimensec)
	}
	return c
}

func when(isNow bool, now time.Time, sec uint64, nsec uint32) *time.Time {
	t := now
	if !isNow {
		t = time.Unix(int64(sec), int64(nsec))
	}
	return &t
}

func (s *server) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	st := s.fs.StatFS()
	out.Bsize, out.Frsize = uint32(st.BlockSize), uint32(st.BlockSize)
	out.Blocks, out.Bfree, out.Bavail = st.Blocks, st.Free, st.Free
	out.Files, out.Ffree, out.NameLen = st.Files, st.Files, st.NameLen
	return fuse.OK
}

func (s *server) GetXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	ctx, end := s.begin(cancel, h)
	defer end()
	v, err := s.fs.GetXattr(ctx, node(h.NodeId), name)
	return s.bytes("getxattr", v, err, dest)
}

func (s *server) ListXAttr(cancel <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	ctx, end := s.begin(cancel, h)
	defer end()
	names, err := s.fs.ListXattr(ctx, node(h.NodeId))
	var b bytes.Buffer
	for _, n := range names {
		b.WriteString(n)
		b.WriteByte(0)
	}
	return s.bytes("listxattr", b.Bytes(), err, dest)
}

// bytes answers a request for bytes of unknown length: the length alone where the
// caller gave no buffer.
func (s *server) bytes(op string, v []byte, err error, dest []byte) (uint32, fuse.Status) {
	if err == nil && len(dest) > 0 && len(v) > len(dest) {
		err = object.Errorf(object.KindRange, op, "", "")
	}
	copy(dest, v)
	return uint32(len(v)), s.status(op, err)
}

func (s *server) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, value []byte) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	mode := vfs.XattrAny
	switch {
	case in.Flags&unix.XATTR_CREATE != 0:
		mode = vfs.XattrCreate
	case in.Flags&unix.XATTR_REPLACE != 0:
		mode = vfs.XattrReplace
	}
	return s.status("setxattr", s.fs.SetXattr(ctx, node(in.NodeId), name, value, mode))
}

func (s *server) RemoveXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	ctx, end := s.begin(cancel, h)
	defer end()
	return s.status("removexattr", s.fs.RemoveXattr(ctx, node(h.NodeId), name))
}
