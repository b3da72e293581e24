package fusefs

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/s3mount/s3mount/vfs"
)

// server implements go-fuse's raw file system on a vfs.FS.
type server struct {
	fuse.RawFileSystem // ENOSYS for what is not implemented

	fs     *vfs.FS
	o      Options
	report *reporter
	ctx    context.Context // ends with the mount
	cancel context.CancelFunc
	files  *handles[*vfs.Handle]
	dirs   *handles[*vfs.DirHandle]
	passer passer
}

func newServer(o Options) *server {
	s := &server{RawFileSystem: fuse.NewDefaultRawFileSystem(), fs: o.FS, o: o,
		report: newReporter(o.Log, time.Now), files: newHandles[*vfs.Handle](), dirs: newHandles[*vfs.DirHandle]()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Init is called when the kernel has told what it can do.
func (s *server) Init(k *fuse.Server) { s.passer.init(k, s.o.Log, s.o.ByRequests) }

func (s *server) String() string { return "s3mount" }

// panicked answers a request whose handling panicked: a bug, but the mount goes on.
func (s *server) panicked(v any) fuse.Status {
	s.o.Log.Error("a request panicked: please report this", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	return fuse.EIO
}

// caller tells who makes something. What root makes belongs to somebody else where that is
// wanted.
func (s *server) caller(h *fuse.InHeader) vfs.Caller {
	if h.Uid == 0 && s.o.Root != (vfs.Caller{}) {
		return s.o.Root
	}
	return vfs.Caller{UID: h.Uid, GID: h.Gid}
}

// fill writes a name's answer for the kernel.
func (s *server) fill(e vfs.Entry, out *fuse.EntryOut) {
	out.NodeId = uint64(e.Node)
	out.SetEntryTimeout(s.o.Timeout)
	if !e.Guessed {
		out.SetAttrTimeout(s.o.Timeout)
	}
	fillAttr(e.Attr, &out.Attr)
}

func fillAttr(a vfs.Attr, out *fuse.Attr) {
	out.Ino = a.Ino
	out.Size = uint64(a.Size)
	out.Blocks = a.Blocks()
	out.Mode = a.Mode
	out.Nlink = a.Nlink
	out.Uid, out.Gid = a.UID, a.GID
	out.Rdev = a.Rdev
	out.Blksize = maxIO
	out.Atime, out.Atimensec = stamp(a.Atime)
	out.Mtime, out.Mtimensec = stamp(a.Mtime)
	out.Ctime, out.Ctimensec = stamp(a.Ctime)
}

// stamp splits a time as the kernel wants it; a time before 1970 has negative seconds.
func stamp(t time.Time) (sec uint64, nsec uint32) {
	if t.IsZero() {
		return 0, 0
	}
	return uint64(t.Unix()), uint32(t.Nanosecond())
}

// A name or folder's inode.
func node(id uint64) vfs.NodeID { return vfs.NodeID(id) }
