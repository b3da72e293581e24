package fusefs

import (
	"io"
	"math"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs"
)

// Create makes and opens a file. One that somebody else made since the kernel looked is
// truncated here where the caller wants that: the kernel takes it for new.
func (s *server) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	e, h, err := s.fs.Create(ctx, node(in.NodeId), name, in.Mode&0o7777, in.Flags&syscall.O_EXCL != 0, s.caller(&in.InHeader))
	if err != nil {
		return s.status("create", err)
	}
	if in.Flags&syscall.O_TRUNC != 0 && e.Attr.Size > 0 {
		if err := h.Truncate(ctx, 0); err != nil {
			h.Release()
			s.fs.Forget(e.Node, 1)
			return s.status("create", err)
		}
		e.Attr.Size = 0
	}
	s.fill(e, &out.EntryOut)
	out.Fh = s.files.add(h)
	return fuse.OK
}

func (s *server) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	h, keep, err := s.fs.Open(ctx, node(in.NodeId), in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY)
	switch {
	case object.Is(err, object.KindStale):
		return fuse.Status(syscall.ESTALE) // the kernel looks the name up again: nothing to log
	case err != nil:
		return s.status("open", err)
	}
	if id, ok := h.Backing(); ok {
		out.OpenFlags |= fuse.FOPEN_PASSTHROUGH // the kernel takes no other flag with it
		out.BackingID = id
	} else if keep {
		out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
	}
	out.Fh = s.files.add(h)
	return fuse.OK
}

// viewed is the answer to a read in place. As a vector go-fuse writes it at once; other
// answers it would put into a pipe first.
type viewed struct {
	fuse.ReadResult
	parts   [][]byte
	release func()
}

func (v viewed) Slices() ([][]byte, fuse.Status) { return v.parts, fuse.OK }
func (v viewed) Done()                           { v.release() }

// spliced is the answer to a read of a local file, which goes to the kernel without a copy
// where the pipe that it needs may be that large (1 MiB for who is not root).
type spliced struct {
	fuse.ReadResult
	v vfs.View
}

// Seekable makes go-fuse splice.
func (s spliced) Seekable() (fd uintptr, off int64, size int) {
	return s.v.File.Fd(), s.v.Off, s.v.Size
}
func (s spliced) Done() { s.v.Release() }

func (s *server) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h, err := s.files.get(in.Fh)
	if err != nil {
		return nil, s.status("read", err)
	}
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	v, err := h.View(ctx, buf, int64(in.Offset))
	if err != nil && err != io.EOF {
		return nil, s.status("read", err)
	}
	if v.File != nil {
		return spliced{fuse.ReadResultFd(v.File.Fd(), v.Off, v.Size), v}, fuse.OK
	}
	return viewed{fuse.ReadResultVector(v.Parts), v.Parts, v.Release}, fuse.OK
}

func (s *server) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	h, err := s.files.get(in.Fh)
	if err != nil {
		return 0, s.status("write", err)
	}
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	if in.WriteFlags&fuse.WRITE_KILL_SUIDGID != 0 {
		h.KillPriv()
	}
	n, err := h.WriteAt(ctx, data, int64(in.Offset))
	return uint32(n), s.status("write", err)
}

func (s *server) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	h, err := s.files.get(in.Fh)
	if err == nil {
		ctx, end := s.begin(cancel, &in.InHeader)
		defer end()
		err = h.Flush(ctx)
	}
	return s.status("close", err)
}

func (s *server) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h, err := s.files.get(in.Fh)
	if err == nil {
		ctx, end := s.begin(cancel, &in.InHeader)
		defer end()
		err = h.Fsync(ctx)
	}
	return s.status("fsync", err)
}

func (s *server) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if h, ok := s.files.remove(in.Fh); ok {
		h.Release()
	}
}

// Fallocate grows a file, or makes zeros in it. Room behind the end is nothing that an
// object has, and moving what is behind a range is refused.
func (s *server) Fallocate(cancel <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	const zero = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE
	if in.Mode&^(unix.FALLOC_FL_KEEP_SIZE|zero) != 0 {
		return fuse.Status(unix.EOPNOTSUPP)
	}
	h, err := s.files.get(in.Fh)
	if err != nil {
		return s.status("fallocate", err)
	}
	keepSize := in.Mode&unix.FALLOC_FL_KEEP_SIZE != 0
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	switch {
	case in.Mode&zero != 0:
		err = h.Zero(ctx, int64(in.Offset), int64(in.Length), keepSize)
	case !keepSize:
		err = h.Grow(ctx, int64(in.Offset+in.Length))
	}
	return s.status("fallocate", err)
}

// CopyFileRange lets the store copy a whole file; for other ranges the kernel reads and
// writes.
func (s *server) CopyFileRange(cancel <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	from, err := s.files.get(in.FhIn)
	var to *vfs.Handle
	if err == nil {
		to, err = s.files.get(in.FhOut)
	}
	if err != nil {
		return 0, s.status("copy", err)
	}
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	n := min(in.Len, math.MaxUint32)
	copied, err := s.fs.CopyRange(ctx, from, int64(in.OffIn), to, int64(in.OffOut), int64(n))
	return uint32(copied), s.status("copy", err)
}

// Lseek is left to the kernel: an object has no holes.
func (s *server) Lseek(<-chan struct{}, *fuse.LseekIn, *fuse.LseekOut) fuse.Status {
	return fuse.ENOSYS
}

func (s *server) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	d, err := s.fs.OpenDir(ctx, node(in.NodeId))
	if err != nil {
		return s.status("opendir", err)
	}
	out.Fh = s.dirs.add(d)
	return fuse.OK
}

func (s *server) ReleaseDir(in *fuse.ReleaseIn) {
	if d, ok := s.dirs.remove(in.Fh); ok {
		s.fs.ReleaseDir(d)
	}
}

func (s *server) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	return s.status("fsync", s.fs.SyncNames(ctx))
}
