package s3remote

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mount/s3mount/object"
)

// The SHA-256 that a signature covers costs more CPU time than all else about a part, here
// and at the store. A Summed upload tells the CRC32C of each part instead, in a header that
// is signed: the store refuses other bytes, and keeps the sums with the object. So it is
// used only where the store says, when the upload is created, that it checks them.

// unsignedPayload says, in place of a SHA-256, that the signature does not cover the body.
const unsignedPayload = "UNSIGNED-PAYLOAD"

// maySum reports whether to ask for a Summed upload.
func (b *Bucket) maySum() bool {
	c := b.client
	return !c.cfg.SignPayload && !c.quirks.v2 && !c.learned.noSums.Load()
}

func (b *Bucket) isSummed(uploadID string) bool {
	_, summed := b.client.summed.Load(uploadID)
	return summed
}

// createSummed creates a Summed upload, or a plain one where the store does not check sums.
// Some stores refuse what they don't know.
func (b *Bucket) createSummed(ctx context.Context, key string, in *s3.CreateMultipartUploadInput) (string, error) {
	in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
	id, sums, err := b.createOnce(ctx, key, in)
	if k := object.KindOf(err); err != nil && (k == object.KindInvalid || k == object.KindUnsupported) {
		in.ChecksumAlgorithm = ""
		if id, err = b.createUpload(ctx, key, in); err == nil {
			b.client.learned.noSums.Store(true)
		}
		return id, err
	}
	switch {
	case err != nil:
	case sums == types.ChecksumAlgorithmCrc32c:
		b.client.summed.Store(id, struct{}{})
	default:
		b.client.learned.noSums.Store(true)
	}
	return id, err
}

// uploadSummed is UploadPart for a Summed upload.
func (b *Bucket) uploadSummed(ctx context.Context, key, uploadID string, number int, body *io.SectionReader) (object.Part, error) {
	part := object.Part{Number: number, Size: body.Size()}
	err := b.do(ctx, call{op: opPart, key: key, try: func(ctx context.Context, _ bool) (err error) {
		if part.CRC32C, err = bodyCRC32C(body); err != nil {
			return &localError{err}
		}
		sent := newSendBody(body)
		req, err := b.partRequest(ctx, key, uploadID, part, sent)
		if err != nil {
			return err
		}
		resp, err := b.client.wire.Do(req)
		if err != nil {
			return sent.blame(err)
		}
		resp.Body.Close() // it was read
		part.ETag = bareETag(aws.String(resp.Header.Get("ETag")))
		return needETag(part.ETag)
	}})
	if err != nil {
		return object.Part{}, err
	}
	return part, nil
}

// partRequest makes the request that sends a part with its sum.
func (b *Bucket) partRequest(ctx context.Context, key, uploadID string, part object.Part, body *sendBody) (*http.Request, error) {
	t, err := b.whereabouts(ctx)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set("X-Amz-Checksum-Crc32c", part.CRC32C)
	header.Set("Content-Type", "application/octet-stream")
	req := b.unsigned(ctx, t, http.MethodPut, opPart, key, header)
	req.URL.RawQuery = url.Values{"partNumber": {strconv.Itoa(part.Number)}, "uploadId": {uploadID}}.Encode()
	if req.ContentLength = part.Size; part.Size > 0 {
		req.Body = body
	}
	return req, b.client.sign(ctx, req, t.signed, unsignedPayload)
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	sumBuffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}
)

// bodyCRC32C reads a body and returns its CRC32C in base64.
func bodyCRC32C(body *io.SectionReader) (string, error) {
	buf := sumBuffers.Get().(*[128 << 10]byte)
	defer sumBuffers.Put(buf)
	var sum uint32
	for off := int64(0); off < body.Size(); {
		n, err := body.ReadAt(buf[:], off)
		sum = crc32.Update(sum, castagnoli, buf[:n])
		if off += int64(n); err != nil && !(errors.Is(err, io.EOF) && off == body.Size()) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
	var raw [4]byte
	binary.BigEndian.PutUint32(raw[:], sum)
	return base64.StdEncoding.EncodeToString(raw[:]), nil
}
