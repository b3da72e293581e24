package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

// fakeMount mounts an empty bucket of a stand-in of its own.
func fakeMount(t *testing.T, args ...string) (*mounts.Mount, *s3fake.Server, *s3fake.Bucket) {
	t.Helper()
	fake := s3fake.Start(t, s3fake.Options{})
	b := fake.Bucket("bucket")
	return mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Args: args}), fake, b
}

// badWeather is the plan of a bad day: a tenth of all requests is refused, and some
// connections break.
var badWeather = []s3fake.Rule{
	{Probability: 0.10, Fault: s3fake.SlowDown()},
	{Probability: 0.05, Fault: s3fake.Fault{Act: s3fake.Reset}},
	{Probability: 0.03, Fault: s3fake.Fault{Act: s3fake.Truncate}},
}

func TestBadWeather(t *testing.T) {
	t.Parallel()
	m, fake, b := fakeMount(t)
	const size = 64 << 20
	pattern := s3fake.NewPattern(1)
	b.PutPattern("big", size, pattern, nil)
	fake.Fail(badWeather...)
	f, err := os.Open(m.Dir + "/big")
	must(t, err)
	defer f.Close()
	sum := &checker{pattern: pattern}
	n, err := io.Copy(sum, f)
	must(t, err)
	same(t, "bytes read", n, size)

	const files = 100
	var g errgroup.Group
	g.SetLimit(8)
	for i := range files {
		g.Go(func() error { return os.WriteFile(filepath.Join(m.Dir, fmt.Sprint(i)), content(i), 0o644) })
	}
	must(t, g.Wait())
	same(t, "names", len(names(t, m.Dir)), files+1)
	for i := range files {
		got, ok := b.Get(fmt.Sprint(i))
		if !ok || !bytes.Equal(got, content(i)) {
			t.Errorf("object %d: %d bytes, %t", i, len(got), ok)
		}
	}
	if faults := fake.Stats().Faults; faults < 20 {
		t.Errorf("only %d requests failed: this proves nothing", faults)
	}
	fake.Heal()
}

// content is what file i holds; each tenth is over the limit from which parts go up.
func content(i int) []byte {
	size := 1000 * i
	if i%10 == 0 {
		size += 17 << 20
	}
	data := make([]byte, size)
	s3fake.NewPattern(uint64(i)).ReadAt(data, 0)
	return data
}

// checker fails at the first byte that is not the pattern's.
type checker struct {
	pattern s3fake.Pattern
	off     int64
}

func (c *checker) Write(p []byte) (int, error) {
	err := c.pattern.Check(p, c.off)
	c.off += int64(len(p))
	return len(p), err
}

func TestErrorWithinASuccess(t *testing.T) {
	t.Parallel()
	m, fake, b := fakeMount(t)
	fault := s3fake.Fault{Act: s3fake.Within200}
	fake.Fail(s3fake.Rule{Op: s3fake.CompleteUpload, Count: 2, Fault: fault}, s3fake.Rule{Op: s3fake.CopyObject, Count: 2, Fault: fault})
	data := content(10)
	must(t, os.WriteFile(m.Dir+"/f", data, 0o644))
	must(t, os.Rename(m.Dir+"/f", m.Dir+"/g"))
	must(t, os.Chtimes(m.Dir+"/g", time.Unix(1, 0), time.Unix(1, 0)))
	got, _ := b.Get("g")
	same(t, "the object is whole", bytes.Equal(got, data), true)
	same(t, "keys", strings.Join(b.Keys(""), " "), "g")
	same(t, "faults", fake.Stats().Faults, 4)

	// One that stays is an error, and nothing is lost.
	fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Fault: s3fake.Fault{Act: s3fake.Within200, Code: "AccessDenied"}})
	wantErrno(t, "rename", os.Rename(m.Dir+"/g", m.Dir+"/h"), unix.EACCES)
	same(t, "keys", strings.Join(b.Keys(""), " "), "g")
}

func TestDeniedPutFailsTheCopy(t *testing.T) {
	t.Parallel()
	m, fake, b := fakeMount(t)
	small, large := t.TempDir()+"/small", t.TempDir()+"/large"
	write(t, small, "data")
	must(t, os.WriteFile(large, content(10), 0o644))
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Denied()}, s3fake.Rule{Op: s3fake.UploadPart, Fault: s3fake.Denied()})
	for _, file := range []string{small, large} {
		out, err := try("/", "cp", file, m.Dir+"/")
		if err == nil || !strings.Contains(out, "Permission denied") {
			t.Errorf("cp %s: %v\n%s", filepath.Base(file), err, out)
		}
	}
	same(t, "objects", len(b.Keys("")), 0)
	fake.Heal()
	sh(t, "/", "cp", small, large, m.Dir+"/")
	same(t, "objects", len(b.Keys("")), 2)
	eventually(t, "what was refused leaves no uploads", func() bool { return len(b.Uploads()) == 0 })
}

func TestOutageIsRiddenOut(t *testing.T) {
	t.Parallel()
	const outage = 20 * time.Second
	m, fake, b := fakeMount(t, "--dir-cache-time=0", "--attr-timeout=0")
	pattern := s3fake.NewPattern(2)
	b.PutPattern("read", 20<<20, pattern, nil)
	b.PutPattern("begun", 20<<20, pattern, nil)
	b.Put("dir/x", []byte("x"), nil)
	begun, err := os.Open(m.Dir + "/begun")
	must(t, err)
	defer begun.Close()
	must(t, checkRead(io.LimitReader(begun, 1<<20), pattern, 0))
	half, err := os.Create(m.Dir + "/half")
	must(t, err)
	_, err = half.Write(content(10)[:1<<20])
	must(t, err)

	fake.Down()
	began := time.Now()
	up := time.AfterFunc(outage, func() {
		if err := fake.Up(); err != nil {
			t.Error(err)
		}
	})
	defer up.Stop()
	var g errgroup.Group
	g.Go(func() error {
		f, err := os.Open(m.Dir + "/read")
		if err != nil {
			return err
		}
		defer f.Close()
		return checkRead(f, pattern, 0)
	})
	g.Go(func() error { return checkRead(begun, pattern, 1<<20) })
	g.Go(func() error { return os.WriteFile(m.Dir+"/written", content(3), 0o644) })
	g.Go(func() error {
		if _, err := half.Write(content(10)[1<<20:]); err != nil {
			return err
		}
		return half.Close()
	})
	g.Go(func() error {
		entries, err := os.ReadDir(m.Dir + "/dir")
		if err == nil && len(entries) != 1 {
			err = fmt.Errorf("dir has %d entries", len(entries))
		}
		return err
	})
	g.Go(func() error { return os.Mkdir(m.Dir+"/made", 0o755) })
	must(t, g.Wait())
	if took := time.Since(began); took < outage || took > 3*outage {
		t.Errorf("it took %v", took)
	}
	for key, want := range map[string][]byte{"written": content(3), "half": content(10)} {
		got, _ := b.Get(key)
		same(t, key+" is whole", bytes.Equal(got, want), true)
	}
}

// checkRead reads all of r, which must be the pattern's bytes from off on.
func checkRead(r io.Reader, pattern s3fake.Pattern, off int64) error {
	_, err := io.Copy(&checker{pattern: pattern, off: off}, r)
	return err
}

func TestOutageThatLastsIsAnError(t *testing.T) {
	semantics.Claim(t, "An operation that S3 does not answer is repeated with growing pauses for --retry-for (2 minutes by default), then fails with EIO or ETIMEDOUT; none hangs.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--dir-cache-time=0", "--attr-timeout=0", "--retry-for=1s")
	b.Put("f", []byte("data"), nil)
	b.Put("dir/f", []byte("data"), nil)
	same(t, "before", read(t, m.Dir+"/f"), "data")
	fake.Down()
	for what, op := range map[string]func() error{
		"open":    func() error { _, err := os.ReadFile(m.Dir + "/dir/f"); return err },
		"readdir": func() error { _, err := os.ReadDir(m.Dir + "/dir"); return err },
		"write":   func() error { return os.WriteFile(m.Dir+"/new", []byte("data"), 0o644) },
		"rename":  func() error { return os.Rename(m.Dir+"/f", m.Dir+"/g") },
		"remove":  func() error { return os.Remove(m.Dir + "/f") },
		"mkdir":   func() error { return os.Mkdir(m.Dir+"/made", 0o755) },
	} {
		began := time.Now()
		wantErrno(t, what, op(), unix.EIO)
		if took := time.Since(began); took > prompt {
			t.Errorf("%s took %v", what, took)
		}
	}
	must(t, fake.Up())
	same(t, "after", read(t, m.Dir+"/f"), "data")
	write(t, m.Dir+"/new", "data")
}

// The kernel asks twice for what it could not read ahead. That is one wait for the program.
func TestReadInAnOutageWaitsOnce(t *testing.T) {
	t.Parallel()
	m, fake, b := fakeMount(t, "--retry-for=5s")
	b.Put("f", []byte(strings.Repeat("data", 1<<20)), nil)
	f, err := os.Open(m.Dir + "/f")
	must(t, err)
	defer f.Close()
	fake.Down()
	began := time.Now()
	_, err = f.ReadAt(make([]byte, 1<<20), 1<<20)
	wantErrno(t, "read", err, unix.EIO)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	must(t, fake.Up())
}

func TestFullDiskUnderTheCache(t *testing.T) {
	semantics.Claim(t, "A full --cache-size, or a full disk under it, is ENOSPC for the writer; readers go on without the disk.")
	t.Parallel()
	for name, setup := range map[string]struct {
		cache func(t *testing.T) string
		limit string
	}{
		"disk":   {func(t *testing.T) string { return tmpfs(t, "size=48m") }, "--cache-size=1G"},
		"budget": {func(t *testing.T) string { return t.TempDir() }, "--cache-size=64M"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := s3fake.Start(t, s3fake.Options{})
			b := fake.Bucket("bucket")
			pattern := s3fake.NewPattern(3)
			b.PutPattern("big", 100<<20, pattern, nil)
			m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Cache: setup.cache(t), Args: []string{setup.limit}})
			fillUp(t, m, b, pattern)
		})
	}
}

// fillUp writes more than the cache holds, and shows that everything else goes on.
func fillUp(t *testing.T, m *mounts.Mount, b *s3fake.Bucket, pattern s3fake.Pattern) {
	t.Helper()
	f, err := os.Create(m.Dir + "/too big")
	must(t, err)
	defer f.Close()
	n, err := io.Copy(f, pattern.Reader(200<<20))
	wantErrno(t, fmt.Sprintf("writing, after %d bytes", n), err, unix.ENOSPC)
	big, err := os.Open(m.Dir + "/big")
	must(t, err)
	defer big.Close()
	must(t, checkRead(big, pattern, 0))
	wantErrno(t, "another writer", os.WriteFile(m.Dir+"/other", content(10), 0o644), unix.ENOSPC)
	must(t, f.Truncate(0))
	must(t, f.Close())
	must(t, os.Remove(m.Dir+"/too big"))
	must(t, os.WriteFile(m.Dir+"/other", content(10), 0o644))
	got, _ := b.Get("other")
	same(t, "written into freed space", bytes.Equal(got, content(10)), true)
	must(t, checkRead(io.NewSectionReader(big, 0, 100<<20), pattern, 0))
}
