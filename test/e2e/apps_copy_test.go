package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

// goEnv returns one of the settings of the go command that runs the tests.
func goEnv(t testing.TB, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// nothingToSend fails if rsync finds anything to do between two folders.
func nothingToSend(t testing.TB, what, from, to string) {
	t.Helper()
	same(t, what, sh(t, "/", "rsync", "-a", "--delete", "--itemize-changes", from+"/", to+"/"), "")
}

func TestCopyATree(t *testing.T) {
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, _ := newMount(t, s)
		src := netSource(t)
		want := tree(t, src, true)
		sh(t, "/", "cp", "-a", src, m.Dir+"/copied")
		nothingToSend(t, "rsync after cp", src, m.Dir+"/copied")
		nothingToSend(t, "rsync once more", src, m.Dir+"/copied")
		sh(t, "/", "rsync", "-a", src+"/", m.Dir+"/synced/")
		nothingToSend(t, "rsync after rsync", src, m.Dir+"/synced")

		m.Remount(true)
		for _, name := range []string{"/copied", "/synced"} {
			same(t, "diff of "+name, sh(t, "/", "diff", "-r", "--no-dereference", src, m.Dir+name), "")
			sameTree(t, name+" after a remount", tree(t, m.Dir+name, true), want)
			nothingToSend(t, "rsync after a remount", src, m.Dir+name)
			nothingToSend(t, "rsync the other way", m.Dir+name, src)
		}
		rcloneSees(t, m, "copied", src)
	})
}

// rcloneSees fails unless a real rclone shows the files and links of a folder of the
// bucket with the sizes and times of a local folder's.
func rcloneSees(t testing.TB, m *mounts.Mount, folder, src string) {
	t.Helper()
	var files []struct {
		Path    string
		Size    int64
		ModTime time.Time
	}
	rclone := exec.Command(servers.Tool(t, "rclone"), "--config", m.Options.Config,
		"lsjson", "--recursive", "--files-only", "--no-mimetype", "test:"+m.Options.Path+"/"+folder)
	out, err := rclone.Output()
	must(t, err)
	must(t, json.Unmarshal(out, &files))
	seen := map[string]bool{}
	for _, f := range files {
		seen[f.Path] = true
		st, err := os.Lstat(filepath.Join(src, f.Path))
		must(t, err)
		same(t, "size of "+f.Path+" in rclone", f.Size, st.Size())
		same(t, "mtime of "+f.Path+" in rclone", f.ModTime.UnixNano(), st.ModTime().UnixNano())
	}
	for path, what := range tree(t, src, false) {
		if !strings.HasPrefix(what, "d") && !seen[path] {
			t.Errorf("rclone does not see %q", path)
		}
	}
}

func TestRcloneCopyIsUnderstood(t *testing.T) {
	eachServer(t, func(t *testing.T, s servers.Server) {
		src := t.TempDir()
		write(t, src+"/a file", "from rclone")
		setTime(t, src+"/a file", time.Unix(1_234_567_890, 987_654_321))
		m, _ := newMount(t, s)
		rclone := servers.Tool(t, "rclone")
		sh(t, src, rclone, "--config", m.Options.Config, "copy", src, "test:"+m.Options.Path+"/in")
		sameTree(t, "what rclone wrote", tree(t, m.Dir+"/in/a file", true), tree(t, src+"/a file", true))

		write(t, m.Dir+"/in/more", "from the mount")
		sh(t, src, rclone, "--config", m.Options.Config, "copy", "test:"+m.Options.Path+"/in", src)
		sameTree(t, "what rclone read", tree(t, src+"/more", true), tree(t, m.Dir+"/in/more", true))
		sh(t, src, rclone, "--config", m.Options.Config, "check", "--download", src, "test:"+m.Options.Path+"/in")
	})
}
