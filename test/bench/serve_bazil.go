package main

import (
	"context"
	"os"
	"syscall"

	"bazil.org/fuse"
	"bazil.org/fuse/fs"
)

// bazilFS is the null file system on bazil.org/fuse. A node is its inode number.
type bazilFS struct{ *nullFS }

type bazilNode struct {
	fs  *bazilFS
	ino uint64
}

// serveBazil mounts at dir and returns what unmounts.
func serveBazil(n *nullFS, dir string) (unmount func() error, ready string, err error) {
	// The library's largest requests are 128 KiB, whatever is asked for.
	conn, err := fuse.Mount(dir, fuse.FSName("bench"), fuse.Subtype("bench"),
		fuse.MaxReadahead(maxIO), fuse.AsyncRead())
	if err != nil {
		return nil, "", err
	}
	served := make(chan error, 1)
	go func() { served <- fs.Serve(conn, &bazilFS{n}) }()
	return func() error {
		if err := fuse.Unmount(dir); err != nil {
			return err
		}
		if err := <-served; err != nil {
			return err
		}
		return conn.Close()
	}, readyLine, nil
}

func (f *bazilFS) Root() (fs.Node, error) { return bazilNode{f, rootIno}, nil }

func (n bazilNode) Attr(_ context.Context, a *fuse.Attr) error {
	a.Inode, a.Nlink, a.Valid, a.BlockSize = n.ino, 1, validity, 4096
	a.Mode = 0o644
	if isDir(n.ino) {
		a.Mode = os.ModeDir | 0o755
	}
	a.Size = n.fs.size(n.ino)
	return nil
}

func (n bazilNode) Lookup(_ context.Context, req *fuse.LookupRequest, resp *fuse.LookupResponse) (fs.Node, error) {
	ino, ok := n.fs.lookup(n.ino, req.Name)
	if !ok {
		return nil, syscall.ENOENT
	}
	resp.EntryValid = validity
	return bazilNode{n.fs, ino}, nil
}

func (n bazilNode) ReadDirAll(context.Context) ([]fuse.Dirent, error) {
	if n.ino != dirIno {
		return nil, nil
	}
	list := make([]fuse.Dirent, n.fs.entries)
	for i := range list {
		list[i] = fuse.Dirent{Inode: firstEntry + uint64(i), Type: fuse.DT_File, Name: entryName(i)}
	}
	return list, nil
}

func (n bazilNode) Read(_ context.Context, req *fuse.ReadRequest, resp *fuse.ReadResponse) error {
	resp.Data = n.fs.zeros[:req.Size]
	return nil
}

func (n bazilNode) Write(_ context.Context, req *fuse.WriteRequest, resp *fuse.WriteResponse) error {
	resp.Size = len(req.Data)
	return nil
}
