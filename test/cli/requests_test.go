package cli

import (
	"fmt"
	"testing"

	"github.com/s3mount/s3mount/test/s3fake"
)

// costs runs a command on a stand-in and returns the requests that it made.
func costs(t *testing.T, s *s3fake.Server, dir string, args ...string) map[s3fake.Op]int64 {
	t.Helper()
	s.ResetStats()
	c, stderr := commandOn(t, s, dir, args...)
	if err := c.Run(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, stderr)
	}
	return s.Stats().Requests
}

// Between buckets of a remote, the store copies: nothing goes through here.
func TestCopiesWithinARemoteAreTheStoresWork(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	from := s.Bucket("from")
	for i := range 10 {
		from.Put(fmt.Sprintf("dir/%d", i), []byte("data"), map[string]string{"mtime": "1600000000.5"})
	}
	got := costs(t, s, t.TempDir(), "copy", "test:from", "test:target/below")
	if got[s3fake.CopyObject] < 10 || got[s3fake.GetObject] != 0 || got[s3fake.PutObject] != 0 {
		t.Errorf("%v", got)
	}
	if n := len(s.Bucket("target").Keys("below/dir/")); n != 10 {
		t.Errorf("%d files are there", n)
	}
	got = costs(t, s, t.TempDir(), "copy", "test:from", "test:target/below")
	if got[s3fake.CopyObject] != 0 {
		t.Errorf("the second time: %v", got)
	}
}

// With --fast-list a bucket costs a request for 1,000 keys; sizes cost nothing more.
func TestFastListAsksOncePerPage(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	for i := range 50 {
		b.AddVirtual(s3fake.Virtual{Prefix: fmt.Sprintf("dir%02d/", i), N: 100, Size: 1})
	}
	fast := costs(t, s, t.TempDir(), "size", "--fast-list", "test:bucket")
	if n := fast[s3fake.ListObjectsV2]; n != 5 || len(fast) != 1 {
		t.Errorf("5,000 keys cost %v", fast)
	}
	if slow := costs(t, s, t.TempDir(), "size", "test:bucket"); slow[s3fake.ListObjectsV2] > 60 || len(slow) != 1 {
		t.Errorf("folder by folder: %v", slow)
	}
}

// A dry run changes nothing, and asks for no more than a real one.
func TestDryRunsOnlyLook(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	s.Bucket("bucket").Put("extra", []byte("x"), nil)
	dir := t.TempDir()
	bigFile(t, dir+"/tree/a", 16)
	for _, args := range [][]string{
		{"copy", "tree", "test:bucket"}, {"sync", "tree", "test:bucket"}, {"copy", "tree", "test:new"}, {"delete", "test:bucket"},
		{"purge", "test:bucket"}, {"touch", "test:bucket/new"}, {"mkdir", "test:new"}, {"rmdir", "test:bucket"}, {"restore", "test:bucket"},
	} {
		for op := range costs(t, s, dir, append(args, "--dry-run")...) {
			switch op {
			case s3fake.ListObjectsV2, s3fake.HeadObject, s3fake.HeadBucket, s3fake.ListBuckets:
			default:
				t.Errorf("%q sends %s", args, op)
			}
		}
	}
}
