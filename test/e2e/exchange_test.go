package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
)

func exchange(m *mounts.Mount, a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, m.Dir+"/"+a, unix.AT_FDCWD, m.Dir+"/"+b, unix.RENAME_EXCHANGE)
}

// shape describes what is under a path: types, modes and contents.
func shape(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := os.Lstat(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", rel, st.Mode())
		switch {
		case st.Mode().IsRegular():
			fmt.Fprintf(&b, " %q", read(t, p))
		case st.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			b.WriteString(" " + target)
		}
		b.WriteByte('\n')
		return nil
	}))
	return b.String()
}

// TestExchange lets each kind of file change places with each other one, looks at both, and
// looks again after a remount.
func TestExchange(t *testing.T) {
	semantics.Claim(t,
		"RENAME_EXCHANGE works for files, folders, links and special files, each with the other; open handles keep their files.",
		"With --writeback an exchange of two files is one record of the journal: what is killed has exchanged both or neither, and of files that are not uploaded yet nothing but the key changes.",
	)
	for name, start := range map[string]func(t *testing.T) *mounts.Mount{
		"strict": func(t *testing.T) *mounts.Mount {
			m, _ := newMount(t, pool.MinIO(t))
			return m
		},
		"writeback": func(t *testing.T) *mounts.Mount {
			m, _, _ := fakeMount(t, "--writeback")
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := start(t)
			at := func(name string) string { return m.Dir + "/" + name }
			write(t, at("file"), "content of file")
			write(t, at("other"), strings.Repeat("other ", 20_000))
			must(t, os.Chmod(at("other"), 0o600))
			must(t, os.MkdirAll(at("full/sub"), 0o750))
			write(t, at("full/a"), "a in full")
			write(t, at("full/sub/b"), "b in full")
			must(t, os.Mkdir(at("empty"), 0o711))
			must(t, os.Symlink("target", at("link")))
			must(t, unix.Mkfifo(at("fifo"), 0o620))
			names := []string{"file", "other", "full", "empty", "link", "fifo"}
			open, err := os.OpenFile(at("file"), os.O_RDWR, 0)
			must(t, err)
			defer open.Close()
			for i, a := range names {
				for _, b := range names[i+1:] {
					wasA, wasB := shape(t, at(a)), shape(t, at(b))
					must(t, exchange(m, a, b))
					if shape(t, at(a)) != wasB || shape(t, at(b)) != wasA {
						t.Fatalf("%s and %s are\n%s\n%s\nwere\n%s\n%s", a, b, shape(t, at(a)), shape(t, at(b)), wasA, wasB)
					}
				}
			}
			_, err = open.WriteAt([]byte("CONTENT"), 0)
			must(t, err)
			must(t, open.Close())
			all := shape(t, m.Dir)
			if strings.Count(all, "CONTENT of file") != 1 {
				t.Errorf("what was written through the handle:\n%s", all)
			}
			if name == "writeback" {
				m.Kill()
				m.Revive()
				same(t, "all after a kill", shape(t, m.Dir), all)
			}
			m.Remount(true)
			same(t, "all after a remount without the cache", shape(t, m.Dir), all)
			if strings.Contains(all, ".exchange-") {
				t.Errorf("a temporary name is left:\n%s", all)
			}
		})
	}
}

// TestKilledExchange kills the mount at each copy and deletion of an exchange.
func TestKilledExchange(t *testing.T) {
	t.Parallel()
	semantics.Claim(t,
		"A process that is killed in the middle of an exchange leaves each content under some key, and the next mount of the same bucket with the same cache directory undoes the exchange or finishes it.",
		"RENAME_EXCHANGE of two files copies the one to NAME.exchange-RANDOM beside it, the other over it, and that copy over the other, each only over the version that is known: both names are there at each moment.",
		"RENAME_EXCHANGE of a folder moves what is in it by way of such a name: to other clients both names are missing in part while it lasts.",
	)
	type step struct {
		op   s3fake.Op
		skip int
	}
	for kind, steps := range map[string][]step{
		"files":   {{s3fake.CopyObject, 0}, {s3fake.CopyObject, 1}, {s3fake.CopyObject, 2}, {s3fake.DeleteObjects, 0}},
		"folders": {{s3fake.CopyObject, 1}, {s3fake.DeleteObjects, 0}, {s3fake.CopyObject, 4}, {s3fake.DeleteObjects, 1}, {s3fake.CopyObject, 7}, {s3fake.DeleteObjects, 2}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			m, fake, b := fakeMount(t)
			under := map[string]string{"files": "", "folders": "/f"}[kind]
			for _, name := range []string{"a", "b"} {
				for i := range map[string]int{"files": 1, "folders": 3}[kind] {
					key := name + under
					if under != "" {
						key += fmt.Sprint(i)
					}
					b.Put(key, []byte("of "+name), map[string]string{"mode": "33152"})
				}
			}
			content := func(key string) string {
				if under != "" {
					key += under + "0"
				}
				got, _ := b.Get(key)
				return string(got)
			}
			for _, s := range steps {
				wasA, wasB := content("a"), content("b")
				n := len(b.Keys(""))
				before := fake.Stats().Requests[s.op]
				fake.Fail(s3fake.Rule{Op: s.op, Skip: s.skip, Fault: s3fake.Fault{Act: s3fake.Hang}})
				ended := make(chan error, 1)
				go func() { ended <- exchange(m, "a", "b") }()
				eventually(t, fmt.Sprint("the exchange comes to ", s), func() bool { return fake.Stats().Requests[s.op] > before+int64(s.skip) })
				m.Kill()
				if err := <-ended; err == nil {
					t.Errorf("%v: an exchange that was killed has succeeded", s)
				}
				fake.Heal()
				var all strings.Builder
				for _, key := range b.Keys("") {
					got, _ := b.Get(key)
					all.WriteString(string(got) + " ")
				}
				if kind == "files" && (content("a") == "" || content("b") == "") || !strings.Contains(all.String(), wasA) || !strings.Contains(all.String(), wasB) {
					t.Errorf("%v: the keys are %q with %q", s, b.Keys(""), all.String())
				}
				m.Revive()
				nowA, nowB := content("a"), content("b")
				if (nowA != wasA || nowB != wasB) && (nowA != wasB || nowB != wasA) || len(b.Keys("")) != n {
					t.Errorf("%v: a is %q, b is %q, the keys are %q", s, nowA, nowB, b.Keys(""))
				}
				same(t, fmt.Sprint(s, ": what the mount shows"), read(t, m.Dir+"/a"+strings.Replace(under, "/f", "/f0", 1)), nowA)
			}
		})
	}
}

// TestExchangeThatFails has the store refuse a copy, and somebody else replace a file.
func TestExchangeThatFails(t *testing.T) {
	t.Parallel()
	semantics.Claim(t, "An exchange that the store refuses in the middle is undone, and so is one in which somebody else has replaced a file: the kernel tries again with what is there then, once, and a second time it is ESTALE. What can't be undone is told by one line in the log, with the keys.")
	m, fake, b := fakeMount(t, "--dir-cache-time", "1m")
	b.Put("a", []byte("of a"), nil)
	b.Put("b", []byte("of b"), nil)
	refuse := s3fake.Rule{Op: s3fake.CopyObject, Key: "b", Count: 1, Fault: s3fake.Fault{Act: s3fake.Status, Code: "AccessDenied"}}
	fake.Fail(refuse)
	wantErrno(t, "an exchange of which a copy is refused", exchange(m, "a", "b"), unix.EACCES)
	same(t, "both files", read(t, m.Dir+"/a")+" "+read(t, m.Dir+"/b"), "of a of b")
	same(t, "the keys", strings.Join(b.Keys(""), " "), "a b")

	// Somebody replaces b once the mount knows it.
	fake.Heal()
	must(t, errors.Join(read2(m.Dir+"/a"), read2(m.Dir+"/b")))
	b.Put("b", []byte("theirs"), nil)
	copies := fake.Stats().Requests[s3fake.CopyObject]
	must(t, exchange(m, "a", "b"))
	if n := fake.Stats().Requests[s3fake.CopyObject] - copies; n < 5 {
		t.Errorf("%d copies: it was not tried again", n)
	}
	same(t, "the keys", strings.Join(b.Keys(""), " "), "a b")
	same(t, "both files, exchanged", read(t, m.Dir+"/a")+" "+read(t, m.Dir+"/b"), "theirs of a")

	// Nothing can be undone while the store takes nothing more.
	deny := s3fake.Fault{Act: s3fake.Status, Code: "AccessDenied"}
	fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Skip: 2, Fault: deny}, s3fake.Rule{Op: s3fake.DeleteObjects, Fault: deny})
	wantErrno(t, "an exchange that can't be undone", exchange(m, "a", "b"), unix.EACCES)
	says(t, m, "an exchange of two files stays half done")
	fake.Heal()
	m.Signal(os.Interrupt)
	must(t, m.Wait())
	m.Revive()
	same(t, "both files, after the next mount", len(b.Keys("")), 2)
	if a, z := read(t, m.Dir+"/a"), read(t, m.Dir+"/b"); a == z {
		t.Errorf("both are %q", a)
	}
}

// read2 reads a file for what that makes the mount know.
func read2(path string) error {
	_, err := os.ReadFile(path)
	return err
}

// TestKilledExchangeWriteback kills a mount with --writeback while two folders change
// places: the next one, which goes on with the journal, ends it.
func TestKilledExchangeWriteback(t *testing.T) {
	t.Parallel()
	m, _, b := fakeMount(t, "--writeback")
	const files = 60
	for _, name := range []string{"a", "b"} {
		must(t, os.Mkdir(m.Dir+"/"+name, 0o755))
		for i := range files {
			write(t, fmt.Sprintf("%s/%s/%d", m.Dir, name, i), fmt.Sprint(name, i))
		}
	}
	records := func(n int) bool {
		all, err := filepath.Glob(m.Cache + "/*/renames/*.json")
		must(t, err)
		return len(all) >= n
	}
	for range 3 {
		wasA, wasB := shape(t, m.Dir+"/a"), shape(t, m.Dir+"/b")
		ended := make(chan error, 1)
		go func() { ended <- exchange(m, "a", "b") }()
		eventually(t, "the exchange has begun", func() bool { return records(1) || len(ended) > 0 })
		m.Kill()
		err := <-ended
		m.Revive()
		nowA, nowB := shape(t, m.Dir+"/a"), shape(t, m.Dir+"/b")
		switch {
		case nowA == wasB && nowB == wasA:
		case err != nil && nowA == wasA && nowB == wasB:
		default:
			t.Fatalf("the exchange said %v; a has\n%s\nb has\n%s", err, nowA, nowB)
		}
		if records(1) {
			t.Error("a record is left")
		}
	}
	all := shape(t, m.Dir)
	m.Unmount()
	same(t, "keys", len(b.Keys("")), 2*(files+1))
	m.Revive()
	same(t, "all after a remount", shape(t, m.Dir), all)
}
