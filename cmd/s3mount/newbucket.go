package main

import (
	"context"
	"io"
	"sync"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
)

// newBucket is a bucket to copy into that need not exist yet: it is empty until the first
// write, which makes it.
type newBucket struct {
	*s3remote.Bucket
	create func(context.Context) error
	mu     struct {
		sync.Mutex // held while the bucket is made: one request for all writers
		made       bool
	}
}

// List finds nothing in a bucket that is not there.
func (b *newBucket) List(ctx context.Context, q object.Query) (object.Page, error) {
	page, err := b.Bucket.List(ctx, q)
	if object.Is(err, object.KindNoBucket) {
		return object.Page{}, nil
	}
	return page, err
}

// withBucket does a write, and once more after making the bucket if there was none.
func withBucket[T any](ctx context.Context, b *newBucket, write func() (T, error)) (T, error) {
	got, err := write()
	if !object.Is(err, object.KindNoBucket) {
		return got, err
	}
	if err := b.ensure(ctx); err != nil {
		return got, err
	}
	return write()
}

func (b *newBucket) ensure(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.made {
		return nil
	}
	err := b.create(ctx)
	b.mu.made = err == nil
	return err
}

func (b *newBucket) Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error) {
	return withBucket(ctx, b, func() (object.Info, error) { return b.Bucket.Put(ctx, key, body, o) })
}

func (b *newBucket) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	return withBucket(ctx, b, func() (object.Info, error) { return b.Bucket.Copy(ctx, src, dst, o) })
}

// CopyFrom is Copy from another bucket of the remote.
func (b *newBucket) CopyFrom(ctx context.Context, from any, src object.ID, dst string, o object.CopyOptions) (_ object.Info, ok bool, err error) {
	if other, is := from.(*newBucket); is {
		from = other.Bucket
	}
	info, err := withBucket(ctx, b, func() (info object.Info, err error) {
		info, ok, err = b.Bucket.CopyFrom(ctx, from, src, dst, o)
		return info, err
	})
	return info, ok, err
}

func (b *newBucket) CreateUpload(ctx context.Context, key string, o object.PutOptions) (string, error) {
	return withBucket(ctx, b, func() (string, error) { return b.Bucket.CreateUpload(ctx, key, o) })
}
