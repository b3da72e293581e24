package contract

import (
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestPutDependsOnWhatIsThere(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		put := func(data string, c object.Condition) (object.Info, error) {
			return e.bucket.Put(e.ctx, "k", section([]byte(data)), object.PutOptions{Condition: c})
		}
		_, err := put("nothing to match", object.Condition{IfMatch: "d41d8cd98f00b204e9800998ecf8427e"})
		e.kind(err, object.KindConflict, object.KindNotFound, object.KindStale)
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
