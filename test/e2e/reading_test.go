package e2e

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestOpenFileShowsOneVersion(t *testing.T) {
	semantics.Claim(t,
		"A file that is open shows one version of the object: the one that it had at open, or an error ESTALE once that version is gone, never a mix of two.",
		"A changed object is a new file to the kernel: the page cache of the old version is not shown for it.")
	m, b := newMount(t, pool.Embedded(t), "--dir-cache-time", "0", "--attr-timeout", "0")
	const size = 8 << 20
	put(t, b, "f", strings.Repeat("1", size), nil)
	old, err := os.Open(m.Dir + "/f")
	must(t, err)
	defer old.Close()
	buf := make([]byte, 4096)
	_, err = old.ReadAt(buf, 0)
	must(t, err)
	put(t, b, "f", strings.Repeat("2", size), nil)
	same(t, "the new version", read(t, m.Dir+"/f"), strings.Repeat("2", size))
	stale := false
	for off := int64(0); off < size; off += 4096 {
		n, err := old.ReadAt(buf, off)
		switch {
		case err != nil:
			wantErrno(t, "reading a version that is gone", err, unix.ESTALE)
			stale = true
		case strings.Trim(string(buf[:n]), "1") != "":
			t.Fatalf("at %d the open file shows %q of another version", off, buf[:8])
		}
	}
	if !stale {
		t.Error("all of a version that is gone can be read: the test proves nothing, make the object larger")
	}
	put(t, b, "removed", "x", nil)
	gone, err := os.Open(m.Dir + "/removed")
	must(t, err)
	defer gone.Close()
	must(t, b.Delete(t.Context(), "removed"))
	_, err = gone.ReadAt(buf, 0)
	wantErrno(t, "reading a version that was removed", err, unix.ESTALE)
}

func TestReadBackDownloadsNothing(t *testing.T) {
	semantics.Claim(t, "What this mount wrote is read back at once, before and after close, without a download.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, _ := newMount(t, servers.Of(fake))
	want := strings.Repeat("0123456789abcdef", 3<<20/16)
	f, err := os.Create(m.Dir + "/f")
	must(t, err)
	_, err = f.WriteString(want)
	must(t, err)
	same(t, "before close", read(t, m.Dir+"/f"), want)
	must(t, f.Close())
	dropCaches(t)
	same(t, "after close", read(t, m.Dir+"/f"), want)
	if n := fake.Stats().Requests[s3fake.GetObject]; n != 0 {
		t.Errorf("%d GETs were sent", n)
	}
}

// dropCaches makes the kernel forget all pages, so that reads reach the mount.
func dropCaches(t testing.TB) {
	t.Helper()
	syscall.Sync()
	must(t, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0))
}

func TestChangesElsewhereAreSeen(t *testing.T) {
	semantics.Claim(t, "A change made elsewhere is seen after at most --dir-cache-time (10 s by default) plus --attr-timeout (1 s); with --dir-cache-time 0 each open asks S3.")
	name, b := mounts.NewBucket(t, pool.Embedded(t))
	put(t, b, "f", "one", nil)
	at0 := mounts.Start(t, mounts.Options{Server: pool.Embedded(t), Path: name, Args: []string{"--dir-cache-time", "0"}})
	atDefault := mounts.Start(t, mounts.Options{Server: pool.Embedded(t), Path: name, Args: []string{"--dir-cache-time", "1s"}})
	same(t, "at first", read(t, at0.Dir+"/f"), "one")
	same(t, "at first", read(t, atDefault.Dir+"/f"), "one")
	put(t, b, "f", "second", nil)
	same(t, "at each open", read(t, at0.Dir+"/f"), "second")
	eventually(t, "a change elsewhere shows", func() bool { return read(t, atDefault.Dir+"/f") == "second" })
	must(t, b.Delete(context.Background(), "f"))
	eventually(t, "a removal elsewhere shows", func() bool {
		_, err := os.Stat(atDefault.Dir + "/f")
		return os.IsNotExist(err)
	})
}
