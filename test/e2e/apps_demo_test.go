package e2e

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/s3mount/s3mount/test/mounts"
)

// demo runs s3mount demo until end is called, as ctrl-C ends it.
func demo(t testing.TB, dir string, args ...string) (end func()) {
	t.Helper()
	c := exec.Command(mounts.Binary(t), append([]string{"demo", dir}, args...)...)
	c.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() { c.Process.Signal(os.Interrupt) })
	eventually(t, "the demo shows its files", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the demo ended: %v", err)
		default:
		}
		_, err := os.Stat(dir + "/hello.txt")
		return err == nil
	})
	return func() {
		must(t, c.Process.Signal(os.Interrupt))
		must(t, <-ended)
	}
}

func TestDemoKeepsItsData(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	end := demo(t, dir, "--keep", data)
	write(t, dir+"/mine", "still here")
	end()
	end = demo(t, dir, "--keep", data)
	defer end()
	same(t, "a file of the last time", read(t, dir+"/mine"), "still here")
}
