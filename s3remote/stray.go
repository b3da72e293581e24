package s3remote

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mount/s3mount/object"
)

// strayWindow is how much earlier than the upload that is known another one may have begun
// by the store's clock, beyond the time that the tries took: stores tell whole seconds.
const strayWindow = 2 * time.Second

// dropStrays aborts what tries to create an upload left behind whose answers were lost:
// uploads to the same key that began in the time of those tries, and have no part. Somebody
// else's that looks so is not harmed more than by any other loss of an upload. What can't be
// found out stays, for the next Cleanup.
func (b *Bucket) dropStrays(ctx context.Context, key, id string, took time.Duration) {
	log := func(err error) {
		b.client.cfg.Log.Debug("uploads whose creation was not confirmed may be left", "key", key, "err", err)
	}
	found, err := b.ListUploads(ctx, key)
	if err != nil {
		log(err)
		return
	}
	var own time.Time
	for _, u := range found {
		if u.Key == key && u.ID == id {
			own = u.Initiated
		}
	}
	for _, u := range found {
		if u.Key != key || u.ID == id || u.Initiated.After(own) || u.Initiated.Before(own.Add(-took-strayWindow)) {
			continue
		}
		empty, err := b.hasNoPart(ctx, key, u.ID)
		if err == nil && empty {
			err = b.AbortUpload(ctx, key, u.ID)
		}
		if err != nil {
			log(err)
		}
	}
}

// hasNoPart reports whether an upload has no part yet.
func (b *Bucket) hasNoPart(ctx context.Context, key, id string) (empty bool, err error) {
	in := &s3.ListPartsInput{Bucket: &b.name, Key: b.full(key), UploadId: &id}
	err = b.do(ctx, call{op: "ListParts", key: key, trip: trip{xml: true}, try: func(ctx context.Context, _ bool) error {
		out, err := b.client.s3.ListParts(ctx, in, b.inRegion)
		if err == nil {
			empty = len(out.Parts) == 0
		}
		return err
	}})
	if object.Is(err, object.KindNotFound) {
		return false, nil
	}
	return empty, err
}
