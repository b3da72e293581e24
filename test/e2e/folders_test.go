package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

func TestFoldersAndMarkers(t *testing.T) {
	semantics.Claim(t,
		"A folder is there when a key begins with its name and \"/\"; mkdir makes it explicit by a marker, an empty object whose key ends in \"/\".",
		"A folder that loses its last file stays, also if it never had a marker: the mount makes one.",
		"rmdir refuses a folder that holds anything, also what other clients put there.")
	m, b := newMount(t, pool.Embedded(t))
	put(t, b, "implicit/deep/f", "x", nil)
	same(t, "a folder without a marker", strings.Join(names(t, m.Dir+"/implicit"), " "), "deep")
	must(t, os.Mkdir(m.Dir+"/made", 0o755))
	info, err := b.Head(context.Background(), "made/")
	must(t, err)
	same(t, "the marker's size", info.Size, 0)
	must(t, os.Remove(m.Dir+"/implicit/deep/f"))
	same(t, "keys after the last file went", strings.Join(keys(t, b), " "), "implicit/deep/ made/")
	if st, err := os.Stat(m.Dir + "/implicit/deep"); err != nil || !st.IsDir() {
		t.Errorf("the folder went with its last file: %v", err)
	}
	put(t, b, "made/by another", "x", nil)
	wantErrno(t, "rmdir of a folder with a file from elsewhere", unix.Rmdir(m.Dir+"/made"), unix.ENOTEMPTY)
	must(t, b.Delete(context.Background(), "made/by another"))
	must(t, unix.Rmdir(m.Dir+"/made"))
}

func TestRewinddir(t *testing.T) {
	m, b := newMount(t, pool.Embedded(t))
	put(t, b, "d/a", "x", nil)
	dir, err := os.Open(m.Dir + "/d")
	must(t, err)
	defer dir.Close()
	_, err = dir.Readdirnames(-1)
	must(t, err)
	must(t, os.WriteFile(m.Dir+"/d/b", nil, 0o644))
	must(t, os.Remove(m.Dir+"/d/a"))
	_, err = dir.Seek(0, 0)
	must(t, err)
	got, err := dir.Readdirnames(-1)
	must(t, err)
	same(t, "names after rewinddir", strings.Join(got, " "), "b")
}

func TestUnlinkOfOpenFiles(t *testing.T) {
	semantics.Claim(t, "unlink removes the object at once; handles that are open go on reading the file as it was.")
	m, b := newMount(t, pool.Embedded(t))
	want := strings.Repeat("precious ", 1<<18)
	put(t, b, "f", want, nil)
	f, err := os.Open(m.Dir + "/f")
	must(t, err)
	defer f.Close()
	must(t, os.Remove(m.Dir+"/f"))
	same(t, "keys", len(keys(t, b)), 0)
	buf := make([]byte, len(want))
	_, err = f.ReadAt(buf, 0)
	must(t, err)
	same(t, "the open file", string(buf), want)
}

func TestRenameLeavesWhatOthersStoreMeanwhile(t *testing.T) {
	t.Parallel()
	semantics.Claim(t, "Without --writeback, rename of a file removes from the old name only the version that it has copied, where the store knows conditional deletes (AWS, versitygw; Ceph 16 and MinIO do not): what somebody else stores there meanwhile stays.")
	m, fake, b := fakeMount(t)
	b.Put("a", []byte("ours"), nil)
	same(t, "a", read(t, m.Dir+"/a"), "ours")
	fake.Fail(s3fake.Rule{Op: s3fake.DeleteObject, Fault: s3fake.SlowDown()})
	renamed := make(chan error)
	go func() { renamed <- os.Rename(m.Dir+"/a", m.Dir+"/c") }()
	eventually(t, "the delete of the old name", func() bool { return fake.Stats().Requests[s3fake.DeleteObject] > 0 })
	b.Put("a", []byte("theirs"), nil)
	fake.Heal()
	must(t, <-renamed)
	same(t, "the old name", read(t, m.Dir+"/a"), "theirs")
	same(t, "the new name", read(t, m.Dir+"/c"), "ours")
}

func TestFoldersRenameLeavesWhatOthersStoreMeanwhile(t *testing.T) {
	t.Parallel()
	semantics.Claim(t, "rename of a folder lists the old names once more before it deletes them: what somebody else has stored there since it was copied stays, and the log tells how much that is.")
	m, fake, b := fakeMount(t)
	for i := range 20 {
		b.Put(fmt.Sprintf("dir/%02d", i), []byte("ours"), nil)
	}
	fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Key: "moved/13", Fault: s3fake.SlowDown()})
	renamed := make(chan error)
	go func() { renamed <- os.Rename(m.Dir+"/dir", m.Dir+"/moved") }()
	eventually(t, "a copy", func() bool {
		_, ok := b.Get("moved/05")
		return ok
	})
	b.Put("dir/05", []byte("theirs"), nil)
	b.Put("dir/new", []byte("theirs, too"), nil)
	fake.Heal()
	must(t, <-renamed)
	for name, want := range map[string]string{"dir/05": "theirs", "dir/new": "theirs, too", "moved/05": "ours", "moved/13": "ours"} {
		same(t, name, read(t, m.Dir+"/"+name), want)
	}
	same(t, "what is left of the folder", len(names(t, m.Dir+"/dir")), 2)
	if !strings.Contains(m.Log(), "what somebody else has stored there meanwhile") {
		t.Errorf("the log says %q", m.Log())
	}
}

func TestRenames(t *testing.T) {
	semantics.Claim(t,
		"rename of a file copies within S3 and then deletes: at no moment is the file under neither name.",
		"rename of a file that is being written stores it first: when rename returns, S3 has its content under the new name.",
		"rename over a file that is open leaves its readers the old content.",
		"rename of a folder copies everything beneath it, and deletes the old names only after every copy stands; if a copy fails, the folder is as it was.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake), "--dir-cache-time", "0", "--attr-timeout", "0")
	put(t, b, "a", "content of a", nil)
	put(t, b, "b", "content of b", nil)
	reader, err := os.Open(m.Dir + "/b")
	must(t, err)
	defer reader.Close()
	fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Fault: s3fake.Denied()})
	wantErrno(t, "a rename whose copy is refused", os.Rename(m.Dir+"/a", m.Dir+"/b"), unix.EACCES)
	fake.Heal()
	same(t, "a", get(t, b, "a"), "content of a")
	same(t, "b", get(t, b, "b"), "content of b")
	fake.Fail(s3fake.Rule{Op: s3fake.DeleteObject, Fault: s3fake.Denied()})
	wantErrno(t, "a rename whose delete is refused", os.Rename(m.Dir+"/a", m.Dir+"/c"), unix.EACCES)
	fake.Heal()
	same(t, "after a refused delete, under the old name", get(t, b, "a"), "content of a")
	same(t, "and under the new", get(t, b, "c"), "content of a")
	fake.StartTrace()
	must(t, os.Rename(m.Dir+"/a", m.Dir+"/b"))
	order := changes(fake.Trace())
	same(t, "the requests of a rename", strings.Join(order, ", "), "CopyObject b, DeleteObject a")
	buf := make([]byte, 12)
	_, err = reader.ReadAt(buf, 0)
	must(t, err)
	same(t, "the reader of the file that was renamed over", string(buf), "content of b")
	same(t, "the new content", read(t, m.Dir+"/b"), "content of a")

	f, err := os.Create(m.Dir + "/being written")
	must(t, err)
	_, err = f.WriteString("content")
	must(t, err)
	must(t, os.Rename(m.Dir+"/being written", m.Dir+"/b"))
	same(t, "what was being written", get(t, b, "b"), "content")
	must(t, f.Close())
	must(t, os.Remove(m.Dir+"/b"))

	for i := range 20 {
		put(t, b, fmt.Sprintf("dir/sub/%02d", i), "x", nil)
	}
	before := keys(t, b)
	fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Key: "moved/sub/13", Fault: s3fake.Denied()})
	wantErrno(t, "a folder's rename that fails halfway", os.Rename(m.Dir+"/dir", m.Dir+"/moved"), unix.EACCES)
	fake.Heal()
	if got := keys(t, b); !slices.Equal(got, before) {
		t.Errorf("after a failed rename the bucket has %q, want %q", got, before)
	}
	fake.StartTrace()
	must(t, os.Rename(m.Dir+"/dir", m.Dir+"/moved"))
	order = changes(fake.Trace())
	if at := slices.IndexFunc(order, func(s string) bool { return strings.HasPrefix(s, "Delete") }); at < 20 {
		t.Errorf("a delete came before the last copy: %q", order)
	}
	same(t, "files after the rename", len(names(t, m.Dir+"/moved/sub")), 20)
	if _, err := os.Stat(m.Dir + "/dir"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old folder is still there: %v", err)
	}
}

// changes are the lines of a trace that change the bucket: "OP key".
func changes(trace []string) (list []string) {
	for _, line := range trace {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "Head") || strings.HasPrefix(f[0], "Get") || strings.HasPrefix(f[0], "List") {
			continue
		}
		list = append(list, strings.Join(f[:min(2, len(f))], " "))
	}
	return list
}

func TestNamesWaitForAFoldersRename(t *testing.T) {
	semantics.Claim(t, "While a folder is being renamed, other operations on names in the mount wait.")
	fake := s3fake.Start(t, s3fake.Options{})
	m, b := newMount(t, servers.Of(fake))
	put(t, b, "dir/f", "x", nil)
	same(t, "before", read(t, m.Dir+"/dir/f"), "x")
	fake.SetLatency(s3fake.Latency{Copy: time.Second})
	renamed := make(chan error, 1)
	go func() { renamed <- os.Rename(m.Dir+"/dir", m.Dir+"/new") }()
	eventually(t, "the copy begins", func() bool { return fake.Stats().Requests[s3fake.CopyObject] > 0 })
	must(t, os.WriteFile(m.Dir+"/other", []byte("y"), 0o644))
	select {
	case err := <-renamed:
		must(t, err)
	case <-time.After(5 * time.Second):
		t.Error("a file was created while the folder was being renamed")
		must(t, <-renamed)
	}
	same(t, "after", read(t, m.Dir+"/new/f"), "x")
}

func TestRefusedNames(t *testing.T) {
	semantics.Claim(t,
		"Names end at 255 bytes and keys at 1024: a longer one is ENAMETOOLONG, never cut.")
	m, b := newMount(t, pool.Embedded(t))
	write(t, m.Dir+"/f", "x")
	long := strings.Repeat("n", 255)
	write(t, m.Dir+"/"+long, "x")
	wantErrno(t, "a name of 256 bytes", os.WriteFile(m.Dir+"/"+long+"n", nil, 0o644), unix.ENAMETOOLONG)
	deep := m.Dir
	for range 3 {
		deep += "/" + long
		os.Remove(deep)
		must(t, os.Mkdir(deep, 0o755))
	}
	deep += "/d"
	must(t, os.Mkdir(deep, 0o755))
	write(t, deep+"/"+strings.Repeat("k", 1024-3*256-2), "at the limit")
	wantErrno(t, "a key of 1025 bytes", os.WriteFile(deep+"/"+strings.Repeat("k", 1025-3*256-2), nil, 0o644), unix.ENAMETOOLONG)
	longest := slices.MaxFunc(keys(t, b), func(a, b string) int { return len(a) - len(b) })
	same(t, "the longest key", len(longest), 1024)
}
