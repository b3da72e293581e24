package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
)

// process is a run of s3mount that need not come to a mount.
type process struct {
	*exec.Cmd
	t      testing.TB
	stdout lockedBuffer
	stderr lockedBuffer
	ended  chan struct{}
	err    error // once ended is closed
}

// lockedBuffer is written by a process and read by a test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// home is an environment of its own for a process: its cache, session files and
// temporary files are below dir.
func home(t testing.TB, dir string) []string {
	t.Helper()
	env := os.Environ()
	for name, sub := range map[string]string{"HOME": "home", "XDG_RUNTIME_DIR": "run", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "TMPDIR": "tmp"} {
		path := filepath.Join(dir, sub)
		must(t, os.MkdirAll(path, 0o700))
		env = append(env, name+"="+path)
	}
	return env
}

// launch starts a program and does not wait for it. It is killed at the end of the test.
func launch(t testing.TB, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(name, args...), t: t, ended: make(chan struct{})}
	p.Env = env
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, p.Start())
	go func() {
		p.err = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.ended
	})
	return p
}

// signal sends a signal and returns at once.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	must(p.t, p.Process.Signal(s))
}

// within waits for the end and fails the test if it takes longer than limit. It returns
// the exit code, -1 after a signal.
func (p *process) within(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("%s does not end within %v\n%s", p.Path, limit, p.stderr.String())
		return 0
	}
}

// s3mount runs the program to its end.
func s3mount(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, mounts.Binary(t), args...)
	var out, problems bytes.Buffer
	c.Env, c.Stdout, c.Stderr = env, &out, &problems
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), problems.String()
}

// refused runs a command that must fail with one line that says all of words.
func refused(t testing.TB, env []string, args []string, words ...string) {
	t.Helper()
	code, stdout, stderr := s3mount(t, env, args...)
	same(t, "exit code", code, 1)
	same(t, "standard output", stdout, "")
	oneLine(t, stderr, words...)
}

// oneLine fails unless text is one line that says all of words.
func oneLine(t testing.TB, text string, words ...string) {
	t.Helper()
	if strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "s3mount: ") {
		t.Errorf("not one line of s3mount:\n%s", text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in: %s", w, text)
		}
	}
}

// mounted tells whether something is mounted on dir.
func mounted(t testing.TB, dir string) bool {
	t.Helper()
	table := read(t, "/proc/self/mountinfo")
	return strings.Contains(table, " "+dir+" ")
}

// leftovers lists what is below dir, but folders and the named files.
func leftovers(t testing.TB, dir string, but ...string) (left []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, b := range but {
			if d.Name() == b {
				return nil
			}
		}
		if !d.IsDir() {
			left = append(left, path)
		}
		return nil
	}))
	return left
}

// tmpfs mounts a file system of its own size on a new directory.
func tmpfs(t testing.TB, options string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, options))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}
