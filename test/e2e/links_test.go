package e2e

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestHardLinks(t *testing.T) {
	semantics.Claim(t,
		"A hard link is a second object: link() copies the file within S3, and what is changed under one name is stored under all of them when close, fsync, chmod, chown or utimens return.",
		"Hard links hold in one mount, as long as it lasts: to the next mount, and to other clients, each name is a file of its own, with what was stored last; a name that another client replaces is no link any more.",
		"A file has at most 1001 names, a mount 65,536 hard links, less with less --memory; more are EMLINK. With --writeback there are none: link() is EPERM, on which programs fall back to a copy or a rename.")
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, b := newMount(t, s, "--dir-cache-time", "0", "--attr-timeout", "0")
		must(t, os.Mkdir(m.Dir+"/d", 0o755))
		write(t, m.Dir+"/f", "one")
		must(t, os.Link(m.Dir+"/f", m.Dir+"/d/g"))
		same(t, "links", lstat(t, m.Dir+"/f").Nlink, 2)
		same(t, "the same inode", lstat(t, m.Dir+"/d/g").Ino, lstat(t, m.Dir+"/f").Ino)
		same(t, "the second object", get(t, b, "d/g"), "one")
		f, err := os.OpenFile(m.Dir+"/d/g", os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		_, err = f.WriteString("two")
		must(t, err)
		same(t, "the other name at once", read(t, m.Dir+"/f"), "onetwo")
		must(t, f.Close())
		must(t, os.Chmod(m.Dir+"/f", 0o600))
		for _, key := range []string{"f", "d/g"} {
			same(t, "object "+key, get(t, b, key), "onetwo")
			meta(t, b, key, map[string]string{"mode": "33152"})
		}
		put(t, b, "d/g", "theirs", nil)
		same(t, "replaced elsewhere", read(t, m.Dir+"/d/g"), "theirs")
		same(t, "what stays", read(t, m.Dir+"/f"), "onetwo")
		same(t, "links", lstat(t, m.Dir+"/f").Nlink, 1)

		must(t, os.Link(m.Dir+"/f", m.Dir+"/h"))
		m.Remount(true)
		same(t, "links after a remount", lstat(t, m.Dir+"/h").Nlink, 1)
		write(t, m.Dir+"/h", "three")
		same(t, "a file of its own", read(t, m.Dir+"/f"), "onetwo")
	})
}

func TestNoHardLinksWithWriteback(t *testing.T) {
	s := pool.Embedded(t)
	name, _ := mounts.NewBucket(t, s)
	m := mounts.Start(t, mounts.Options{Server: s, Path: name, Args: []string{"--writeback"}})
	write(t, m.Dir+"/f", "x")
	wantErrno(t, "link", unix.Link(m.Dir+"/f", m.Dir+"/g"), unix.EPERM)
	// git, Python's mailbox and others write a new file, and link it to its name if they can.
	out, err := exec.Command("python3", "-c", `import mailbox, sys; mailbox.Maildir(sys.argv[1]).add("Subject: x\n\nbody\n")`, m.Dir+"/mail").CombinedOutput()
	if err != nil {
		t.Errorf("a Maildir: %v\n%s", err, out)
	}
	same(t, "messages", len(names(t, m.Dir+"/mail/new")), 1)
}
