package contract

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
)

func TestWhatIsPutIsThere(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for key, data := range map[string]string{"small": "hello", "empty": "", "bin": "\x00\xff\r\n"} {
			put := e.put(key, data)
			info, err := e.bucket.Head(e.ctx, key)
			e.must(err)
			if info.Key != key || info.Size != int64(len(data)) || info.ETag == "" || info.ETag != put.ETag || info.Meta == nil {
				t.Errorf("Put said %+v, Head says %+v", put, info)
			}
			if age := time.Since(info.LastModified); age > time.Hour || age < -time.Hour {
				t.Errorf("%s: last modified %v", key, info.LastModified)
			}
			e.holds(key, data)
		}
		e.must(e.bucket.Check(e.ctx))
	})
}

func TestOverwriteIsAnotherVersion(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		before, after := e.put("k", "before"), e.put("k", "after!")
		if before.ETag == after.ETag {
			t.Errorf("both versions have the ETag %s", after.ETag)
		}
		e.holds("k", "after!")
	})
}

func TestMetadataIsExact(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		meta := object.Meta{
			"mtime": "1511424000.123456789", "mode": "33188", "uid": "1000", "gid": "100",
			"with-dash": "a, b; c=\"d\"", "text": "äöü 日本", "empty": "",
		}
		_, err := e.bucket.Put(e.ctx, "k", section([]byte("x")), object.PutOptions{Meta: meta, ContentType: "text/x-odd"})
		e.must(err)
		info, err := e.bucket.Head(e.ctx, "k")
		e.must(err)
		if info.ContentType != "text/x-odd" {
			t.Errorf("content type %q", info.ContentType)
		}
		// Stores may drop an empty value; to s3mount it means the same.
		delete(meta, "empty")
		got := maps.Clone(info.Meta)
		if got["empty"] == "" {
			delete(got, "empty")
		}
		if !maps.Equal(got, meta) {
			t.Errorf("metadata %q, want %q", got, meta)
		}
		e.put("plain", "x")
		if info, err = e.bucket.Head(e.ctx, "plain"); err != nil || info.Meta == nil || len(info.Meta) != 0 {
			t.Errorf("an object without metadata: %+v, %v", info, err)
		}
	})
}

func TestRangesAreExact(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		data := make([]byte, 1<<20)
		s3fake.NewPattern(1).ReadAt(data, 0)
		info, err := e.bucket.Put(e.ctx, "k", section(data), object.PutOptions{})
		e.must(err)
		for _, r := range []object.Range{{Off: 0, Len: 1}, {Off: 1, Len: 65536}, {Off: 1<<20 - 1, Len: 1}, {Off: 0, Len: 1 << 20}, {Off: 4096, Len: 100_000}} {
			for _, id := range []object.ID{info.ID(), {Key: "k"}} {
				got, err := e.read(id, r.Off, r.Len)
				if err != nil || got != string(data[r.Off:r.End()]) {
					t.Errorf("%+v of %+v: %d bytes, %v", r, id, len(got), err)
				}
			}
		}
		_, err = e.read(info.ID(), 1<<20, 1)
		e.kind(err, object.KindInvalid, object.KindStale)
	})
}

func TestReadsArePinnedToAVersion(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := e.put("k", "old bytes")
		e.put("k", "new bytes")
		_, err := e.read(old.ID(), 0, 9)
		e.kind(err, object.KindStale)
		e.must(e.bucket.Delete(e.ctx, "k"))
		_, err = e.read(old.ID(), 0, 9)
		e.kind(err, object.KindStale, object.KindNotFound)
	})
}

func TestMissingIsNotFound(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		_, err := e.bucket.Head(e.ctx, "none")
		e.kind(err, object.KindNotFound)
		_, err = e.read(object.ID{Key: "none"}, 0, 1)
		e.kind(err, object.KindNotFound)
		_, err = e.bucket.Copy(e.ctx, object.ID{Key: "none"}, "dst", object.CopyOptions{})
		e.kind(err, object.KindNotFound)
		e.must(e.bucket.Delete(e.ctx, "none"))
		e.must(e.bucket.DeleteMany(e.ctx, []string{"none", "neither"}))
		page, err := e.bucket.List(e.ctx, object.Query{Prefix: "none"})
		e.must(err)
		if len(page.Objects)+len(page.Prefixes) != 0 || page.Next != "" {
			t.Errorf("listing of nothing: %+v", page)
		}
	})
}

func TestDeletedIsGone(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.put("k", "x")
		e.must(e.bucket.Delete(e.ctx, "k"))
		e.must(e.bucket.Delete(e.ctx, "k"))
		_, err := e.bucket.Head(e.ctx, "k")
		e.kind(err, object.KindNotFound)
		keys, _, _, err := names(e.ctx, e.bucket, object.Query{})
		e.must(err)
		if slices.Contains(keys, "k") {
			t.Error("a deleted key is listed")
		}
	})
}

func TestBadAccessIsToldApart(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		missing, err := e.client.Bucket("no-such-bucket-here", "")
		e.must(err)
		e.kind(missing.Check(e.ctx), object.KindNoBucket)
		_, err = missing.List(e.ctx, object.Query{})
		e.kind(err, object.KindNoBucket)
		_, err = missing.Put(e.ctx, "k", section(nil), object.PutOptions{})
		e.kind(err, object.KindNoBucket)
		_, err = missing.Get(e.ctx, object.ID{Key: "k"}, object.Range{Len: 1})
		e.kind(err, object.KindNoBucket)

		e.put("k", "x")
		refused := func(server func(c *env) *env) {
			t.Helper()
			bad := server(e)
			b := bad.open("")
			checkKind(t, b.Check(e.ctx), object.KindCredentials, object.KindPermission)
			_, err := b.Put(e.ctx, "k", section([]byte("y")), object.PutOptions{})
			checkKind(t, err, object.KindCredentials, object.KindPermission)
			_, err = b.Head(e.ctx, "k")
			if e.store.hidesUsers && object.Is(err, object.KindNotFound) {
				return
			}
			checkKind(t, err, object.KindCredentials, object.KindPermission)
		}
		refused(func(e *env) *env { return e.withKeys("WRONGACCESSKEY000001", e.server.SecretKey) })
		if !e.store.anySecret {
			refused(func(e *env) *env { return e.withKeys(e.server.AccessKey, e.server.SecretKey+"x") })
		}
		e.holds("k", "x")
	})
}

// withKeys returns e with a client that signs with other keys.
func (e *env) withKeys(access, secretKey string) *env {
	other := *e
	other.server.AccessKey, other.server.SecretKey = access, secretKey
	other.client = connect(e.T, configOf(other.server))
	return &other
}
