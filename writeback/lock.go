package writeback

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// lockDir takes the lock of a directory for this process, by a lock on the file at
// path. It is given back when the returned file is closed, or the process ends however
// it ends. It fails with KindBusy while another process holds it.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, localError("lock", "", err)
	}
	err = flock(f)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, object.Errorf(object.KindBusy, "lock", "",
			"another process works in the same directory: %s is locked", path)
	}
	return nil, localError("lock", "", err)
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
