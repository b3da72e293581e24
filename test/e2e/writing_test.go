package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestCloseAndFsyncWaitForS3(t *testing.T) {
	semantics.Claim(t,
		"close() and fsync() return when S3 has the whole file, and fail with S3's error if it does not take it.",
		"An object is replaced as a whole: other readers see the old version until close or fsync, then the new one.",
		"Until it is closed for the first time, a new file exists in this mount only.",
		"A file that S3 refuses (EACCES) is not shown after its close failed; what S3 has is.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake))
	put(t, b, "f", "old", nil)
	f, err := os.OpenFile(m.Dir+"/f", os.O_RDWR|os.O_TRUNC, 0)
	must(t, err)
	_, err = f.WriteString("first")
	must(t, err)
	same(t, "before fsync", get(t, b, "f"), "old")
	must(t, f.Sync())
	same(t, "after fsync", get(t, b, "f"), "first")
	_, err = f.WriteString(" and second")
	must(t, err)
	must(t, f.Close())
	same(t, "after close", get(t, b, "f"), "first and second")

	f, err = os.Create(m.Dir + "/new")
	must(t, err)
	if _, err := b.Head(context.Background(), "new"); !object.Is(err, object.KindNotFound) {
		t.Errorf("a file that was never closed is in S3: %v", err)
	}
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Denied()})
	wantErrno(t, "fsync of a refused file", f.Sync(), unix.EACCES)
	wantErrno(t, "close of a refused file", f.Close(), unix.EACCES)
	wantErrno(t, "overwriting", os.WriteFile(m.Dir+"/f", []byte("third"), 0), unix.EACCES)
	fake.Heal()
	eventually(t, "the refused file goes", func() bool {
		_, err := os.Stat(m.Dir + "/new")
		return os.IsNotExist(err)
	})
	eventually(t, "what S3 has shows", func() bool { return read(t, m.Dir+"/f") == "first and second" })
}

func TestKillWhileOverwriting(t *testing.T) {
	semantics.Claim(t,
		"A process that dies, or is killed, in the middle of writing leaves the old object as it was.",
		"An upload that was left incomplete by a crash is removed by the next mount of the same bucket with the same cache directory.")
	m, b := newMount(t, pool.MinIO(t))
	const size = 40 << 20
	put(t, b, "f", "the old content", nil)
	f, err := os.OpenFile(m.Dir+"/f", os.O_RDWR|os.O_TRUNC, 0)
	must(t, err)
	defer f.Close()
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	for range size >> 20 {
		_, err = f.Write(chunk)
		must(t, err)
	}
	eventually(t, "parts go up early", func() bool { return uploads(t, b) == 1 })
	m.Kill()
	same(t, "the object after kill -9", get(t, b, "f"), "the old content")
	same(t, "incomplete uploads after kill -9", uploads(t, b), 1)
	m.Revive()
	same(t, "incomplete uploads after the next mount", uploads(t, b), 0)
	same(t, "the file after the next mount", read(t, m.Dir+"/f"), "the old content")
	left, err := filepath.Glob(m.Cache + "/mounts/*/staging/staged/*")
	must(t, err)
	same(t, "staged files of the dead process", len(left), 0)
}

func uploads(t testing.TB, b interface {
	ListUploads(context.Context, string) ([]object.Upload, error)
}) int {
	t.Helper()
	list, err := b.ListUploads(context.Background(), "f") // MinIO lists by whole keys only
	must(t, err)
	return len(list)
}

func TestWritesAnywhere(t *testing.T) {
	semantics.Claim(t,
		"Writing at any offset, appending, truncating both ways and sparse files give the object that a local file would hold; holes are stored as zeros.",
		"mmap with MAP_SHARED works; what was changed through the mapping is uploaded by msync, fsync or close.")
	m, b := newMount(t, pool.Embedded(t))
	local := t.TempDir() + "/f"
	for _, path := range []string{local, m.Dir + "/f"} {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		must(t, err)
		at := func(off int64, data string) {
			_, err := f.WriteAt([]byte(data), off)
			must(t, err)
		}
		at(0, strings.Repeat("a", 100_000))
		at(50_000, "in the middle")
		at(3<<20, "behind a hole")
		must(t, f.Truncate(60_000))
		must(t, f.Truncate(90_000))
		must(t, f.Close())
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		_, err = f.WriteString("appended")
		must(t, err)
		must(t, f.Close())
		must(t, os.Truncate(path, 90_020))
		mapped(t, path)
	}
	same(t, "the mount", read(t, m.Dir+"/f"), read(t, local))
	same(t, "the object", get(t, b, "f"), read(t, local))
}

// mapped changes a file through a shared mapping that outlives its descriptor.
func mapped(t testing.TB, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	page, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	copy(page[4090:], "across two pages")
	must(t, unix.Msync(page, unix.MS_SYNC))
	must(t, f.Sync())
	copy(page[10:], "after msync")
	must(t, f.Close())
	must(t, unix.Munmap(page))
}

func TestWhatNobodyCanBeToldIsKept(t *testing.T) {
	semantics.Claim(t, "If the last reference to a changed file goes away without a close that could report the failure, its content is kept in the folder unsent of the cache directory, and the log names the file.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, _ := newMount(t, servers.Of(fake))
	write(t, m.Dir+"/odd name", strings.Repeat("-", 8192))
	f, err := os.OpenFile(m.Dir+"/odd name", os.O_RDWR, 0)
	must(t, err)
	page, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	must(t, f.Close())
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Denied()})
	copy(page, "precious")
	must(t, unix.Munmap(page))
	var kept []string
	eventually(t, "the content is kept", func() bool {
		kept, err = filepath.Glob(m.Cache + "/unsent/*")
		must(t, err)
		return len(kept) == 1 && strings.Contains(m.Log(), kept[0])
	})
	same(t, "what is kept", read(t, kept[0])[:9], "precious-")
	if !strings.Contains(m.Log(), "odd name") {
		t.Error("the log does not name the file")
	}
	fake.Heal()
}
