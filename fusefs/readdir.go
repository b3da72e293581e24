package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/s3mount/s3mount/vfs"
)

func (s *server) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return s.readDir(cancel, in, false, func(e vfs.DirEntry) bool {
		return out.AddDirEntry(dirEntry(e))
	})
}

// ReadDirPlus gives attributes with the names, where they are known. The others have no
// node: the kernel looks them up if somebody asks.
func (s *server) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return s.readDir(cancel, in, true, func(e vfs.DirEntry) bool {
		eo := out.AddDirLookupEntry(dirEntry(e))
		if eo == nil {
			return false
		}
		if e.Node != 0 {
			s.fill(vfs.Entry{Node: e.Node, Attr: e.Attr}, eo)
		}
		return true
	})
}

func (s *server) readDir(cancel <-chan struct{}, in *fuse.ReadIn, plus bool, add func(vfs.DirEntry) bool) fuse.Status {
	d, err := s.dirs.get(in.Fh)
	if err != nil {
		return s.status("readdir", err)
	}
	ctx, end := s.begin(cancel, &in.InHeader)
	defer end()
	some := false
	err = d.Read(ctx, in.Offset, plus, func(e vfs.DirEntry) bool {
		ok := add(e)
		some = some || ok
		return ok
	})
	if some {
		return fuse.OK // an error shows at the next call, which starts behind these
	}
	return s.status("readdir", err)
}

func dirEntry(e vfs.DirEntry) fuse.DirEntry {
	return fuse.DirEntry{Name: e.Name, Ino: e.Ino, Mode: e.Type, Off: e.Off}
}
