package contract

import (
	"bytes"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
)

func TestPutDependsOnWhatIsThere(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		put := func(data string, c object.Condition) (object.Info, error) {
			return e.bucket.Put(e.ctx, "k", section([]byte(data)), object.PutOptions{Condition: c})
		}
		_, err := put("nothing to match", object.Condition{IfMatch: "d41d8cd98f00b204e9800998ecf8427e"})
		e.kind(err, object.KindConflict)
		first, err := put("first", object.Condition{IfAbsent: true})
		e.must(err)
		_, err = put("again", object.Condition{IfAbsent: true})
		e.kind(err, object.KindConflict)
		second, err := put("second", object.Condition{IfMatch: first.ETag})
		e.must(err)
		_, err = put("late", object.Condition{IfMatch: first.ETag})
		e.kind(err, object.KindConflict)
		e.holds("k", "second")
		if head, err := e.bucket.Head(e.ctx, "k"); err != nil || head.ETag != second.ETag {
			t.Errorf("%+v, %v", head, err)
		}
		e.must(e.bucket.Delete(e.ctx, "k"))
		_, err = put("of what is gone", object.Condition{IfMatch: second.ETag})
		e.kind(err, object.KindConflict)
	})
}

// Stores that know no conditional delete remove any version; none refuses that of the right
// one, and none says that it has left what is gone.
func TestDeleteOfAVersion(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for range 2 { // as before, and with what was learned of the store
			put := func(data string) object.Info {
				info, err := e.bucket.Put(e.ctx, "k", section([]byte(data)), object.PutOptions{})
				e.must(err)
				return info
			}
			first, second := put("first"), put("second")
			err := e.bucket.DeleteVersion(e.ctx, object.ID{Key: "k", ETag: first.ETag})
			if err != nil {
				e.kind(err, object.KindConflict)
				e.holds("k", "second")
			}
			t.Logf("another version is kept: %v", err != nil)
			e.must(e.bucket.DeleteVersion(e.ctx, object.ID{Key: "k", ETag: second.ETag}))
			_, err = e.bucket.Head(e.ctx, "k")
			e.kind(err, object.KindNotFound)
			e.must(e.bucket.DeleteVersion(e.ctx, object.ID{Key: "k", ETag: second.ETag}))
		}
	})
}

// A marker is a key of its own kind on stores whose keys are paths.
func TestMarkerDependsOnWhatIsThere(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		put := func(c object.Condition) (object.Info, error) {
			return e.bucket.Put(e.ctx, "d/", section(nil), object.PutOptions{Condition: c, ContentType: "application/x-directory"})
		}
		first, err := put(object.Condition{IfAbsent: true})
		e.must(err)
		_, err = put(object.Condition{IfAbsent: true})
		e.kind(err, object.KindConflict)
		_, err = put(object.Condition{IfMatch: first.ETag})
		e.must(err)
	})
}

func TestCompleteDependsOnWhatIsThere(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		complete := func(data string, c object.Condition) (object.Info, error) {
			id, err := e.bucket.CreateUpload(e.ctx, "k", object.PutOptions{})
			e.must(err)
			part, err := e.bucket.UploadPart(e.ctx, "k", id, 1, section([]byte(data)))
			e.must(err)
			info, err := e.bucket.CompleteUpload(e.ctx, "k", id, []object.Part{part}, c)
			if err != nil {
				e.must(e.bucket.AbortUpload(e.ctx, "k", id))
			}
			return info, err
		}
		_, err := complete("nothing to match", object.Condition{IfMatch: "d41d8cd98f00b204e9800998ecf8427e"})
		e.kind(err, object.KindConflict)
		first, err := complete("first", object.Condition{IfAbsent: true})
		e.must(err)
		_, err = complete("again", object.Condition{IfAbsent: true})
		e.kind(err, object.KindConflict)
		second, err := complete("second", object.Condition{IfMatch: first.ETag})
		e.must(err)
		_, err = complete("late", object.Condition{IfMatch: first.ETag})
		e.kind(err, object.KindConflict)
		e.holds("k", "second")
		if head, err := e.bucket.Head(e.ctx, "k"); err != nil || head.ETag != second.ETag {
			t.Errorf("%+v, %v", head, err)
		}
	})
}

func TestCopyDependsOnWhatIsThere(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.put("a", "data")
		e.put("c", "others'")
		info, err := e.bucket.Head(e.ctx, "a")
		e.must(err)
		o := object.CopyOptions{Size: info.Size, IfAbsent: true}
		_, err = e.bucket.Copy(e.ctx, info.ID(), "c", o)
		e.kind(err, object.KindExists)
		e.holds("c", "others'")
		_, err = e.bucket.Copy(e.ctx, info.ID(), "b", o)
		e.must(err)
		e.holds("b", "data")
	})
}

func TestCopyDependsOnWhatItReplaces(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.put("a", "data")
		e.put("b", "first")
		info, err := e.bucket.Head(e.ctx, "a")
		e.must(err)
		first, err := e.bucket.Head(e.ctx, "b")
		e.must(err)
		e.put("b", "others'")
		o := object.CopyOptions{Size: info.Size, IfMatch: first.ETag}
		_, err = e.bucket.Copy(e.ctx, info.ID(), "b", o)
		e.kind(err, object.KindExists)
		e.holds("b", "others'")
		_, err = e.bucket.Copy(e.ctx, info.ID(), "none", o)
		e.kind(err, object.KindExists)
		other, err := e.bucket.Head(e.ctx, "b")
		e.must(err)
		o.IfMatch = other.ETag
		_, err = e.bucket.Copy(e.ctx, object.ID{Key: "a", ETag: first.ETag}, "b", o)
		e.kind(err, object.KindStale)
		e.holds("b", "others'")
		_, err = e.bucket.Copy(e.ctx, info.ID(), "b", o)
		e.must(err)
		e.holds("b", "data")
	})
}

// What did not change of a large object is copied within the store. Numbers of parts may
// leave some out.
func TestPartsThatAreCopied(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		old := make([]byte, 17*mib)
		s3fake.NewPattern(7).ReadAt(old, 0)
		first, err := e.bucket.Put(e.ctx, "k", section(old), object.PutOptions{})
		e.must(err)
		id, err := e.bucket.CreateUpload(e.ctx, "k", object.PutOptions{})
		e.must(err)
		changed := bytes.Repeat([]byte("changed "), 5*mib/8)
		copied, err := e.bucket.CopyPart(e.ctx, "k", id, 1, first.ID(), object.Range{Len: 6 * mib})
		e.must(err)
		sent, err := e.bucket.UploadPart(e.ctx, "k", id, 4, section(changed))
		e.must(err)
		rest, err := e.bucket.CopyPart(e.ctx, "k", id, 7, first.ID(), object.Range{Off: 11 * mib, Len: 6 * mib})
		e.must(err)
		second, err := e.bucket.CompleteUpload(e.ctx, "k", id, []object.Part{copied, sent, rest}, object.Condition{IfMatch: first.ETag})
		e.must(err)
		e.holds("k", string(old[:6*mib])+string(changed)+string(old[11*mib:]))
		if second.Size != int64(len(old)) {
			t.Errorf("%+v", second)
		}

		id, err = e.bucket.CreateUpload(e.ctx, "k", object.PutOptions{})
		e.must(err)
		_, err = e.bucket.CopyPart(e.ctx, "k", id, 1, first.ID(), object.Range{Len: 6 * mib})
		e.kind(err, object.KindStale)
		e.must(e.bucket.AbortUpload(e.ctx, "k", id))
	})
}
