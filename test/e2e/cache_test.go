package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

// diskUsage is what the files below dir take of the disk.
func diskUsage(t testing.TB, dir string) (n int64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		st, err := d.Info()
		if err == nil {
			n += st.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return ignoreGone(err)
	}))
	return n
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// cacheData are the data files of the block cache.
func cacheData(t testing.TB, cache string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cache, "mounts/*/blocks/*/*/*.data"))
	must(t, err)
	return files
}

// versionOf returns which of the versions p is a piece of; 0: none.
func versionOf(p []byte, off int64, versions uint64) uint64 {
	for v := uint64(1); v <= versions; v++ {
		if s3fake.NewPattern(v).Check(p, off) == nil {
			return v
		}
	}
	return 0
}

func TestReadersSeeOneVersionWhileAnotherWriterReplacesIt(t *testing.T) {
	const size, versions = 5 << 20, 25
	m, _, b := fakeMount(t, "--dir-cache-time=0", "--attr-timeout=0")
	b.PutPattern("f", size, s3fake.NewPattern(1), nil)
	var now atomic.Uint64
	now.Store(1)
	var g errgroup.Group
	for i := range 6 {
		dice := rand.New(rand.NewPCG(uint64(i), 1))
		g.Go(func() error {
			for now.Load() < versions {
				if err := readOneVersion(m.Dir+"/f", size, dice, &now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for v := uint64(2); v <= versions; v++ {
		must(t, checkWholeVersion(m.Dir+"/f", size, v-1)) // in the cache, and read past the mount
		b.PutPattern("f", size, s3fake.NewPattern(v), nil)
		now.Store(v)
	}
	must(t, g.Wait())
	must(t, checkWholeVersion(m.Dir+"/f", size, versions))
}

// checkWholeVersion reads a file in order; nothing but that version is there.
func checkWholeVersion(path string, size int64, v uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("%d bytes", len(data))
	}
	const piece = 64 << 10
	for off := 0; off < len(data); off += piece {
		if got := versionOf(data[off:min(off+piece, len(data))], int64(off), v); got != v {
			return fmt.Errorf("at %d is version %d, not %d", off, got, v)
		}
	}
	return err
}

// readOneVersion opens a file and reads here and there: all must be of one version, or
// the version be gone.
func readOneVersion(path string, size int64, dice *rand.Rand, now *atomic.Uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 8<<10)
	var version uint64
	for i := range 12 {
		off := dice.Int64N(size - int64(len(buf)))
		if _, err := f.ReadAt(buf, off); errors.Is(err, unix.ESTALE) {
			return nil
		} else if err != nil {
			return err
		}
		// It may be stored already while now is not told as yet.
		switch v := versionOf(buf, off, now.Load()+1); {
		case v == 0:
			return fmt.Errorf("at %d are bytes of no version, or of two", off)
		case i > 0 && v != version:
			return fmt.Errorf("at %d is version %d after %d", off, v, version)
		default:
			version = v
		}
	}
	return nil
}

func TestFlippedBitsInTheCache(t *testing.T) {
	semantics.Claim(t, "What the cache holds is checked before it is used after a mount: what a crash has torn, the disk has lost or somebody has changed is downloaded again.")
	const size = 12 << 20
	m, fake, _, p := cachedFile(t, size)
	passedThrough(t, m, "f").Close()
	for name, damage := range map[string]func(path string){
		"a bit in each third block": func(path string) {
			for off := int64(1000); off < size; off += 3 << 20 {
				flip(t, path, off)
			}
		},
		"cut off":     func(path string) { must(t, os.Truncate(path, size/2)) },
		"zeros":       func(path string) { must(t, os.WriteFile(path, make([]byte, size), 0)) },
		"no index":    func(path string) { must(t, os.Remove(path[:len(path)-len("data")]+"index")) },
		"torn index":  func(path string) { flip(t, path[:len(path)-len("data")]+"index", 70) },
		"half a file": func(path string) { must(t, os.Rename(path, path+".away")) },
	} {
		t.Run(name, func(t *testing.T) {
			files := cacheData(t, m.Cache)
			same(t, "files in the cache", len(files), 1)
			m.Unmount()
			damage(files[0])
			m.Revive()
			before := fake.Stats().Requests[s3fake.GetObject]
			must(t, checkPattern(m.Dir+"/f", p, size))
			if fake.Stats().Requests[s3fake.GetObject] == before {
				t.Error("nothing was downloaded again")
			}
			f := passedThrough(t, m, "f")
			defer f.Close()
			must(t, checkRead(io.NewSectionReader(f, 0, size), p, 0))
		})
	}

	// While it is mounted, between one open and the next.
	flip(t, cacheData(t, m.Cache)[0], 5<<20)
	dropCaches(t)
	must(t, checkPattern(m.Dir+"/f", p, size))
	m.Unmount()
	m.Revive()
	must(t, checkPattern(m.Dir+"/f", p, size))
}

// flip changes a bit of a file.
func flip(t testing.TB, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], off)
	must(t, err)
	b[0] ^= 0x40
	_, err = f.WriteAt(b[:], off)
	must(t, err)
}

func TestCacheKeepsItsLimit(t *testing.T) {
	semantics.Claim(t, "The cache and the files being written take --cache-size of the disk at most; what was used longest ago goes first.")
	const files, size, limit = 16, 10 << 20, 64 << 20
	m, fake, b := fakeMount(t, "--cache-size=64M")
	for i := range uint64(files) {
		b.PutPattern(fmt.Sprint(i), size, s3fake.NewPattern(i), nil)
	}
	for i := range uint64(files) {
		must(t, checkPattern(fmt.Sprint(m.Dir, "/", i), s3fake.NewPattern(i), size))
		must(t, checkPattern(m.Dir+"/0", s3fake.NewPattern(0), size)) // in use all the time
		if n := diskUsage(t, m.Cache); n > limit+1<<20 {
			t.Errorf("after %d files the cache takes %d MiB", i+1, n>>20)
		}
	}
	m.Unmount()
	m.Revive()
	before := fake.Stats().Requests[s3fake.GetObject]
	must(t, checkPattern(m.Dir+"/0", s3fake.NewPattern(0), size))
	must(t, checkPattern(fmt.Sprint(m.Dir, "/", files-1), s3fake.NewPattern(files-1), size))
	same(t, "GETs for what was used last", fake.Stats().Requests[s3fake.GetObject]-before, 0)
}

func TestCacheGivesWayWhenOthersFillItsDisk(t *testing.T) {
	const size, total = 30 << 20, 128 << 20
	fake := s3fake.Start(t, s3fake.Options{})
	b := fake.Bucket("bucket")
	for i := range uint64(2) {
		b.PutPattern(fmt.Sprint(i), size, s3fake.NewPattern(i), nil)
	}
	cache := tmpfs(t, "size=128m")
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Cache: cache, Args: []string{"--cache-min-free=100M"}})
	must(t, checkPattern(m.Dir+"/0", s3fake.NewPattern(0), size))
	// Of a small disk the floor is a twentieth.
	const floor = total / 20
	must(t, os.WriteFile(cache+"/other", make([]byte, total-size-floor-4<<20), 0o600))
	must(t, checkPattern(m.Dir+"/1", s3fake.NewPattern(1), size))
	free := func() int64 {
		var st unix.Statfs_t
		must(t, unix.Statfs(cache, &st))
		return int64(st.Bavail) * st.Bsize
	}
	eventually(t, "the floor is free", func() bool { return free() >= floor })
	other, err := os.OpenFile(cache+"/other", os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer other.Close()
	_, err = io.Copy(other, zeros{})
	wantErrno(t, "filling the disk", err, unix.ENOSPC)
	for i := range uint64(2) {
		must(t, checkPattern(fmt.Sprint(m.Dir, "/", i), s3fake.NewPattern(i), size))
	}
	out, _ := try(cache, "find", cache, "-type", "f", "-printf", "%k %p\n")
	t.Log(out)
	eventually(t, "the floor is free again", func() bool { return free() >= floor || diskUsage(t, cache+"/mounts") < 1<<20 })
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestTwoMountsShareACacheFolder(t *testing.T) {
	semantics.Claim(t, "Mounts with the same --cache-dir do not disturb each other, also those of one bucket: each has a folder and a --cache-size of its own there.")
	const files, size = 12, 9 << 20
	fake := s3fake.Start(t, s3fake.Options{})
	b := fake.Bucket("bucket")
	for i := range uint64(files) {
		b.PutPattern(fmt.Sprint("r", i), size, s3fake.NewPattern(i), nil)
	}
	cache := t.TempDir()
	var both []*mounts.Mount
	for range 2 {
		both = append(both, mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Cache: cache, Args: []string{"--cache-size=64M"}}))
	}
	for round := range uint64(2) {
		var g errgroup.Group
		for i, m := range both {
			g.Go(func() error {
				for f := range uint64(files) {
					if err := checkPattern(fmt.Sprint(m.Dir, "/r", f), s3fake.NewPattern(f), size); err != nil {
						return err
					}
					seed := 100*uint64(i) + f + round
					w := fmt.Sprint(m.Dir, "/w", i, "-", f)
					if err := copyPattern(w, s3fake.NewPattern(seed), size); err != nil {
						return err
					}
					if err := checkPattern(w, s3fake.NewPattern(seed), size); err != nil {
						return err
					}
				}
				return nil
			})
		}
		must(t, g.Wait())
		if n := diskUsage(t, cache); n > 2*(64<<20+1<<20) {
			t.Errorf("the folder takes %d MiB", n>>20)
		}
		for i := range both {
			both[i].Unmount()
		}
		for i := range both {
			both[len(both)-1-i].Revive() // the other way round: each finds what the other left
		}
	}
	for i := range both {
		must(t, checkPattern(fmt.Sprint(both[1-i].Dir, "/w", i, "-0"), s3fake.NewPattern(100*uint64(i)+1), size))
	}
}

func TestClearedCacheOfAMount(t *testing.T) {
	const size = 6 << 20
	m, _, _, p := cachedFile(t, size)
	r := passedThrough(t, m, "f")
	defer r.Close()
	must(t, copyPattern(m.Dir+"/g", p, size))
	w, err := os.Create(m.Dir + "/h")
	must(t, err)
	defer w.Close()
	_, err = w.WriteString("not in S3 as yet")
	must(t, err)
	out := sh(t, "/", mounts.Binary(t), "cache", "clear", "--cache-dir", m.Cache)
	same(t, "what it says", out, "6.004 MiB freed, 6.004 MiB in use; what is not in S3 stays (1), s3mount cache show tells of it\n")
	must(t, checkRead(io.NewSectionReader(r, 0, size), p, 0))
	dropCaches(t)
	for range 2 {
		must(t, checkPattern(m.Dir+"/g", p, size))
	}
	must(t, w.Close())
	same(t, "what was being written", read(t, m.Dir+"/h"), "not in S3 as yet")
	passedThrough(t, m, "g").Close()
}

// resident reports how many of a file's pages are in the kernel's cache.
func resident(t testing.TB, path string) (pages int) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	st, err := f.Stat()
	must(t, err)
	m, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(m)
	in := make([]byte, (len(m)+4095)/4096)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		t.Fatal(errno)
	}
	return bytes.Count(in, []byte{1})
}

func TestPagesAreKeptWhileTheVersionStands(t *testing.T) {
	semantics.Claim(t, "The kernel keeps what was read of a file from one open to the next as long as the object stays the same.")
	m, _, b := fakeMount(t, "--dir-cache-time=0", "--attr-timeout=0")
	const size = 512 << 10 // less than what is passed through
	one, two := s3fake.NewPattern(1), s3fake.NewPattern(2)
	b.PutPattern("f", size, one, nil)
	must(t, checkPattern(m.Dir+"/f", one, size))
	same(t, "pages kept at the next open", resident(t, m.Dir+"/f"), size/4096)
	b.PutPattern("f", size, two, nil)
	if n := resident(t, m.Dir+"/f"); n > 0 {
		t.Errorf("%d pages of the old version are kept", n)
	}
	must(t, checkPattern(m.Dir+"/f", two, size))
	must(t, copyPattern(m.Dir+"/written", one, size))
	same(t, "pages of what was written", resident(t, m.Dir+"/written"), size/4096)
}
