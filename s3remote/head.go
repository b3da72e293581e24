package s3remote

import (
	"context"
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
	out, err := b.head(ctx, key)
	if err != nil {
		return object.Info{}, err
	}
	return headInfo(key, out), nil
}

const opHead = "HeadObject"

// head returns the store's own answer. ContentLength is never nil. The key is not
// checked.
func (b *Bucket) head(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	var out *s3.HeadObjectOutput
	err := b.do(ctx, call{op: opHead, key: key, try: func(ctx context.Context, _ bool) (err error) {
		out, err = b.client.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: b.full(key)}, b.inRegion)
		if err == nil && (out.ContentLength == nil || *out.ContentLength < 0) {
			err = &oddAnswerError{"the size is missing"}
		}
		return err
	}})
	return out, err
}

func headInfo(key string, out *s3.HeadObjectOutput) object.Info {
	return object.Info{
		Key:          key,
		ETag:         bareETag(out.ETag),
		Size:         aws.ToInt64(out.ContentLength),
		LastModified: wholeSeconds(out.LastModified),
		StorageClass: storageClass(string(out.StorageClass)),
		ContentType:  aws.ToString(out.ContentType),
		Meta:         decodeMeta(out.Metadata),
		OtherETag:    !etagIsMD5(out),
	}
}

// storageClass returns "" for the default class: HEAD leaves it out, listings do not.
func storageClass(class string) string {
	if strings.EqualFold(class, string(types.StorageClassStandard)) {
		return ""
	}
	return class
}

// etagIsMD5 reports whether the store says nothing that makes an object's ETag
// another thing than the MD5 of its bytes.
func etagIsMD5(out *s3.HeadObjectOutput) bool {
	return plainETag(out.ServerSideEncryption, out.SSECustomerAlgorithm)
}

// plainETag is etagIsMD5 for the encryption that an answer tells.
func plainETag(sse types.ServerSideEncryption, customer *string) bool {
	return (sse == "" || sse == types.ServerSideEncryptionAes256) && aws.ToString(customer) == ""
}

// otherETags reports whether what this account stores gets ETags that are no MD5 sums.
func (c Config) otherETags() bool {
	return c.ServerSideEncryption == "aws:kms" || c.SSECustomerAlgorithm != ""
}
