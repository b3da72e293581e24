package s3remote

import (
	"context"
	"time"

	"github.com/s3mount/s3mount/object"
)

// Cleanup aborts the uploads under prefix that began at least age ago and were neither
// completed nor aborted, and returns those that it aborted. It goes on after failures,
// which the error joins. Age is measured by this machine's clock against the store's:
// it should be longer than any upload takes. MinIO lists uploads only for a prefix that
// is a whole key.
func (b *Bucket) Cleanup(ctx context.Context, prefix string, age time.Duration) ([]object.Upload, error) {
	uploads, err := b.ListUploads(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var failed failures
	var aborted []object.Upload
	before := time.Now().Add(-age)
	for _, u := range uploads {
		if u.Initiated.IsZero() || u.Initiated.After(before) {
			continue
		}
		if err := b.AbortUpload(ctx, u.Key, u.ID); err != nil {
			failed.add(err)
			continue
		}
		aborted = append(aborted, u)
	}
	return aborted, failed.join()
}
