package fusefs

import (
	"errors"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs"
)

// errnos is the only table from kinds of failure to errnos.
var errnos = map[object.Kind]syscall.Errno{
	object.KindNotFound: syscall.ENOENT,
	// The bucket was deleted under the mount: nothing that was looked up is there.
	object.KindNoBucket: syscall.EIO,
	object.KindExists:   syscall.EEXIST,
	// Somebody else wrote the object meanwhile: what the caller knows of it is old.
	object.KindConflict:    syscall.ESTALE,
	object.KindStale:       syscall.ESTALE,
	object.KindPermission:  syscall.EACCES,
	object.KindCredentials: syscall.EACCES,
	object.KindClockSkew:   syscall.EACCES,
	object.KindWrongRegion: syscall.EREMCHG,
	// An archived object is there, but can't be read until it is restored; no better
	// errno exists than the one that tape archives use for media that is not mounted.
	object.KindArchived:     syscall.ENOMEDIUM,
	object.KindInvalid:      syscall.EINVAL,
	object.KindNotUTF8:      syscall.EILSEQ,
	object.KindNameTooLong:  syscall.ENAMETOOLONG,
	object.KindTooLarge:     syscall.EFBIG,
	object.KindNoSpace:      syscall.ENOSPC,
	object.KindQuota:        syscall.EDQUOT,
	object.KindUnsupported:  syscall.EOPNOTSUPP,
	object.KindUnavailable:  syscall.EIO,
	object.KindTimeout:      syscall.ETIMEDOUT,
	object.KindCanceled:     syscall.EINTR,
	object.KindCorrupt:      syscall.EIO,
	object.KindReadOnly:     syscall.EROFS,
	object.KindNotDir:       syscall.ENOTDIR,
	object.KindIsDir:        syscall.EISDIR,
	object.KindNotEmpty:     syscall.ENOTEMPTY,
	object.KindBusy:         syscall.EBUSY,
	object.KindNoAttr:       syscall.ENODATA,
	object.KindRange:        syscall.ERANGE,
	object.KindBadHandle:    syscall.EBADF,
	object.KindLoop:         syscall.EINVAL,
	object.KindNoLinks:      syscall.EPERM, // as link(2) says of such file systems: programs fall back on it
	object.KindTooManyLinks: syscall.EMLINK,
	object.KindAttrTooLarge: syscall.E2BIG,
	object.KindAttrSpace:    syscall.ENOSPC,
	object.KindOther:        syscall.EIO,
}

// ordinary are the kinds that programs cause every day; they are not logged.
var ordinary = map[object.Kind]bool{
	object.KindNotFound: true, object.KindExists: true, object.KindNameTooLong: true, object.KindNotDir: true,
	object.KindIsDir: true, object.KindNotEmpty: true, object.KindNoAttr: true, object.KindRange: true,
	object.KindBadHandle: true, object.KindLoop: true, object.KindNoLinks: true, object.KindTooManyLinks: true, object.KindCanceled: true, object.KindReadOnly: true,
	object.KindUnsupported: true, object.KindInvalid: true, object.KindNotUTF8: true,
	object.KindAttrTooLarge: true, object.KindAttrSpace: true,
}

// contentOps are what programs do to a file's content: where one of them fails, hardly
// any kind is ordinary.
var contentOps = map[string]bool{"read": true, "write": true, "close": true, "fsync": true}

// isOrdinary reports whether a failure is one that programs cause every day. That the
// store finds a request invalid is none, even if the same from vfs is.
func isOrdinary(op string, kind object.Kind, err error) bool {
	switch {
	case contentOps[op]:
		return kind == object.KindCanceled || kind == object.KindBadHandle
	case kind == object.KindInvalid || kind == object.KindUnsupported:
		return storeError(err) == nil
	}
	return ordinary[kind]
}

// storeError returns the part of an error that the store told, nil if there is none.
func storeError(err error) *object.Error {
	for e := (*object.Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Code != "" || e.RequestID != "" {
			return e
		}
	}
	return nil
}

// status makes the answer for an error, and logs it if no program causes it by itself.
func (s *server) status(op string, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	kind := object.KindOf(err)
	var conflict *vfs.ConflictError // it is in the log
	if !errors.As(err, &conflict) && !isOrdinary(op, kind, err) {
		s.report.failure(op, kind, err)
	}
	if errno, ok := errnos[kind]; ok {
		return fuse.Status(errno)
	}
	return fuse.EIO
}
