package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/test/fstest"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

// TestWritebackKill kills the mount in the middle of many writes: what was closed, synced,
// renamed or made before is there at the next mount, and then in the store.
func TestWritebackKill(t *testing.T) {
	semantics.Claim(t, "With --writeback, close(), fsync(), rename() and mkdir() return once data and intent are durable in a journal in the cache directory; what unlink(), rmdir(), chmod(), chown() and utimens() do is durable 10 ms later, and before anything that follows.")
	semantics.Claim(t, "A mount with --writeback that is killed loses nothing that it has promised: the next mount of the bucket with the same cache directory shows it at once, and uploads it; one without --writeback uploads it first, and so does s3mount recover.")
	t.Parallel()
	m, _, b := fakeMount(t, "--writeback")
	const files = 200
	for i := range files {
		dir := fmt.Sprintf("%s/d%d", m.Dir, i%7)
		if i < 7 {
			must(t, os.Mkdir(dir, 0o755))
		}
		temp := filepath.Join(dir, ".temp")
		must(t, os.WriteFile(temp, content(i), 0o640))
		must(t, os.Rename(temp, filepath.Join(dir, fmt.Sprint(i))))
		if i%3 == 0 {
			must(t, os.Remove(filepath.Join(dir, fmt.Sprint(i))))
			must(t, os.WriteFile(filepath.Join(dir, "last"), content(i/10*10), 0o640))
		}
	}
	syncDir(t, m.Dir)
	m.Kill()
	m.Revive()
	check := func(what, dir string) {
		for i := range files {
			got, err := os.ReadFile(fmt.Sprintf("%s/d%d/%d", dir, i%7, i))
			switch {
			case i%3 == 0 && !os.IsNotExist(err):
				t.Errorf("%s: %d was removed, and is there: %v", what, i, err)
			case i%3 != 0 && !bytes.Equal(got, content(i)):
				t.Errorf("%s: %d has %d bytes, want %d: %v", what, i, len(got), len(content(i)), err)
			}
		}
	}
	check("after the crash", m.Dir)
	m.Unmount()
	if left := b.Uploads(); len(left) > 0 {
		t.Errorf("uploads are left: %v", left)
	}
	strict := mounts.Start(t, mounts.Options{Server: m.Options.Server, Path: "bucket"})
	check("in the store", strict.Dir)
	for _, key := range b.Keys("") {
		if strings.HasSuffix(key, ".temp") {
			t.Errorf("%s is left", key)
		}
	}
}

// TestWritebackFolderRenameIsWhole kills the mount right behind the rename of a folder into
// another one: all of it has its new name, and the folder that it left stays.
func TestWritebackFolderRenameIsWhole(t *testing.T) {
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback")
	const files = 30
	text := func(i int) []byte { return []byte(fmt.Sprint("content of ", i)) }
	for i := range files {
		if i%2 == 0 {
			b.Put(fmt.Sprintf("from/d/%d", i), text(i), nil)
		}
	}
	fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Fault: s3fake.Fault{Act: s3fake.Reset}}, s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Fault{Act: s3fake.Reset}})
	for i := range files {
		if i%2 == 1 {
			must(t, os.WriteFile(fmt.Sprintf("%s/from/d/%d", m.Dir, i), text(i), 0o640))
		}
	}
	must(t, os.Mkdir(m.Dir+"/to", 0o755))
	must(t, os.Rename(m.Dir+"/from/d", m.Dir+"/to/e"))
	m.Kill()
	fake.Heal()
	m.Revive()
	check := func(what, dir string) {
		same(t, what+", the folder that it left", strings.Join(names(t, dir+"/from"), " "), "")
		same(t, what+", names", len(names(t, dir+"/to/e")), files)
		for i := range files {
			same(t, what, read(t, fmt.Sprintf("%s/to/e/%d", dir, i)), string(text(i)))
		}
	}
	check("after the crash", m.Dir)
	m.Unmount()
	strict := mounts.Start(t, mounts.Options{Server: m.Options.Server, Path: "bucket"})
	check("in the store", strict.Dir)
}

// syncDir is fsync of a folder.
func syncDir(t testing.TB, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	must(t, err)
	defer d.Close()
	must(t, d.Sync())
}

// TestWritebackOutage writes while the store does not answer.
func TestWritebackOutage(t *testing.T) {
	semantics.Claim(t, "While S3 does not answer, a mount with --writeback goes on writing; once --cache-size, or a sixteenth of --memory for what is pending, is full, a writer waits for --retry-for and fails with ENOSPC.")
	semantics.Claim(t, "What was written with --writeback is read back at once, before and after it is uploaded; other clients see it once it is.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback", "--retry-for", "2s")
	must(t, os.Mkdir(m.Dir+"/d", 0o755))
	names(t, m.Dir+"/d")
	fake.Fail(s3fake.Rule{Fault: s3fake.Fault{Act: s3fake.Reset}})
	var g errgroup.Group
	g.SetLimit(4)
	for i := range 50 {
		g.Go(func() error { return os.WriteFile(fmt.Sprintf("%s/d/%d", m.Dir, i), content(i), 0o644) })
	}
	must(t, g.Wait())
	same(t, "keys during the outage", len(b.Keys("d/")) <= 1, true)
	for i := range 50 {
		same(t, "it is read back", read(t, fmt.Sprintf("%s/d/%d", m.Dir, i)), string(content(i)))
	}
	fake.Heal()
	m.Unmount()
	for i := range 50 {
		got, ok := b.Get(fmt.Sprintf("d/%d", i))
		if !ok || !bytes.Equal(got, content(i)) {
			t.Errorf("object %d: %d bytes, %t", i, len(got), ok)
		}
	}
}

// TestWritebackRefused writes what the store refuses: it is said once, the rest goes on, and
// nothing is lost.
func TestWritebackRefused(t *testing.T) {
	semantics.Claim(t, "What S3 does not take with --writeback stays in the journal and is tried again; one later fsync or close of the file fails with the reason, and only what depends on it waits.")
	semantics.Claim(t, "The end of a mount with --writeback waits until all is in S3; what S3 does not take, or a second signal leaves, stays in the journal, the last line says how much that is, and the exit code is 1.")
	semantics.Claim(t, "s3mount status tells what is not in S3 yet, since when, and why it fails; s3mount flush returns when all of it is, or fails with what S3 does not take.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback")
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Key: "no", Fault: s3fake.Denied()})
	write(t, m.Dir+"/no", "kept")
	write(t, m.Dir+"/yes", "goes on")
	must(t, os.Remove(m.Dir+"/yes"))
	write(t, m.Dir+"/more", "more")
	eventually(t, "the store has the rest", func() bool { _, ok := b.Get("more"); return ok })
	eventually(t, "the failure is told", func() bool {
		f, err := os.OpenFile(m.Dir+"/no", os.O_WRONLY, 0)
		must(t, err)
		return f.Close() != nil
	})
	f, err := os.OpenFile(m.Dir+"/no", os.O_WRONLY, 0)
	must(t, err)
	must(t, f.Close()) // once
	same(t, "it is read", read(t, m.Dir+"/no"), "kept")
	same(t, "its state", xattr(t, m.Dir+"/no", "user.s3mount.state"), "failing")
	code, stdout, stderr := s3mount(t, nil, "status", m.Dir)
	if code != 0 || stderr != "" || !strings.Contains(stdout, "1 change of 4 is not in S3, 1 of them failing") || !strings.Contains(stdout, "access denied") {
		t.Errorf("status: %d, %q, %q", code, stdout, stderr)
	}
	code, _, stderr = s3mount(t, nil, "flush", m.Dir)
	same(t, "exit code of flush", code, 1)
	oneLine(t, stderr, "1 change is in the journal", "access denied")
	m.Signal(unix.SIGTERM)
	if err := m.Wait(); err == nil {
		t.Error("the mount ended without an error")
	}
	if !strings.Contains(m.Log(), "1 change is in the journal") {
		t.Errorf("it does not say what is left:\n%s", m.Log())
	}
	code, stdout, _ = s3mount(t, nil, "status", "--cache-dir", m.Cache)
	if code != 0 || !strings.Contains(stdout, "test:bucket (not mounted): 1 change of 4 is not in S3\n") {
		t.Errorf("status without a mount: %d, %q", code, stdout)
	}
	code, _, stderr = s3mount(t, nil, "recover", "--config", m.Options.Config, "--cache-dir", m.Cache, "--log-level", "error")
	if code != 1 || !strings.Contains(stderr, "1 change is in the journal") {
		t.Errorf("recover while the store refuses: %d, %q", code, stderr)
	}
	fake.Heal()
	code, stdout, stderr = s3mount(t, nil, "recover", "--config", m.Options.Config, "--cache-dir", m.Cache)
	if code != 0 || stdout != "test:bucket: 1 uploaded\n" {
		t.Errorf("recover: %d, %q, %q", code, stdout, stderr)
	}
	got, _ := b.Get("no")
	same(t, "the store has it", string(got), "kept")
}

// TestWritebackRandomOperations is TestRandomOperationsThroughTheKernel with --writeback.
func TestWritebackRandomOperations(t *testing.T) {
	t.Parallel()
	for seed, args := range [][]string{{}, {"--dir-cache-time", "0", "--attr-timeout", "0"}} {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			fake := s3fake.Start(t, s3fake.Options{})
			fake.Bucket("bucket")
			local := fstest.OS{Root: t.TempDir(), NoLinks: true}
			m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Args: append(args, "--writeback")})
			fstest.Random(t, uint64(seed), 600, fstest.OS{Root: m.Dir}, local)
			fstest.Compare(t, fstest.OS{Root: m.Dir}, local)
			m.Unmount()
			again := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket"})
			fstest.Compare(t, fstest.OS{Root: again.Dir}, local)
		})
	}
}

// TestWritebackFlush waits for what was promised, and tells the state of a file.
func TestWritebackFlush(t *testing.T) {
	semantics.Claim(t, "The extended attribute user.s3mount.state tells of a file whether it is stored, pending, uploading, failing or modified: written, and neither closed nor synced.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback")
	open, err := os.Create(m.Dir + "/open")
	must(t, err)
	_, err = open.WriteString("x")
	must(t, err)
	same(t, "the state of what is written", xattr(t, m.Dir+"/open", "user.s3mount.state"), "modified")
	must(t, open.Close())
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Count: 3, Fault: s3fake.SlowDown()})
	write(t, m.Dir+"/f", "data")
	code, stdout, stderr := s3mount(t, nil, "flush", m.Dir)
	if code != 0 || stdout != "" || stderr != "" {
		t.Errorf("flush: %d, %q, %q", code, stdout, stderr)
	}
	got, _ := b.Get("f")
	same(t, "the object", string(got), "data")
	same(t, "its state", xattr(t, m.Dir+"/f", "user.s3mount.state"), "stored")
	code, stdout, _ = s3mount(t, nil, "status", "--json", m.Dir)
	if code != 0 || !strings.Contains(stdout, `"pending": 0`) || !strings.Contains(stdout, `"writeback": true`) {
		t.Errorf("status --json: %d, %s", code, stdout)
	}
	code, _, stderr = s3mount(t, nil, "flush", m.Dir+"/nothing")
	same(t, "exit code of a flush of nothing", code, 1)
	oneLine(t, stderr, "no s3mount runs there", "s3mount status lists all mounts")
}

// TestWritebackSecondSignal ends a mount whose store does not answer.
func TestWritebackSecondSignal(t *testing.T) {
	semantics.Claim(t, "The end of a mount with --writeback waits until all is in S3; what S3 does not take, or a second signal leaves, stays in the journal, the last line says how much that is, and the exit code is 1.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback")
	write(t, m.Dir+"/before", "asks for the folder")
	fake.Fail(s3fake.Rule{Fault: s3fake.Fault{Act: s3fake.Reset}})
	write(t, m.Dir+"/f", "kept")
	m.Signal(unix.SIGTERM)
	eventually(t, "it unmounts", func() bool { return !mounted(t, m.Dir) })
	m.Signal(unix.SIGTERM)
	if err := m.Wait(); err == nil {
		t.Error("the mount ended without an error")
	}
	if !strings.Contains(m.Log(), "in the journal, and not in the store; the next mount of the bucket, or s3mount recover, uploads") {
		t.Errorf("it does not say what is left:\n%s", m.Log())
	}
	fake.Heal()
	m.Revive()
	same(t, "it is read", read(t, m.Dir+"/f"), "kept")
	m.Unmount()
	got, _ := b.Get("f")
	same(t, "the store has it", string(got), "kept")
}

// TestWritebackReadsBackWithoutDownload reads what was uploaded, past the kernel's cache. A
// read that comes while a version moves from the journal into the cache may download it, so
// that one of a few rounds has to go without.
func TestWritebackReadsBackWithoutDownload(t *testing.T) {
	t.Parallel()
	m, fake, _ := fakeMount(t, "--writeback")
	var downloads []int64
	for round := range 4 {
		before := fake.Stats().Requests[s3fake.GetObject]
		writeAndReadBack(t, m.Dir, round)
		n := fake.Stats().Requests[s3fake.GetObject] - before
		if n == 0 {
			return
		}
		downloads = append(downloads, n)
	}
	t.Errorf("downloads in each round: %v", downloads)
}

func writeAndReadBack(t *testing.T, dir string, round int) {
	t.Helper()
	name := func(i int) string { return fmt.Sprintf("%s/%d-%d", dir, round, i) }
	for i := range 20 {
		write(t, name(i), string(content(i)))
	}
	code, _, stderr := s3mount(t, nil, "flush", dir)
	same(t, "exit code of flush: "+stderr, code, 0)
	for i := range 20 {
		f, err := os.Open(name(i))
		must(t, err)
		must(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		must(t, f.Close())
		same(t, "it is read back", read(t, name(i)), string(content(i)))
	}
}

// TestRegressionWritebackOfKeysThatAreNoFileNames keeps a file open while what was written to
// it is uploaded, and goes on: nobody else has changed it.
func TestRegressionWritebackOfKeysThatAreNoFileNames(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"plain": "plain", "empty": "d//x", "escaped": "%s3-y", "beside a folder": "f", "a marker": "m/",
		"long": strings.Repeat("l", 300), "longer": "d/" + strings.Repeat("l", 500)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _, b := fakeMount(t, "--writeback", "--dir-cache-time", "0", "--attr-timeout", "0")
			b.Put(key, []byte("old"), nil)
			path := strings.Join(keyname.Path(key, false), "/")
			if key == "f" {
				b.Put("f/x", []byte("x"), nil)
				path = strings.Join(keyname.Path(key, true), "/")
			}
			path = m.Dir + "/" + path
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			defer f.Close()
			_, err = f.WriteAt([]byte("new"), 0)
			must(t, err)
			must(t, f.Sync())
			code, _, stderr := s3mount(t, nil, "flush", m.Dir)
			same(t, "exit code of flush: "+stderr, code, 0)
			g, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			_, err = g.WriteAt([]byte("again"), 0)
			must(t, err)
			must(t, g.Close())
			_, err = f.WriteAt([]byte("A"), 0)
			must(t, err)
			must(t, f.Sync())
			same(t, "content", read(t, path), "Again")
			must(t, f.Close())
			code, _, stderr = s3mount(t, nil, "flush", m.Dir)
			same(t, "exit code of flush: "+stderr, code, 0)
			got, _ := b.Get(key)
			same(t, "the store has it", string(got), "Again")
		})
	}
}
