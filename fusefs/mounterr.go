package fusefs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// mountError says why a mount failed and what to do about it.
func mountError(dir string, err error) error {
	if why := deviceError(); why != nil {
		return why
	}
	if _, missing := exec.LookPath("fusermount3"); missing != nil && os.Geteuid() != 0 {
		return fmt.Errorf("mount on %s: fusermount3 is missing, and only root mounts without it: install the package fuse3", dir)
	}
	return fmt.Errorf("mount on %s: %w", dir, err)
}

// deviceError says what is wrong with /dev/fuse.
func deviceError() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		defer f.Close()
		if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice == 0 {
			return errors.New("/dev/fuse is not a device: give the container the real one (--device /dev/fuse)")
		}
		return nil
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return errors.New("/dev/fuse is missing: load the kernel module (modprobe fuse), or give the container the device (--device /dev/fuse)")
	case errors.Is(err, os.ErrPermission):
		return errors.New("no permission for /dev/fuse: give your user access to it, or the container CAP_SYS_ADMIN and the device")
	}
	return fmt.Errorf("/dev/fuse can't be opened: %w", err)
}

// CheckDevice reports what keeps this process from using FUSE, before anything else is
// tried.
func CheckDevice() error { return deviceError() }
