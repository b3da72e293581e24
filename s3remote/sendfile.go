package s3remote

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sendfileChunk is how much one call of sendfile is asked for, in bytes.
const sendfileChunk = 1 << 20

// ReadFrom sends a body. What is a section of a file goes from the kernel's memory to the
// connection without passing through this process's, where the connection is plain.
func (c *writeLimit) ReadFrom(r io.Reader) (int64, error) {
	var sent int64
	if limited, ok := r.(*io.LimitedReader); ok {
		if body, ok := limited.R.(*sendBody); ok {
			n, err := c.sendFile(body, limited.N)
			limited.N -= n
			if sent = n; err == nil || !errors.Is(err, errors.ErrUnsupported) {
				return sent, err
			}
		}
	}
	n, err := io.Copy(struct{ io.Writer }{c}, r)
	return sent + n, err
}

// sendFile sends up to n bytes of a body from where it stands. ErrUnsupported: it can't, or
// not the rest.
func (c *writeLimit) sendFile(body *sendBody, n int64) (int64, error) {
	tcp, ok := c.Conn.(*net.TCPConn)
	file, off, left := body.place()
	if !ok || file == nil {
		return 0, errors.ErrUnsupported
	}
	to, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	from, err := file.SyscallConn()
	if err != nil {
		return 0, errors.ErrUnsupported
	}
	var sent int64
	var failed error
	err = from.Control(func(src uintptr) {
		sent, failed = c.sendFrom(int(src), off, min(n, left), to)
	})
	body.skip(sent)
	if err != nil { // the file is closed
		return 0, body.failed(err)
	}
	if errors.Is(failed, io.ErrUnexpectedEOF) {
		failed = body.failed(failed) // what is to be sent has become shorter
	}
	return sent, failed
}

// rawWriter is what sendfile needs of a syscall.RawConn.
type rawWriter interface {
	Write(f func(fd uintptr) (done bool)) error
}

// sendFrom sends bytes of a file. Within each limit some must go out.
func (c *writeLimit) sendFrom(src int, off, n int64, to rawWriter) (sent int64, err error) {
	for sent < n {
		if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
			return sent, err
		}
		var k int
		var errno error
		err := to.Write(func(dst uintptr) bool {
			for {
				k, errno = unix.Sendfile(int(dst), src, &off, int(min(n-sent, sendfileChunk)))
				if errno != unix.EINTR {
					return errno != unix.EAGAIN
				}
			}
		})
		if k > 0 {
			sent += int64(k)
		}
		switch {
		case err != nil:
			return sent, err
		case errno == unix.EINVAL || errno == unix.ENOSYS || errno == unix.EOPNOTSUPP:
			return sent, errors.ErrUnsupported
		case errno != nil:
			return sent, os.NewSyscallError("sendfile", errno)
		case k == 0:
			return sent, io.ErrUnexpectedEOF
		}
	}
	return sent, nil
}
