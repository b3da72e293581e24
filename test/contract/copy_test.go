package contract

import (
	"maps"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestCopyKeepsOrReplacesMetadata(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		meta := object.Meta{"mtime": "1511424000.123456789", "mode": "33188"}
		src, err := e.bucket.Put(e.ctx, "src", section([]byte("data")), object.PutOptions{Meta: meta, ContentType: "text/x-odd"})
		e.must(err)
		kept, err := e.bucket.Copy(e.ctx, src.ID(), "kept", object.CopyOptions{Size: 4})
		e.must(err)
		info, err := e.bucket.Head(e.ctx, "kept")
		e.must(err)
		if !maps.Equal(info.Meta, meta) || info.ContentType != "text/x-odd" || kept.ETag != info.ETag || kept.Size != 4 {
			t.Errorf("Copy said %+v, Head says %+v", kept, info)
		}
		replaced := object.Meta{"mtime": "2.000000001"}
		_, err = e.bucket.Copy(e.ctx, src.ID(), "replaced", object.CopyOptions{Size: 4, Meta: replaced, ContentType: "text/x-other"})
		e.must(err)
		info, err = e.bucket.Head(e.ctx, "replaced")
		e.must(err)
		if !maps.Equal(info.Meta, replaced) || info.ContentType != "text/x-other" {
			t.Errorf("replaced: %+v", info)
		}
		e.holds("kept", "data")
		e.holds("replaced", "data")
	})
}

func TestCopyOntoItselfChangesMetadata(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		src := e.put("k", "data")
		_, err := e.bucket.Copy(e.ctx, src.ID(), "k", object.CopyOptions{Size: 4, Meta: object.Meta{"mtime": "9.5"}})
		e.must(err)
		info, err := e.bucket.Head(e.ctx, "k")
		e.must(err)
		if info.Meta["mtime"] != "9.5" {
			t.Errorf("%+v", info)
		}
		e.holds("k", "data")
	})
}

// What this Bucket has stored is given other metadata without a look at it.
func TestCopyOfWhatIsOurs(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		src, err := e.bucket.Put(e.ctx, "k", section([]byte("data")), object.PutOptions{Meta: object.Meta{"mtime": "1.5"}, ContentType: "text/x-odd"})
		e.must(err)
		for _, contentType := range []string{"text/x-odd", ""} {
			src, err = e.bucket.Copy(e.ctx, src.ID(), "k", object.CopyOptions{Size: 4, Meta: object.Meta{"mtime": "9.5"}, ContentType: contentType, Ours: true})
			e.must(err)
			info, err := e.bucket.Head(e.ctx, "k")
			e.must(err)
			if contentType == "" {
				contentType = "application/octet-stream"
			}
			if info.Meta["mtime"] != "9.5" || info.ContentType != contentType || src.ContentType != contentType {
				t.Errorf("Copy said %+v, Head says %+v", src, info)
			}
		}
		e.holds("k", "data")
		_, err = e.bucket.Copy(e.ctx, object.ID{Key: "k", ETag: "another"}, "k", object.CopyOptions{Size: 4, Meta: object.Meta{"mtime": "3"}, Ours: true})
		e.kind(err, object.KindStale)
	})
}

func TestCopyIsPinnedToAVersion(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := e.put("src", "old!")
		e.put("src", "new!")
		_, err := e.bucket.Copy(e.ctx, old.ID(), "dst", object.CopyOptions{Size: 4})
		e.kind(err, object.KindStale)
		_, err = e.bucket.Head(e.ctx, "dst")
		e.kind(err, object.KindNotFound)
	})
}

func TestCopyOfAnEmptyObject(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		src := e.put("src", "")
		_, err := e.bucket.Copy(e.ctx, src.ID(), "dst", object.CopyOptions{})
		e.must(err)
		e.holds("dst", "")
	})
}

func TestCopyFromAnotherBucketIsTheStoresWork(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		name := e.name + "-other"
		e.must(e.client.CreateBucket(e.ctx, name))
		other, err := e.client.Bucket(name, "below")
		e.must(err)
		src := e.put("a key/with ü", "data")
		got, ok, err := other.CopyFrom(e.ctx, e.bucket, src.ID(), "dst", object.CopyOptions{Size: 4, Meta: object.Meta{"mtime": "9.5"}})
		e.must(err)
		info, err := other.Head(e.ctx, "dst")
		e.must(err)
		if !ok || got.ETag != info.ETag || info.Meta["mtime"] != "9.5" || info.Size != 4 {
			t.Errorf("CopyFrom said %v, %+v, Head says %+v", ok, got, info)
		}
		stale := src.ID()
		e.put("a key/with ü", "other")
		_, _, err = other.CopyFrom(e.ctx, e.bucket, stale, "dst2", object.CopyOptions{Size: 4})
		e.kind(err, object.KindStale)
		if _, ok, err := other.CopyFrom(e.ctx, "no bucket", src.ID(), "dst", object.CopyOptions{}); ok || err != nil {
			t.Errorf("from what is no bucket: %v, %v", ok, err)
		}
	})
}
