package main

import (
	"log"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// goFS is the null file system on go-fuse's raw API. What it doesn't implement the
// embedded default answers with ENOSYS.
type goFS struct {
	fuse.RawFileSystem
	*nullFS
	server    *fuse.Server
	backingID int32 // 0: this process may not use passthrough
}

// validity is long enough for nothing to be asked twice in a run.
const validity = time.Minute

// serveGoFuse mounts at dir and returns what unmounts; ready tells what is mounted.
func serveGoFuse(n *nullFS, dir string) (unmount func() error, ready string, err error) {
	fs := &goFS{RawFileSystem: fuse.NewDefaultRawFileSystem(), nullFS: n}
	server, err := fuse.NewServer(fs, dir, &fuse.MountOptions{
		FsName: "bench", Name: "bench", DirectMount: true,
		MaxWrite: maxIO, MaxReadAhead: maxIO, MaxStackDepth: 1,
		Logger: log.Default(),
	})
	if err != nil {
		return nil, "", err
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return nil, "", err
	}
	ready = readyLine
	if fs.backingID == 0 {
		ready = readyNoPassthrough
	}
	return func() error {
		if err := server.Unmount(); err != nil {
			return err
		}
		server.Wait()
		return nil
	}, ready, nil
}

func (fs *goFS) Init(s *fuse.Server) {
	fs.server = s
	if s.KernelSettings().Flags64()&fuse.CAP_PASSTHROUGH == 0 {
		return
	}
	if id, errno := s.RegisterBackingFd(&fuse.BackingMap{Fd: int32(fs.backing.Fd())}); errno == 0 {
		fs.backingID = id
	}
}

func (fs *goFS) attr(ino uint64, a *fuse.Attr) {
	a.Ino, a.Nlink, a.Blksize = ino, 1, 4096
	a.Mode = fuse.S_IFREG | 0o644
	if isDir(ino) {
		a.Mode = fuse.S_IFDIR | 0o755
	}
	a.Size = fs.size(ino)
}

func (fs *goFS) entry(ino uint64, out *fuse.EntryOut) {
	out.NodeId = ino
	out.SetEntryTimeout(validity)
	out.SetAttrTimeout(validity)
	fs.attr(ino, &out.Attr)
}

func (fs *goFS) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	ino, ok := fs.lookup(h.NodeId, name)
	if !ok {
		return fuse.ENOENT
	}
	fs.entry(ino, out)
	return fuse.OK
}

func (fs *goFS) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.SetTimeout(validity)
	fs.attr(in.NodeId, &out.Attr)
	return fuse.OK
}

func (fs *goFS) OpenDir(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.OK }

func (fs *goFS) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if in.NodeId != dirIno {
		return fuse.OK
	}
	for i := int(in.Offset); i < fs.entries; i++ {
		ino := firstEntry + uint64(i)
		e := out.AddDirLookupEntry(fuse.DirEntry{Name: entryName(i), Ino: ino, Mode: fuse.S_IFREG})
		if e == nil {
			break
		}
		fs.entry(ino, e)
	}
	return fuse.OK
}

func (fs *goFS) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if in.NodeId != dirIno {
		return fuse.OK
	}
	for i := int(in.Offset); i < fs.entries; i++ {
		if !out.AddDirEntry(fuse.DirEntry{Name: entryName(i), Ino: firstEntry + uint64(i), Mode: fuse.S_IFREG}) {
			break
		}
	}
	return fuse.OK
}

func (fs *goFS) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if in.NodeId == passIno {
		if fs.backingID == 0 {
			return fuse.EPERM
		}
		out.OpenFlags |= fuse.FOPEN_PASSTHROUGH
		out.BackingID = fs.backingID
	}
	return fuse.OK
}

func (fs *goFS) Read(_ <-chan struct{}, in *fuse.ReadIn, _ []byte) (fuse.ReadResult, fuse.Status) {
	if in.NodeId == relayIno {
		return fuse.ReadResultFd(fs.backing.Fd(), int64(in.Offset), int(in.Size)), fuse.OK
	}
	return fuse.ReadResultData(fs.zeros[:in.Size]), fuse.OK
}

func (fs *goFS) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if in.NodeId == relayIno {
		n, err := fs.backing.WriteAt(data, int64(in.Offset))
		return uint32(n), fuse.ToStatus(err)
	}
	return uint32(len(data)), fuse.OK
}
