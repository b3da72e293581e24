// Package mounts mounts buckets for tests as a user does: with the built program, in a
// process of its own, on a directory of the real kernel. Each mount is unmounted at the
// end of its test, also of one that failed.
package mounts

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/servers"
)

// patience bounds each wait of this package: for a mount to answer, for a process to end.
const patience = 2 * time.Minute

var build struct {
	sync.Once
	path string
	err  error
}

// Binary builds s3mount once a test process and returns its path.
func Binary(t testing.TB) string {
	t.Helper()
	build.Do(func() {
		dir, err := os.MkdirTemp("", "s3mount-bin-")
		if err != nil {
			build.err = err
			return
		}
		build.path = filepath.Join(dir, "s3mount")
		args := []string{"build", "-o", build.path}
		if RaceEnabled {
			args = append(args, "-race")
		}
		out, err := exec.Command("go", append(args, "github.com/s3mount/s3mount/cmd/s3mount")...).CombinedOutput()
		if err != nil {
			build.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// RemoveBinary deletes what Binary built. For TestMain.
func RemoveBinary() {
	if build.path != "" {
		os.RemoveAll(filepath.Dir(build.path))
	}
}

// Client connects to a server.
func Client(t testing.TB, s servers.Server) *s3remote.Client {
	t.Helper()
	c, err := s3remote.New(context.Background(), s3remote.Config{
		Provider: s.Provider, Endpoint: s.Endpoint, Region: s.Region,
		AccessKeyID: s.AccessKey, SecretAccessKey: secret.New(s.SecretKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// NewBucket makes an empty bucket with a name of its own.
func NewBucket(t testing.TB, s servers.Server) (name string, b *s3remote.Bucket) {
	t.Helper()
	c := Client(t, s)
	name = fmt.Sprintf("t-%d-%d", os.Getpid(), time.Now().UnixNano())
	if err := c.CreateBucket(context.Background(), name); err != nil {
		t.Fatal(err)
	}
	b, err := c.Bucket(name, "")
	if err != nil {
		t.Fatal(err)
	}
	return name, b
}

// Config writes a config file with one remote, "test".
func Config(t testing.TB, s servers.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rclone.conf")
	text := fmt.Sprintf("[test]\ntype = s3\nprovider = %s\nendpoint = %s\nregion = %s\naccess_key_id = %s\nsecret_access_key = %s\n",
		s.Provider, s.Endpoint, s.Region, s.AccessKey, s.SecretKey)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Options says what to mount.
type Options struct {
	Server servers.Server
	Path   string   // bucket[/prefix]
	Args   []string // more flags
	Cache  string   // cache directory; empty: a new one
	Config string   // config file; empty: a new one
}

// Mount is a running mount.
type Mount struct {
	Dir, Cache string
	Options    Options
	t          testing.TB
	cmd        *exec.Cmd
	log        *log
	ended      chan struct{}
	err        error // of the process, once ended is closed
}

// Start mounts and returns when the mount answers.
func Start(t testing.TB, o Options) *Mount {
	t.Helper()
	if o.Config == "" {
		o.Config = Config(t, o.Server)
	}
	if o.Cache == "" {
		o.Cache = t.TempDir()
	}
	m := &Mount{Dir: t.TempDir(), Cache: o.Cache, Options: o, t: t, ended: make(chan struct{})}
	m.start()
	t.Cleanup(m.cleanup)
	return m
}

func (m *Mount) start() {
	m.t.Helper()
	args := append([]string{"mount", "--config", m.Options.Config, "--cache-dir", m.Cache}, m.Options.Args...)
	m.cmd = exec.Command(Binary(m.t), append(args, "test:"+m.Options.Path, m.Dir)...)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.log = newLog(stderr)
	go func() {
		<-m.log.done
		m.err = m.cmd.Wait()
		close(m.ended)
	}()
	select {
	case <-m.log.mounted:
	case <-m.ended:
		m.t.Fatalf("s3mount ended: %v\n%s", m.err, m.log)
	case <-time.After(patience):
		m.t.Fatalf("the mount does not answer\n%s", m.log)
	}
}

// Log returns what the process has logged.
func (m *Mount) Log() string { return m.log.String() }

// PID returns the process's id.
func (m *Mount) PID() int { return m.cmd.Process.Pid }

// Signal sends a signal to the process.
func (m *Mount) Signal(s os.Signal) {
	m.t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}

// Stop stops the process, and returns when each of its threads stands: a signal alone
// leaves them time for a request. SIGCONT lets it go on.
func (m *Mount) Stop() {
	m.t.Helper()
	m.Signal(syscall.SIGSTOP)
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, m.PID(), &info, unix.WSTOPPED, nil)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			m.t.Fatalf("s3mount does not stop: %v\n%s", err, m.log)
		}
	}
}

// Wait returns how the process ended.
func (m *Mount) Wait() error {
	m.t.Helper()
	select {
	case <-m.ended:
		return m.err
	case <-time.After(patience):
		m.t.Fatalf("s3mount does not end\n%s", m.log)
		return nil
	}
}

// Unmount ends the mount with s3mount umount.
func (m *Mount) Unmount() {
	m.t.Helper()
	if out, err := exec.Command(Binary(m.t), "umount", m.Dir).CombinedOutput(); err != nil {
		m.t.Fatalf("umount: %v\n%s\n%s", err, out, m.log)
	}
	if err := m.Wait(); err != nil {
		m.t.Fatalf("s3mount ended with %v\n%s", err, m.log)
	}
}

// Remount unmounts and mounts again with the same cache, or with a new one.
func (m *Mount) Remount(newCache bool) {
	m.t.Helper()
	m.Unmount()
	if newCache {
		m.Cache = m.t.TempDir()
	}
	m.ended = make(chan struct{})
	m.start()
}

// Kill ends the process as a crash does, and frees the mount point.
func (m *Mount) Kill() {
	m.t.Helper()
	m.Signal(syscall.SIGKILL)
	m.Wait()
	unix.Unmount(m.Dir, unix.MNT_DETACH)
}

// Revive mounts again after Kill.
func (m *Mount) Revive() {
	m.t.Helper()
	m.ended = make(chan struct{})
	m.start()
}

func (m *Mount) cleanup() {
	select {
	case <-m.ended:
	default:
		m.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-m.ended:
		case <-time.After(patience):
			m.cmd.Process.Kill()
			<-m.ended
		}
	}
	unix.Unmount(m.Dir, unix.MNT_DETACH) // EINVAL: it is gone, as it should be
	if m.t.Failed() {
		m.t.Logf("log of s3mount:\n%s", m.log)
	}
	if strings.Contains(m.Log(), "DATA RACE") || strings.Contains(m.Log(), "a request panicked") {
		m.t.Errorf("s3mount has a race or a panic:\n%s", m.log)
	}
}

// log collects a process's lines.
type log struct {
	mounted chan struct{} // closed when the process says that it is mounted
	done    chan struct{} // closed at the end
	mu      sync.Mutex
	text    strings.Builder
}

func newLog(r io.Reader) *log {
	l := &log{mounted: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		said := false
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			l.add(line)
			if !said && strings.Contains(line, "msg=mounted") {
				said = true
				close(l.mounted)
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
