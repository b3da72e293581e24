package cli

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// nobody is a user who owns nothing.
const nobody = 65534

// asNobody makes a command line that runs as a user without rights, in a folder of root's.
func asNobody(t *testing.T, s *s3fake.Server, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c, stderr := commandOn(t, s, dir, args...)
	own := t.TempDir()
	bin, config := filepath.Join(own, "s3mount"), c.Args[len(c.Args)-1]
	from, err := os.Open(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(bin, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	for path := config; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.Path = bin
	c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	return c, stderr
}

// says runs a command that must exit with a code and say these lines, in any order.
func says(t *testing.T, c *exec.Cmd, stderr *bytes.Buffer, code int, lines ...string) {
	t.Helper()
	if err := c.Run(); c.ProcessState == nil {
		t.Fatal(err)
	}
	if got := c.ProcessState.ExitCode(); got != code {
		t.Errorf("%q: exit code %d, want %d", c.Args[1:], got, code)
	}
	text := stderr.String()
	right := strings.Count(text, "\n") == len(lines)
	for _, line := range lines {
		right = right && strings.Contains("\n"+text, "\ns3mount: "+line+"\n")
	}
	if !right {
		t.Errorf("%q says\n%s\nwant\n%s", c.Args[1:len(c.Args)-2], text, strings.Join(lines, "\n"))
	}
}

// What may not be read is a line each, the rest is copied, and nothing is deleted.
func TestFilesThatMayNotBeRead(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	dir := t.TempDir()
	for _, name := range []string{"closed", "open", "dir/inside", "sub/closed"} {
		bigFile(t, filepath.Join(dir, "tree", name), 16)
	}
	for _, name := range []string{"closed", "dir", "sub/closed"} {
		if err := os.Chmod(filepath.Join(dir, "tree", name), 0); err != nil {
			t.Fatal(err)
		}
	}
	b.Put("extra", nil, nil)
	b.Put("dir/inside", nil, nil)
	b.Put("closed", []byte("0123456789abcdex"), nil)
	unreadable := []string{
		`copy "closed": permission denied`, `copy "sub/closed": permission denied`, `"dir": permission denied`,
		"3 errors, which are told above",
	}
	c, stderr := asNobody(t, s, dir, "copy", "tree", "test:bucket")
	says(t, c, stderr, 1, unreadable...)
	c, stderr = asNobody(t, s, dir, "sync", "tree", "test:bucket")
	says(t, c, stderr, 1, append(unreadable[:3:3], "3 errors, which are told above; nothing was deleted therefore")...)
	if got := strings.Join(b.Keys(""), " "); got != "closed dir/inside extra open" {
		t.Errorf("the bucket has %s", got)
	}
	if data, _ := b.Get("closed"); string(data) != "0123456789abcdex" {
		t.Errorf("what could not be read was overwritten by %q", data)
	}
	c, stderr = asNobody(t, s, dir, "check", "--one-way", "tree", "test:bucket")
	says(t, c, stderr, 1, `"closed" could not be compared: permission denied`, `"dir" could not be compared: permission denied`,
		`"sub/closed" is missing in the destination`, "2 errors, which are told above")
	c, stderr = asNobody(t, s, dir, "ls", "tree")
	says(t, c, stderr, 1, `"dir": permission denied`, "tree: 1 file or folder could not be listed")
	c, stderr = asNobody(t, s, dir, "cat", "tree/closed")
	says(t, c, stderr, 1, `"closed": permission denied`)
	c, stderr = asNobody(t, s, dir, "copy", "test:bucket", "down")
	if err := c.Run(); err == nil || strings.Count(stderr.String(), "permission denied") == 0 {
		t.Errorf("into a folder of root's: %v, %s", err, stderr)
	}
}

// A disk that gets full is a line for each file that it has no room for. Nothing half is
// left on it, and what was there stays.
func TestDownloadToAFullDisk(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	large := bytes.Repeat([]byte("0123456789abcde\n"), 1<<20)
	b.Put("a", []byte("small"), nil)
	b.Put("big", large, nil)
	b.Put("sub/huge", bytes.Repeat(large, 5), nil)
	b.Put("z", []byte("small, too"), nil)
	dir := t.TempDir()
	down := filepath.Join(dir, "down")
	if err := os.Mkdir(down, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", down, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(down, unix.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(down, "big"), []byte("what was there"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, stderr := commandOn(t, s, dir, "copy", "test:bucket", "down")
	says(t, c, stderr, 1, `copy "big": no space left on device`, `copy "sub/huge": no space left on device`, "2 errors, which are told above")
	for name, want := range map[string]string{"a": "small", "big": "what was there", "z": "small, too"} {
		if got, err := os.ReadFile(filepath.Join(down, name)); err != nil || string(got) != want {
			t.Errorf("%s is %.20q, %v", name, got, err)
		}
	}
	if err := filepath.WalkDir(down, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".partial") {
			t.Errorf("%s is left", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// A file that is written to all the time is a line, and what was under its key stays.
func TestFileThatChangesWhileItIsSent(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	b.Put("log", []byte("before"), nil)
	dir := t.TempDir()
	bigFile(t, filepath.Join(dir, "tree/fine"), 16)
	path := filepath.Join(dir, "tree/log")
	bigFile(t, path, 24<<20)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		for {
			select {
			case <-done:
				return
			default:
				f.WriteString("x")
			}
		}
	}()
	c, stderr := commandOn(t, s, dir, "copy", "--retries", "2", "tree", "test:bucket")
	says(t, c, stderr, 1, `copy "log": version is gone: the file changed while it was read`, "1 error, which is told above")
	close(done)
	<-stopped
	if data, _ := b.Get("log"); string(data) != "before" {
		t.Errorf("%d bytes of a moving file were stored", len(data))
	}
	if _, ok := b.Get("fine"); !ok || len(b.Uploads()) != 0 {
		t.Errorf("the other one is there: %v; uploads: %q", ok, b.Uploads())
	}
}

// A source that is removed altogether is told, and sync takes it for no reason to delete.
func TestSourceThatVanishes(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	b.Put("old", nil, nil)
	dir := t.TempDir()
	out, code := said(t, servers.Of(s), dir, "sync", "tree", "test:bucket")
	if code != 3 || out != "s3mount: tree is not there\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	if _, ok := b.Get("old"); !ok {
		t.Error("it was deleted")
	}
}

// A key can't rewrite the screen; in a pipe it is printed as it is.
func TestNamesThatSpeakToATerminal(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	b.Put("dir\x1b[2J/a\x1b[31m\nb", nil, nil)
	for _, args := range [][]string{{"ls"}, {"lsl"}, {"lsd"}, {"lsf", "-R", "--separator", "\t", "--format", "ps"}, {"lsf", "-R", "--csv"}} {
		args = append(args, "test:bucket")
		x := onTerminal(t, t.TempDir(), "xterm", append(args, "--config", mounts.Config(t, servers.Of(s)))...)
		x.expect(`dir\x1b[2J`)
		if code := x.end(); code != 0 {
			t.Errorf("%q: exit code %d", args, code)
		}
		if strings.Contains(x.seen.String(), "\x1b") {
			t.Errorf("%q writes %q", args, x.seen.String())
		}
		c, _ := commandOn(t, s, t.TempDir(), args...)
		if out, err := c.Output(); err != nil || !bytes.Contains(out, []byte("dir\x1b[2J")) {
			t.Errorf("%q in a pipe: %q, %v", args, out, err)
		}
	}
}
