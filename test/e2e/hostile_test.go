package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestAPrefixIsNotLeft(t *testing.T) {
	semantics.Claim(t,
		"A mount of a prefix reads, lists, writes and removes nothing outside of it, by whatever name, link or rename.",
		"A symbolic link's target is returned as it is stored; who follows it is the kernel, outside of the mount with no more rights than the program has.")
	fake := s3fake.Start(t, s3fake.Options{})
	b := fake.Bucket("bucket")
	outside := map[string]string{"secret": "s1", "p/secret": "s2", "p/qq/secret": "s3", "p/q": "s4", "q/secret": "s5"}
	for key, data := range outside {
		b.Put(key, []byte(data), nil)
	}
	b.Put("p/q/in", []byte("in"), nil)
	b.Put("p/q/../up", []byte("up"), nil)
	b.Put("p/q/link", []byte("../../secret"), map[string]string{"mode": "41471"})
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket/p/q"})
	same(t, "names", strings.Join(names(t, m.Dir), " "), "%s3-dotdot in link")
	same(t, "what .. in a key is", read(t, m.Dir+"/%s3-dotdot/up"), "up")

	target, err := os.Readlink(m.Dir + "/link")
	must(t, err)
	same(t, "the link", target, "../../secret")
	if data, err := os.ReadFile(m.Dir + "/link"); err == nil {
		t.Errorf("the link leads to %q", data)
	}
	for _, name := range []string{"/../secret", "/%s3-dotdot/secret", "/%s3-dotdot/%s3-dotdot/secret", "/%s3-empty/secret", "/../q", "/%s3-dotdot/%s3-empty/secret"} {
		if data, err := os.ReadFile(m.Dir + name); err == nil {
			t.Errorf("%s leads to %q", name, data)
		}
		_ = os.Remove(m.Dir + name)
	}
	must(t, os.MkdirAll(m.Dir+"/%s3-dotdot/%s3-dotdot", 0o755))
	must(t, os.WriteFile(m.Dir+"/%s3-dotdot/%s3-dotdot/secret", []byte("mine"), 0o644))
	must(t, os.Rename(m.Dir+"/in", m.Dir+"/%s3-dotdot/secret"))
	must(t, os.Symlink("/etc/passwd", m.Dir+"/abs"))
	must(t, os.RemoveAll(m.Dir+"/%s3-dotdot"))
	for key, data := range outside {
		now, _ := b.Get(key)
		same(t, "outside, "+key, string(now), data)
	}
	for _, key := range b.Keys("") {
		if outside[key] == "" && !strings.HasPrefix(key, "p/q/") {
			t.Errorf("%q was made outside of the prefix", key)
		}
	}
}

func TestHostileMetadata(t *testing.T) {
	semantics.Claim(t,
		"Metadata that makes no sense is as good as none: every object can be listed, looked at, read and removed.",
		"A mount is nosuid and nodev: what a bucket says of modes gives nobody rights.")
	fake := s3fake.Start(t, s3fake.Options{})
	b := fake.Bucket("bucket")
	huge := strings.Repeat("9", 400)
	metas := map[string]map[string]string{
		"giant":    {"mtime": huge, "mode": huge, "uid": huge, "gid": huge, "rdev": huge},
		"negative": {"mtime": "-5.25", "mode": "-1", "uid": "-1", "gid": "-1"},
		"nan":      {"mtime": "NaN", "mode": "0x1ff", "uid": "1e3", "gid": ""},
		"newline":  {"mtime": "=?UTF-8?Q?1=0A2?=", "mode": "=?UTF-8?Q?33188=0A?=", "uid": "=?UTF-8?Q?0=0D=0Ax?=", "a": "=?UTF-8?Q?line=0Aline=00=7F?="},
		"edge":     {"mtime": "2305843009213693951.999999999", "mode": "4294967295", "uid": "4294967295", "gid": "4294967296"},
		"setuid":   {"mode": "35309"},
		"device":   {"mode": "8630", "rdev": "259"},
		"folder":   {"mode": "16877"},
		"geesefs":  {"--symlink-target": strings.Repeat("%2e%2e%2f", 300)},
		"xattrs":   {"xattr": strings.Repeat("%7B", 3000), strings.Repeat("n", 300): "long name", "%00": "nul", "%": "percent"},
		"link":     {"mode": "41471"},
		"no-link":  {"mode": "41471"},
	}
	for key, meta := range metas {
		data := key
		if key == "no-link" || key == "device" {
			data = ""
		}
		b.Put(key, []byte(data), meta)
	}
	b.Put("dir/", nil, map[string]string{"mode": "33188", "mtime": huge, "uid": "x"})
	b.Put("long-link", []byte(strings.Repeat("x", 1<<20)), map[string]string{"mode": "41471"})
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket"})
	shown := names(t, m.Dir)
	same(t, "names", len(shown), len(metas)+2)
	for _, name := range shown {
		path := m.Dir + "/" + name
		st, err := os.Lstat(path)
		must(t, err)
		if st.Size() < 0 || st.ModTime().Year() < 1960 {
			t.Errorf("%s: size %d, time %v", name, st.Size(), st.ModTime())
		}
		if _, err := unix.Llistxattr(path, make([]byte, 1<<16)); err != nil {
			t.Errorf("%s: attributes: %v", name, err)
		}
		if st.Mode().IsRegular() {
			data, _ := b.Get(name)
			same(t, "content of "+name, read(t, path), string(data))
		}
	}
	st, err := os.Stat(m.Dir + "/negative")
	must(t, err)
	same(t, "a time before 1970", st.ModTime().Equal(time.Unix(-5, -250_000_000)), true)

	var fs unix.Statfs_t
	must(t, unix.Statfs(m.Dir, &fs))
	same(t, "nosuid, nodev", fs.Flags&(unix.ST_NOSUID|unix.ST_NODEV), unix.ST_NOSUID|unix.ST_NODEV)
	if f, err := os.Open(m.Dir + "/device"); err == nil {
		var st unix.Stat_t
		must(t, unix.Fstat(int(f.Fd()), &st))
		same(t, "the type of what was opened", st.Mode&unix.S_IFMT, unix.S_IFREG)
		must(t, f.Close())
	}
	for _, name := range shown {
		must(t, os.RemoveAll(filepath.Join(m.Dir, name)))
	}
	same(t, "keys at the end", strings.Join(b.Keys(""), " "), "")
}

func TestCloseToOpenBetweenTwoMounts(t *testing.T) {
	semantics.Claim(t, "With --dir-cache-time 0, what one mount has closed, renamed or removed is what the next open in another mount finds, also under a name that was not there just before (but O_EXCL trusts a name that was there for --attr-timeout).")
	fake := s3fake.Start(t, s3fake.Options{})
	fake.Bucket("bucket")
	start := func() *mounts.Mount {
		return mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Args: []string{"--dir-cache-time", "0"}})
	}
	a, b := start(), start()
	gone := func(what, path string) {
		t.Helper()
		_, err := os.ReadFile(path)
		wantErrno(t, what, err, unix.ENOENT)
	}
	for round := range 20 {
		write(t, a.Dir+"/f", strings.Repeat("x", round+1))
		same(t, "the size in the other mount", len(read(t, b.Dir+"/f")), round+1)
		write(t, a.Dir+"/f", strings.Repeat("y", round+1))
		same(t, "as long, but other bytes", read(t, b.Dir+"/f"), strings.Repeat("y", round+1))

		gone("before it is made", b.Dir+"/new")
		write(t, a.Dir+"/new", "new")
		same(t, "a new name", read(t, b.Dir+"/new"), "new")
		must(t, os.Rename(a.Dir+"/new", a.Dir+"/newer"))
		same(t, "a renamed file", read(t, b.Dir+"/newer"), "new")
		gone("under its old name", b.Dir+"/new")
		must(t, os.Remove(a.Dir+"/newer"))
		gone("a removed file", b.Dir+"/newer")

		gone("in a folder before that is made", b.Dir+"/d/in")
		must(t, os.Mkdir(a.Dir+"/d", 0o755))
		write(t, a.Dir+"/d/in", "in")
		same(t, "in a new folder", read(t, b.Dir+"/d/in"), "in")
		must(t, os.RemoveAll(a.Dir+"/d"))
		gone("in a removed folder", b.Dir+"/d/in")
		write(t, a.Dir+"/again", "a's")
		same(t, "before it is removed", read(t, b.Dir+"/again"), "a's")
		must(t, os.Remove(a.Dir+"/again"))
		write(t, b.Dir+"/again", "b's") // though its kernel takes the name for there
	}
}
