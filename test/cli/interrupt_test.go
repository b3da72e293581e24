package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// commandOn makes a command line of s3mount on a stand-in, in a folder of its own.
func commandOn(t *testing.T, s *s3fake.Server, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	c := exec.Command(mounts.Binary(t), append(args, "--config", mounts.Config(t, servers.Of(s)))...)
	var stderr bytes.Buffer
	c.Stderr, c.Dir = &stderr, dir
	c.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c, &stderr
}

// interrupt starts a command, sends it a signal once the store was asked for op, and
// returns what it said. It must exit as shells expect of a process that a signal ended.
func interrupt(t *testing.T, s *s3fake.Server, op s3fake.Op, dir string, sig syscall.Signal, args ...string) string {
	t.Helper()
	s.ResetStats()
	c, stderr := commandOn(t, s, dir, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		c.Wait()
		close(ended)
	}()
	deadline := time.After(slow)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.Stats().Requests[op] == 0 {
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("it ended without %s: %s", op, stderr)
		case <-deadline:
			c.Process.Kill()
			t.Fatalf("no %s came", op)
		}
	}
	if err := c.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-deadline:
		c.Process.Kill()
		t.Fatal("the signal does not end it")
	}
	if got, want := c.ProcessState.ExitCode(), 128+int(sig); got != want {
		t.Errorf("exit code %d, want %d: %s", got, want, stderr)
	}
	return stderr.String()
}

// bigFile makes a file of a size without holes.
func bigFile(t *testing.T, path string, size int) []byte {
	t.Helper()
	data := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestInterruptedUploadLeavesNothingAndCanBeRepeated(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	dir := t.TempDir()
	data := bigFile(t, filepath.Join(dir, "tree/big"), 24<<20)
	bigFile(t, filepath.Join(dir, "tree/small"), 16)
	for op, sig := range map[s3fake.Op]syscall.Signal{s3fake.UploadPart: syscall.SIGINT, s3fake.PutObject: syscall.SIGTERM} {
		b := s.Bucket("bucket-" + strings.ToLower(string(op)))
		s.Fail(s3fake.Rule{Op: op, Fault: s3fake.Fault{Act: s3fake.Hang}})
		said := interrupt(t, s, op, dir, sig, "copy", "tree", "test:bucket-"+strings.ToLower(string(op)))
		if strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "s3mount: interrupted (") {
			t.Errorf("it says %q", said)
		}
		if left := b.Uploads(); len(left) != 0 {
			t.Errorf("uploads are left: %q", left)
		}
		if _, ok := b.Get("big"); ok && op == s3fake.UploadPart {
			t.Error("half a file is there")
		}
		s.Heal()
	}
	c, stderr := commandOn(t, s, dir, "copy", "tree", "test:bucket-uploadpart")
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	if got, _ := s.Bucket("bucket-uploadpart").Get("big"); !bytes.Equal(got, data) {
		t.Error("the repeated copy did not complete it")
	}
	s.ResetStats()
	c, stderr = commandOn(t, s, dir, "copy", "tree", "test:bucket-uploadpart")
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	if st := s.Stats(); st.Requests[s3fake.PutObject]+st.Requests[s3fake.UploadPart]+st.Requests[s3fake.CopyObject] != 0 || st.Total() > 4 {
		t.Errorf("an unchanged tree of 2 files costs %v", st.Requests)
	}
}

func TestInterruptedDownloadLeavesNothingUnderTheFinalName(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	data := bytes.Repeat([]byte("0123456789abcde\n"), 1<<20)
	b.Put("big", data, nil)
	dir := t.TempDir()
	s.Fail(s3fake.Rule{Op: s3fake.GetObject, Fault: s3fake.Fault{Act: s3fake.Stall}})
	interrupt(t, s, s3fake.GetObject, dir, syscall.SIGINT, "copy", "test:bucket", "down")
	entries, err := os.ReadDir(filepath.Join(dir, "down"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left", e.Name())
	}
	s.Heal()
	c, stderr := commandOn(t, s, dir, "copy", "test:bucket", "down")
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "down/big")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the repeated copy did not complete it: %v", err)
	}
}

func TestInterruptedListingEndsAtOnce(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	s.Bucket("bucket")
	s.Fail(s3fake.Rule{Op: s3fake.ListObjectsV2, Fault: s3fake.Fault{Act: s3fake.Hang}})
	if said := interrupt(t, s, s3fake.ListObjectsV2, t.TempDir(), syscall.SIGINT, "ls", "test:bucket"); said != "s3mount: interrupted (interrupt)\n" {
		t.Errorf("it says %q", said)
	}
}

// The live display is drawn on a terminal, and gone at the end.
func TestProgressOnATerminal(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	s.Bucket("bucket")
	home := t.TempDir()
	bigFile(t, filepath.Join(home, "tree/big"), 24<<20)
	s.Fail(s3fake.Rule{Op: s3fake.UploadPart, Count: 1, Fault: s3fake.Fault{Act: s3fake.Hang}})
	x := onTerminal(t, home, "xterm", "copy", "-P", "--config", mounts.Config(t, servers.Of(s)), filepath.Join(home, "tree"), "test:bucket")
	x.expect("of 24 MiB")
	x.expect("ETA")
	x.expect("\r\x1b[2A\x1b[J")
	x.cmd.Process.Signal(os.Interrupt)
	x.expect("s3mount: interrupted (interrupt)")
}
