// Package apps runs the programs that people use inside a mount: each script in scripts
// works in a folder of its own, all of them side by side, and looks at what it left after
// a remount with an empty cache.
//
// A script is bash, and has two functions: work, which starts in an empty folder of the
// mount, and check, which starts in the same folder after the remount. Each command that
// fails fails the test. They have these variables:
//
//	LOCAL   a folder on the local disk, the same one for both
//	OTHER   an empty folder in another mount of the same store
//	SHARED  a folder on the local disk that all runs share, one after the other
//	MODULE  the source of a Go module
//	MANY    how many messages a maildir has: 10,000 with -full, else less
//	SECONDS_OF_PGBENCH
package apps

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

var full = flag.Bool("full", false, "as much data as the programs have in earnest: minutes for each")

var pool = servers.NewPool()

func TestMain(m *testing.M) {
	code := pool.Run(m)
	mounts.RemoveBinary()
	os.Exit(code)
}

// stores are the servers on which all scripts run.
var stores = []struct {
	name  string
	start func(testing.TB) servers.Server
}{
	{"embedded", pool.Embedded},
	{"minio", pool.MinIO},
}

// modes are the ways of mounting in which all scripts run.
var modes = []struct {
	name string
	args []string
}{
	{"strict", nil},
	{"writeback", []string{"--writeback"}},
}

func TestApplications(t *testing.T) {
	scripts, err := filepath.Glob("scripts/*.sh")
	must(t, err)
	if len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	common := []string{"MODULE=" + moduleSource(t), "SHARED=" + t.TempDir()}
	if *full {
		common = append(common, "MANY=10000", "SECONDS_OF_PGBENCH=60")
	} else {
		common = append(common, "MANY=200", "SECONDS_OF_PGBENCH=2")
	}
	for _, store := range stores {
		for _, mode := range modes {
			t.Run(store.name+"/"+mode.name, func(t *testing.T) {
				runAll(t, store.start(t), mode.args, scripts, common)
			})
		}
	}
}

// runAll runs the work of all scripts, remounts, and runs their checks.
func runAll(t *testing.T, s servers.Server, args, scripts, common []string) {
	t.Helper()
	m, other := mount(t, s, args), mount(t, s, args)
	envs := map[string][]string{}
	for _, script := range scripts {
		name := nameOf(script)
		local := open(t, t.TempDir())
		must(t, os.Mkdir(m.Dir+"/"+name, 0o755))
		must(t, os.Mkdir(other.Dir+"/"+name, 0o755))
		envs[name] = append(slices.Clone(common), "LOCAL="+local, "OTHER="+other.Dir+"/"+name)
	}
	for _, phase := range []string{"work", "check"} {
		t.Run(phase, func(t *testing.T) {
			for _, script := range scripts {
				name := nameOf(script)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(t, script, phase, m.Dir+"/"+name, envs[name])
				})
			}
		})
		if t.Failed() {
			return
		}
		m.Remount(true)
	}
}

func nameOf(script string) string { return strings.TrimSuffix(filepath.Base(script), ".sh") }

// mount mounts a new bucket, for all users.
func mount(t *testing.T, s servers.Server, args []string) *mounts.Mount {
	t.Helper()
	bucket, _ := mounts.NewBucket(t, s)
	m := mounts.Start(t, mounts.Options{Server: s, Path: bucket, Args: append([]string{"--allow-other"}, args...)})
	open(t, m.Dir)
	return m
}

// open lets all users go through to a folder of the test.
func open(t *testing.T, dir string) string {
	t.Helper()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

// moduleSource returns the folder of a module that has no dependencies.
func moduleSource(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/hashicorp/golang-lru/v2").Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// patience bounds each function of a script.
const patience = 10 * time.Minute

// run runs one function of a script in dir.
func run(t *testing.T, script, function, dir string, env []string) {
	t.Helper()
	path, err := filepath.Abs(script)
	must(t, err)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", `set -euo pipefail; umask 022; . "$0"; PS4='+ $LINENO: '; set -x; "$1"`, path, function)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) } // its traps end its servers
	c.WaitDelay = time.Minute
	c.Dir = dir
	c.Env = append(os.Environ(), append([]string{"LC_ALL=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1"}, env...)...)
	out, err := c.CombinedOutput()
	t.Logf("%.1f s", time.Since(began).Seconds())
	if err != nil {
		t.Errorf("%s: %v\n%s", function, err, tail(string(out)))
	}
}

// tail returns the last lines of what a script printed.
func tail(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
