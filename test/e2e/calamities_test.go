package e2e

import (
	"bytes"
	"context"
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

// calamity is what befalls a store and needs somebody to look after it.
type calamity struct {
	code  string    // of the store's answers
	op    s3fake.Op // that are so; empty: all
	errno unix.Errno
	do    string // what the log says that helps
}

var calamities = map[string]calamity{
	"quota":               {"QuotaExceeded", s3fake.PutObject, unix.EDQUOT, "raise the quota"},
	"disk of the store":   {"InsufficientStorage", s3fake.PutObject, unix.EDQUOT, "raise the quota"},
	"quota of MinIO":      {"XMinioAdminBucketQuotaExceeded", s3fake.PutObject, unix.EDQUOT, "raise the quota"},
	"expired credentials": {"ExpiredToken", "", unix.EACCES, "whether they expired"},
	"clock":               {"RequestTimeTooSkewed", "", unix.EACCES, "set this machine's clock"},
	"bucket deleted":      {"NoSuchBucket", "", unix.EIO, "make it again"},
}

func (c calamity) strike(fake *s3fake.Server) {
	fake.Fail(s3fake.Rule{Op: c.op, Fault: s3fake.Fault{Act: s3fake.Status, Code: c.code}})
}

// told returns the lines of a mount's log that have all of some words.
func told(m *mounts.Mount, words ...string) (lines []string) {
next:
	for line := range strings.Lines(m.Log()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// TestCalamities lets a file be written while the store answers with what only a person can
// mend: the program is told, the log says once what to do, and the open file still has its
// content when all is well again.
func TestCalamities(t *testing.T) {
	semantics.Claim(t, "A reached quota is EDQUOT, expired credentials or a wrong clock are EACCES, and a deleted bucket is EIO, at once and with a line in the log that says what to do; an open file keeps what was written, and its next fsync stores it once the cause is gone.")
	t.Parallel()
	for name, c := range calamities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fake, b := fakeMount(t, "--retry-for", "1s", "--dir-cache-time", "0", "--attr-timeout", "0")
			b.Put("before", []byte("data"), nil)
			f, err := os.Create(m.Dir + "/f")
			must(t, err)
			defer f.Close()
			_, err = f.Write(content(3))
			must(t, err)
			c.strike(fake)
			wantErrno(t, "fsync", f.Sync(), c.errno)
			wantErrno(t, "fsync once more", f.Sync(), c.errno)
			if c.op == "" {
				_, err := os.ReadFile(m.Dir + "/before")
				wantErrno(t, "reading", err, c.errno)
				wantErrno(t, "removing", os.Remove(m.Dir+"/before"), c.errno)
			}
			wantErrno(t, "another writer", os.WriteFile(m.Dir+"/other", content(3), 0o644), c.errno)
			eventually(t, "the log tells what to do", func() bool { return len(told(m, "op=fsync", "key=f", c.do, c.code)) > 0 })
			fake.Heal()
			must(t, f.Sync())
			got, _ := b.Get("f")
			same(t, "the object is whole", bytes.Equal(got, content(3)), true)
			same(t, "what was there", read(t, m.Dir+"/before"), "data")
			must(t, os.WriteFile(m.Dir+"/other", content(4), 0o644))
			same(t, "lines for one file", len(told(m, "op=fsync", "key=f")), 1)
		})
	}
}

// TestWritebackCalamities is TestCalamities with --writeback: nobody waits, nothing is lost,
// and the queue goes on by itself.
func TestWritebackCalamities(t *testing.T) {
	semantics.Claim(t, "What S3 does not take with --writeback stays in the journal and is tried again; one later fsync or close of the file fails with the reason, and only what depends on it waits.")
	t.Parallel()
	for name, c := range calamities {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fake, b := fakeMount(t, "--writeback", "--retry-for", "1s")
			must(t, os.Mkdir(m.Dir+"/d", 0o755))
			code, _, stderr := s3mount(t, nil, "flush", m.Dir)
			same(t, "exit code of flush: "+stderr, code, 0)
			names(t, m.Dir+"/d")
			c.strike(fake)
			for i := range 4 {
				must(t, os.WriteFile(fmt.Sprint(m.Dir, "/d/", i), content(i), 0o644))
			}
			eventually(t, "the log tells what to do", func() bool { return len(told(m, "kept in the journal", "op=put", "key=d/3", c.do, c.code)) > 0 })
			eventually(t, "it is tried again", func() bool { return fake.Stats().Faults > 8 })
			same(t, "lines for one file", len(told(m, "kept in the journal", "key=d/3")), 1)
			for i := range 4 {
				same(t, "it is read back", read(t, fmt.Sprint(m.Dir, "/d/", i)), string(content(i)))
			}
			same(t, "its state", xattr(t, m.Dir+"/d/3", "user.s3mount.state"), "failing")
			code, stdout, _ := s3mount(t, nil, "status", m.Dir)
			if code != 0 || !strings.Contains(stdout, c.code) {
				t.Errorf("status: %d, %q", code, stdout)
			}
			m.Kill()
			fake.Heal()
			m.Revive()
			m.Unmount()
			for i := range 4 {
				got, _ := b.Get(fmt.Sprint("d/", i))
				same(t, "the object is whole", bytes.Equal(got, content(i)), true)
			}
		})
	}
}

// TestBucketIsDeletedAndMadeAgain loses what the bucket had, and nothing else.
func TestBucketIsDeletedAndMadeAgain(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"strict": nil, "writeback": {"--writeback"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fake, b := fakeMount(t, append(args, "--retry-for", "1s")...)
			ctx, client := context.Background(), mounts.Client(t, m.Options.Server)
			write(t, m.Dir+"/old", "old")
			if args != nil {
				code, _, stderr := s3mount(t, nil, "flush", m.Dir)
				same(t, "exit code of flush: "+stderr, code, 0)
			}
			opened, err := os.OpenFile(m.Dir+"/old", os.O_WRONLY, 0)
			must(t, err)
			defer opened.Close()
			_, err = opened.WriteString("edited")
			must(t, err)
			made, err := os.Create(m.Dir + "/made")
			must(t, err)
			defer made.Close()
			_, err = made.WriteString("made")
			must(t, err)

			for _, key := range b.Keys("") {
				b.Delete(key)
			}
			must(t, client.DeleteBucket(ctx, "bucket"))
			if args == nil {
				wantErrno(t, "fsync", made.Sync(), unix.EIO)
				wantErrno(t, "fsync of what the bucket had", opened.Sync(), unix.EIO)
			} else {
				must(t, made.Sync())
				must(t, opened.Sync())
			}
			eventually(t, "the log tells what to do", func() bool { return len(told(m, "key=made", "make it again")) == 1 })
			eventually(t, "of the other file, too", func() bool { return len(told(m, "key=old", "make it again")) == 1 })

			b = fake.Bucket("bucket")
			if args == nil {
				must(t, made.Sync())
				wantErrno(t, "fsync of what somebody removed", opened.Sync(), unix.ESTALE)
			}
			eventually(t, "the new file is stored", func() bool { got, _ := b.Get("made"); return string(got) == "made" })
			eventually(t, "the old one is kept as a conflict", func() bool {
				all := b.Keys("old.conflict-")
				if len(all) != 1 {
					return false
				}
				got, _ := b.Get(all[0])
				return string(got) == "edited"
			})
		})
	}
}

// TestWritebackFillsTheCacheDuringAnOutage writes more than the disk may hold: what was taken
// is kept, what was not is said to the writer.
func TestWritebackFillsTheCacheDuringAnOutage(t *testing.T) {
	semantics.Claim(t, "While S3 does not answer, a mount with --writeback goes on writing; once --cache-size, or a sixteenth of --memory for what is pending, is full, a writer waits for --retry-for and fails with ENOSPC.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback", "--cache-size", "64M", "--retry-for", "1s")
	must(t, os.Mkdir(m.Dir+"/d", 0o755))
	names(t, m.Dir+"/d")
	fake.Fail(s3fake.Rule{Fault: s3fake.Fault{Act: s3fake.Reset}})
	data := make([]byte, 9<<20)
	s3fake.NewPattern(7).ReadAt(data, 0)
	taken := 0
	var err error
	for ; err == nil && taken < 20; taken++ {
		err = os.WriteFile(fmt.Sprint(m.Dir, "/d/", taken), data, 0o644)
	}
	taken--
	wantErrno(t, fmt.Sprintf("writing file %d", taken), err, unix.ENOSPC)
	eventually(t, "the log tells what to do", func() bool { return len(told(m, "no space left", "--cache-size", fmt.Sprint("key=d/", taken))) == 1 })
	fake.Heal()
	code, _, stderr := s3mount(t, nil, "flush", m.Dir)
	same(t, "exit code of flush: "+stderr, code, 0)
	for i := range taken {
		got, _ := b.Get(fmt.Sprint("d/", i))
		same(t, "the object is whole", bytes.Equal(got, data), true)
	}
	must(t, os.WriteFile(m.Dir+"/after", data, 0o644))
}

// TestWritebackWithADamagedJournal flips a bit of a record that was confirmed.
func TestWritebackWithADamagedJournal(t *testing.T) {
	semantics.Claim(t, "A damaged journal is used up to the damage; the damaged file is kept beside it, and one line in the log names it.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback", "--retry-for", "1s")
	must(t, os.Mkdir(m.Dir+"/d", 0o755))
	names(t, m.Dir+"/d")
	fake.Fail(s3fake.Rule{Fault: s3fake.Fault{Act: s3fake.Reset}})
	for _, name := range []string{"first", "second", "third"} {
		write(t, m.Dir+"/d/"+name, "the "+name+" content")
		syncDir(t, m.Dir+"/d")
	}
	m.Kill()
	fake.Heal()
	path, off := findInFiles(t, m.Cache, "the second content")
	flip(t, path, off)
	m.Revive()
	same(t, "what was before the damage", read(t, m.Dir+"/d/first"), "the first content")
	aside, err := filepath.Glob(path + ".damaged*")
	must(t, err)
	if len(aside) != 1 || !strings.Contains(read(t, aside[0]), "the third content") {
		t.Fatalf("the damaged file is not kept: %v", aside)
	}
	eventually(t, "the log names it once", func() bool { return len(told(m, "the journal is damaged", aside[0])) == 1 })
	write(t, m.Dir+"/d/second", "written again")
	m.Unmount()
	for key, want := range map[string]string{"d/first": "the first content", "d/second": "written again"} {
		got, _ := b.Get(key)
		same(t, key, string(got), want)
	}
	same(t, "it is kept after the end", read(t, aside[0]) != "", true)
}

// findInFiles returns the file below dir that holds a text, and where.
func findInFiles(t testing.TB, dir, text string) (path string, off int64) {
	t.Helper()
	found := errors.New("found")
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		if i := bytes.Index(data, []byte(text)); err == nil && i >= 0 {
			path, off, err = p, int64(i), found
		}
		return err
	})
	if !errors.Is(err, found) {
		t.Fatalf("%q is in no file: %v", text, err)
	}
	return path, off
}

// TestRegressionWhatTheDiskHasLostIsToldByRecover looks at what a killed mount has left before
// it is uploaded, as recover itself does: what is lost of that is told all the same.
func TestRegressionWhatTheDiskHasLostIsToldByRecover(t *testing.T) {
	for name, c := range map[string]struct {
		lose func(t *testing.T, cache string)
		told string
	}{
		"a record": {func(t *testing.T, cache string) {
			path, off := findInFiles(t, cache, "the second content")
			flip(t, path, off)
		}, "the journal is damaged"},
		"a file": {func(t *testing.T, cache string) {
			path, _ := findInFiles(t, cache, strings.Repeat("the large content", 10_000))
			must(t, os.Remove(path))
		}, "what was written to a file is lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, fake, _ := fakeMount(t, "--writeback", "--retry-for", "1s")
			fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Fault{Act: s3fake.Reset}})
			for _, name := range []string{"first", "second", "third"} {
				write(t, m.Dir+"/"+name, "the "+name+" content")
			}
			write(t, m.Dir+"/large", strings.Repeat("the large content", 10_000))
			m.Kill()
			fake.Heal()
			c.lose(t, m.Cache)
			s3mount(t, nil, "status", "--cache-dir", m.Cache)
			s3mount(t, nil, "cache", "show", "--cache-dir", m.Cache)
			_, stdout, stderr := s3mount(t, nil, "recover", "--config", m.Options.Config, "--cache-dir", m.Cache)
			if !strings.Contains(stderr, c.told) {
				t.Errorf("recover tells %q and %q", stdout, stderr)
			}
		})
	}
}
