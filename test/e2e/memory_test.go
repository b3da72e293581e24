//go:build !race

// The race detector multiplies memory; these tests run without it.

package e2e

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// memoryLimit is what the whole process may take: the default of --memory, and 64 MiB.
const memoryLimit = (256 + 64) << 20

// peakMemory returns the most physical memory that a mount's process has had, in bytes,
// and fails if that is over the limit.
func peakMemory(t testing.TB, what string, m *mounts.Mount) {
	t.Helper()
	wantPeak(t, what, m, memoryLimit)
}

// wantPeak is peakMemory with a limit of its own, in bytes.
func wantPeak(t testing.TB, what string, m *mounts.Mount, limit int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.PID()))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		kb, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
		must(t, err)
		t.Logf("%s: at most %d MiB", what, n>>10)
		if n<<10 > limit {
			t.Errorf("%s: the process took %d MiB, the limit is %d", what, n>>10, limit>>20)
		}
		return
	}
	t.Fatalf("no VmHWM in\n%s", text)
}

// full lets tests of memory run at full size; the figures are in the log.
var full = flag.Bool("full", false, "measure memory with the default --memory, a file of 4 GiB and a million names")

// A file of 16 times the memory.
func TestMemoryOfALargeFile(t *testing.T) {
	memory := int64(64 << 20)
	if *full {
		memory = 256 << 20
	}
	size, limit := 16*memory, memory+64<<20
	fake := s3fake.Start(t, s3fake.Options{FastETag: true})
	m, b := newMount(t, servers.Of(fake), fmt.Sprint("--memory=", memory))
	p := s3fake.NewPattern(4)
	must(t, copyPattern(m.Dir+"/written", p, size))
	wantPeak(t, fmt.Sprintf("writing %d MiB", size>>20), m, limit)
	dropCaches(t)
	must(t, checkPattern(m.Dir+"/written", p, size))
	wantPeak(t, "and reading back what was written", m, limit)
	info, err := b.Head(t.Context(), "written")
	must(t, err)
	same(t, "the object's size", info.Size, size)

	m.Remount(true)
	must(t, checkPattern(m.Dir+"/written", p, size))
	wantPeak(t, "reading it from the store", m, limit)
	must(t, os.Remove(m.Dir+"/written"))
}

func TestMemoryOfManyNamesInAFolder(t *testing.T) {
	n, memory := 300_000, int64(64<<20) // 90 MiB, if all were kept
	if *full {
		n, memory = 1_000_000, 256<<20
	}
	fake := s3fake.Start(t, s3fake.Options{})
	name, _ := mounts.NewBucket(t, servers.Of(fake))
	fake.Bucket(name).AddVirtual(s3fake.Virtual{Prefix: "many/name-", N: n, Size: 100})
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name, Args: []string{fmt.Sprint("--memory=", memory)}})
	dir, err := os.Open(m.Dir + "/many")
	must(t, err)
	defer dir.Close()
	began, seen := time.Now(), 0
	for {
		names, err := dir.Readdirnames(1000)
		if seen == 0 && time.Since(began) > time.Second {
			t.Errorf("the first names came after %v", time.Since(began))
		}
		seen += len(names)
		if err == io.EOF {
			break
		}
		must(t, err)
	}
	same(t, "names", seen, n)
	wantPeak(t, fmt.Sprintf("listing %d names", n), m, memory+32<<20)
}

// A fifth of a million keys in a fifth of the default memory: what was kept of each would
// take 60 MiB and more.
func TestMemoryOfFind(t *testing.T) {
	const folders, files = 100, 2000
	fake := s3fake.Start(t, s3fake.Options{})
	name, _ := mounts.NewBucket(t, servers.Of(fake))
	for i := range folders {
		fake.Bucket(name).AddVirtual(s3fake.Virtual{Prefix: fmt.Sprintf("many/%03d/name-", i), N: files, Size: 10_000})
	}
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name, Args: []string{"--memory=48M"}})
	out := sh(t, m.Dir, "find", "many", "-type", "f", "-printf", ".")
	same(t, "files", len(out), folders*files)
	wantPeak(t, "find over 200,000 keys with --memory 48M", m, (48+32)<<20)
}

// The names that the kernel knows count as well: it is asked to forget them.
func TestMemoryOfManyNamesThatAreLookedAt(t *testing.T) {
	const n = 120_000 // 80 MiB and more, if all were kept
	fake := s3fake.Start(t, s3fake.Options{})
	name, _ := mounts.NewBucket(t, servers.Of(fake))
	fake.Bucket(name).AddVirtual(s3fake.Virtual{Prefix: "many/name-", N: n, Size: 100})
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name,
		Args: []string{"--memory", "32M", "--use-server-modtime"}})
	dir, err := os.Open(m.Dir + "/many")
	must(t, err)
	defer dir.Close()
	seen := 0
	for {
		infos, err := dir.Readdir(1000)
		seen += len(infos)
		if err == io.EOF {
			break
		}
		must(t, err)
	}
	same(t, "names", seen, n)
	wantPeak(t, "looking at 120,000 names with --memory 32M", m, (32+48)<<20)
}

func TestMemoryOfManyReadersAndWriters(t *testing.T) {
	const files, size = 16, 40 << 20
	fake := s3fake.Start(t, s3fake.Options{FastETag: true})
	name, _ := mounts.NewBucket(t, servers.Of(fake))
	for i := range uint64(files) {
		fake.Bucket(name).PutPattern(fmt.Sprint("r", i), size, s3fake.NewPattern(i), nil)
	}
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name})
	var g errgroup.Group
	for i := range uint64(files) {
		g.Go(func() error { return checkPattern(fmt.Sprint(m.Dir, "/r", i), s3fake.NewPattern(i), size) })
		g.Go(func() error { return copyPattern(fmt.Sprint(m.Dir, "/w", i), s3fake.NewPattern(i), size) })
	}
	must(t, g.Wait())
	peakMemory(t, "16 readers and 16 writers of 40 MiB", m)
}
