package servers

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed supervise.sh
var superviseScript string

// How long a server may take to answer first, and to end.
const (
	startTimeout = 2 * time.Minute
	stopTimeout  = time.Minute
)

// process is a server that runs under a supervisor script, which ends it and deletes
// its data when stdin closes.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *tail
	done  chan struct{} // closed when the supervisor has ended
	stop  func() error  // ends it, once
}

// supervise runs a command whose data is in dir.
func supervise(dir string, env []string, command ...string) (*process, error) {
	return launch(append([]string{"bash", "-c", superviseScript, "supervise", dir}, command...), env, nil)
}

// launch runs a supervisor. Its output goes to a log, and to stdout if that isn't nil.
func launch(command, env []string, stdout io.Writer) (*process, error) {
	p := &process{log: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.log
	p.cmd.Stdout = p.log
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	// A group of its own: ctrl-C is for the test.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.stop = sync.OnceValue(p.end)
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait() // how it ended tells nothing: it is killed
	}()
	return p, nil
}

// end closes stdin and waits for the supervisor to have cleaned up.
func (p *process) end() error {
	p.stdin.Close()
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		return fmt.Errorf("server does not end:\n%s", p.log)
	}
}

// answers waits until url answers anything, or the process has ended.
func (p *process) answers(url string) error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.After(startTimeout)
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		resp, err := client.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < http.StatusInternalServerError {
				return nil
			}
		}
		select {
		case <-retry.C:
		case <-p.done:
			return fmt.Errorf("server ended while starting:\n%s", p.log)
		case <-deadline:
			return errors.Join(fmt.Errorf("server does not answer:\n%s", p.log), p.stop())
		}
	}
}

// tail keeps the last bytes of a log. It is safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

// settings collects the NAME=VALUE lines that a script prints.
type settings struct {
	last     string        // the name after which there are no more
	complete chan struct{} // closed when that is in

	mu     sync.Mutex // guards what follows
	text   []byte     // the beginning of a line
	values map[string]string
}

func newSettings(last string) *settings {
	return &settings{last: last, complete: make(chan struct{}), values: map[string]string{}}
}

func (s *settings) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	for {
		line, rest, ok := bytes.Cut(s.text, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		s.text = rest
		name, value, _ := strings.Cut(string(line), "=")
		_, known := s.values[name]
		s.values[name] = value
		if name == s.last && !known {
			close(s.complete)
		}
	}
}

func (s *settings) get(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name]
}

// freePort finds n ports in a row on which nobody listens, and returns the first.
func freePort(n int) (int, error) {
	for range 100 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if port+n <= 65000 && allFree(port, n) {
			return port, nil
		}
	}
	return 0, errors.New("no free port found")
}

func allFree(port, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
