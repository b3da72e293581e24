package s3remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/s3mount/s3mount/object"
)

// CopyPart makes part number of an upload of bytes that the store has already: the range
// r of one version of an object, within the Bucket. That the version is gone is an error
// of KindStale. S3 takes ranges of objects over 5 MiB only, up to 5 GiB, and wants 5 MiB
// at least of all parts but the last.
//
// A store that does not know how is an error of KindUnsupported; it is asked once.
func (b *Bucket) CopyPart(ctx context.Context, key, uploadID string, number int, src object.ID, r object.Range) (object.Part, error) {
	const op = "UploadPartCopy"
	if err := b.checkPart(ctx, op, key, uploadID, number); err != nil {
		return object.Part{}, err
	}
	if err := b.checkKey(ctx, op, src.Key); err != nil {
		return object.Part{}, err
	}
	if b.isSummed(uploadID) { // not every store tells the sum of what it copied
		return object.Part{}, object.Errorf(object.KindUnsupported, op, key, "the upload is one of parts with sums")
	}
	if b.client.learned.noPartCopy.Load() {
		return object.Part{}, object.Errorf(object.KindUnsupported, op, key, "the store refused it before")
	}
	c := &copying{b: b, from: b, src: src, dst: key}
	part, err := c.sendPart(ctx, uploadID, object.Part{Number: number, Size: r.Len}, fmt.Sprintf("bytes=%d-%d", r.Off, r.End()-1))
	if err == nil && c.unguarded() {
		err = c.look(ctx) // it was of this version if that is there still
	}
	if err != nil {
		return object.Part{}, b.partCopyFailed(key, err)
	}
	return part, nil
}

// partCopyFailed finds the kind of a failed CopyPart, and remembers a store that refuses.
func (b *Bucket) partCopyFailed(key string, err error) error {
	var e *object.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Kind == object.KindConflict, e.Kind == object.KindNotFound && e.Code != "NoSuchUpload":
		return withKind(err, e.Kind, object.KindStale)
	case e.Kind == object.KindUnsupported, e.Kind == object.KindInvalid:
		if !b.client.learned.noPartCopy.Swap(true) {
			b.client.cfg.Log.Warn("the store makes no parts of what it has: a large file that is edited is sent as a whole",
				"bucket", b.name, "key", key, "err", err)
		}
		return withKind(err, e.Kind, object.KindUnsupported)
	}
	return err
}
