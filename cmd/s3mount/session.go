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
	if err := makeRuntimeDir(runtimeDir(getenv)); err != nil {
		return nil, err
	}
	path := sessionPath(dir, getenv)
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("session file: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			return nil, fmt.Errorf("mount point %s: another s3mount is starting or ending there: wait for it", dir)
		}
		if !isAt(f, path) { // its last owner removed it before this one had the lock
			f.Close()
			continue
		}
		s := &session{file: f, info: sessionInfo{PID: os.Getpid(), Remote: remote, Dir: dir}}
		return s, s.write()
	}
}

// makeRuntimeDir makes the folder of session files. It may stand in /tmp, where others
// could have made it before.
func makeRuntimeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("runtime directory: %w: set XDG_RUNTIME_DIR to another one", err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("runtime directory %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != uint32(os.Geteuid()) || st.Mode&0o022 != 0 {
		return fmt.Errorf("runtime directory %s: it must be a directory of yours that others can't write: set XDG_RUNTIME_DIR to another one", dir)
	}
	return nil
}

// isAt reports whether path still names the open file.
func isAt(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(open, named)
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

// close ends the session. Whoever waits for it has the file open, and reads err in it.
func (s *session) close(err error) {
	if err != nil {
		s.info.Error = err.Error()
		s.write() // the error is also the process's own exit message
	}
	os.Remove(s.file.Name())
	s.file.Close()
}

// sessionWait waits for the end of a mount's process.
type sessionWait struct {
	file *os.File // nil: no process is known
}

// watchSession begins to watch the process that serves dir. It must be called while the
// mount is there, and closed.
func watchSession(dir string, getenv func(string) string) (*sessionWait, error) {
	f, err := os.OpenFile(sessionPath(dir, getenv), os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return &sessionWait{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("session file: %w", err)
	}
	return &sessionWait{f}, nil
}

func (w *sessionWait) close() {
	if w.file != nil {
		w.file.Close()
	}
}

// wait returns when the process has ended, and what it could not upload.
func (w *sessionWait) wait(ctx context.Context) error {
	if w.file == nil {
		return nil
	}
	if err := lockBy(ctx, w.file); err != nil {
		return err
	}
	if isAt(w.file, w.file.Name()) {
		os.Remove(w.file.Name()) // the process was killed
	}
	var info sessionInfo
	if err := json.NewDecoder(w.file).Decode(&info); err != nil || info.Error == "" {
		return nil
	}
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
			return fmt.Errorf("the mount is gone, but its process is still uploading: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}
