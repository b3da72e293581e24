package posix

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

var pool = servers.NewPool()

func TestMain(m *testing.M) {
	code := pool.Run(m)
	mounts.RemoveBinary()
	os.Exit(code)
}

// table returns all scenarios. The first run of one gets its folder by its number.
func table() (all []scenario) {
	for _, cases := range []func() []scenario{
		errnoCases, readOnlyCases, chmodCases, chownCases, utimensCases, makingCases, openCases, truncateCases,
		stickyCases, removeCases, renameCases, exchangeCases, linkCases, symlinkCases, nameCases,
	} {
		all = append(all, cases()...)
	}
	return all
}

// expected are checks that are to fail.
type expected struct {
	pattern, reason string
	hits            int
}

// parseExpected reads a list: a pattern, in which * stands for any text, two spaces, a
// "#" and the reason.
func parseExpected(text string) (list []*expected, err error) {
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, reason, ok := strings.Cut(line, "  # ")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("line %d gives no reason: %s", i+1, line)
		}
		list = append(list, &expected{pattern: strings.TrimSpace(pattern), reason: reason})
	}
	return list, nil
}

// matches reports whether a name is what a pattern describes.
func matches(pattern, name string) bool {
	pieces := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, pieces[0])
	if !ok {
		return false
	}
	if len(pieces) == 1 {
		return rest == ""
	}
	for _, p := range pieces[1 : len(pieces)-1] {
		_, after, ok := strings.Cut(rest, p)
		if !ok {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, pieces[len(pieces)-1])
}

// judge compares results with what is expected, and fails the test for each surprise.
func judge(t *testing.T, results []result, list []*expected) (failed int) {
	t.Helper()
	for _, r := range results {
		var e *expected
		for _, x := range list {
			if matches(x.pattern, r.name) {
				e = x
				break
			}
		}
		switch {
		case e == nil && r.err != nil:
			t.Errorf("FAIL %s: %v", r.name, r.err)
		case e != nil && r.err == nil:
			t.Errorf("PASS %s, but it is expected to fail: %s", r.name, e.reason)
		}
		if e != nil {
			e.hits++
		}
		if r.err != nil {
			failed++
		}
	}
	for _, e := range list {
		if e.hits == 0 {
			t.Errorf("no check is like %q", e.pattern)
		}
	}
	return failed
}

// onAnotherDisk makes a folder on another file system than the temporary one's.
func onAnotherDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m,mode=0777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// open makes a test's folders searchable for other users.
func searchable(t *testing.T, dir string) {
	t.Helper()
	for ; strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = dir[:strings.LastIndexByte(dir, '/')] {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTableOnALocalFolder proves the table: what it wants of a mount, a local disk does.
func TestTableOnALocalFolder(t *testing.T) {
	p := place{dir: t.TempDir(), readOnly: t.TempDir(), other: onAnotherDisk(t)}
	for _, dir := range []string{p.dir, p.readOnly, p.other} {
		searchable(t, dir)
	}
	if err := readOnlyFolder(p.readOnly); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(p.readOnly, p.readOnly, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(p.readOnly, unix.MNT_DETACH) })
	if err := unix.Mount("", p.readOnly, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	results, err := p.runAll(table(), 4)
	if err != nil {
		t.Fatal(err)
	}
	failed := judge(t, results, nil)
	t.Logf("%d checks, %d failed, in %v", len(results), failed, time.Since(began).Round(time.Millisecond))
}

// TestTableOnAMount runs the table through a mount.
func TestTableOnAMount(t *testing.T) {
	runtime.LockOSThread() // a mount is killed when the thread that started it ends, as those of the table do
	s := pool.Embedded(t)
	text, err := os.ReadFile("expected-failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseExpected(string(text))
	if err != nil {
		t.Fatal(err)
	}
	name, _ := mounts.NewBucket(t, s)
	m := mounts.Start(t, mounts.Options{Server: s, Path: name, Args: []string{"--allow-other", "--dir-mode", "0777"}})
	searchable(t, m.Dir[:strings.LastIndexByte(m.Dir, '/')])
	p := place{dir: m.Dir, other: onAnotherDisk(t)}
	searchable(t, p.other)
	ro, _ := mounts.NewBucket(t, s)
	fill := mounts.Start(t, mounts.Options{Server: s, Path: ro, Args: []string{"--dir-mode", "0777"}})
	if err := readOnlyFolder(fill.Dir); err != nil {
		t.Fatal(err)
	}
	fill.Unmount()
	p.readOnly = mounts.Start(t, mounts.Options{Server: s, Path: ro, Args: []string{"--allow-other", "--read-only"}}).Dir
	searchable(t, p.readOnly[:strings.LastIndexByte(p.readOnly, '/')])

	began := time.Now()
	results, err := p.runAll(table(), 8)
	if err != nil {
		t.Fatal(err)
	}
	failed := judge(t, results, list)
	passed := len(results) - failed
	t.Logf("%d checks, %d failed (%.2f %% passed), in %v", len(results), failed, 100*float64(passed)/float64(len(results)), time.Since(began).Round(time.Millisecond))
	if passed*100 < len(results)*97 {
		t.Errorf("%d of %d checks passed: 97 %% are to", passed, len(results))
	}
}
