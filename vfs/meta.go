package vfs

import (
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/mtime"
	"github.com/s3mount/s3mount/object"
)

// Names of the user metadata that keeps POSIX attributes on an object. docs/SEMANTICS.md
// describes the values.
const (
	metaMode = "mode" // st_mode, decimal: s3fs's and geesefs's form
	metaUID  = "uid"  // decimal
	metaGID  = "gid"  // decimal
	metaRdev = "rdev" // st_rdev of a device node, decimal: geesefs's form
	// metaGeesefsLink holds a link's target, percent-encoded, in geesefs's form. Read only.
	metaGeesefsLink = "--symlink-target"

	dirContentType = "application/x-directory"
)

// parseMode reads a mode: st_mode in decimal (s3fs, geesefs, this program), or in octal
// (rclone's metadata: 100644 or 0644). Decimal is right where the file type in it is a
// type; octal is tried for the rest. ok is false for anything else.
func parseMode(s string) (mode uint32, ok bool) {
	if !strings.HasPrefix(s, "0") {
		if m, err := strconv.ParseUint(s, 10, 32); err == nil && knownType(uint32(m)) && m < 1<<16 {
			return uint32(m), true
		}
	}
	m, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || m >= 1<<16 || m&unix.S_IFMT != 0 && !knownType(uint32(m)) {
		return 0, false
	}
	return uint32(m), true
}

func knownType(mode uint32) bool {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
		return true
	}
	return false
}

// defaults are the attributes of an object without metadata.
type defaults struct {
	uid, gid          uint32
	fileMode, dirMode uint32 // permissions
	serverTime        bool   // the time of the upload is the mtime
}

// attrOf reads an object's attributes from its metadata, in our own, rclone's, s3fs's
// and geesefs's forms. dir says that the object is a marker. Metadata that makes no
// sense is as good as none.
func (d defaults) attrOf(info object.Info, dir bool) Attr {
	a := Attr{Size: info.Size, Nlink: 1, UID: d.uid, GID: d.gid, Mode: unix.S_IFREG | d.fileMode, Mtime: info.LastModified}
	if dir {
		a.Mode, a.Size, a.Nlink = unix.S_IFDIR|d.dirMode, 0, 2
	}
	if v, ok := info.Meta[metaMode]; ok {
		if m, ok := parseMode(v); ok {
			a.Mode = withMode(a.Mode, m, dir || info.Size > maxLinkSize, info.Size == 0)
		}
	}
	if v, err := strconv.ParseUint(info.Meta[metaRdev], 10, 32); err == nil && isDevice(a.Mode) {
		a.Rdev = uint32(v)
	}
	if target := geesefsLink(info); target != "" && !dir {
		a.Mode, a.Size = unix.S_IFLNK|0o777, int64(len(target))
	}
	a.UID, a.GID = parseOwner(info.Meta[metaUID], a.UID), parseOwner(info.Meta[metaGID], a.GID)
	if t, ok := mtime.Parse(info.Meta[mtime.Key]); ok && !(d.serverTime && !info.LastModified.IsZero()) {
		a.Mtime = t
	}
	a.Atime, a.Ctime = a.Mtime, info.LastModified
	return a
}

// geesefsLink returns the target of a link in geesefs's form; empty: it is none.
func geesefsLink(info object.Info) string {
	target := percentDecode(info.Meta[metaGeesefsLink])
	if len(target) > maxLinkSize || info.Size > maxLinkSize {
		return ""
	}
	return target
}

// parseOwner reads the number of a user or group. The greatest one means nobody to the
// kernel, which would not even let such a file be removed.
func parseOwner(s string, otherwise uint32) uint32 {
	if v, err := strconv.ParseUint(s, 10, 32); err == nil && v < math.MaxUint32 {
		return uint32(v)
	}
	return otherwise
}

// withMode applies a mode from metadata. A marker stays a folder, an object never becomes
// one, one that has content is no FIFO, socket or device, and one that has none is no link:
// nobody could read it then.
// noLink says that it is a marker, or too large for a link.
func withMode(have, m uint32, noLink, empty bool) uint32 {
	switch t := m & unix.S_IFMT; {
	case noLink:
	case t == unix.S_IFLNK && !empty:
		return unix.S_IFLNK | 0o777
	case empty && isSpecial(m):
		return m
	}
	return have&unix.S_IFMT | m&^unix.S_IFMT
}

// isSpecial reports whether a mode is a FIFO's, a socket's or a device node's: the kernel
// serves these by itself, and the object keeps the attributes.
func isSpecial(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFIFO || t == unix.S_IFSOCK || isDevice(mode)
}

func isDevice(mode uint32) bool {
	t := mode & unix.S_IFMT
	return t == unix.S_IFCHR || t == unix.S_IFBLK
}

// putMeta writes attributes into metadata, over what is there.
func putMeta(m object.Meta, a Attr) object.Meta {
	m = m.Clone()
	m[mtime.Key] = mtime.Format(a.Mtime)
	m[metaMode] = strconv.FormatUint(uint64(a.Mode), 10)
	m[metaUID] = strconv.FormatUint(uint64(a.UID), 10)
	m[metaGID] = strconv.FormatUint(uint64(a.GID), 10)
	if isDevice(a.Mode) {
		m[metaRdev] = strconv.FormatUint(uint64(a.Rdev), 10)
	}
	return m
}

// percentDecode undoes URL escaping; what is not escaped well stays as it is.
func percentDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
