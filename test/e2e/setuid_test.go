package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Who writes to a program of somebody else's, truncates it or gives it away must not leave
// it with the rights of its owner. The kernel leaves that to the mount, and so has no
// extended attribute to ask for before each write.
func TestSetuidEndsWithAWrite(t *testing.T) {
	m, _ := newMount(t, pool.Fake(t), "--allow-other")
	must(t, os.Chmod(m.Dir, 0o777))
	// The way to the mount is root's alone.
	asSomebody := func(do, path string) {
		t.Helper()
		dir, err := os.Open(m.Dir)
		must(t, err)
		defer dir.Close()
		script := do + " /proc/self/fd/3/" + filepath.Base(path)
		c := exec.Command("sh", "-c", script)
		c.ExtraFiles = []*os.File{dir}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
	}
	mode := func(path string) os.FileMode {
		t.Helper()
		st, err := os.Stat(path)
		must(t, err)
		return st.Mode()
	}
	const all = os.ModeSetuid | os.ModeSetgid | 0o777
	for name, c := range map[string]struct {
		by   func(path string)
		from os.FileMode
		want os.FileMode
	}{
		"root-writes":     {func(p string) { write(t, p, "new") }, all, all},
		"other-appends":   {func(p string) { asSomebody("echo more >>", p) }, all, 0o777},
		"other-truncates": {func(p string) { asSomebody("truncate -s 1", p) }, all, 0o777},
		"other-creates":   {func(p string) { asSomebody("echo new >", p) }, all, 0o777},
		"mark-for-locks":  {func(p string) { asSomebody("echo more >>", p) }, os.ModeSetgid | 0o666, os.ModeSetgid | 0o666},
		"root-gives":      {func(p string) { must(t, os.Chown(p, 1000, 1000)) }, all, 0o777},
	} {
		path := m.Dir + "/" + name
		write(t, path, "program")
		must(t, os.Chmod(path, c.from))
		same(t, name+": the mode before", mode(path), c.from)
		c.by(path)
		same(t, name+": the mode", mode(path), c.want)
		m.Remount(true)
		same(t, name+": the mode that is stored", mode(path), c.want)
	}
}
