package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

// walkTree makes a bucket with folders of small files of known times, stored an hour ago.
func walkTree(t *testing.T, folders, files int) (*s3fake.Server, string) {
	t.Helper()
	fake := s3fake.Start(t, s3fake.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	name, _ := mounts.NewBucket(t, servers.Of(fake))
	for d := range folders {
		for f := range files {
			fake.Bucket(name).Put(fmt.Sprintf("d%03d/f%03d", d, f), []byte("x"),
				map[string]string{"mtime": fmt.Sprintf("%d.000000007", d*1000+f)})
		}
	}
	return fake, name
}

// statAll goes through a tree and checks each file's time. It returns how many there are.
func statAll(t *testing.T, root string) (files int) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		var dir, f int
		if _, err := fmt.Sscanf(path[len(root):], "/d%03d/f%03d", &dir, &f); err != nil {
			return err
		}
		if want := time.Unix(int64(dir*1000+f), 7); !info.ModTime().Equal(want) {
			t.Errorf("%s: %v, want %v", path, info.ModTime(), want)
		}
		files++
		return nil
	}))
	return files
}

func TestAttributesOutliveTheMount(t *testing.T) {
	semantics.Claim(t,
		"An object's metadata is asked for when somebody looks at its attributes, not when names are listed, and is kept in the cache directory for the next mounts; it is believed for the version, ETag and time of upload, that the store shows.")
	const folders, files = 30, 40
	fake, name := walkTree(t, folders, files)
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name})
	fake.ResetStats()
	if names, err := os.ReadDir(m.Dir + "/d000"); err != nil || len(names) != files {
		t.Fatalf("%d names, %v", len(names), err)
	}
	heads := func() int { return int(fake.Stats().Requests[s3fake.HeadObject]) }
	same(t, "files", statAll(t, m.Dir), folders*files)
	if n := heads(); n > folders*files+folders {
		t.Errorf("%d HEADs for %d files", n, folders*files)
	}
	if n := fake.Stats().Requests[s3fake.ListObjectsV2]; n > 12 {
		t.Errorf("%d LISTs for %d folders", n, folders)
	}
	m.Remount(false)
	fake.ResetStats()
	same(t, "files after a remount", statAll(t, m.Dir), folders*files)
	if n := heads(); n > 3 { // the markers of the first folders
		t.Errorf("%d HEADs after a remount", n)
	}
	m.Kill()
	m.Revive()
	fake.ResetStats()
	same(t, "files after a crash", statAll(t, m.Dir), folders*files)
	if n := heads(); n > 3 {
		t.Errorf("%d HEADs after a crash", n)
	}
}

func TestServerModTime(t *testing.T) {
	semantics.Claim(t,
		"With --use-server-modtime every object has the time of its upload, nothing is asked for attributes, and modes, owners and links show only where the mount knows them without asking.")
	fake, name := walkTree(t, 2, 50)
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name, Args: []string{"--use-server-modtime"}})
	fake.ResetStats()
	names, err := os.ReadDir(m.Dir + "/d001")
	must(t, err)
	for _, n := range names {
		info, err := n.Info()
		must(t, err)
		if age := time.Since(info.ModTime()); age < 50*time.Minute || age > 70*time.Minute {
			t.Errorf("%s: %v", n.Name(), info.ModTime())
		}
	}
	same(t, "HEADs", fake.Stats().Requests[s3fake.HeadObject], 0)
	must(t, os.Symlink("f001", m.Dir+"/link"))
	target, err := os.Readlink(m.Dir + "/link")
	must(t, err)
	same(t, "the link's target", target, "f001")
}

func TestNamesThatWereNotThereAreSeenInTime(t *testing.T) {
	semantics.Claim(t,
		"A name that is not there is asked for again after --dir-cache-time; the kernel asks the mount again after --attr-timeout.")
	fake, name := walkTree(t, 1, 3)
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name,
		Args: []string{"--dir-cache-time", "1s", "--attr-timeout", "200ms"}})
	look := func() error {
		_, err := os.Stat(m.Dir + "/d000/later")
		return err
	}
	for range 50 {
		if err := look(); !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if n := fake.Stats().Total(); n > 20 {
		t.Errorf("%d requests for one name that is not there", n)
	}
	fake.Bucket(name).Put("d000/later", []byte("x"), nil)
	for deadline := time.Now().Add(20 * time.Second); look() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("it is never seen")
		}
	}
}

// The kernel gives back what it is asked to forget, and finds it again.
func TestTheKernelForgetsBeyondALimit(t *testing.T) {
	const n = 20_000
	fake := s3fake.Start(t, s3fake.Options{})
	name, _ := mounts.NewBucket(t, servers.Of(fake))
	fake.Bucket(name).AddVirtual(s3fake.Virtual{Prefix: "many/name-", N: n, Size: 100})
	m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: name,
		Args: []string{"--memory", "32M", "--use-server-modtime"}})
	f, err := os.Open(m.Dir + "/many/name-00007")
	must(t, err)
	defer f.Close()
	names, err := os.ReadDir(m.Dir + "/many")
	must(t, err)
	same(t, "names", len(names), n)
	for _, e := range names {
		if info, err := e.Info(); err != nil || info.Size() != 100 {
			t.Fatalf("%s: %v", e.Name(), err)
		}
	}
	if _, err := f.Read(make([]byte, 100)); err != nil {
		t.Errorf("the open file: %v", err)
	}
	info, err := os.Stat(m.Dir + "/many/name-00007")
	must(t, err)
	same(t, "size", info.Size(), 100)
}
