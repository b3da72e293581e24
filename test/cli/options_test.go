package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/s3mount/s3mount/test/s3fake"
)

// The options that tune uploads do what they say.
func TestUploadOptions(t *testing.T) {
	const mib = 1 << 20
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, make([]byte, 20*mib), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		flags []string
		parts int64 // 0: sent whole
		md5   bool  // stored with what was sent in parts
	}{
		{"parts of 5 MiB", []string{"--s3-chunk-size=5Mi", "--s3-upload-cutoff=5Mi"}, 4, true},
		{"as large as the cutoff", []string{"--s3-upload-cutoff=20Mi"}, 0, false},
		{"a byte over the cutoff", []string{"--s3-upload-cutoff=20971519b"}, 2, true},
		{"everything in parts", []string{"--s3-upload-cutoff=0"}, 2, true},
		{"no parts", []string{"--s3-use-multipart-uploads=false"}, 0, false},
		{"no sum", []string{"--s3-disable-checksum", "--s3-upload-cutoff=5Mi"}, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s3fake.Start(t, s3fake.Options{})
			b := s.Bucket("bucket")
			got := costs(t, s, dir, append([]string{"copy", path, "test:bucket"}, c.flags...)...)
			if got[s3fake.UploadPart] != c.parts || (got[s3fake.PutObject] == 0) == (c.parts == 0) {
				t.Errorf("%v, want %d parts", got, c.parts)
			}
			o, _ := b.Head("file")
			if _, has := o.Meta["md5chksum"]; has != c.md5 {
				t.Errorf("the metadata is %v", o.Meta)
			}
		})
	}
}

// With no_check_bucket a bucket that is not there is not made; listings come in pages
// of list_chunk keys.
func TestOptionsOfBucketsAndListings(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c, _ := commandOn(t, s, dir, "copy", ".", "test:new", "--s3-no-check-bucket")
	if err := c.Run(); err == nil || s.Stats().Requests[s3fake.CreateBucket] != 0 {
		t.Errorf("%v after %v", err, s.Stats().Requests)
	}
	b := s.Bucket("bucket")
	b.AddVirtual(s3fake.Virtual{N: 100, Size: 1})
	if got := costs(t, s, dir, "size", "--fast-list", "test:bucket", "--s3-list-chunk=10"); got[s3fake.ListObjectsV2] < 10 {
		t.Errorf("%v", got)
	}
}
