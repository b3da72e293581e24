package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/test/fstest"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// soakMemory is --memory of the mount that is soaked, in bytes.
const soakMemory = 128 << 20

// soakVariable has, in a worker's process, the worker's name, its folder in the mount, one
// on a local disk, the second of the end, and whether the mount has --writeback.
const soakVariable = "S3MOUNT_SOAK_WORKER"

// TestSoak has processes do everything to a mount at the same time, under faults. Then
// nothing may be left over: no memory, goroutine, descriptor, upload or staged file.
// S3MOUNT_SOAK_SECONDS makes it longer; one of more than a minute is of both modes.
func TestSoak(t *testing.T) {
	if job := os.Getenv(soakVariable); job != "" {
		soakWorker(t, strings.Split(job, "|"))
		return
	}
	lasts := time.Duration(setting(t, "S3MOUNT_SOAK_SECONDS", 5)) * time.Second
	modes := map[string][]string{"strict": nil}
	if lasts > time.Minute {
		modes["writeback"] = []string{"--writeback"}
	}
	for name, args := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			soak(t, lasts, args)
		})
	}
}

func soak(t *testing.T, lasts time.Duration, args []string) {
	fake := s3fake.Start(t, s3fake.Options{})
	b := fake.Bucket("bucket")
	b.PutPattern("big", 48<<20, s3fake.NewPattern(3), nil)
	profile, local := t.TempDir()+"/goroutines", t.TempDir()
	must(t, writePattern(filepath.Join(local, "big"), s3fake.NewPattern(3), 0, 1, 48<<20))
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Args: append(args,
		fmt.Sprint("--memory=", soakMemory), "--cache-size=256M", "--dir-cache-time=1s", "--goroutineprofile="+profile)})
	fake.Fail(roughWeather...)

	end := time.Now().Add(lasts)
	watch := watchMemory(t, m.PID(), end)
	var workers errgroup.Group
	for i, kind := range []string{"tree", "tree", "fsx", "shell", "shell"} {
		name := fmt.Sprintf("%s-%d", kind, i)
		workers.Go(func() error {
			job := strings.Join([]string{name, m.Dir, local, strconv.FormatInt(end.Unix(), 10), fmt.Sprint(slices.Contains(args, "--writeback"))}, "|")
			c := exec.Command(os.Args[0], "-test.run=^TestSoak$", "-test.timeout="+(lasts+10*time.Minute).String())
			c.Env = append(os.Environ(), soakVariable+"="+job)
			if out, err := c.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", name, err, out)
			}
			return nil
		})
	}
	must(t, workers.Wait())
	watch.check(t, lasts)
	if faults := fake.Stats().Faults; faults < 20 {
		t.Errorf("only %d requests failed: this proves nothing", faults)
	}
	fake.Heal()

	eventually(t, "nothing is open", func() bool { return len(openIn(t, m.PID(), "/staging/")) == 0 })
	if fds := openIn(t, m.PID(), ""); len(fds) > 200 {
		t.Errorf("%d descriptors are open: %q", len(fds), fds)
	}
	m.Unmount()
	same(t, "uploads that are left", len(b.Uploads()), 0)
	for _, dir := range []string{"staged", "uploads"} {
		left, err := filepath.Glob(m.Cache + "/*/staging/" + dir + "/*")
		must(t, err)
		same(t, dir+" files that are left", strings.Join(left, " "), "")
	}
	same(t, "goroutines that are left", leftGoroutines(t, profile), "")
	// What is in the store is what the workers left, as a new mount sees it.
	again := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket"})
	fstest.Compare(t, fstest.OS{Root: again.Dir}, fstest.OS{Root: local})
}

// soakWorker is the process of a worker. Each has folders of its own, so that it knows what
// they must hold.
func soakWorker(t *testing.T, job []string) {
	kind, _, _ := strings.Cut(job[0], "-")
	target, reference := filepath.Join(job[1], job[0]), filepath.Join(job[2], job[0])
	second, err := strconv.ParseInt(job[3], 10, 64)
	must(t, err)
	end := time.Unix(second, 0)
	must(t, os.Mkdir(target, 0o755))
	must(t, os.Mkdir(reference, 0o755))
	for round := uint64(1); time.Now().Before(end); round++ {
		switch kind {
		case "tree":
			fstest.Random(t, round, 200, fstest.OS{Root: target}, fstest.OS{Root: reference, NoLinks: job[4] == "true"}) // see SEMANTICS.md
		case "fsx":
			fstest.FSX{Seed: round, Steps: 400, Target: target, Reference: reference, MaxSize: 2 << 20,
				Stored: func(string, []byte) error { return nil }}.Run(t)
		case "shell":
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			c := exec.CommandContext(ctx, "sh", "-ec", soakScript, "sh", target, reference, job[1], fmt.Sprint(round))
			out, err := c.CombinedOutput()
			cancel()
			if err != nil {
				t.Fatalf("round %d: %v\n%s", round, err, out)
			}
		}
	}
}

// soakScript does to the mount ($1) and a local folder ($2) the same; $3 is the mount's root,
// $4 the round.
const soakScript = `
for dir in "$1" "$2"; do
	mkdir "$dir/d"
	for i in 1 2 3 4 5 6 7 8; do echo "$4 $i" > "$dir/d/$i"; done
	head -c $(( 6000000 + $4 * 1000 )) "$2/../big" > "$dir/d/large"
	cp -r "$dir/d" "$dir/e"
	printf edited | dd of="$dir/e/large" bs=1 seek=3000000 conv=notrunc status=none
	echo more >> "$dir/e/1"
	mv "$dir/d/2" "$dir/e/moved"
	mv "$dir/e" "$dir/f"
	truncate -s 100 "$dir/f/large"
	rm "$dir/f/3"
done
cmp "$3/big" "$2/../big"
diff -r "$1" "$2"
for dir in "$1" "$2"; do
	rm -rf "$dir/d" "$dir/kept"
	mv "$dir/f" "$dir/kept"
done
diff -r "$1" "$2"
`

// memoryWatch is the resident memory of a process without its program, in bytes, in the
// order of time.
type memoryWatch struct {
	samples []int64
	done    chan struct{}
}

func watchMemory(t *testing.T, pid int, end time.Time) *memoryWatch {
	w := &memoryWatch{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for now := range tick.C {
			if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
				w.samples = append(w.samples, field(string(status), "RssAnon")+field(string(status), "RssShmem"))
			}
			if now.After(end) {
				return
			}
		}
	}()
	return w
}

// field reads a size of /proc/PID/status, in bytes.
func field(status, name string) int64 {
	_, rest, _ := strings.Cut(status, name+":")
	n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64) // a missing one is 0, which check refuses
	return n << 10
}

// check fails if the memory was over its limit, or grew from the second quarter to the last:
// the longer it took, the less, since caches fill at the begin.
func (w *memoryWatch) check(t *testing.T, lasted time.Duration) {
	t.Helper()
	<-w.done
	quarter := len(w.samples) / 4
	second, last := mean(w.samples[quarter:2*quarter]), mean(w.samples[3*quarter:])
	var most int64
	for _, n := range w.samples {
		most = max(most, n)
	}
	t.Logf("memory: %d MiB in the second quarter, %d in the last, %d at most", second>>20, last>>20, most>>20)
	limit := int64(soakMemory)
	if mounts.RaceEnabled { // the detector remembers who has used what
		limit *= 3
	}
	filling := int64(float64(limit) * min(1, 10/lasted.Seconds()))
	if last > second+filling+(16<<20) || most > limit || second == 0 {
		t.Error("the memory is not flat, or over its limit")
	}
}

func mean(all []int64) (sum int64) {
	for _, n := range all {
		sum += n
	}
	return sum / int64(max(1, len(all)))
}

// openIn returns what a process has open whose path holds a text.
func openIn(t testing.TB, pid int, text string) (found []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if path, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.Contains(path, text) &&
			!strings.Contains(path, "lock") && !strings.Contains(path, "journal") {
			found = append(found, path)
		}
	}
	return found
}

// ours are the functions of this project, but for the one that the process runs in.
var ours = regexp.MustCompile(`s3mount/s3mount/(object|s3remote|objcache|writeback|vfs|fusefs|internal)\S*`)

// leftGoroutines returns functions of this project that still ran at the end of a mount.
func leftGoroutines(t testing.TB, profile string) string {
	t.Helper()
	text, err := os.ReadFile(profile)
	must(t, err)
	if !strings.HasPrefix(string(text), "goroutine profile:") {
		t.Fatalf("no profile: %s", text)
	}
	return strings.Join(ours.FindAllString(string(text), -1), " ")
}
