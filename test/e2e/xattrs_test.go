package e2e

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestXattrsOfTheUser(t *testing.T) {
	semantics.Claim(t, "Extended attributes user.* of files and folders are kept on the object in x-amz-meta-xattr, in s3fs's form, whatever bytes they hold; they survive an edit, a rename and a remount.")
	eachServer(t, func(t *testing.T, s servers.Server) { keepsXattrs(t, s) })
	t.Run("writeback", func(t *testing.T) { keepsXattrs(t, pool.MinIO(t), "--writeback") })
}

func keepsXattrs(t *testing.T, s servers.Server, args ...string) {
	m, b := newMount(t, s, args...)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	want := map[string]string{
		"user.plain": "value", "user.empty": "", "user.Case": "upper", "user.case": "lower",
		"user.bytes": string(every), "user.odd \"name\"{,:}\n\xff": "odd", "user.ümlaut": "ü",
	}
	write(t, m.Dir+"/f", "content")
	must(t, os.Mkdir(m.Dir+"/d", 0o750))
	write(t, m.Dir+"/d/inside", "x")
	must(t, os.Mkdir(m.Dir+"/e", 0o755))
	for _, path := range []string{"/f", "/d"} {
		for name, value := range want {
			must(t, unix.Setxattr(m.Dir+path, name, []byte(value), 0))
		}
		sameXattrs(t, path, m.Dir+path, want)
	}
	write(t, m.Dir+"/f", "edited")
	must(t, os.Chmod(m.Dir+"/f", 0o640))
	must(t, os.Chmod(m.Dir+"/d", 0o700))
	must(t, os.Rename(m.Dir+"/f", m.Dir+"/g"))
	must(t, os.Rename(m.Dir+"/d", m.Dir+"/e/d2"))
	for _, path := range []string{"/g", "/e/d2"} {
		sameXattrs(t, path+" after a rename", m.Dir+path, want)
	}
	must(t, unix.Removexattr(m.Dir+"/g", "user.plain"))
	delete(want, "user.plain")
	m.Remount(true)
	sameXattrs(t, "after a remount", m.Dir+"/g", want)
	same(t, "the content", get(t, b, "g"), "edited")
	want["user.plain"] = "value"
	sameXattrs(t, "the folder's after a remount", m.Dir+"/e/d2", want)
	copied := m.Dir + "/copied"
	sh(t, m.Dir, "cp", "-a", "g", "copied")
	delete(want, "user.plain")
	sameXattrs(t, "of a copy by cp -a", copied, want)
}

// sameXattrs compares all extended attributes of a path.
func sameXattrs(t testing.TB, what, path string, want map[string]string) {
	t.Helper()
	list := make([]byte, 1<<16)
	n, err := unix.Listxattr(path, list)
	must(t, err)
	got := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if name != "" {
			got[name] = xattr(t, path, name)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s: the attributes are %q, want %q", what, got, want)
	}
}

func xattr(t testing.TB, path, name string) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := unix.Getxattr(path, name, buf)
	must(t, err)
	return string(buf[:n])
}

func TestXattrsOfAFileThatIsWritten(t *testing.T) {
	semantics.Claim(t, "setxattr and removexattr return when S3 has the change; for a file that is being written, it goes with its next close or fsync.")
	m, fake, b := fakeMount(t)
	f, err := os.Create(m.Dir + "/f")
	must(t, err)
	must(t, unix.Fsetxattr(int(f.Fd()), "user.a", []byte("1"), 0))
	same(t, "before close", xattr(t, m.Dir+"/f", "user.a"), "1")
	_, err = f.WriteString("x")
	must(t, err)
	same(t, "requests that store something", fake.Stats().Requests["PutObject"], 0)
	must(t, f.Close())
	same(t, "requests of all that", fake.Stats().Requests["PutObject"], 1)
	o, _ := b.Head("f")
	same(t, "the metadata", o.Meta["xattr"], "%7B%22user.a%22%3A%22MQ%3D%3D%22%7D")
	must(t, unix.Setxattr(m.Dir+"/f", "user.b", []byte("2"), unix.XATTR_CREATE))
	must(t, unix.Removexattr(m.Dir+"/f", "user.a"))
	o, _ = b.Head("f")
	same(t, "the metadata of the closed file", o.Meta["xattr"], "%7B%22user.b%22%3A%22Mg%3D%3D%22%7D")
	wantErrno(t, "XATTR_CREATE of what is there", unix.Setxattr(m.Dir+"/f", "user.b", nil, unix.XATTR_CREATE), unix.EEXIST)
	wantErrno(t, "XATTR_REPLACE of what is not", unix.Setxattr(m.Dir+"/f", "user.c", nil, unix.XATTR_REPLACE), unix.ENODATA)
	wantErrno(t, "removal of what is not", unix.Removexattr(m.Dir+"/f", "user.c"), unix.ENODATA)
	_, err = unix.Getxattr(m.Dir+"/f", "user.c", nil)
	wantErrno(t, "get of what is not", err, unix.ENODATA)
	must(t, unix.Removexattr(m.Dir+"/f", "user.b"))
	o, _ = b.Head("f")
	_, left := o.Meta["xattr"]
	same(t, "metadata without attributes", left, false)
}

func TestXattrsOfOtherPrograms(t *testing.T) {
	semantics.Claim(t, "Metadata that another client has stored as x-amz-meta-NAME is the attribute user.NAME, with name and value URL-unescaped as geesefs writes them, and stays in that form when it is changed.")
	m, _, b := fakeMount(t)
	b.Put("geesefs", []byte("x"), map[string]string{"author": "somebody%20else%00", "with%3acolon": "v", "mode": "33188", "mtime": "1600000000.5", "rdev": "0"})
	// as s3fs 1.93 writes it: {"user.a":"MQ==","user.b":"AAE="}
	b.Put("s3fs", []byte("x"), map[string]string{"xattr": "%7B%22user.a%22%3A%22MQ%3D%3D%22%2C%22user.b%22%3A%22AAE%3D%22%7D"})
	broken := map[string]string{"json": "%7B%22user.a", "base64": "%7B%22user.a%22%3A%22*%22%7D", "system": "%7B%22security.x%22%3A%22MQ%3D%3D%22%7D"}
	for key, v := range broken {
		b.Put(key, []byte("x"), map[string]string{"xattr": v})
	}
	sameXattrs(t, "geesefs's", m.Dir+"/geesefs", map[string]string{"user.author": "somebody else\x00", "user.with:colon": "v"})
	must(t, unix.Setxattr(m.Dir+"/geesefs", "user.author", []byte("me 100%"), 0))
	must(t, unix.Removexattr(m.Dir+"/geesefs", "user.with:colon"))
	o, _ := b.Head("geesefs")
	same(t, "the changed metadata", o.Meta["author"], "me%20100%25")
	same(t, "how many there are", len(slices.Collect(maps.Keys(o.Meta))), 6) // mode, mtime, uid, gid, rdev, author
	sameXattrs(t, "s3fs's", m.Dir+"/s3fs", map[string]string{"user.a": "1", "user.b": "\x00\x01"})
	for key := range broken {
		sameXattrs(t, "broken "+key, m.Dir+"/"+key, map[string]string{})
	}
}

func TestXattrsThatDoNotFit(t *testing.T) {
	semantics.Claim(t, "S3 keeps 2 KiB of user metadata: a value that can never fit is E2BIG, one for which no room is left is ENOSPC, and nothing is changed.")
	m, b := newMount(t, pool.MinIO(t))
	write(t, m.Dir+"/f", "x")
	must(t, unix.Setxattr(m.Dir+"/f", "user.a", make([]byte, 700), 0))
	wantErrno(t, "a second one", unix.Setxattr(m.Dir+"/f", "user.b", make([]byte, 1000), 0), unix.ENOSPC)
	wantErrno(t, "a large one", unix.Setxattr(m.Dir+"/f", "user.c", make([]byte, 2000), 0), unix.E2BIG)
	wantErrno(t, "one over the kernel's limit", unix.Setxattr(m.Dir+"/f", "user.c", make([]byte, 1<<16+1), 0), unix.E2BIG)
	sameXattrs(t, "afterwards", m.Dir+"/f", map[string]string{"user.a": string(make([]byte, 700))})
	info, err := b.Head(context.Background(), "f")
	must(t, err)
	size := 0
	for k, v := range info.Meta {
		size += len(k) + len(v)
	}
	if size > 2048 {
		t.Errorf("%d bytes of metadata are stored", size)
	}
	_, err = unix.Getxattr(m.Dir+"/f", "user.a", make([]byte, 3))
	wantErrno(t, "get into a small buffer", err, unix.ERANGE)
}

func TestFactsAsXattrs(t *testing.T) {
	semantics.Claim(t, "The attributes user.s3mount.etag, user.s3mount.key, user.s3mount.storage-class, user.s3mount.content-type and user.s3mount.last-modified tell the object's own facts; they are read by name and not listed, so that who copies attributes does not copy them.")
	m, b := newMount(t, pool.MinIO(t))
	info := put(t, b, "dir/f", "x", nil)
	forged := put(t, b, "dir/forged", "y", object.Meta{"s3mount.etag": "forged"})
	path := m.Dir + "/dir/f"
	for name, want := range map[string]string{"etag": info.ETag, "key": "dir/f", "storage-class": "STANDARD", "content-type": "application/octet-stream"} {
		same(t, name, xattr(t, path, "user.s3mount."+name), want)
	}
	if _, err := time.Parse(time.RFC3339, xattr(t, path, "user.s3mount.last-modified")); err != nil {
		t.Error(err)
	}
	sameXattrs(t, "what is listed", path, map[string]string{})
	same(t, "a fact that somebody stored", xattr(t, m.Dir+"/dir/forged", "user.s3mount.etag"), forged.ETag)
}

func TestXattrsOfTheSystem(t *testing.T) {
	semantics.Claim(t, "Setting an attribute that is not the user's (ACLs, security labels, trusted.*, user.s3mount.*) is EOPNOTSUPP, as is user.* of the mount's root; asking for one costs no request.")
	m, fake, b := fakeMount(t)
	b.Put("f", []byte("x"), nil)
	path := m.Dir + "/f"
	acl := []byte("\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x04\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff")
	for name, value := range map[string][]byte{
		"system.posix_acl_access": acl, "security.selinux": []byte("x"), "security.capability": make([]byte, 20),
		"trusted.x": []byte("x"), "user.s3mount.etag": []byte("x"),
	} {
		if err := unix.Setxattr(path, name, value, 0); !errors.Is(err, unix.EOPNOTSUPP) && !(name == "security.capability" && errors.Is(err, unix.EINVAL)) {
			t.Errorf("set of %s: %v", name, err)
		}
	}
	wantErrno(t, "the root's", unix.Setxattr(m.Dir, "user.a", []byte("x"), 0), unix.EOPNOTSUPP)
	fake.ResetStats()
	for _, name := range []string{"system.posix_acl_access", "system.posix_acl_default", "security.capability", "security.selinux", "trusted.x"} {
		if _, err := unix.Getxattr(path, name, make([]byte, 100)); !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENODATA) {
			t.Errorf("get of %s: %v", name, err)
		}
	}
	same(t, "requests", fake.Stats().Total(), 0)
}
