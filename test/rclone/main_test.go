package rclone

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

var pool = servers.NewPool()

func TestMain(m *testing.M) {
	code := pool.Run(m)
	mounts.RemoveBinary()
	os.Exit(code)
}

// pair is s3mount and rclone with one config file, whose remote "test" is a store with a
// bucket of their own, and with a folder that the test may use.
type pair struct {
	t      *testing.T
	config string
	home   string
	bucket string
	// patience is how long a command may take.
	patience time.Duration
}

// newPair makes a pair on a store.
func newPair(t *testing.T, s servers.Server) *pair {
	t.Helper()
	name, _ := mounts.NewBucket(t, s)
	return &pair{t: t, config: mounts.Config(t, s), home: t.TempDir(), bucket: "test:" + name, patience: 2 * time.Minute}
}

// run runs one of the two in the pair's folder.
func (p *pair) run(path string, args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), p.patience)
	defer cancel()
	c := exec.CommandContext(ctx, path, append(args, "--config", p.config)...)
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr, c.Dir = &out, &problems, p.home
	c.Env = []string{"HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "TZ=Europe/Zurich"}
	err := c.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		p.t.Fatalf("%s: %v", path, err)
	}
	return out.String(), problems.String(), c.ProcessState.ExitCode()
}

// ours runs s3mount and must succeed; it returns standard output and standard error.
func (p *pair) ours(args ...string) (stdout, stderr string) {
	p.t.Helper()
	stdout, stderr, code := p.run(mounts.Binary(p.t), args...)
	if code != 0 {
		p.t.Fatalf("s3mount %q: exit code %d\n%s", args, code, stderr)
	}
	return stdout, stderr
}

// theirs is ours for rclone.
func (p *pair) theirs(args ...string) (stdout, stderr string) {
	p.t.Helper()
	stdout, stderr, code := p.run(servers.Tool(p.t, "rclone"), args...)
	if code != 0 {
		p.t.Fatalf("rclone %q: exit code %d\n%s", args, code, stderr)
	}
	return stdout, stderr
}

// same runs a command with both, and compares the exit codes and the lines, whose order
// rclone leaves open.
func (p *pair) same(args ...string) {
	p.t.Helper()
	our, ourErr, ourCode := p.run(mounts.Binary(p.t), args...)
	their, theirErr, theirCode := p.run(servers.Tool(p.t, "rclone"), args...)
	if ourCode != theirCode {
		p.t.Errorf("%q: s3mount exits with %d, rclone with %d\n%s\n%s", args, ourCode, theirCode, ourErr, theirErr)
	}
	a, b := sorted(our), sorted(their)
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			p.t.Errorf("%q:\ns3mount prints\n%s\nrclone prints\n%s", args, our, their)
			return
		}
	}
}

func sorted(text string) []string {
	lines := slices.Collect(strings.Lines(text))
	slices.Sort(lines)
	return lines
}

// plant makes a tree with names and sizes that tools stumble over.
func (p *pair) plant(dir string) {
	p.t.Helper()
	files := map[string]int{
		"a.txt": 6, "empty": 0, "b c/with blank": 100, "b c/d/deep.bin": 70_000, "ünï/☃.md": 12, "b.txt": 1, "b/x": 2, "b-/x": 3,
		"quote\"s": 4, "per%cent+plus": 5, "a&b=c?d#e": 6, "index.html": 7, "big.bin": 11 << 20, "under_/score": 9,
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(p.home, dir, name)
		data := bytes.Repeat([]byte{byte('a' + n%26), byte(n), '\n'}, files[name]/3+1)[:files[name]]
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			p.t.Fatal(err)
		}
		at := time.Unix(1_600_000_000+int64(n)*86_400, int64(n)*12_345_678)
		if err := os.Chtimes(path, at, at); err != nil {
			p.t.Fatal(err)
		}
		n++
	}
}

// eachStore runs a test on MinIO and on Ceph.
func eachStore(t *testing.T, test func(t *testing.T, p *pair)) {
	for name, start := range map[string]func(testing.TB) servers.Server{"MinIO": pool.MinIO, "Ceph": pool.Ceph} {
		t.Run(name, func(t *testing.T) { test(t, newPair(t, start(t))) })
	}
}
