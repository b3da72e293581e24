package mountbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds each wait for a process that begins or ends.
const patience = time.Minute

// mounted is a bucket that a contender has mounted.
type mounted struct {
	dir   string
	cmd   *exec.Cmd
	said  tail
	ended chan struct{}
	err   error // of the process, once ended is closed
}

// mount starts a contender and returns when its file system is there. The caller calls
// unmount. When ctx ends, the process is killed: what waits for its file system fails.
func mount(ctx context.Context, c contender, p place) (*mounted, error) {
	m := &mounted{dir: p.dir, ended: make(chan struct{})}
	m.cmd = exec.CommandContext(ctx, c.path, c.args(p)...)
	m.cmd.Env = []string{
		"HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + p.home,
		"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=us-east-1",
	}
	m.cmd.Stdout, m.cmd.Stderr = &m.said, &m.said
	// ctrl-C is the benchmark's, which ends the mount in order; should it be killed, the mount ends itself
	m.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGTERM}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		m.err = m.cmd.Wait()
		close(m.ended)
	}()
	if err := m.appear(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w: %s", c.name, err, &m.said), m.unmount())
	}
	return m, nil
}

// appear waits for the file system.
func (m *mounted) appear(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if isMounted(m.dir) {
			_, err := os.Stat(m.dir) // it answers
			return err
		}
		select {
		case <-tick.C:
		case <-m.ended:
			return fmt.Errorf("ended before it had mounted: %w", m.err)
		case <-late.C:
			return fmt.Errorf("not mounted after %v", patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func isMounted(dir string) bool {
	mounts, err := os.ReadFile("/proc/self/mounts")
	return err == nil && bytes.Contains(mounts, []byte(" "+dir+" "))
}

// unmount ends the mount in order where the process can, and leaves nothing behind in any
// case. A process that would not end is an error.
func (m *mounted) unmount() error {
	_ = m.cmd.Process.Signal(unix.SIGTERM)
	if out, err := exec.Command("fusermount3", "-u", m.dir).CombinedOutput(); err != nil && isMounted(m.dir) {
		m.said.Write(out)
	}
	var err error
	select {
	case <-m.ended:
	case <-time.After(patience):
		err = fmt.Errorf("the process did not end %v after its unmount", patience)
		_ = m.cmd.Process.Kill()
		<-m.ended
	}
	if isMounted(m.dir) {
		err = errors.Join(err, unix.Unmount(m.dir, unix.MNT_DETACH))
	}
	return err
}

// tail keeps the last that a process said.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - tailSize; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}

var _ io.Writer = (*tail)(nil)

// dropCaches empties the kernel's caches, where this process may. What is not on disk
// yet goes there first if sync is set: it would stay in memory.
func dropCaches(sync bool) {
	if sync {
		unix.Sync()
	}
	_ = os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

// freshDir makes an empty directory of a name.
func freshDir(parts ...string) (string, error) {
	dir := filepath.Join(parts...)
	return dir, errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700))
}
