package s3remote

import (
	"context"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mount/s3mount/object"
)

// Head returns what is known about the object under key, its metadata included.
//
// The store answers without a body, so that some causes cannot be told apart: wrong
// keys may come as KindPermission, and a missing bucket as KindNotFound. Check can.
func (b *Bucket) Head(ctx context.Context, key string) (object.Info, error) {
	if err := b.checkKey(ctx, opHead, key); err != nil {
		return object.Info{}, err
	}
	return b.head(ctx, key)
}

const opHead = "HeadObject"

// head is Head without a look at the key.
func (b *Bucket) head(ctx context.Context, key string) (info object.Info, err error) {
	err = b.do(ctx, call{op: opHead, key: key, try: func(ctx context.Context, _ bool) error {
		resp, err := b.direct(ctx, http.MethodHead, opHead, key, make(http.Header, 4))
		if err != nil {
			return err
		}
		size := contentLength(resp)
		if size < 0 {
			return errNoSize
		}
		info, err = answerInfo(key, resp.Header, size)
		return err
	}})
	return info, err
}

// headAll returns all that the store tells, for what needs more than an object.Info has.
// ContentLength is never nil. The key is not checked.
func (b *Bucket) headAll(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	var out *s3.HeadObjectOutput
	err := b.do(ctx, call{op: opHead, key: key, try: func(ctx context.Context, _ bool) (err error) {
		out, err = b.client.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: b.full(key)}, b.inRegion)
		if err == nil && (out.ContentLength == nil || *out.ContentLength < 0) {
			err = errNoSize
		}
		return err
	}})
	return out, err
}

// storageClass returns "" for the default class: HEAD leaves it out, listings do not.
func storageClass(class string) string {
	if strings.EqualFold(class, string(types.StorageClassStandard)) {
		return ""
	}
	return class
}

// plainETag reports whether the encryption that an answer tells leaves an object's ETag
// the MD5 of its bytes.
func plainETag(sse types.ServerSideEncryption, customer *string) bool {
	return (sse == "" || sse == types.ServerSideEncryptionAes256) && aws.ToString(customer) == ""
}

// otherETags reports whether what this account stores gets ETags that are no MD5 sums.
func (c Config) otherETags() bool {
	return c.ServerSideEncryption == "aws:kms" || c.SSECustomerAlgorithm != ""
}
