package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// daemonEnv tells a process that it is the background half, and that descriptor 3 is a
// pipe on which its parent waits for one line: "ok", or what went wrong.
const daemonEnv = "S3MOUNT_DAEMON"

// daemonize starts this command line once more in a session of its own, and returns when
// the mount answers, or with the error of the other process.
func daemonize(ctx context.Context, g *globals) error {
	if g.getenv(daemonEnv) != "" {
		return errors.New("the background process was started with --daemon")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logFile := g.logFile
	if logFile == "" {
		logFile = filepath.Join(defaultCacheDir(g.getenv), "s3mount.log")
		if err := os.MkdirAll(filepath.Dir(logFile), 0o700); err != nil {
			return fmt.Errorf("--log-file: %w", err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	child := exec.Command(self, append(withoutDaemon(os.Args[1:]), "--daemon=false", "--log-file="+logFile)...)
	child.Env = append(os.Environ(), daemonEnv+"=1")
	child.ExtraFiles = []*os.File{w}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = child.Start()
	w.Close()
	if err != nil {
		return err
	}
	return awaitChild(ctx, g, child, r)
}

func withoutDaemon(args []string) (rest []string) {
	for _, a := range args {
		if a != "--daemon" && !strings.HasPrefix(a, "--daemon=") {
			rest = append(rest, a)
		}
	}
	return rest
}

// awaitChild reads the background process's line. A signal before that ends both.
func awaitChild(ctx context.Context, g *globals, child *exec.Cmd, r io.Reader) error {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(r).ReadString('\n') // an early death is an empty line
		line <- strings.TrimSpace(text)
	}()
	select {
	case s := <-g.signals:
		child.Process.Signal(syscall.SIGTERM)
		child.Wait()
		return fmt.Errorf("interrupted (%s) before the mount answered", s)
	case text := <-line:
		switch text {
		case "ok":
			return child.Process.Release()
		case "":
			return fmt.Errorf("the background process died: %v", child.Wait())
		}
		child.Wait()
		return errors.New(strings.ReplaceAll(text, "\x00", "\n"))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parent returns how to tell a waiting parent process that the mount answers (nil) or
// failed; only the first call counts. Without a parent it does nothing.
func (g *globals) parent() func(error) {
	if g.getenv(daemonEnv) == "" {
		return func(error) {}
	}
	pipe := os.NewFile(3, "parent")
	return func(err error) {
		if pipe == nil {
			return
		}
		text := "ok"
		if err != nil {
			text = strings.ReplaceAll(message(err), "\n", "\x00")
		}
		fmt.Fprintln(pipe, text)
		pipe.Close()
		pipe = nil
	}
}
