package contract

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
)

func TestBucketsComeAndGo(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		name := e.name + "-x"
		listed := func() (s3remote.BucketInfo, bool) {
			t.Helper()
			all, err := e.client.ListBuckets(e.ctx)
			e.must(err)
			i := slices.IndexFunc(all, func(b s3remote.BucketInfo) bool { return b.Name == name })
			if i < 0 {
				return s3remote.BucketInfo{}, false
			}
			return all[i], true
		}
		if _, there := listed(); there {
			t.Fatal("it is there already")
		}
		e.must(e.client.CreateBucket(e.ctx, name))
		if again := e.client.CreateBucket(e.ctx, name); e.store.anyonesBuckets {
			e.kind(again, object.KindExists)
		} else {
			e.must(again) // one's own again is no error
		}
		if info, there := listed(); !there || time.Since(info.Created).Abs() > time.Hour {
			t.Errorf("%+v, %v", info, there)
		}
		b, err := e.client.Bucket(name, "")
		e.must(err)
		_, err = b.Put(e.ctx, "k", section([]byte("x")), object.PutOptions{})
		e.must(err)
		e.kind(e.client.DeleteBucket(e.ctx, name), object.KindNotEmpty)
		e.must(b.Delete(e.ctx, "k"))
		e.must(e.client.DeleteBucket(e.ctx, name))
		if _, there := listed(); there {
			t.Error("it is there still")
		}
		e.kind(e.client.DeleteBucket(e.ctx, name), object.KindNoBucket)
		e.kind(b.Check(e.ctx), object.KindNoBucket)
	})
}

// The store refuses bytes that are not those of the sum that goes along.
func TestMD5IsVerified(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		raw := md5.Sum([]byte("data"))
		sum := hex.EncodeToString(raw[:])
		info, err := e.bucket.Put(e.ctx, "k", section([]byte("data")), object.PutOptions{MD5: sum})
		e.must(err)
		if got, known := info.MD5(); !known || got != sum {
			t.Errorf("%+v: %q", info, got)
		}
		_, err = e.bucket.Put(e.ctx, "k", section([]byte("dada")), object.PutOptions{MD5: sum})
		e.kind(err, object.KindCorrupt)
		e.holds("k", "data")
		_, err = e.bucket.Put(e.ctx, "new", section([]byte("dada")), object.PutOptions{MD5: sum})
		e.kind(err, object.KindCorrupt)
		_, err = e.bucket.Head(e.ctx, "new")
		e.kind(err, object.KindNotFound)
	})
}

func TestCleanupAbortsWhatIsOld(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		_, err := e.bucket.CreateUpload(e.ctx, "k", object.PutOptions{})
		e.must(err)
		gone, err := e.bucket.Cleanup(e.ctx, "k", time.Hour)
		if e.must(err); len(gone) != 0 {
			t.Errorf("aborted %v", gone)
		}
		gone, err = e.bucket.Cleanup(e.ctx, "k", -time.Hour)
		if e.must(err); len(gone) != 1 || gone[0].Key != "k" {
			t.Errorf("aborted %v", gone)
		}
		left, err := e.bucket.ListUploads(e.ctx, "k")
		if e.must(err); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	})
}

// What is stored with a customer's key can be had with that key only, in every way that
// a Bucket has. Most stores want TLS for such keys; the gateway here does not.
func TestCustomerKeys(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if !e.store.customerKeys {
			return
		}
		c := configOf(e.server)
		c.SSECustomerAlgorithm, c.SSECustomerKey = "AES256", secret.New("0123456789abcdef0123456789abcde/")
		locked, err := connect(t, c).Bucket(e.name, "")
		e.must(err)
		big := make([]byte, 6<<20)
		id, err := locked.CreateUpload(e.ctx, "big", object.PutOptions{})
		e.must(err)
		first, err := locked.UploadPart(e.ctx, "big", id, 1, section(big[:5<<20]))
		e.must(err)
		second, err := locked.UploadPart(e.ctx, "big", id, 2, section(big[5<<20:]))
		e.must(err)
		_, err = locked.CompleteUpload(e.ctx, "big", id, []object.Part{first, second}, object.Condition{})
		e.must(err)
		_, err = locked.Put(e.ctx, "k", section([]byte("data")), object.PutOptions{MD5: "8d777f385d3dfec8815d20f7496026dc"})
		e.must(err)
		_, err = locked.Copy(e.ctx, object.ID{Key: "k"}, "copy", object.CopyOptions{})
		e.kind(err, object.KindUnsupported) // Ceph's own limit
		info, err := locked.Head(e.ctx, "k")
		e.must(err)
		if got, err := readRange(e.ctx, locked, info.ID(), 0, 4); err != nil || got != "data" || !info.OtherETag {
			t.Errorf("%q, %v, %+v", got, err, info)
		}
		if got, err := readRange(e.ctx, locked, object.ID{Key: "big"}, 6<<20-3, 3); err != nil || got != "\x00\x00\x00" {
			t.Errorf("%q, %v", got, err)
		}
		if _, err = e.read(object.ID{Key: "k"}, 0, 4); err == nil {
			t.Error("the content can be had without the key")
		}
	})
}
