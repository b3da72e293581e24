package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// session is the file by which other commands find the process that serves a mount. It
// is locked as long as the process lives; umount waits for the lock.
type session struct {
	file *os.File
	info sessionInfo
}

type sessionInfo struct {
	PID    int    `json:"pid"`
	Remote string `json:"remote"`
	Dir    string `json:"dir"`
	// Error is why the process could not upload everything. It is written at the end.
	Error string `json:"error,omitempty"`
}

// runtimeDir is the folder of session files: one a user.
func runtimeDir(getenv func(string) string) string {
	if d := getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		return filepath.Join(d, "s3mount")
	}
	if os.Geteuid() == 0 {
		return "/run/s3mount"
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("s3mount-%d", os.Geteuid()))
}

func sessionPath(dir string, getenv func(string) string) string {
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(runtimeDir(getenv), hex.EncodeToString(sum[:8])+".json")
}

// openSession makes the session of a mount on dir.
func openSession(dir, remote string, getenv func(string) string) (*session, error) {
	path := sessionPath(dir, getenv)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("runtime directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("session file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("mount point %s: another s3mount is starting or ending there", dir)
	}
	s := &session{file: f, info: sessionInfo{PID: os.Getpid(), Remote: remote, Dir: dir}}
	return s, s.write()
}

func (s *session) write() error {
	b, err := json.Marshal(s.info)
	if err != nil {
		return err
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	_, err = s.file.WriteAt(b, 0)
	return err
}

// close ends the session: with an error it is left for umount to read.
func (s *session) close(err error) {
	if err == nil {
		os.Remove(s.file.Name())
	} else {
		s.info.Error = err.Error()
		s.write() // the error is also the process's own exit message
	}
	s.file.Close()
}

// waitSession waits until the process that served dir has ended, and returns what it
// could not upload. A mount without a session has nothing to wait for.
func waitSession(ctx context.Context, dir string, getenv func(string) string) error {
	f, err := os.OpenFile(sessionPath(dir, getenv), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("session file: %w", err)
	}
	defer f.Close()
	if err := lockBy(ctx, f); err != nil {
		return err
	}
	var info sessionInfo
	if err := json.NewDecoder(f).Decode(&info); err != nil || info.Error == "" {
		return nil
	}
	os.Remove(f.Name())
	return errors.New(info.Error)
}

// lockBy takes the lock of a file, or gives up when ctx ends. flock can't be waited for
// with a deadline, so that it is tried a few times a second.
func lockBy(ctx context.Context, f *os.File) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the mount is gone, but its process is still uploading: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
