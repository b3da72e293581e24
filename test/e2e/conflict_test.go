package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

// eachKind runs a test on the stand-in, MinIO and Ceph: stores that differ in conditions.
func eachKind(t *testing.T, f func(t *testing.T, s servers.Server)) {
	t.Run("s3fake", func(t *testing.T) { f(t, servers.Of(s3fake.Start(t, s3fake.Options{}))) })
	t.Run("minio", func(t *testing.T) { f(t, pool.MinIO(t)) })
	t.Run("ceph", func(t *testing.T) { f(t, pool.Ceph(t)) })
}

// keptBeside returns the one key under which a version of a name is kept that lost a race.
func keptBeside(t testing.TB, b *s3remote.Bucket, name string) string {
	t.Helper()
	var found []string
	for _, k := range keys(t, b) {
		if strings.HasPrefix(k, name+".conflict-") {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d versions are kept beside %q: %q", len(found), name, keys(t, b))
	}
	return found[0]
}

func TestTwoMountsWriteOneName(t *testing.T) {
	semantics.Claim(t,
		"Two mounts that write the same name at the same time leave both versions, each whole: the first to close has the name, and the other's close() or fsync() fails with ESTALE.",
		"Then the name shows at once what is in S3, and what was written here is beside it as NAME.conflict-HOST-TIME; the log tells so once, with both names.")
	eachKind(t, func(t *testing.T, s servers.Server) {
		name, b := mounts.NewBucket(t, s)
		put(t, b, "d/old", "the old content", nil)
		one := mounts.Start(t, mounts.Options{Server: s, Path: name})
		two := mounts.Start(t, mounts.Options{Server: s, Path: name})
		const large = 1 << 20
		for _, f := range []string{"new", "d/old"} {
			var open []*os.File
			for i, m := range []*mounts.Mount{one, two} {
				f, err := os.OpenFile(m.Dir+"/"+f, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
				must(t, err)
				defer f.Close()
				_, err = f.WriteString(strings.Repeat(string(rune('1'+i)), large))
				must(t, err)
				open = append(open, f)
			}
			must(t, open[0].Close())
			wantErrno(t, "fsync of the second", open[1].Sync(), unix.ESTALE)
			wantErrno(t, "close of the second", open[1].Close(), unix.ESTALE)
			kept := keptBeside(t, b, f)
			same(t, "the object", get(t, b, f), strings.Repeat("1", large))
			same(t, "the version beside it", get(t, b, kept), strings.Repeat("2", large))
			eventually(t, "the name shows what is in S3", func() bool { return read(t, two.Dir+"/"+f)[0] == '1' })
			same(t, "the version beside it, in the mount", read(t, two.Dir+"/"+kept), strings.Repeat("2", large))
			same(t, "lines in the log", strings.Count(two.Log(), kept), 1)
			write(t, two.Dir+"/"+f, "peace") // what is opened now is the newest
			same(t, "the object", get(t, b, f), "peace")
		}
	})
}

func TestEditOfWhatSomebodyChanged(t *testing.T) {
	semantics.Claim(t, "close() and fsync() replace only the version that was opened, and a new file only nothing: what somebody else stored or removed meanwhile is neither overwritten nor brought back.")
	eachKind(t, func(t *testing.T, s servers.Server) {
		m, b := newMount(t, s)
		for name, change := range map[string]func(key string){
			"replaced": func(key string) { put(t, b, key, "theirs", nil) },
			"removed":  func(key string) { must(t, b.Delete(context.Background(), key)) },
		} {
			for kind, size := range map[string]int{"small": 1000, "large": 17 << 20} {
				f := name + "-" + kind
				old := bytes.Repeat([]byte("old "), size/4)
				write(t, m.Dir+"/"+f, string(old))
				h, err := os.OpenFile(m.Dir+"/"+f, os.O_RDWR, 0)
				must(t, err)
				defer h.Close()
				_, err = h.WriteAt([]byte("mine"), 10)
				must(t, err)
				copy(old[10:], "mine")
				change(f)
				wantErrno(t, f+": fsync", h.Sync(), unix.ESTALE)
				_, err = h.WriteAt([]byte("late"), 10)
				wantErrno(t, f+": write after the race was lost", err, unix.ESTALE)
				got := make([]byte, size)
				_, err = h.ReadAt(got, 0)
				must(t, err)
				same(t, f+": what is read of the open file", sha256.Sum256(got), sha256.Sum256(old))
				wantErrno(t, f+": close", h.Close(), unix.ESTALE)
				same(t, f+": the version beside it", get(t, b, keptBeside(t, b, f)) == string(old), true)
				if name == "replaced" {
					same(t, f+": the object", get(t, b, f), "theirs")
				} else if _, err := b.Head(context.Background(), f); !object.Is(err, object.KindNotFound) {
					t.Errorf("%s: what somebody removed is back: %v", f, err)
				}
			}
		}
	})
}

func TestRaceThatLeavesNoPlaceInS3(t *testing.T) {
	semantics.Claim(t, "Where S3 does not take it there either, it is kept in the folder unsent of the cache directory.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake))
	f, err := os.Create(m.Dir + "/f")
	must(t, err)
	_, err = f.WriteString("precious")
	must(t, err)
	put(t, b, "f", "theirs", nil)
	fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Key: m.Options.Path + "/f.*", Fault: s3fake.Denied()}, s3fake.Rule{Op: s3fake.PutObject, Key: "f.*", Fault: s3fake.Denied()})
	wantErrno(t, "close", f.Close(), unix.ESTALE)
	eventually(t, "the content is kept", func() bool {
		kept, err := os.ReadDir(m.Cache + "/unsent")
		return err == nil && len(kept) == 1 && read(t, m.Cache+"/unsent/"+kept[0].Name()) == "precious"
	})
	eventually(t, "the name shows what is in S3", func() bool { return read(t, m.Dir+"/f") == "theirs" })
}

func TestNamesThatSomebodyMadeMeanwhile(t *testing.T) {
	semantics.Claim(t,
		"mkdir, symlink and mknod of a name that somebody else has made meanwhile fail with EEXIST.",
		"rename onto a name that was free fails with EEXIST if somebody else has made it meanwhile; a name that is known to be taken is replaced, whatever version it has.",
		"unlink removes the object, whatever version it has.")
	eachKind(t, func(t *testing.T, s servers.Server) {
		m, b := newMount(t, s)
		must(t, os.Mkdir(m.Dir+"/r", 0o755))
		write(t, m.Dir+"/r/f", "mine")
		write(t, m.Dir+"/r/known", "known")
		names(t, m.Dir) // trusted from now on
		put(t, b, "d/", "", nil)
		put(t, b, "link", "theirs", nil)
		put(t, b, "r/g", "theirs", nil)
		put(t, b, "r/known", "changed", nil)
		wantErrno(t, "rename", os.Rename(m.Dir+"/r/f", m.Dir+"/r/g"), unix.EEXIST)
		wantErrno(t, "mkdir", os.Mkdir(m.Dir+"/d", 0o755), unix.EEXIST)
		wantErrno(t, "symlink", os.Symlink("target", m.Dir+"/link"), unix.EEXIST)
		same(t, "what somebody made", get(t, b, "link")+get(t, b, "r/g"), "theirstheirs")
		must(t, os.Rename(m.Dir+"/r/f", m.Dir+"/r/known"))
		same(t, "the replaced object", get(t, b, "r/known"), "mine")
		put(t, b, "r/known", "changed again", nil)
		must(t, os.Remove(m.Dir+"/r/known"))
		if _, err := b.Head(context.Background(), "r/known"); !object.Is(err, object.KindNotFound) {
			t.Errorf("unlink left the object: %v", err)
		}
	})
}

func TestEditsInsideLargeObjects(t *testing.T) {
	semantics.Claim(t, "An edit inside an object of more than 16 MiB sends what changed, in parts of 5 MiB at least, and nothing is fetched of what did not: the store copies the rest.")
	test := func(t *testing.T, s servers.Server, fake *s3fake.Server) {
		const size = 24 << 20
		m, b := newMount(t, s)
		data := make([]byte, size, size+1<<20)
		s3fake.NewPattern(3).ReadAt(data, 0)
		put(t, b, "f", string(data), object.Meta{"mtime": "1511424000.5"})
		edit := func(what string, f func(*os.File)) {
			t.Helper()
			h, err := os.OpenFile(m.Dir+"/f", os.O_RDWR, 0)
			must(t, err)
			f(h)
			must(t, h.Close())
			same(t, what+": the object", sha256.Sum256([]byte(get(t, b, "f"))), sha256.Sum256(data))
		}
		at := func(h *os.File, p string, off int) {
			_, err := h.WriteAt([]byte(p), int64(off))
			must(t, err)
			data = data[:max(len(data), off+len(p))]
			copy(data[off:], p)
		}
		if fake != nil {
			fake.ResetStats()
		}
		edit("three places", func(h *os.File) {
			for _, off := range []int{1000, 9 << 20, 17<<20 + 7} {
				at(h, strings.Repeat("edit", 1024), off)
			}
		})
		if fake != nil {
			stats := fake.Stats()
			if sent := stats.BytesIn; sent > 3*5<<20+100<<10 {
				t.Errorf("%d bytes were sent", sent)
			}
			fake.ResetStats()
		}
		edit("append", func(h *os.File) { at(h, "more", len(data)) })
		if fake != nil {
			stats := fake.Stats()
			if stats.BytesIn > 100<<10 || stats.BytesOut > size+1<<20 { // get compares the whole
				t.Errorf("%d bytes were sent, and %d fetched", stats.BytesIn, stats.BytesOut)
			}
		}
		edit("cut off and grown", func(h *os.File) {
			must(t, h.Truncate(20<<20))
			must(t, h.Truncate(21<<20))
			data = append(data[:20<<20], make([]byte, 1<<20)...)
			at(h, "x", 19<<20)
		})
		must(t, os.Chmod(m.Dir+"/f", 0o600))
		edit("after chmod", func(h *os.File) { at(h, "y", 3) })
		must(t, os.Rename(m.Dir+"/f", m.Dir+"/g"))
		must(t, os.Rename(m.Dir+"/g", m.Dir+"/f"))
		edit("after rename", func(h *os.File) { at(h, "z", 10<<20) })
		same(t, "the file in the mount", sha256.Sum256([]byte(read(t, m.Dir+"/f"))), sha256.Sum256(data))
		m.Remount(true)
		same(t, "the file after a remount", sha256.Sum256([]byte(read(t, m.Dir+"/f"))), sha256.Sum256(data))
		same(t, "what is in the bucket", len(keys(t, b)), 1)
	}
	fake := s3fake.Start(t, s3fake.Options{})
	t.Run("s3fake", func(t *testing.T) { test(t, servers.Of(fake), fake) })
	eachServer(t, func(t *testing.T, s servers.Server) { test(t, s, nil) })
}
