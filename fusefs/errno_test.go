package fusefs

import (
	"bytes"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/s3mount/s3mount/object"
)

func TestEachKindHasAnErrno(t *testing.T) {
	for kind := object.KindOther; !strings.HasPrefix(kind.String(), "Kind("); kind++ {
		if _, ok := errnos[kind]; !ok {
			t.Errorf("%v has no errno", kind)
		}
		if !ordinary[kind] && kind.Advice() == "" {
			t.Errorf("%v is logged without advice", kind)
		}
	}
}

func TestWhatIsLogged(t *testing.T) {
	fromStore := &object.Error{Op: "PutObject", Key: "k", Kind: object.KindInvalid, Code: "InvalidArgument", RequestID: "R1"}
	for _, c := range []struct {
		op     string
		err    error
		errno  syscall.Errno
		logged bool
	}{
		{"lookup", object.Errorf(object.KindNotFound, "lookup", "k", ""), syscall.ENOENT, false},
		{"read", object.Errorf(object.KindNotFound, "GetObject", "k", ""), syscall.ENOENT, true},
		{"close", object.Errorf(object.KindNameTooLong, "PutObject", "k", ""), syscall.ENAMETOOLONG, true},
		{"read", object.Errorf(object.KindCanceled, "read", "k", ""), syscall.EINTR, false},
		{"create", object.Errorf(object.KindInvalid, "create", "k", ""), syscall.EINVAL, false},
		{"mkdir", fromStore, syscall.EINVAL, true},
		{"rename", object.Errorf(object.KindInvalid, "rename", "k", "the copy: %w", fromStore), syscall.EINVAL, true},
		{"unlink", object.Errorf(object.KindPermission, "DeleteObject", "k", ""), syscall.EACCES, true},
		{"unlink", syscall.EPERM, syscall.EIO, true},
	} {
		var log bytes.Buffer
		s := &server{report: newReporter(slog.New(slog.NewTextHandler(&log, nil)), time.Now)}
		if got := s.status(c.op, c.err); got != fuse.Status(c.errno) {
			t.Errorf("%s: %v gives %v, want %v", c.op, c.err, got, c.errno)
		}
		if storeError(c.err) != nil && !strings.Contains(log.String(), "request=R1") {
			t.Errorf("%s: no request id in %q", c.op, log.String())
		}
		if logged := log.Len() > 0; logged != c.logged {
			t.Errorf("%s: %v logs %q", c.op, c.err, log.String())
		}
	}
}
