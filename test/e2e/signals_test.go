package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

// prompt is how long "at once" may take on a busy machine.
const prompt = 10 * time.Second

func TestSignalsUnmountAndExitZero(t *testing.T) {
	semantics.Claim(t, "ctrl-C, SIGTERM and SIGHUP upload what open files hold, unmount and exit with 0.")
	// A test that was started with nohup would hand down that SIGHUP is ignored. What it
	// takes itself, its children get the default of.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, unix.SIGHUP)
	t.Cleanup(func() { signal.Stop(hup) })
	for _, s := range []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			m, b := newMount(t, pool.Fake(t))
			write(t, m.Dir+"/f", "data")
			m.Signal(s)
			must(t, m.Wait())
			same(t, "still mounted", mounted(t, m.Dir), false)
			same(t, "the object", get(t, b, "f"), "data")
		})
	}
}

func TestSignalUploadsWhatOpenFilesHold(t *testing.T) {
	semantics.Claim(t, "ctrl-C, SIGTERM and SIGHUP upload what open files hold, unmount and exit with 0.")
	t.Parallel()
	m, b := newMount(t, pool.Fake(t))
	put(t, b, "old", "old", nil)
	for name, data := range map[string]string{"new": "never closed", "old": "changed, not closed"} {
		f, err := os.OpenFile(m.Dir+"/"+name, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o644)
		must(t, err)
		defer f.Close()
		_, err = f.WriteString(data)
		must(t, err)
	}
	m.Signal(unix.SIGINT)
	must(t, m.Wait())
	same(t, "still mounted", mounted(t, m.Dir), false)
	same(t, "the new object", get(t, b, "new"), "never closed")
	same(t, "the old object", get(t, b, "old"), "changed, not closed")
}

func TestSignalWhileAShellStandsInTheMount(t *testing.T) {
	t.Parallel()
	m, _ := newMount(t, pool.Fake(t))
	shell := exec.Command("sleep", "600")
	shell.Dir = m.Dir
	shell.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, shell.Start())
	defer func() {
		shell.Process.Kill()
		shell.Wait()
	}()
	began := time.Now()
	m.Signal(unix.SIGTERM)
	must(t, m.Wait())
	same(t, "still mounted", mounted(t, m.Dir), false)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v: nobody had a file open", took)
	}
}

// stuck is a mount whose store never answers a PUT, with a file that holds data.
func stuck(t *testing.T) (*mounts.Mount, *s3fake.Server, *os.File) {
	t.Helper()
	fake := s3fake.Start(t, s3fake.Options{})
	m, _ := newMount(t, servers.Of(fake))
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Fault{Act: s3fake.Hang}})
	f, err := os.Create(m.Dir + "/not sent")
	must(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.WriteString("precious")
	must(t, err)
	return m, fake, f
}

// wantGivenUp fails unless the process ended with 1 and said what it gave up, and where
// that is kept.
func wantGivenUp(t *testing.T, m *mounts.Mount) {
	t.Helper()
	began := time.Now()
	if err := m.Wait(); err == nil || err.Error() != "exit status 1" {
		t.Errorf("s3mount ended with %v", err)
	}
	if took := time.Since(began); took > prompt {
		t.Errorf("giving up took %v", took)
	}
	same(t, "still mounted", mounted(t, m.Dir), false)
	kept, err := filepath.Glob(m.Cache + "/unsent/*")
	must(t, err)
	if len(kept) != 1 || read(t, kept[0]) != "precious" {
		t.Fatalf("kept: %v", kept)
	}
	lines := strings.Split(strings.TrimSpace(m.Log()), "\n")
	last := lines[len(lines)-1]
	for _, word := range []string{"gave up", "not uploaded", `"not sent"`, kept[0]} {
		if !strings.Contains(last, word) {
			t.Errorf("%q is not in the last line: %s", word, last)
		}
	}
}

func TestSecondSignalGivesUp(t *testing.T) {
	semantics.Claim(t, "A second signal gives up at once: each file that is not in S3 is kept in the folder unsent of the cache directory and named in the last line, and the exit code is 1.")
	t.Parallel()
	m, fake, _ := stuck(t)
	m.Signal(unix.SIGINT)
	eventually(t, "the upload begins", func() bool { return fake.Stats().Requests[s3fake.PutObject] > 0 })
	m.Signal(unix.SIGINT)
	wantGivenUp(t, m)
}

func TestSecondSignalGivesUpWhatAnApplicationWaitsFor(t *testing.T) {
	t.Parallel()
	m, fake, f := stuck(t)
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }()
	eventually(t, "close() uploads", func() bool { return fake.Stats().Requests[s3fake.PutObject] > 0 })
	m.Signal(unix.SIGTERM)
	eventually(t, "the first signal is seen", func() bool { return strings.Contains(m.Log(), "unmounting") })
	m.Signal(unix.SIGTERM)
	wantGivenUp(t, m)
	if err := <-closed; err == nil {
		t.Error("close() said that the file is stored")
	}
}

func TestSignalWhileTheStoreDoesNotAnswerTheStart(t *testing.T) {
	t.Parallel()
	fake := s3fake.Start(t, s3fake.Options{})
	fake.Bucket("bucket")
	fake.Fail(s3fake.Rule{Fault: s3fake.Fault{Act: s3fake.Hang}})
	dir, root := t.TempDir(), t.TempDir()
	config := mounts.Config(t, servers.Of(fake))
	for _, daemon := range []string{"--daemon=false", "--daemon"} {
		fake.ResetStats()
		p := launch(t, home(t, root), mounts.Binary(t), "mount", "--config", config, daemon, "test:bucket", dir)
		eventually(t, "a request hangs", func() bool { return fake.Stats().Total() > 0 })
		p.signal(unix.SIGINT)
		same(t, "exit code", p.within(prompt), 1)
		oneLine(t, p.stderr.String(), "interrupted")
		same(t, "still mounted", mounted(t, dir), false)
	}
	if left := leftovers(t, root, "s3mount.log"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUmountOfABusyMount(t *testing.T) {
	semantics.Claim(t, "s3mount umount of a mount in which files are open fails and changes nothing.")
	t.Parallel()
	m, b := newMount(t, pool.Fake(t))
	f, err := os.Create(m.Dir + "/f")
	must(t, err)
	refused(t, os.Environ(), []string{"umount", m.Dir}, m.Dir, "in use", "close the files")
	_, err = f.WriteString("still works")
	must(t, err)
	must(t, f.Close())
	same(t, "the object", get(t, b, "f"), "still works")
	m.Unmount()
}

func TestUnmountFromOutside(t *testing.T) {
	for _, command := range [][]string{{"umount"}, {"fusermount3", "-u"}, {"umount", "-l"}} {
		t.Run(strings.Join(command, " "), func(t *testing.T) {
			t.Parallel()
			m, b := newMount(t, pool.Fake(t))
			write(t, m.Dir+"/f", "data")
			sh(t, "/", command[0], append(command[1:], m.Dir)...)
			must(t, m.Wait())
			same(t, "the object", get(t, b, "f"), "data")
		})
	}
}

// daemon mounts in the background, and unmounts at the end of the test.
func daemon(t *testing.T, s servers.Server, bucket string) (dir, root string) {
	t.Helper()
	dir, root = t.TempDir(), t.TempDir()
	code, stdout, stderr := s3mount(t, home(t, root), "mount", "--daemon", "--config", mounts.Config(t, s), "test:"+bucket, dir)
	t.Cleanup(func() {
		if mounted(t, dir) {
			s3mount(t, home(t, root), "umount", dir)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	if code != 0 || stdout != "" || stderr != "" {
		t.Fatalf("mount --daemon: %d, %q, %q", code, stdout, stderr)
	}
	return dir, root
}

func TestDaemon(t *testing.T) {
	t.Parallel()
	s := pool.Fake(t)
	name, b := mounts.NewBucket(t, s)
	put(t, b, "f", "data", nil)
	dir, root := daemon(t, s, name)
	same(t, "the mount answers when the command returns", read(t, dir+"/f"), "data")
	refused(t, home(t, root), []string{"mount", "--daemon", "--config", mounts.Config(t, s), "test:" + name, dir}, dir, "already mounted")
	code, stdout, stderr := s3mount(t, home(t, root), "umount", dir)
	if code != 0 || stdout != "" || stderr != "" {
		t.Errorf("umount: %d, %q, %q", code, stdout, stderr)
	}
	same(t, "still mounted", mounted(t, dir), false)
	if left := leftovers(t, root+"/run"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if log := read(t, root+"/cache/s3mount/s3mount.log"); !strings.Contains(log, "msg=mounted") {
		t.Errorf("the log: %s", log)
	}
}

func TestDaemonTellsItsError(t *testing.T) {
	t.Parallel()
	dir, root := t.TempDir(), t.TempDir()
	args := []string{"mount", "--daemon", "--config", mounts.Config(t, pool.Fake(t)), "test:no-such-bucket", dir}
	refused(t, home(t, root), args, "no-such-bucket", "no such bucket", "make it first")
	code, _, stderr := s3mount(t, home(t, root), append(args, "--memory=1K")...)
	same(t, "exit code of a usage error", code, 2)
	oneLine(t, stderr, "--memory 1K", "32M")
}

// unsent changes a file through a mapping that outlives its descriptor: so nobody waits
// for the upload.
func unsent(t *testing.T, path string) {
	t.Helper()
	write(t, path, strings.Repeat("-", 4096))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	page, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	must(t, f.Close())
	copy(page, "changed")
	must(t, unix.Munmap(page))
}

func TestUmountWaitsForTheUploads(t *testing.T) {
	semantics.Claim(t, "s3mount umount returns once everything is in S3, and fails with the name of each file that is not and of the place where it is kept.")
	t.Parallel()
	fake := s3fake.Start(t, s3fake.Options{})
	fake.Bucket("bucket")
	dir, root := daemon(t, servers.Of(fake), "bucket")
	write(t, dir+"/f", "")
	fake.SetLatency(s3fake.Latency{Put: time.Second})
	unsent(t, dir+"/f")
	code, _, stderr := s3mount(t, home(t, root), "umount", dir)
	if code != 0 || stderr != "" {
		t.Errorf("umount: %d, %q", code, stderr)
	}
	data, _ := fake.Bucket("bucket").Get("f")
	same(t, "the object when umount returns", string(data[:min(8, len(data))]), "changed-")
}

func TestUmountTellsWhatWasNotUploaded(t *testing.T) {
	semantics.Claim(t, "s3mount umount returns once everything is in S3, and fails with the name of each file that is not and of the place where it is kept.")
	t.Parallel()
	fake := s3fake.Start(t, s3fake.Options{})
	fake.Bucket("bucket")
	dir, root := daemon(t, servers.Of(fake), "bucket")
	write(t, dir+"/some file", "")
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Skip: 1, Fault: s3fake.Denied()})
	unsent(t, dir+"/some file")
	refused(t, home(t, root), []string{"umount", dir}, "not everything could be uploaded", `"some file" is kept in`, root+"/cache/s3mount/unsent/some%20file.", "access denied")
	same(t, "still mounted", mounted(t, dir), false)
	if left := leftovers(t, root+"/run"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestReaderIsKilledWhileTheStoreHangs(t *testing.T) {
	t.Parallel()
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake))
	put(t, b, "f", strings.Repeat("x", 100_000), nil)
	put(t, b, "g", strings.Repeat("x", 100_000), nil)
	fake.Fail(s3fake.Rule{Op: s3fake.GetObject, Fault: s3fake.Fault{Act: s3fake.Hang}})
	hung := int64(0)
	reader := func(t *testing.T, name string, args ...string) *process {
		p := launch(t, os.Environ(), name, args...)
		eventually(t, "the reader hangs", func() bool { return fake.Stats().Requests[s3fake.GetObject] > hung })
		hung = fake.Stats().Requests[s3fake.GetObject]
		return p
	}
	t.Run("cat and ctrl-C", func(t *testing.T) {
		p := reader(t, "cat", m.Dir+"/f")
		p.signal(unix.SIGINT)
		p.within(prompt)
		same(t, "ended by", p.ProcessState.Sys().(syscall.WaitStatus).Signal(), syscall.SIGINT)
	})
	t.Run("after a signal that it handles", func(t *testing.T) {
		p := reader(t, "bash", "-c", `trap : USR1; read -r line < "$0"`, m.Dir+"/g")
		p.signal(unix.SIGUSR1)
		eventually(t, "the kernel tells of the signal", func() bool { return state(t, p.Process.Pid) == "D" })
		p.signal(unix.SIGKILL)
		p.within(prompt)
	})
	fake.Heal()
	write(t, m.Dir+"/h", "the mount works")
}

// state is a process's state as ps shows it.
func state(t testing.TB, pid int) string {
	t.Helper()
	for line := range strings.Lines(read(t, fmt.Sprintf("/proc/%d/status", pid))) {
		if s, ok := strings.CutPrefix(line, "State:"); ok {
			return strings.TrimSpace(s)[:1]
		}
	}
	return ""
}

func TestGoProgramsSeeNoEINTR(t *testing.T) {
	t.Parallel()
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake), "--dir-cache-time=0", "--attr-timeout=0")
	data := strings.Repeat("y", 3<<20)
	put(t, b, "f", data, nil)
	fake.SetLatency(s3fake.Uniform(20 * time.Millisecond))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go hammer(unix.Gettid(), stop, stopped)
	defer func() {
		close(stop)
		<-stopped
	}()
	buf := make([]byte, 1<<20)
	for range 20 { // raw calls: package os would repeat what ended with EINTR
		fd, err := unix.Open(m.Dir+"/f", unix.O_RDWR, 0)
		must(t, err)
		var st unix.Stat_t
		must(t, unix.Fstat(fd, &st))
		n, err := unix.Read(fd, buf)
		must(t, err)
		same(t, "bytes read", n, len(buf))
		_, err = unix.Pwrite(fd, []byte("written"), 1<<20)
		must(t, err)
		must(t, unix.Close(fd))
	}
}

// hammer sends a thread the signal by which Go preempts, without end.
func hammer(tid int, stop <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			unix.Tgkill(os.Getpid(), tid, unix.SIGURG)
		}
	}
}
