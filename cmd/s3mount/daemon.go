package main

import (
	"bufio"
	"context"
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

// isChild reports whether this process is the background half.
func (g *globals) isChild() bool { return g.getenv(daemonEnv) != "" }

// daemonize starts this command line once more in a session of its own, and returns when
// the mount answers, or with the error of the other process. The other process's standard
// error is the log: so a crash is in it, too.
func (g *globals) daemonize(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if g.logFile == "" {
		g.logFile = filepath.Join(defaultCacheDir(g.getenv), "s3mount.log")
		if err := os.MkdirAll(filepath.Dir(g.logFile), 0o700); err != nil {
			return fmt.Errorf("--log-file: %w: choose another file", err)
		}
	}
	log, err := openLog(g.logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	child := exec.Command(self, os.Args[1:]...)
	child.Env = append(os.Environ(), daemonEnv+"=1")
	child.Stderr = log
	child.ExtraFiles = []*os.File{w}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := g.childInput()
	if err != nil {
		return err
	}
	if input != nil {
		defer input.Close()
		child.Stdin = input
	}
	err = child.Start()
	w.Close()
	if err != nil {
		return err
	}
	return g.awaitChild(ctx, child, r)
}

// childError is how a background process failed.
type childError struct {
	text string
	code int
}

func (e *childError) Error() string { return e.text }

// awaitChild reads the background process's line. A signal before that ends both.
func (g *globals) awaitChild(ctx context.Context, child *exec.Cmd, r io.Reader) error {
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
			return fmt.Errorf("the background process died (%v): see %s", child.Wait(), g.logFile)
		}
		child.Wait() // its code tells more than its error
		return &childError{strings.ReplaceAll(text, "\x00", "\n"), max(exitError, child.ProcessState.ExitCode())}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parent returns how to tell a waiting parent process that the mount answers (nil) or
// failed; only the first call counts. Without a parent it does nothing.
func (g *globals) parent() func(error) {
	if !g.isChild() {
		return func(error) {}
	}
	pipe := os.NewFile(3, "parent")
	return func(err error) {
		if pipe == nil {
			return
		}
		text := "ok"
		if err != nil {
			text = strings.ReplaceAll(err.Error(), "\n", "\x00")
		}
		fmt.Fprintln(pipe, text)
		pipe.Close()
		pipe = nil
	}
}
