package contract

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
)

const mib = 1 << 20

// parts uploads a pattern in parts of the sizes, the first of them twice: what is sent
// again under a number takes the place of what was.
func (e *env) parts(key, id string, sizes ...int64) []object.Part {
	e.Helper()
	var parts []object.Part
	var off int64
	for i, size := range sizes {
		if i == 0 {
			wrong := s3fake.NewPattern(99).Reader(size)
			_, err := e.bucket.UploadPart(e.ctx, key, id, 1, wrong)
			e.must(err)
		}
		data := make([]byte, size)
		s3fake.NewPattern(5).ReadAt(data, off)
		part, err := e.bucket.UploadPart(e.ctx, key, id, i+1, section(data))
		e.must(err)
		if part.Number != i+1 || part.ETag == "" || part.Size != size {
			e.Errorf("part %d: %+v", i+1, part)
		}
		parts = append(parts, part)
		off += size
	}
	return parts
}

// uploadsUnder returns what to ask ListUploads for: a prefix, or where the store knows
// no prefixes the key.
func (e *env) uploadsUnder(prefix, key string) string {
	if e.store.uploadsOfKey {
		return key
	}
	return prefix
}

func TestMultipartUpload(t *testing.T) {
	run(t, func(t *testing.T, e *env) { e.multipart(t, false) })
}

// Where the store does not check sums, a Summed upload is a plain one.
func TestSummedUpload(t *testing.T) {
	run(t, func(t *testing.T, e *env) { e.multipart(t, true) })
}

// changing is bytes that are others when they are read again.
type changing struct {
	size  int64
	reads map[int64]int // by offset
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, make([]byte, max(0, min(int64(len(p)), c.size-off))))
	if off == 0 && n > 0 {
		p[0] = byte(c.reads[off])
		c.reads[off]++
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Nobody but the store can tell that a part's bytes changed on their way.
func TestChangedPartIsRefused(t *testing.T) {
	semantics.Claim(t, "What is sent is checked by the store: by its SHA-256, which the signature covers, or in parts of a large new file by their CRC32C where the store says that it checks that; other bytes are refused, and the close or fsync fails if they stay so.")
	run(t, func(t *testing.T, e *env) {
		for _, summed := range []bool{false, true} {
			id, err := e.bucket.CreateUpload(e.ctx, "k", object.PutOptions{Summed: summed})
			e.must(err)
			body := io.NewSectionReader(&changing{size: 1 << 20, reads: map[int64]int{}}, 0, 1<<20)
			_, err = e.bucket.UploadPart(e.ctx, "k", id, 1, body)
			e.kind(err, object.KindCorrupt)
			e.must(e.bucket.AbortUpload(e.ctx, "k", id))
		}
	})
}

// multipart uploads an object in parts, and looks at everything on the way.
func (e *env) multipart(t *testing.T, summed bool) {
	t.Helper()
	const size = 5*mib + 6*mib + 1000
	meta := object.Meta{"mtime": "1511424000.123456789"}
	id, err := e.bucket.CreateUpload(e.ctx, "dir/big", object.PutOptions{Meta: meta, ContentType: "text/x-odd", Summed: summed})
	e.must(err)
	parts := e.parts("dir/big", id, 5*mib, 6*mib, 1000)
	ups, err := e.bucket.ListUploads(e.ctx, e.uploadsUnder("dir/", "dir/big"))
	e.must(err)
	if len(ups) != 1 || ups[0].Key != "dir/big" || ups[0].ID != id || time.Since(ups[0].Initiated).Abs() > time.Hour {
		t.Errorf("uploads: %+v", ups)
	}
	_, err = e.bucket.Head(e.ctx, "dir/big")
	e.kind(err, object.KindNotFound)

	info, err := e.bucket.CompleteUpload(e.ctx, "dir/big", id, parts, object.Condition{})
	e.must(err)
	head, err := e.bucket.Head(e.ctx, "dir/big")
	e.must(err)
	if info.ETag == "" || info.ETag != head.ETag || info.Size != size || head.Size != size ||
		head.Meta["mtime"] != meta["mtime"] || head.ContentType != "text/x-odd" {
		t.Errorf("CompleteUpload said %+v, Head says %+v", info, head)
	}
	data, err := e.read(info.ID(), 0, size)
	e.must(err)
	if err := s3fake.NewPattern(5).Check([]byte(data), 0); err != nil {
		t.Error(err)
	}
	if ups, err = e.bucket.ListUploads(e.ctx, ""); err != nil || len(ups) != 0 {
		t.Errorf("uploads after the end: %+v, %v", ups, err)
	}
	copied, err := e.bucket.Copy(e.ctx, info.ID(), "copy", object.CopyOptions{Size: size})
	if err != nil || copied.Size != size {
		t.Errorf("copy of a multipart object: %+v, %v", copied, err)
	}
}

func TestAbortedUploadLeavesNothing(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := e.put("k", "old")
		id, err := e.bucket.CreateUpload(e.ctx, "k", object.PutOptions{})
		e.must(err)
		part, err := e.bucket.UploadPart(e.ctx, "k", id, 1, section([]byte("new")))
		e.must(err)
		e.must(e.bucket.AbortUpload(e.ctx, "k", id))
		e.must(e.bucket.AbortUpload(e.ctx, "k", id))
		ups, err := e.bucket.ListUploads(e.ctx, "")
		if err != nil || len(ups) != 0 {
			t.Errorf("uploads: %+v, %v", ups, err)
		}
		_, err = e.bucket.UploadPart(e.ctx, "k", id, 2, section([]byte("late")))
		e.kind(err, object.KindNotFound)
		// Ceph says InternalError for an upload that is gone, which may be anything.
		if _, err := e.bucket.CompleteUpload(e.ctx, "k", id, []object.Part{part}, object.Condition{}); err == nil {
			t.Error("an aborted upload was completed")
		}
		if head, err := e.bucket.Head(e.ctx, "k"); err != nil || head.ETag != old.ETag {
			t.Errorf("%+v, %v", head, err)
		}
	})
}

func TestListUploadsOfAPrefix(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		var want []string
		keys := []string{"a/1", "a/1", "a/ü+ %", "b/1"}
		if e.store.uploadsOfKey {
			keys = []string{"a/1", "a/1", "b/1"}
		}
		for _, key := range keys {
			id, err := e.bucket.CreateUpload(e.ctx, key, object.PutOptions{})
			e.must(err)
			if key[0] == 'a' {
				want = append(want, key+" "+id)
			}
		}
		ups, err := e.open("a").ListUploads(e.ctx, e.uploadsUnder("", "1"))
		e.must(err)
		var got []string
		for _, u := range ups {
			got = append(got, "a/"+u.Key+" "+u.ID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("uploads %q, want %q", got, want)
		}
		for _, u := range ups {
			e.must(e.open("a").AbortUpload(e.ctx, u.Key, u.ID))
		}
		if ups, err := e.bucket.ListUploads(e.ctx, e.uploadsUnder("a/", "a/1")); err != nil || len(ups) != 0 {
			t.Errorf("left: %+v, %v", ups, err)
		}
	})
}
