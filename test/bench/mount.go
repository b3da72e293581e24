package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The file system is served by a process of its own, this program again, since one that
// uses its own mount can block itself. The server unmounts when its standard input ends,
// and so also when the benchmark is killed.
const (
	serveName          = "serve-null"
	readyLine          = "mounted"
	readyNoPassthrough = "mounted, no passthrough"
	mountTimeout       = 20 * time.Second
)

// library is one of the two that are compared.
type library string

const (
	goFuse library = "go-fuse"
	bazil  library = "bazil"
)

func runServe(_ context.Context, args []string, out io.Writer) error {
	signal.Ignore(os.Interrupt, unix.SIGTERM) // ctrl-C reaches the benchmark, which ends this process
	flags := flag.NewFlagSet(serveName, flag.ContinueOnError)
	lib := flags.String("lib", "", "library")
	dir := flags.String("dir", "", "mount point")
	backing := flags.String("backing", "", "backing file")
	entries := flags.Int("entries", 0, "entries of the directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f, err := os.OpenFile(*backing, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	serve := serveGoFuse
	if library(*lib) == bazil {
		serve = serveBazil
	}
	unmount, ready, err := serve(newNullFS(*entries, f), *dir)
	if err != nil {
		return fmt.Errorf("mount with %s: %w", *lib, err)
	}
	fmt.Fprintln(out, ready)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, unmount())
}

// mounted is a null file system in use.
type mounted struct {
	dir         string
	passthrough bool // this process and kernel can do it
	cmd         *exec.Cmd
	stdin       io.Closer
	errs        bytes.Buffer
}

// mount mounts the null file system of a library at dir. The caller calls unmount.
func mount(ctx context.Context, lib library, dir, backing string, entries int) (*mounted, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	m := &mounted{dir: dir}
	// Not bound to ctx: unmount ends it, in order.
	m.cmd = exec.Command(self, serveName, "-lib", string(lib), "-dir", dir, "-backing", backing, "-entries", fmt.Sprint(entries))
	m.cmd.Stderr = &m.errs
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n') // an empty line says it all
		answer <- strings.TrimSpace(line)
	}()
	select {
	case line := <-answer:
		if line == readyLine || line == readyNoPassthrough {
			m.passthrough = lib == goFuse && line == readyLine
			return m, nil
		}
		err = errors.New("the server gave up")
	case <-time.After(mountTimeout):
		err = fmt.Errorf("no mount after %v", mountTimeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, m.unmount())
}

// unmount ends the server and leaves no mount behind, whatever state both are in.
func (m *mounted) unmount() error {
	_ = m.stdin.Close() // closed at most twice
	kill := time.AfterFunc(mountTimeout, func() { _ = m.cmd.Process.Kill() })
	defer kill.Stop()
	err := m.cmd.Wait()
	if text := strings.TrimSpace(m.errs.String()); err != nil && text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return errors.Join(err, detach(m.dir))
}

// detach removes what a server that died may have left mounted at dir.
func detach(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || !bytes.Contains(mounts, []byte(" "+dir+" ")) {
		return err
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH); err == nil {
		return nil
	}
	if out, err := exec.Command("fusermount3", "-u", "-z", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unmount %s: %w: %s", dir, err, bytes.TrimSpace(out))
	}
	return nil
}

// canFuse says in one line what is missing for a FUSE mount.
func canFuse() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV):
		return errors.New("this needs /dev/fuse, which is not here: load the module (modprobe fuse), or give the container the device (--device /dev/fuse --cap-add SYS_ADMIN)")
	case err != nil:
		return fmt.Errorf("this needs /dev/fuse: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		return errors.New("bazil.org/fuse mounts with fusermount3, which is not here: install fuse3 (apt-get install fuse3)")
	}
	return nil
}
