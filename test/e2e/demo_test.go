package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
)

var mountedOn = regexp.MustCompile(`mounted on (/\S+)`)

// startDemo starts "s3mount demo" and returns where its bucket is mounted. All that it makes
// is below root.
func startDemo(t *testing.T, root string, args ...string) (p *process, dir string) {
	t.Helper()
	p = launch(t, home(t, root), mounts.Binary(t), append([]string{"demo"}, args...)...)
	eventually(t, "the demo says where it is mounted", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("the demo ended: %v\n%s", p.err, p.stderr.String())
		default:
		}
		found := mountedOn.FindStringSubmatch(p.stdout.String())
		if found != nil {
			dir = found[1]
		}
		return found != nil
	})
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return p, dir
}

// stop ends a demo as ctrl-C does, and fails if anything is left of it.
func stop(t *testing.T, p *process, root, dir string) {
	t.Helper()
	p.signal(unix.SIGINT)
	same(t, "exit code", p.within(prompt), 0)
	same(t, "still mounted", mounted(t, dir), false)
	same(t, "names in the folder of temporary files", strings.Join(names(t, filepath.Join(root, "tmp")), " "), "")
	if left := leftovers(t, filepath.Join(root, "run")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDemoLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	p, dir := startDemo(t, root)
	same(t, "a sample", read(t, dir+"/hello.txt"), "Hello from a bucket.\n")
	for _, line := range []string{"ls -lR " + dir, "access key ", "Ctrl-C ends it."} {
		if !strings.Contains(p.stdout.String(), line) {
			t.Errorf("%q is not in what the demo says:\n%s", line, p.stdout.String())
		}
	}
	write(t, dir+"/f", "data")
	shell := exec.Command("sleep", "600")
	shell.Dir = dir
	must(t, shell.Start())
	defer func() {
		shell.Process.Kill()
		shell.Wait()
	}()
	stop(t, p, root, dir)

	mine := t.TempDir()
	p, dir = startDemo(t, root, mine)
	same(t, "the mount point", dir, mine)
	stop(t, p, root, dir)
	same(t, "names in the mount point", len(names(t, mine)), 0)
}

func TestDemoKeepsWhatItIsToldTo(t *testing.T) {
	t.Parallel()
	root, data := t.TempDir(), t.TempDir()
	p, dir := startDemo(t, root, "--keep", data)
	write(t, dir+"/hello.txt", "edited")
	must(t, os.RemoveAll(dir+"/photos"))
	write(t, dir+"/mine", "new")
	refused(t, home(t, t.TempDir()), []string{"demo", "--keep", data}, "--keep", data, "in use by another demo")
	stop(t, p, root, dir)
	p, dir = startDemo(t, root, "--keep", data)
	same(t, "an edited sample", read(t, dir+"/hello.txt"), "edited")
	same(t, "names", strings.Join(names(t, dir), " "), "hello.txt mine notes")
	stop(t, p, root, dir)
}

func TestTourLeavesWhatIsKeptAlone(t *testing.T) {
	t.Parallel()
	root, data := t.TempDir(), t.TempDir()
	p, dir := startDemo(t, root, "--keep", data)
	must(t, os.Mkdir(dir+"/tree", 0o755)) // as the tour's own is called
	write(t, dir+"/tree/mine", "data")
	stop(t, p, root, dir)
	before := tree(t, data, false)
	code, stdout, stderr := s3mount(t, home(t, root), "demo", "--check", "--keep", data)
	if code != 0 || !strings.Contains(stdout, "The tour is complete") {
		t.Errorf("the tour: %d\n%s%s", code, stdout, stderr)
	}
	p, dir = startDemo(t, root, "--keep", data)
	same(t, "my file", read(t, dir+"/tree/mine"), "data")
	same(t, "a sample", read(t, dir+"/hello.txt"), "Hello from a bucket.\n")
	stop(t, p, root, dir)
	for name := range tree(t, data, false) {
		if _, ok := before[name]; !ok {
			t.Errorf("the tour left %s", name)
		}
	}
}

func TestDemoOnAFolderWithFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/two\nlines", "")
	refused(t, home(t, t.TempDir()), []string{"demo", dir}, dir, `two\nlines is there`, ": choose an empty directory\n")
}

func TestTourThatFailsCleansUp(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, args := range [][]string{{"demo", "--check"}, {"demo", "--check", "--keep", root + "/data"}} {
		// A cp that says no, in the middle of the tour.
		bin := t.TempDir()
		must(t, os.WriteFile(bin+"/cp", []byte("#!/bin/sh\necho 'cp: no' >&2; exit 1\n"), 0o755))
		env := append(home(t, root), "PATH="+bin+":"+os.Getenv("PATH"))
		code, stdout, stderr := s3mount(t, env, args...)
		same(t, "exit code", code, 1)
		oneLine(t, stderr, "copy the tree in", "cp: no")
		if !strings.HasPrefix(stdout, "ok  make a tree") {
			t.Errorf("standard output:\n%s", stdout)
		}
		same(t, "names in the folder of temporary files", strings.Join(names(t, root+"/tmp"), " "), "")
		if left := leftovers(t, root+"/run"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestTourIsInterrupted(t *testing.T) {
	t.Parallel()
	root, bin := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(bin+"/cp", []byte("#!/bin/sh\nexec sleep 600\n"), 0o755))
	p := launch(t, append(home(t, root), "PATH="+bin+":"+os.Getenv("PATH")), mounts.Binary(t), "demo", "--check")
	eventually(t, "the tour has mounted", func() bool { return strings.Contains(p.stdout.String(), "ok  mount a bucket") })
	began := time.Now()
	p.signal(unix.SIGTERM)
	same(t, "exit code", p.within(prompt), 1)
	oneLine(t, p.stderr.String(), "interrupted (terminated)")
	t.Logf("ended after %v", time.Since(began))
	same(t, "names in the folder of temporary files", strings.Join(names(t, root+"/tmp"), " "), "")
}
