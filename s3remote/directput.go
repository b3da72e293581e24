package s3remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// putDirect sends a whole object as direct sends what has no body: of a small file, the SDK's
// stages are most of what its upload costs.
func (b *Bucket) putDirect(ctx context.Context, in *s3.PutObjectInput, body *io.SectionReader) (*s3.PutObjectOutput, error) {
	sent := newSendBody(body)
	req, err := b.putRequest(ctx, in, sent)
	if err != nil {
		return nil, err
	}
	resp, err := b.client.wire.Do(req)
	if err != nil {
		return nil, sent.blame(err)
	}
	resp.Body.Close() // it was read
	out := &s3.PutObjectOutput{ServerSideEncryption: types.ServerSideEncryption(resp.Header.Get("X-Amz-Server-Side-Encryption"))}
	out.ETag = optional(resp.Header.Get("ETag"))
	out.SSECustomerAlgorithm = optional(resp.Header.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm"))
	return out, nil
}

// putRequest makes the request that stores a body, signed.
func (b *Bucket) putRequest(ctx context.Context, in *s3.PutObjectInput, body *sendBody) (*http.Request, error) {
	sum, err := bodySHA256(body.r)
	if err != nil {
		return nil, &localError{err}
	}
	t, err := b.whereabouts(ctx)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for name, value := range map[string]string{
		"Content-Type":                 aws.ToString(in.ContentType),
		"Content-Md5":                  aws.ToString(in.ContentMD5),
		"If-None-Match":                aws.ToString(in.IfNoneMatch),
		"If-Match":                     aws.ToString(in.IfMatch),
		"X-Amz-Acl":                    string(in.ACL),
		"X-Amz-Storage-Class":          string(in.StorageClass),
		"X-Amz-Server-Side-Encryption": string(in.ServerSideEncryption),
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": aws.ToString(in.SSEKMSKeyId),
	} {
		if value != "" {
			header.Set(name, value)
		}
	}
	for name, value := range in.Metadata {
		header.Set(metaHeader+name, value)
	}
	req := b.unsigned(ctx, t, http.MethodPut, opPut.String(), aws.ToString(in.Key)[len(b.prefix):], header)
	if req.ContentLength = body.r.Size(); req.ContentLength > 0 {
		req.Body = body
	}
	return req, b.client.sign(ctx, req, t.signed, sum)
}

// bodySHA256 reads a body and returns its SHA-256 in hexadecimal.
func bodySHA256(body *io.SectionReader) (string, error) {
	buf := sumBuffers.Get().(*[128 << 10]byte)
	defer sumBuffers.Put(buf)
	h := sha256.New()
	n, err := io.CopyBuffer(h, io.NewSectionReader(body, 0, body.Size()), buf[:])
	if err == nil && n < body.Size() {
		err = io.ErrUnexpectedEOF // what is to be sent has become shorter
	}
	return hex.EncodeToString(h.Sum(nil)), err
}
