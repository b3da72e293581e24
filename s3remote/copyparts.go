package s3remote

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/object"
)

const (
	copyParallel = 8 // parts of one copy at once
	// abortTimeout bounds the cleaning up after a copy that failed, which goes on
	// when the caller has gone.
	abortTimeout = 30 * time.Second
)

// inParts copies with one request a part. The source was looked at.
func (c *copying) inParts(ctx context.Context) (object.Info, error) {
	if c.src.ETag == "" { // the parts must be of one version
		c.src.ETag = bareETag(c.source.ETag)
	}
	in, err := c.uploadInput(ctx)
	if err != nil {
		return object.Info{}, err
	}
	id, err := c.b.createUpload(ctx, c.dst, in)
	if err != nil {
		return object.Info{}, err
	}
	info, err := c.complete(ctx, id)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		if aerr := c.b.AbortUpload(ctx, c.dst, id); aerr != nil {
			c.b.client.cfg.Log.Warn("a copy that failed leaves an incomplete upload", "key", c.dst, "upload", id, "err", aerr)
		}
		return object.Info{}, err
	}
	info.ContentType, info.Meta = *in.ContentType, c.finalMeta()
	return info, nil
}

// uploadInput is the request that begins the copy; it has all that the source has
// beside its bytes.
func (c *copying) uploadInput(ctx context.Context) (*s3.CreateMultipartUploadInput, error) {
	s := c.source
	in, err := c.b.uploadInput(ctx, c.dst, object.PutOptions{ContentType: *c.contentType()})
	if err != nil {
		return nil, err
	}
	in.Metadata = c.meta
	if c.o.Meta == nil {
		in.Metadata = s.Metadata
	}
	in.CacheControl, in.ContentDisposition = s.CacheControl, s.ContentDisposition
	in.ContentEncoding, in.ContentLanguage = s.ContentEncoding, s.ContentLanguage
	in.WebsiteRedirectLocation = s.WebsiteRedirectLocation
	if t, err := http.ParseTime(aws.ToString(s.ExpiresString)); err == nil {
		in.Expires = &t
	}
	if in.StorageClass == "" && c.o.Meta != nil {
		in.StorageClass = types.StorageClass(s.StorageClass)
	}
	return in, nil
}

// complete copies the parts and makes the object of them.
func (c *copying) complete(ctx context.Context, id string) (object.Info, error) {
	part := parts.Size(c.size, c.b.limits.part)
	done := make([]object.Part, (c.size+part-1)/part)
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(copyParallel)
	for i := range done {
		group.Go(func() error {
			var err error
			done[i], err = c.part(gctx, id, i, part)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return object.Info{}, err
	}
	if c.unguarded() {
		if err := c.look(ctx); err != nil {
			return object.Info{}, err
		}
	}
	info, err := c.b.CompleteUpload(ctx, c.dst, id, done, object.Condition{IfAbsent: c.o.IfAbsent, IfMatch: c.o.IfMatch})
	if c.o.IfAbsent || c.o.IfMatch != "" {
		err = withKind(err, object.KindConflict, object.KindExists)
	}
	return info, err
}

// part copies one part, i from 0.
func (c *copying) part(ctx context.Context, id string, i int, size int64) (object.Part, error) {
	header, length := span(i, size, c.size)
	return c.sendPart(ctx, id, object.Part{Number: i + 1, Size: length}, header)
}

// sendPart makes a part of the range in header, of part.Size bytes.
func (c *copying) sendPart(ctx context.Context, id string, part object.Part, header string) (object.Part, error) {
	in := &s3.UploadPartCopyInput{
		Bucket: &c.b.name, Key: c.b.full(c.dst), UploadId: &id, PartNumber: aws.Int32(int32(part.Number)),
		CopySource: c.copySource(), CopySourceRange: &header,
	}
	send := func(ctx context.Context, ifMatch *string) error {
		in.CopySourceIfMatch = ifMatch
		out, err := c.b.client.s3.UploadPartCopy(ctx, in, c.b.inRegion)
		if err != nil {
			return err
		}
		if out.CopyPartResult != nil {
			part.ETag = bareETag(out.CopyPartResult.ETag)
		}
		return needETag(part.ETag)
	}
	err := c.b.do(ctx, call{op: "UploadPartCopy", key: c.dst, trip: trip{xml: true, slow: true}, try: func(ctx context.Context, _ bool) error {
		return c.sendIf(ctx, send)
	}})
	return part, err
}
