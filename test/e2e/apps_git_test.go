package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/test/servers"
)

// git runs git in dir, as somebody.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	who := []string{"-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=main",
		"-c", "gc.autoDetach=false"}
	return sh(t, dir, "git", append(who, args...)...)
}

// gitSource makes a repository on the local disk, with some history.
func gitSource(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "--quiet")
	for i := range 5 {
		must(t, os.MkdirAll(fmt.Sprintf("%s/dir%d", dir, i), 0o755))
		for j := range 10 {
			write(t, fmt.Sprintf("%s/dir%d/file%d", dir, i, j), strings.Repeat(fmt.Sprintf("line of %d and %d\n", i, j), 100*i+j))
		}
		write(t, dir+"/changing", fmt.Sprint("revision ", i, "\n"))
		git(t, dir, "add", "--all")
		git(t, dir, "commit", "--quiet", "--message", fmt.Sprint("commit ", i))
	}
	return dir
}

// soundClone fails unless a repository is whole, clean, and at the wanted commit.
func soundClone(t testing.TB, dir, head string) {
	t.Helper()
	same(t, "git status", git(t, dir, "status", "--porcelain"), "")
	same(t, "git rev-parse", strings.TrimSpace(git(t, dir, "rev-parse", "HEAD")), head)
	if out := git(t, dir, "fsck", "--full", "--strict", "--no-progress"); strings.Contains(out, "missing") || strings.Contains(out, "corrupt") {
		t.Errorf("git fsck says\n%s", out)
	}
}

func TestGit(t *testing.T) {
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, _ := newMount(t, s)
		src := gitSource(t)
		work := m.Dir + "/work"
		git(t, m.Dir, "clone", "--quiet", src, "work") // copies, since there are no hard links
		write(t, work+"/changing", "in the mount\n")
		must(t, os.RemoveAll(work+"/dir1"))
		git(t, work, "add", "--all")
		git(t, work, "mv", "dir2", "moved")
		git(t, work, "commit", "--quiet", "--message", "in the mount")
		git(t, work, "checkout", "--quiet", "-b", "side", "HEAD~2")
		write(t, work+"/side", "of the side branch\n")
		git(t, work, "add", "side")
		git(t, work, "commit", "--quiet", "--message", "beside")
		git(t, work, "merge", "--quiet", "--no-edit", "main")
		git(t, work, "gc", "--quiet", "--aggressive", "--prune=now")
		head := strings.TrimSpace(git(t, work, "rev-parse", "HEAD"))
		soundClone(t, work, head)

		git(t, m.Dir, "clone", "--quiet", "--bare", "file://"+work, "bare.git") // through a pack
		m.Remount(true)
		soundClone(t, work, head)
		git(t, m.Dir, "clone", "--quiet", "bare.git", "again")
		soundClone(t, m.Dir+"/again", head)
		git(t, work, "push", "--quiet", "../bare.git", "side")
		same(t, "what was pushed", git(t, m.Dir+"/bare.git", "log", "--oneline", "side"), git(t, work, "log", "--oneline"))
	})
}

func TestGitInit(t *testing.T) {
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, _ := newMount(t, s)
		git(t, m.Dir, "init", "--quiet", "repo")
		repo := m.Dir + "/repo"
		for i := range 3 {
			write(t, repo+"/file", fmt.Sprint("revision ", i, "\n"))
			git(t, repo, "add", "file")
			git(t, repo, "commit", "--quiet", "--message", fmt.Sprint("commit ", i))
		}
		write(t, repo+"/file", "not to be kept\n")
		git(t, repo, "stash", "--quiet")
		git(t, repo, "rebase", "--quiet", "--force-rebase", "HEAD~2")
		git(t, repo, "stash", "pop", "--quiet")
		same(t, "git status", git(t, repo, "status", "--porcelain"), " M file\n")
		git(t, repo, "checkout", "--quiet", "file")
		git(t, repo, "gc", "--quiet")
		head := strings.TrimSpace(git(t, repo, "rev-parse", "HEAD"))
		soundClone(t, repo, head)
		m.Remount(true)
		soundClone(t, repo, head)
	})
}
