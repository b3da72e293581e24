package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/s3fake"
)

// lineCounter counts what is printed, and holds none of it.
type lineCounter int

func (n *lineCounter) Write(p []byte) (int, error) {
	*n += lineCounter(bytes.Count(p, []byte("\n")))
	return len(p), nil
}

// peak runs a command that prints a number of lines, and returns the most memory that it
// took, in bytes.
func peak(t *testing.T, s *s3fake.Server, lines int, args ...string) int64 {
	t.Helper()
	c, stderr := commandOn(t, s, t.TempDir(), args...)
	var n lineCounter
	c.Stdout = &n
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	highest := make(chan int64)
	go func() { highest <- watchMemory(c.Process.Pid, ended) }()
	err := c.Wait()
	close(ended)
	most := <-highest
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, stderr)
	}
	if most == 0 {
		t.Fatalf("%q: its memory was not seen", args)
	}
	if int(n) != lines {
		t.Errorf("%q: %d lines", args, n)
	}
	t.Logf("%q: %d MiB", args, most>>20)
	return most
}

// watchMemory returns the most memory that a process has had in bytes, up to a few
// milliseconds before its end. What wait4 tells begins with that of this process, which
// is its parent.
func watchMemory(pid int, ended <-chan struct{}) (most int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // gone, or no memory left: the end
		if _, rest, ok := strings.Cut(string(status), "\nVmHWM:"); ok {
			var kib int64
			if n, _ := fmt.Sscan(rest, &kib); n == 1 {
				most = max(most, kib<<10)
			}
		}
		select {
		case <-ended:
			return most
		case <-tick.C:
		}
	}
}

// Listings stream: a million keys hold no more than a few pages of them, whether they lie
// in one folder or in many.
func TestListingsOfAMillionKeysHoldFewOfThem(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	s.Bucket("flat").AddVirtual(s3fake.Virtual{Prefix: "many/", N: 1_000_000, Size: 1})
	for i := range 200 {
		s.Bucket("deep").AddVirtual(s3fake.Virtual{Prefix: fmt.Sprintf("year/%03d/", i), N: 500, Size: 1})
	}
	const most = 128 << 20 // a million entries in memory are several times of it
	for _, c := range []struct {
		lines int
		args  []string
	}{
		{1_000_000, []string{"ls", "test:flat"}}, {100_000, []string{"ls", "test:deep"}},
		{100_000, []string{"ls", "--fast-list", "test:deep"}},
	} {
		if got := peak(t, s, c.lines, c.args...); got > most {
			t.Errorf("%q took %d MiB of memory", c.args, got>>20)
		}
	}
}

// A sync that finds nothing to do holds as little.
func TestSyncOfManyUnchangedKeysHoldsFewOfThem(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	for _, name := range []string{"from", "target"} {
		s.Bucket(name).AddVirtual(s3fake.Virtual{Prefix: "many/", N: 200_000, Size: 1})
	}
	s.ResetStats()
	if got := peak(t, s, 0, "sync", "--size-only", "test:from", "test:target"); got > 128<<20 {
		t.Errorf("it took %d MiB of memory", got>>20)
	}
	if st := s.Stats(); len(st.Requests) != 1 {
		t.Errorf("listings are not enough: %v", st.Requests)
	}
}
