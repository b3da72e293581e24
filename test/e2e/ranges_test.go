package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestCopyInTheMountMovesNoData(t *testing.T) {
	semantics.Claim(t, "copy_file_range of a whole file of 1 MiB or more into an empty one is done by the store, so that cp within a mount moves no data; the copy is in S3 when it returns. Other ranges are copied by the kernel through the mount.")
	m, fake, b := fakeMount(t)
	const gib, size = 1 << 30, 8 << 20
	pattern := s3fake.NewPattern(7)
	b.PutPattern("gib", gib, pattern, nil)
	b.PutPattern("big", size, pattern, map[string]string{"mode": "33188", "xattr": "%7B%22user.a%22%3A%22MQ%3D%3D%22%7D"})
	b.Put("small", []byte("small"), nil)
	sh(t, m.Dir, "ls", "-l")
	fake.ResetStats()
	sh(t, m.Dir, "cp", "--reflink=auto", "gib", "gib2")
	sh(t, m.Dir, "cp", "big", "copy")
	sh(t, m.Dir, "cp", "-a", "big", "exact")
	must(t, os.WriteFile(m.Dir+"/old", []byte("replaced"), 0o644))
	sh(t, m.Dir, "cp", "big", "old")
	stats := fake.Stats()
	same(t, "bytes that came from the store", stats.BytesOut, 0)
	same(t, "bytes that went there", stats.BytesIn, int64(len("replaced")))
	source, _ := b.Head("big")
	for name, want := range map[string]int64{"gib2": gib, "copy": size, "exact": size, "old": size} {
		o, ok := b.Head(name)
		if !ok || o.Size != want {
			t.Errorf("%s: in the store is %+v", name, o)
		}
		f, err := os.Open(m.Dir + "/" + name)
		must(t, err)
		must(t, checkRead(io.NewSectionReader(f, want/2, 1<<16), pattern, want/2))
		st, err := f.Stat()
		must(t, err)
		same(t, "size of "+name, st.Size(), want)
		must(t, f.Close())
	}
	sameXattrs(t, "of cp -a", m.Dir+"/exact", map[string]string{"user.a": "1"})

	edit, err := os.OpenFile(m.Dir+"/copy", os.O_RDWR, 0) // an edit of the copy leaves the source alone
	must(t, err)
	_, err = edit.WriteAt([]byte("edit"), 100)
	must(t, err)
	must(t, edit.Truncate(1000))
	must(t, edit.Close())
	again, _ := b.Head("big")
	same(t, "the source after an edit of the copy", again.ETag, source.ETag)
	sh(t, m.Dir, "cp", "small", "small2")
	same(t, "a small copy", read(t, m.Dir+"/small2"), "small")
}

func TestCopyOfRanges(t *testing.T) {
	semantics.Claim(t, "copy_file_range of a whole file of 1 MiB or more into an empty one is done by the store, so that cp within a mount moves no data; the copy is in S3 when it returns. Other ranges are copied by the kernel through the mount.")
	for _, args := range [][]string{nil, {"--writeback"}} {
		copyRanges(t, args...)
	}
}

func copyRanges(t *testing.T, args ...string) {
	m, b := newMount(t, pool.MinIO(t), args...)
	data := []byte(strings.Repeat("0123456789abcdef", 3<<16))
	write(t, m.Dir+"/src", string(data))
	src, err := os.Open(m.Dir + "/src")
	must(t, err)
	defer src.Close()
	want := map[string]string{}
	for i, c := range []struct{ off, to, n int }{{0, 0, len(data)}, {5, 0, 1 << 20}, {0, 7, len(data)}, {100, 2 << 20, 1000}, {0, 0, 1 << 20}, {1 << 20, 3, len(data)}} {
		name := fmt.Sprintf("dst%d", i)
		dst, err := os.Create(m.Dir + "/" + name)
		must(t, err)
		from, to := int64(c.off), int64(c.to)
		for left := min(c.n, len(data)-c.off); left > 0; {
			n, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, left, 0)
			must(t, err)
			if n == 0 {
				t.Fatalf("%+v: %d bytes are left", c, left)
			}
			left -= n
		}
		_, err = dst.WriteAt([]byte("tail"), to)
		must(t, err)
		must(t, dst.Close())
		want[name] = string(bytes.Join([][]byte{make([]byte, c.to), data[c.off:min(c.off+c.n, len(data))], []byte("tail")}, nil))
		if got := read(t, m.Dir+"/"+name); got != want[name] {
			t.Errorf("%+v: the file has %d bytes, or others than the %d wanted", c, len(got), len(want[name]))
		}
	}
	src.Close()
	m.Unmount()
	for name, data := range want {
		if got := get(t, b, name); got != data {
			t.Errorf("%s: the object has %d bytes, or others than the %d wanted", name, len(got), len(data))
		}
	}
}

func TestFallocateAndSeek(t *testing.T) {
	semantics.Claim(t,
		"fallocate makes a file larger, and makes zeros with FALLOC_FL_PUNCH_HOLE and FALLOC_FL_ZERO_RANGE; with FALLOC_FL_KEEP_SIZE alone it does nothing, and FALLOC_FL_COLLAPSE_RANGE and FALLOC_FL_INSERT_RANGE are EOPNOTSUPP.",
		"A file is all data to lseek: SEEK_DATA finds what it is asked for, and SEEK_HOLE the end.")
	m, b := newMount(t, pool.Embedded(t))
	local := t.TempDir() + "/f"
	path := m.Dir + "/f"
	data := []byte(strings.Repeat("x", 300_000))
	must(t, os.WriteFile(local, data, 0o644))
	must(t, os.WriteFile(path, data, 0o644))
	const keep, punch, zero = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE
	for _, c := range []struct {
		mode   uint32
		off, n int64
	}{{0, 200_000, 200_000}, {keep, 0, 1 << 20}, {punch | keep, 5000, 100_000}, {zero, 390_000, 50_000}, {zero | keep, 430_000, 50_000}, {punch | keep, 1 << 20, 10}, {zero, 1 << 20, 1}} {
		for _, p := range []string{local, path} {
			f, err := os.OpenFile(p, os.O_RDWR, 0)
			must(t, err)
			must(t, unix.Fallocate(int(f.Fd()), c.mode, c.off, c.n))
			must(t, f.Close())
		}
		if want := read(t, local); read(t, path) != want || get(t, b, "f") != want {
			t.Fatalf("after mode %#x at %d: %d bytes, want %d as on the local disk", c.mode, c.off, len(read(t, path)), len(want))
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	wantErrno(t, "collapse", unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, 4096), unix.EOPNOTSUPP)
	wantErrno(t, "insert", unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_INSERT_RANGE, 0, 4096), unix.EOPNOTSUPP)
	size := int64(1<<20 + 1)
	for _, c := range []struct {
		whence    int
		off, want int64
	}{{unix.SEEK_DATA, 7000, 7000}, {unix.SEEK_HOLE, 7000, size}, {unix.SEEK_HOLE, 0, size}, {unix.SEEK_END, 0, size}} {
		got, err := unix.Seek(int(f.Fd()), c.off, c.whence)
		must(t, err)
		same(t, fmt.Sprintf("lseek %d from %d", c.whence, c.off), got, c.want)
	}
	_, err = unix.Seek(int(f.Fd()), size, unix.SEEK_DATA)
	wantErrno(t, "SEEK_DATA at the end", err, unix.ENXIO)
}

func TestManyProcessesAppend(t *testing.T) {
	semantics.Claim(t, "What several processes of one mount append with O_APPEND all stands, none of it over another.")
	m, fake, _ := fakeMount(t)
	write(t, m.Dir+"/log", "")
	const processes, lines = 6, 200
	var wg sync.WaitGroup
	for p := range processes {
		wg.Go(func() {
			script := fmt.Sprintf(`for i in $(seq %d); do echo "process %d line $i"; done >>log`, lines, p)
			if out, err := try(m.Dir, "sh", "-c", script); err != nil {
				t.Errorf("process %d: %v\n%s", p, err, out)
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	all, _ := fake.Bucket("bucket").Get("log")
	for line := range strings.Lines(string(all)) {
		seen[line] = true
	}
	for p := range processes {
		for i := range lines {
			if line := fmt.Sprintf("process %d line %d\n", p, i+1); !seen[line] {
				t.Fatalf("%q is not in the object", line)
			}
		}
	}
	same(t, "lines", strings.Count(string(all), "\n"), processes*lines)
}

func TestLocksOfProcesses(t *testing.T) {
	semantics.Claim(t, "Locks by flock and fcntl hold among the programs of one mount, which is what SQLite needs in each of its journal modes; another mount does not see them.")
	m, _, b := fakeMount(t)
	b.Put("counter", []byte("0"), nil)
	const processes, rounds = 4, 25
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() { // who is not kept out reads what another is about to replace
			script := fmt.Sprintf(`for i in $(seq %d); do flock lock sh -c 'n=$(cat counter); echo $((n+1)) >counter'; done`, rounds)
			if out, err := try(m.Dir, "sh", "-c", script); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	same(t, "the counter", strings.TrimSpace(read(t, m.Dir+"/counter")), fmt.Sprint(processes*rounds))
}

func TestRenameFlags(t *testing.T) {
	semantics.Claim(t, "renameat2 knows RENAME_NOREPLACE, which is EEXIST where the new name is taken, and RENAME_EXCHANGE; RENAME_WHITEOUT is EINVAL.")
	m, b := newMount(t, pool.MinIO(t))
	write(t, m.Dir+"/a", "a")
	write(t, m.Dir+"/b", "b")
	must(t, os.Mkdir(m.Dir+"/d", 0o755))
	must(t, os.Mkdir(m.Dir+"/e", 0o755))
	rename := func(from, to string, flags uint) error {
		return unix.Renameat2(unix.AT_FDCWD, m.Dir+from, unix.AT_FDCWD, m.Dir+to, flags)
	}
	wantErrno(t, "NOREPLACE over a file", rename("/a", "/b", unix.RENAME_NOREPLACE), unix.EEXIST)
	wantErrno(t, "NOREPLACE over an empty folder", rename("/d", "/e", unix.RENAME_NOREPLACE), unix.EEXIST)
	wantErrno(t, "EXCHANGE and NOREPLACE", rename("/a", "/b", unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE), unix.EINVAL)
	wantErrno(t, "WHITEOUT", rename("/a", "/b", unix.RENAME_WHITEOUT), unix.EINVAL)
	same(t, "both files", get(t, b, "a")+get(t, b, "b"), "ab")
	must(t, rename("/a", "/new", unix.RENAME_NOREPLACE))
	must(t, rename("/d", "/dnew", unix.RENAME_NOREPLACE))
	same(t, "the keys", strings.Join(keys(t, b), " "), "b dnew/ e/ new")
}

func TestTmpfileIsRefused(t *testing.T) {
	semantics.Claim(t, "O_TMPFILE is EOPNOTSUPP, and programs that know it fall back to a name.")
	m, b := newMount(t, pool.Embedded(t))
	_, err := unix.Open(m.Dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
	wantErrno(t, "O_TMPFILE", err, unix.EOPNOTSUPP)
	same(t, "keys", len(keys(t, b)), 0)
}

func TestStatx(t *testing.T) {
	semantics.Claim(t, "statx tells what stat tells; no time of birth, since S3 keeps none.")
	m, _ := newMount(t, servers.Of(s3fake.Start(t, s3fake.Options{})))
	write(t, m.Dir+"/f", "12345")
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, m.Dir+"/f", []unix.Timespec{{Sec: 5, Nsec: 6}, {Sec: 7, Nsec: 8}}, 0))
	var sx unix.Statx_t
	must(t, unix.Statx(unix.AT_FDCWD, m.Dir+"/f", unix.AT_STATX_FORCE_SYNC, unix.STATX_ALL, &sx))
	var st unix.Stat_t
	must(t, unix.Stat(m.Dir+"/f", &st))
	same(t, "basic fields", sx.Mask&unix.STATX_BASIC_STATS, unix.STATX_BASIC_STATS)
	same(t, "birth", sx.Mask&unix.STATX_BTIME, 0)
	same(t, "size, inode, links", [3]uint64{sx.Size, sx.Ino, uint64(sx.Nlink)}, [3]uint64{5, st.Ino, 1})
	same(t, "mode and owner", [3]uint32{uint32(sx.Mode), sx.Uid, sx.Gid}, [3]uint32{st.Mode, st.Uid, st.Gid})
	same(t, "mtime", [2]int64{sx.Mtime.Sec, int64(sx.Mtime.Nsec)}, [2]int64{7, 8})
	same(t, "atime", [2]int64{sx.Atime.Sec, int64(sx.Atime.Nsec)}, [2]int64{5, 6})
}

func TestInotifyOfLocalChanges(t *testing.T) {
	semantics.Claim(t, "inotify tells what programs of the same mount do; of what others do in S3 it tells nothing.")
	m, _ := newMount(t, pool.Embedded(t))
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK)
	must(t, err)
	defer unix.Close(fd)
	_, err = unix.InotifyAddWatch(fd, m.Dir, unix.IN_CREATE|unix.IN_CLOSE_WRITE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_DELETE)
	must(t, err)
	must(t, exec.Command("sh", "-c", "cd "+m.Dir+" && echo x >f && mv f g && rm g && mkdir d").Run())
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	must(t, err)
	var got []string
	for off := 0; off < n; {
		mask := uint32(buf[off+4]) | uint32(buf[off+5])<<8 | uint32(buf[off+6])<<16 | uint32(buf[off+7])<<24
		size := int(buf[off+12]) | int(buf[off+13])<<8
		name := strings.TrimRight(string(buf[off+16:off+16+size]), "\x00")
		got = append(got, fmt.Sprintf("%x %s", mask&^unix.IN_ISDIR, name))
		off += 16 + size
	}
	want := fmt.Sprintf("[%x f %x f %x f %x g %x g %x d]", unix.IN_CREATE, unix.IN_CLOSE_WRITE, unix.IN_MOVED_FROM, unix.IN_MOVED_TO, unix.IN_DELETE, unix.IN_CREATE)
	same(t, "events", fmt.Sprint(got), want)
}
