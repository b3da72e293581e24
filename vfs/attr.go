package vfs

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// NodeID names an inode towards the kernel. It is never used again.
type NodeID uint64

// RootID is the NodeID of the mount's root.
const RootID NodeID = 1

// Attr is what stat shows.
type Attr struct {
	Ino   uint64 // stable over remounts: made from the key
	Size  int64  // bytes
	Mode  uint32 // type and permissions as in st_mode
	Nlink uint32
	UID   uint32
	GID   uint32
	Rdev  uint32
	Atime time.Time
	Mtime time.Time
	Ctime time.Time
}

// IsDir reports whether the attributes are a folder's.
func (a Attr) IsDir() bool { return a.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsRegular reports whether the attributes are a regular file's.
func (a Attr) IsRegular() bool { return a.Mode&unix.S_IFMT == unix.S_IFREG }

// IsSymlink reports whether the attributes are a symbolic link's.
func (a Attr) IsSymlink() bool { return a.Mode&unix.S_IFMT == unix.S_IFLNK }

// Blocks returns st_blocks: units of 512 bytes.
func (a Attr) Blocks() uint64 { return uint64(a.Size+511) / 512 }

// SetAttr is a change of attributes; nil fields stay.
type SetAttr struct {
	Mode  *uint32 // permission bits; the type is ignored
	UID   *uint32
	GID   *uint32
	Size  *int64
	Atime *time.Time
	Mtime *time.Time
	// KillPriv takes the bits away that would let others act as the owner or the group:
	// who changes a file's owner or content can't do so.
	KillPriv bool

	meta object.Meta // user metadata in place of what there is; nil: it stays
}

// withoutPriv is a file's mode without setuid, and without setgid where that means
// something (without execution by the group it is a mark for mandatory locks).
func withoutPriv(mode uint32) uint32 {
	mode &^= unix.S_ISUID
	if mode&unix.S_IXGRP != 0 {
		mode &^= unix.S_ISGID
	}
	return mode
}

// Entry is the answer to a lookup: an inode, and for how long the kernel may trust it.
type Entry struct {
	Node NodeID
	Attr Attr
	// Guessed says that but for type and size the attributes are not the object's own:
	// who needs them asks with GetAttr.
	Guessed bool
}

// Caller is on whose behalf an operation runs.
type Caller struct {
	UID, GID uint32
}

// StatFS is what statfs shows. S3 has no size, so that the numbers are large and fixed.
type StatFS struct {
	BlockSize, Blocks, Free, Files uint64
	NameLen                        uint32
}

// StatFS returns the capacity shown to df: 1 PiB, all of it free.
func (fs *FS) StatFS() StatFS {
	const block = 1 << 20
	return StatFS{BlockSize: block, Blocks: 1 << 50 / block, Free: 1 << 50 / block, Files: 1 << 40, NameLen: 255}
}
