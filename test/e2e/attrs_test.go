package e2e

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestAttributesAreKept(t *testing.T) {
	semantics.Claim(t,
		"mtime is kept to the nanosecond in X-Amz-Meta-Mtime, in the form that rclone writes: decimal seconds since 1970.",
		"Mode, owner and group are kept in x-amz-meta-mode (st_mode, decimal), x-amz-meta-uid and x-amz-meta-gid; a symbolic link is an object that holds its target, with a link's mode.",
		"chmod, chown and utimens of a file that is not being written are stored when they return; of one that is being written, with its next close or fsync.")
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, b := newMount(t, s)
		path := m.Dir + "/f"
		write(t, path, "x")
		at := time.Unix(1_511_424_000, 123_456_789)
		must(t, os.Chmod(path, 0o750))
		must(t, os.Chown(path, 1234, 5678))
		must(t, os.Chtimes(path, at, at))
		must(t, os.Symlink("some/where", m.Dir+"/link"))
		meta(t, b, "f", object.Meta{"mtime": "1511424000.123456789", "mode": "33256", "uid": "1234", "gid": "5678"})
		meta(t, b, "link", object.Meta{"mode": "41471"})
		same(t, "the link's object", get(t, b, "link"), "some/where")

		f, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteString("y")
		must(t, err)
		must(t, f.Chmod(0o604))
		meta(t, b, "f", object.Meta{"mode": "33256"})
		must(t, f.Sync())
		meta(t, b, "f", object.Meta{"mode": "33156"})
		must(t, f.Close())
		must(t, os.Chtimes(path, at, at))

		m.Remount(true)
		st, err := os.Stat(path)
		must(t, err)
		same(t, "mtime after a remount", st.ModTime().UnixNano(), at.UnixNano())
		same(t, "mode after a remount", st.Mode(), 0o604)
		sys := st.Sys().(*syscall.Stat_t)
		same(t, "owner after a remount", [2]uint32{sys.Uid, sys.Gid}, [2]uint32{1234, 5678})
		target, err := os.Readlink(m.Dir + "/link")
		must(t, err)
		same(t, "link after a remount", target, "some/where")
	})
}

// meta checks some of an object's metadata.
func meta(t testing.TB, b interface {
	Head(context.Context, string) (object.Info, error)
}, key string, want object.Meta) {
	t.Helper()
	info, err := b.Head(context.Background(), key)
	must(t, err)
	for k, v := range want {
		same(t, key+" metadata "+k, info.Meta[k], v)
	}
}

func TestAttributesOfOtherPrograms(t *testing.T) {
	semantics.Claim(t,
		"Modes, owners, times, links and special files written by s3fs, geesefs and rclone are understood.",
		"An object without metadata has --uid, --gid, --file-mode and --dir-mode less --umask, and the time of its upload.")
	m, b := newMount(t, pool.Embedded(t), "--uid", "77", "--gid", "88", "--file-mode", "0666", "--dir-mode", "0777", "--umask", "0027")
	put(t, b, "s3fs", "x", object.Meta{"mode": "33152", "uid": "5", "gid": "6", "mtime": "1600000000"})
	put(t, b, "s3fs-link", "to/there", object.Meta{"mode": "41471"})
	put(t, b, "geesefs-link", "", object.Meta{"--symlink-target": "to%2Fthere"})
	put(t, b, "s3fs-fifo", "", object.Meta{"mode": "4480"})
	put(t, b, "geesefs-dev", "", object.Meta{"mode": "8612", "rdev": "259"})
	put(t, b, "rclone", "x", object.Meta{"mode": "0100640", "mtime": "1600000000.5"})
	plain := put(t, b, "dir/plain", "x", nil)
	for _, c := range []struct {
		path     string
		mode     os.FileMode
		uid, gid uint32
		mtime    int64 // in ms; 0: now
	}{
		{"s3fs", 0o600, 5, 6, 1_600_000_000_000},
		{"s3fs-link", os.ModeSymlink | 0o777, 77, 88, 0},
		{"geesefs-link", os.ModeSymlink | 0o777, 77, 88, 0},
		{"s3fs-fifo", os.ModeNamedPipe | 0o600, 77, 88, 0},
		{"geesefs-dev", os.ModeDevice | os.ModeCharDevice | 0o644, 77, 88, 0},
		{"rclone", 0o640, 77, 88, 1_600_000_000_500},
		{"dir/plain", 0o640, 77, 88, 0},
		{"dir", os.ModeDir | 0o750, 77, 88, 0},
	} {
		st, err := os.Lstat(m.Dir + "/" + c.path)
		must(t, err)
		sys := st.Sys().(*syscall.Stat_t)
		same(t, c.path+" mode", st.Mode(), c.mode)
		same(t, c.path+" owner", [2]uint32{sys.Uid, sys.Gid}, [2]uint32{c.uid, c.gid})
		if c.mtime != 0 {
			same(t, c.path+" mtime", st.ModTime().UnixMilli(), c.mtime)
		} else if d := time.Since(st.ModTime()); d > time.Minute || d < -time.Minute {
			t.Errorf("%s mtime: %v, uploaded %v", c.path, st.ModTime(), plain.LastModified)
		}
	}
	for _, link := range []string{"s3fs-link", "geesefs-link"} {
		target, err := os.Readlink(m.Dir + "/" + link)
		must(t, err)
		same(t, link, target, "to/there")
	}
}

func TestFolderTimes(t *testing.T) {
	semantics.Claim(t,
		"A folder's times change in this mount when names in it change, and are stored when they are set.",
		"atime is not kept: it is what was set in this mount, else the mtime.")
	m, _ := newMount(t, pool.Embedded(t))
	dir := m.Dir + "/d"
	must(t, os.Mkdir(dir, 0o755))
	at, read := time.Unix(1_500_000_000, 42), time.Unix(1_400_000_000, 7)
	must(t, os.Chtimes(dir, read, at))
	write(t, dir+"/f", "x")
	must(t, os.Chtimes(dir+"/f", read, at))
	st, err := os.Stat(dir)
	must(t, err)
	if time.Since(st.ModTime()) > time.Minute {
		t.Errorf("a new name left the folder's mtime at %v", st.ModTime())
	}
	same(t, "atime that was set", atime(t, dir+"/f"), read.UnixNano())
	must(t, os.Chtimes(dir, read, at))
	m.Remount(true)
	st, err = os.Stat(dir)
	must(t, err)
	same(t, "the folder's mtime after a remount", st.ModTime().UnixNano(), at.UnixNano())
	same(t, "atime after a remount", atime(t, dir+"/f"), at.UnixNano())
}

func atime(t testing.TB, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return st.Atim.Nano()
}

func TestOutagesAndFullDisks(t *testing.T) {
	semantics.Claim(t, "A full --cache-size, or a full disk under it, is ENOSPC for the writer; readers go on without the disk.")
	m, b := newMount(t, servers.Of(s3fake.Start(t, s3fake.Options{})), "--cache-size", "64M")
	put(t, b, "small", "small", nil)
	f, err := os.Create(m.Dir + "/big")
	must(t, err)
	chunk := make([]byte, 1<<20)
	for i := 0; err == nil && i < 100; i++ {
		_, err = f.Write(chunk)
	}
	wantErrno(t, "writing more than --cache-size", err, unix.ENOSPC)
	same(t, "a reader beside it", read(t, m.Dir+"/small"), "small")
	f.Close()
	must(t, os.Remove(m.Dir+"/big"))
	write(t, m.Dir+"/again", "works")
	same(t, "afterwards", get(t, b, "again"), "works")
}

func TestNothingHangs(t *testing.T) {
	semantics.Claim(t, "An operation that S3 does not answer is repeated with growing pauses for --retry-for (2 minutes by default), then fails with EIO or ETIMEDOUT; none hangs.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake), "--retry-for", "2s", "--dir-cache-time", "0", "--attr-timeout", "0")
	put(t, b, "f", strings.Repeat("x", 8<<20), nil)
	open, err := os.Open(m.Dir + "/f")
	must(t, err)
	defer open.Close()
	fake.Down()
	for what, op := range map[string]func() error{
		"stat":  func() error { _, err := os.Stat(m.Dir + "/f"); return err },
		"list":  func() error { _, err := os.ReadDir(m.Dir); return err },
		"read":  func() error { _, err := open.ReadAt(make([]byte, 100), 5<<20); return err },
		"write": func() error { return os.WriteFile(m.Dir+"/g", []byte("x"), 0o644) },
		"mkdir": func() error { return os.Mkdir(m.Dir+"/d", 0o755) },
	} {
		began := time.Now()
		if err := op(); !errors.Is(err, unix.EIO) && !errors.Is(err, unix.ETIMEDOUT) {
			t.Errorf("%s without a server: %v", what, err)
		}
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("%s took %v to fail", what, d)
		}
	}
	must(t, fake.Up())
	write(t, m.Dir+"/g", "works")
	same(t, "afterwards", read(t, m.Dir+"/g"), "works")
	if !strings.Contains(m.Log(), "check the endpoint and the network") {
		t.Errorf("the log does not say what to do:\n%s", m.Log())
	}
}
