package fusefs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// mountError says why a mount failed and what to do about it.
func mountError(dir string, err error) error {
	if why := deviceError(); why != nil {
		return why
	}
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("mount on %s: %w: give the container the right to mount (--cap-add SYS_ADMIN)", dir, err)
	}
	return fmt.Errorf("mount on %s: %w", dir, err)
}

// deviceError says what is wrong with /dev/fuse. Also fusermount3 opens it with the user's
// rights.
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

// Check reports what keeps this process from mounting on dir, before anything else is
// tried.
func Check(dir string, allowOther bool) error {
	if err := deviceError(); err != nil || os.Geteuid() == 0 {
		return err
	}
	// What fusermount3 would refuse in words of its own:
	if _, err := exec.LookPath("fusermount3"); err != nil {
		return errors.New("fusermount3 is missing, and only root mounts without it: install the package fuse3")
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("mount point %s: %w: you mount on a directory that you may write to", dir, err)
	}
	if allowOther && !userAllowOther() {
		return errors.New("--allow-other: only root may, unless /etc/fuse.conf has the line user_allow_other")
	}
	return nil
}

// userAllowOther reports whether the administrator lets users mount for others.
func userAllowOther() bool {
	text, err := os.ReadFile("/etc/fuse.conf")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "user_allow_other" {
			return true
		}
	}
	return false
}
