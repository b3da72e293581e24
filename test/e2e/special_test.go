package e2e

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestSpecialFiles(t *testing.T) {
	semantics.Claim(t,
		"FIFOs, sockets and device nodes are kept as empty objects, and work as on a local disk, but that no device node can be opened (nodev).",
		"FIFOs, sockets and device nodes have their type in x-amz-meta-mode and a device's number in x-amz-meta-rdev (st_rdev, decimal); an object that has content is never shown as one of them.")
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, b := newMount(t, s)
		must(t, os.Mkdir(m.Dir+"/d", 0o755))
		at := time.Unix(1_511_424_000, 123_456_789)
		dev := unix.Mkdev(4000, 70_000)
		for _, c := range []struct {
			name string
			mode uint32
			meta object.Meta
		}{
			{"fifo", unix.S_IFIFO | 0o640, object.Meta{"mode": "4512"}},
			{"socket", unix.S_IFSOCK | 0o600, object.Meta{"mode": "49536"}},
			{"char", unix.S_IFCHR | 0o600, object.Meta{"mode": "8576", "rdev": "287285360"}},
			{"block", unix.S_IFBLK | 0o600, object.Meta{"mode": "24960", "rdev": "287285360"}},
		} {
			path := m.Dir + "/d/" + c.name
			must(t, unix.Mknod(path, c.mode, int(dev)))
			must(t, os.Chown(path, 12, 34))
			must(t, os.Chtimes(path, at, at))
			must(t, os.Rename(path, path+"2"))
			meta(t, b, "d/"+c.name+"2", c.meta)
			same(t, c.name+" content", get(t, b, "d/"+c.name+"2"), "")
		}
		put(t, b, "d/data", "content", object.Meta{"mode": "4512"})

		m.Remount(true)
		for name, mode := range map[string]uint32{"fifo2": unix.S_IFIFO | 0o640, "socket2": unix.S_IFSOCK | 0o600, "char2": unix.S_IFCHR | 0o600, "block2": unix.S_IFBLK | 0o600} {
			st := lstat(t, m.Dir+"/d/"+name)
			same(t, name+" mode", st.Mode, mode)
			same(t, name+" owner", [2]uint32{st.Uid, st.Gid}, [2]uint32{12, 34})
			same(t, name+" mtime", time.Unix(st.Mtim.Unix()).UnixNano(), at.UnixNano())
			if mode&unix.S_IFMT == unix.S_IFCHR || mode&unix.S_IFMT == unix.S_IFBLK {
				same(t, name+" number", st.Rdev, dev)
				_, err := os.Open(m.Dir + "/d/" + name)
				wantErrno(t, "open "+name, err, unix.EACCES)
			}
		}
		same(t, "an object with content", read(t, m.Dir+"/d/data"), "content")

		out := exec.Command("cat", m.Dir+"/d/fifo2")
		said := make(chan string, 1)
		go func() {
			text, err := out.Output()
			if err != nil {
				text = []byte(err.Error())
			}
			said <- string(text)
		}()
		w, err := os.OpenFile(m.Dir+"/d/fifo2", os.O_WRONLY, 0) // waits for the reader
		must(t, err)
		_, err = w.WriteString("through")
		must(t, err)
		must(t, w.Close())
		same(t, "what came through the FIFO", <-said, "through")

		l, err := net.Listen("unix", m.Dir+"/s")
		must(t, err)
		conn, err := net.Dial("unix", m.Dir+"/s")
		must(t, err)
		conn.Close()
		must(t, l.Close()) // and removes it
		if _, err := os.Lstat(m.Dir + "/s"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket's name: %v", err)
		}
	})
}

func lstat(t testing.TB, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st
}

func TestPermissionBits(t *testing.T) {
	semantics.Claim(t,
		"chown, and writing by others than root, take setuid and setgid away; both are kept and shown, but no program gets rights by them (nosuid).",
		"Access control lists are refused with EOPNOTSUPP.")
	m, b := newMount(t, pool.Embedded(t), "--allow-other", "--dir-mode", "0777")
	must(t, os.Chmod(filepath.Dir(m.Dir), 0o755))
	id, err := os.ReadFile("/usr/bin/id")
	must(t, err)
	path := m.Dir + "/id"
	must(t, os.WriteFile(path, id, 0o755))
	must(t, unix.Chmod(path, 0o6755))
	meta(t, b, "id", object.Meta{"mode": "36333"})
	c := exec.Command("./id", "-u")
	c.Dir = m.Dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1234, Gid: 1234}}
	out, err := c.CombinedOutput()
	must(t, err)
	same(t, "who runs a setuid program", string(out), "1234\n")
	must(t, os.Chown(path, 5, 6))
	same(t, "mode after chown", lstat(t, path).Mode, uint32(unix.S_IFREG|0o755))
	meta(t, b, "id", object.Meta{"mode": "33261"})

	acl := []byte{2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255}
	wantErrno(t, "set an ACL", unix.Setxattr(path, "system.posix_acl_access", acl, 0), unix.EOPNOTSUPP)
	wantErrno(t, "set a default ACL", unix.Setxattr(m.Dir, "system.posix_acl_default", acl, 0), unix.EOPNOTSUPP)
}

func TestChangeTimesAndTheRoot(t *testing.T) {
	semantics.Claim(t,
		"ctime is when this mount last changed the file or its attributes, as long as it knows the file, else the time of the upload.",
		"The root of the mount has --uid, --gid and --dir-mode at each mount: what is set on it holds until the mount ends.")
	m, b := newMount(t, pool.Embedded(t), "--dir-mode", "0750", "--uid", "7", "--gid", "8")
	put(t, b, "f", "x", object.Meta{"mtime": "1500000000"})
	info, err := b.Head(context.Background(), "f")
	must(t, err)
	st := lstat(t, m.Dir+"/f")
	same(t, "mtime", st.Mtim.Sec, 1_500_000_000)
	if ago := info.LastModified.Unix() - st.Ctim.Sec; ago < -60 || ago > 60 {
		t.Errorf("ctime %d of what was uploaded at %v", st.Ctim.Sec, info.LastModified)
	}
	must(t, os.Chmod(m.Dir+"/f", 0o600))
	must(t, os.Chtimes(m.Dir+"/f", time.Unix(1, 0), time.Unix(1, 0)))
	if d := time.Now().Unix() - lstat(t, m.Dir+"/f").Ctim.Sec; d < -60 || d > 60 {
		t.Errorf("ctime after chmod is %d s ago", d)
	}
	must(t, os.Chmod(m.Dir, 0o700))
	must(t, os.Chown(m.Dir, 1, 2))
	st = lstat(t, m.Dir)
	same(t, "the root that was changed", [3]uint32{st.Mode & 0o7777, st.Uid, st.Gid}, [3]uint32{0o700, 1, 2})
	m.Remount(false)
	st = lstat(t, m.Dir)
	same(t, "the root of the next mount", [3]uint32{st.Mode & 0o7777, st.Uid, st.Gid}, [3]uint32{0o750, 7, 8})
}
