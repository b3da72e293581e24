package e2e

import (
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

func TestKeysThatAreNoNames(t *testing.T) {
	semantics.Claim(t,
		"An empty component, as in a//b or /a, is shown as %s3-empty.",
		"The components . and .. are shown as %s3-dot and %s3-dotdot.",
		"A file x beside a folder x/ is shown as %s3-file-x; the folder keeps the plain name.",
		"A marker that holds data is shown inside its folder as the file %s3-empty.",
		"A component of more than 255 bytes is shown as nested folders: %s3-part-t and its first 100 bytes, and in there the rest.",
		"A component that itself begins with %s3- is shown with %s3-raw- in front.",
		"Newlines and control characters are shown as they are, and so are bytes that are not UTF-8 where a store has such keys.")
	m, b := newMount(t, pool.Embedded(t))
	long := strings.Repeat("long", 80)
	paths := map[string]string{
		"a//b":            "a/%s3-empty/b",
		"/lead":           "%s3-empty/lead",
		"./x":             "%s3-dot/x",
		"up/../y":         "up/%s3-dotdot/y",
		"clash":           "%s3-file-clash",
		"clash/inside":    "clash/inside",
		"data/":           "data/%s3-empty",
		long:              "%s3-part-t" + long[:100] + "/" + long[100:],
		"%s3-empty":       "%s3-raw-%s3-empty",
		"new\nline\x01":   "new\nline\x01",
		"plain space+%é":  "plain space+%é",
		"trailing dot./.": "trailing dot./%s3-dot",
	}
	for key := range paths {
		put(t, b, key, "content of "+key, nil)
	}
	for key, path := range paths {
		same(t, "read of "+path, read(t, m.Dir+"/"+path), "content of "+key)
	}
	shown := walk(t, m.Dir)
	for _, key := range keys(t, b) {
		if !shown["content of "+key] {
			t.Errorf("the key %q is shown nowhere", key)
		}
	}
	same(t, "files shown", len(shown), len(keys(t, b)))
	write(t, m.Dir+"/a/%s3-empty/b", "edited")
	same(t, "an edited odd key", get(t, b, "a//b"), "edited")
	must(t, os.Rename(m.Dir+"/a/%s3-empty/b", m.Dir+"/tame"))
	same(t, "an odd key renamed away", get(t, b, "tame"), "edited")
	must(t, os.Remove(m.Dir+"/%s3-file-clash"))
	if _, err := b.Head(context.Background(), "clash"); !object.Is(err, object.KindNotFound) {
		t.Errorf("the removed odd key: %v", err)
	}
	same(t, "the folder beside it", read(t, m.Dir+"/clash/inside"), "content of clash/inside")
}

func TestEachOddKeyIsOpenedRenamedAndRemoved(t *testing.T) {
	semantics.Claim(t,
		"A marker that holds data is shown inside its folder as the file %s3-empty.",
		"Two keys that differ in nothing but the form of Unicode (é as one character or as two) are two files.")
	m, b := newMount(t, pool.Embedded(t))
	long := strings.Repeat("long", 80)
	odd := map[string]string{ // the path that each key is shown under
		"a//b":          "a/%s3-empty/b",
		"a///b":         "a/%s3-empty/%s3-empty/b",
		"/lead":         "%s3-empty/lead",
		"./x":           "%s3-dot/x",
		"up/../y":       "up/%s3-dotdot/y",
		"end/..":        "end/%s3-dotdot",
		"clash":         "%s3-file-clash",
		"data/":         "data/%s3-empty",
		long:            "%s3-part-t" + long[:100] + "/" + long[100:],
		"%s3-empty":     "%s3-raw-%s3-empty",
		"new\nline\x01": "new\nline\x01",
		"tab\t\x7f":     "tab\t\x7f",
		"caf\u00e9":     "caf\u00e9",
		"cafe\u0301":    "cafe\u0301",
		" ":             " ",
		"*?[a]\\\"'<>|": "*?[a]\\\"'<>|",
	}
	put(t, b, "clash/inside", "inside", nil)
	for key := range odd {
		put(t, b, key, "content of "+key, nil)
	}
	before := len(keys(t, b))
	for key, path := range odd {
		f, err := os.OpenFile(m.Dir+"/"+path, os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("CONTENT"), 0)
		must(t, err)
		must(t, f.Close())
		same(t, "after an edit of "+path, get(t, b, key), "CONTENT of "+key)
		must(t, os.Rename(m.Dir+"/"+path, m.Dir+"/tame"))
		same(t, "renamed away from "+path, get(t, b, "tame"), "CONTENT of "+key)
		if _, err := b.Head(context.Background(), key); !object.Is(err, object.KindNotFound) && !strings.HasSuffix(key, "/") {
			t.Errorf("the old key %q: %v", key, err)
		}
		must(t, os.Remove(m.Dir+"/tame"))
		if key != "clash" && key != "data/" { // those are no names that can be made
			if dir := filepath.Dir(m.Dir + "/" + path); len(key) < 256 {
				must(t, os.MkdirAll(dir, 0o755))
				write(t, m.Dir+"/"+path, "again")
				same(t, "made again under "+path, get(t, b, key), "again")
				must(t, os.Remove(m.Dir+"/"+path))
			}
		}
	}
	if left := len(keys(t, b)); left > before {
		t.Errorf("%d keys are left of %d: %q", left, before, keys(t, b))
	}
}

// walk reads all files below a folder and returns the set of their contents.
func walk(t testing.TB, dir string) map[string]bool {
	t.Helper()
	contents := map[string]bool{}
	for _, name := range names(t, dir) {
		path := dir + "/" + name
		st, err := os.Lstat(path)
		must(t, err)
		if st.IsDir() {
			for c := range walk(t, path) {
				contents[c] = true
			}
			continue
		}
		contents[read(t, path)] = true
	}
	return contents
}

func TestNonUTF8Keys(t *testing.T) {
	semantics.Claim(t,
		"Newlines and control characters are shown as they are, and so are bytes that are not UTF-8 where a store has such keys.",
		"A new name that is not UTF-8 is refused with EILSEQ: S3 has no such keys.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake))
	fake.Bucket(b.Name()).Put("byte\xff", []byte("x"), nil)
	dir, err := os.Open(m.Dir)
	must(t, err)
	defer dir.Close()
	shown, err := dir.Readdirnames(-1) // the stand-in lists the key, and takes it in no request
	must(t, err)
	same(t, "its name", strings.Join(shown, " "), "byte\xff")
	wantErrno(t, "a new one", os.WriteFile(m.Dir+"/other\xfe", nil, 0o644), unix.EILSEQ)
	wantErrno(t, "a new folder", os.Mkdir(m.Dir+"/other\xfe", 0o755), unix.EILSEQ)
	must(t, os.WriteFile(m.Dir+"/plain", nil, 0o644))
	wantErrno(t, "a new name", os.Rename(m.Dir+"/plain", m.Dir+"/other\xfe"), unix.EILSEQ)
}

func TestReservedNames(t *testing.T) {
	semantics.Claim(t, "Creating a name that begins with %s3- is EINVAL unless it is the shown form of a key that may be made.")
	m, b := newMount(t, pool.Embedded(t))
	for _, name := range []string{"%s3-", "%s3-whatever", "%s3-file-x", "%s3-part-tx"} {
		wantErrno(t, name, os.WriteFile(m.Dir+"/"+name, nil, 0o644), unix.EINVAL)
		wantErrno(t, "mkdir "+name, os.Mkdir(m.Dir+"/"+name, 0o755), unix.EINVAL)
	}
	must(t, os.Mkdir(m.Dir+"/d", 0o755))
	must(t, os.Mkdir(m.Dir+"/d/%s3-empty", 0o755))
	write(t, m.Dir+"/d/%s3-empty/x", "x")
	same(t, "the key", get(t, b, "d//x"), "x")
}
