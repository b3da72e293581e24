package rclone

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// largeSize is more than S3 takes by one request, and than it copies by one.
const largeSize = 6 << 30

// marks are the bytes of the large file that are no zeros, by where they stand.
var marks = map[int64]string{0: "first", 3<<30 - 3: "middle", 5<<30 + 1: "behind", largeSize - 4: "last"}

// sparse makes a file of zeros that holds the marks.
func sparse(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Truncate(largeSize)
	for at, text := range marks {
		_, werr := f.WriteAt([]byte(text), at)
		err = errors.Join(err, werr)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// isSparse fails unless the file has the marks and zeros, and takes little room. What is
// not read lies in holes, which are zeros.
func isSparse(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if room := fi.Sys().(*syscall.Stat_t).Blocks * 512; fi.Size() != largeSize || room > largeSize/16 {
		t.Errorf("%d bytes take %d on the disk", fi.Size(), room)
	}
	want := make([]byte, 1<<20)
	got := make([]byte, 1<<20)
	for at := int64(0); at < largeSize; {
		data, err := f.Seek(at, 3) // SEEK_DATA
		if errors.Is(err, syscall.ENXIO) {
			break
		}
		at = data &^ (1<<20 - 1)
		if _, rerr := f.ReadAt(got, at); err != nil || rerr != nil && rerr != io.EOF {
			t.Fatal(err, rerr)
		}
		clear(want)
		for mark, text := range marks {
			for i := range len(text) {
				if j := mark + int64(i) - at; j >= 0 && j < int64(len(want)) {
					want[j] = text[i]
				}
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("it differs in the MiB at %d", at)
		}
		at += 1 << 20
	}
}

// A sparse file of 6 GiB goes up in parts to a real store, is the same there by the sum that
// is kept beside it, and comes down as sparse as it was.
func TestLargeSparseFileThereAndBack(t *testing.T) {
	p := newPair(t, pool.MinIO(t))
	p.patience = 10 * time.Minute
	sparse(t, filepath.Join(p.home, "up/big"))
	p.ours("copy", "up", p.bucket)
	if _, said := p.ours("check", "up", p.bucket); strings.Contains(said, "by size alone") || !strings.Contains(said, "are the same") {
		t.Errorf("check says %q", said)
	}
	p.same("ls", p.bucket)
	p.ours("copy", p.bucket, "down")
	isSparse(t, filepath.Join(p.home, "down/big"))
	_, said := p.ours("copy", "-v", "up", p.bucket)
	idle(t, said)
	_, said = p.theirs("copy", "-v", "up", p.bucket)
	idleTheirs(t, said)
}

// What is larger than one request copies, the store copies in parts; no byte comes here.
func TestLargeFileIsCopiedByTheStore(t *testing.T) {
	s := s3fake.Start(t, s3fake.Options{})
	p := newPair(t, servers.Of(s))
	name := strings.TrimPrefix(p.bucket, "test:")
	etag := s.Bucket(name).PutPattern("one/big", largeSize, s3fake.NewPattern(1), nil)
	s.ResetStats()
	p.ours("copy", p.bucket+"/one", p.bucket+"/two")
	if got, ok := s.Bucket(name).Head("two/big"); !ok || got.Size != largeSize || got.ETag == etag {
		t.Errorf("the copy is %+v", got)
	}
	st := s.Stats().Requests
	if st[s3fake.UploadPartCopy] < 2 || st[s3fake.GetObject]+st[s3fake.PutObject]+st[s3fake.UploadPart]+st[s3fake.CopyObject] != 0 {
		t.Errorf("requests: %v", st)
	}
	if _, said := p.ours("check", p.bucket+"/one", p.bucket+"/two"); !strings.Contains(said, "1 of them by size alone") {
		t.Errorf("check says %q", said)
	}
}
