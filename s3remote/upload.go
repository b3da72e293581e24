package s3remote

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	limits "github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/object"
)

// CreateUpload begins a multipart upload and returns its id. Nothing shows under key
// until CompleteUpload. The condition of o is not used here, but there. What a first
// try left at the store whose answer was lost is aborted.
func (b *Bucket) CreateUpload(ctx context.Context, key string, o object.PutOptions) (string, error) {
	in, err := b.uploadInput(ctx, key, o)
	if err != nil {
		return "", err
	}
	if o.Summed && b.maySum() {
		return b.createSummed(ctx, key, in)
	}
	return b.createUpload(ctx, key, in)
}

const (
	opCreate = "CreateMultipartUpload"
	opPart   = "UploadPart"
)

func (b *Bucket) uploadInput(ctx context.Context, key string, o object.PutOptions) (*s3.CreateMultipartUploadInput, error) {
	if err := b.checkNewKey(ctx, opCreate, key); err != nil {
		return nil, err
	}
	if err := checkContentType(opCreate, key, o.ContentType); err != nil {
		return nil, err
	}
	meta, err := encodeMeta(opCreate, key, o.Meta)
	if err != nil {
		return nil, err
	}
	c := &b.client.cfg
	return &s3.CreateMultipartUploadInput{
		Bucket: &b.name, Key: b.full(key), Metadata: meta, ContentType: aws.String(orDefaultType(o.ContentType)),
		ACL: types.ObjectCannedACL(c.ACL), StorageClass: types.StorageClass(c.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(c.ServerSideEncryption), SSEKMSKeyId: optional(c.SSEKMSKeyID),
	}, nil
}

func (b *Bucket) createUpload(ctx context.Context, key string, in *s3.CreateMultipartUploadInput) (string, error) {
	id, _, err := b.createOnce(ctx, key, in)
	return id, err
}

// createOnce returns the algorithm, too, with which the store checks parts, if it told one.
func (b *Bucket) createOnce(ctx context.Context, key string, in *s3.CreateMultipartUploadInput) (id string, sums types.ChecksumAlgorithm, err error) {
	begin, doubtful := time.Now(), false
	err = b.do(ctx, call{op: opCreate, key: key, trip: trip{xml: true}, try: func(ctx context.Context, lost bool) error {
		doubtful = doubtful || lost
		out, err := b.client.s3.CreateMultipartUpload(ctx, in, b.inRegion)
		if err != nil {
			return err
		}
		if id = aws.ToString(out.UploadId); id == "" {
			return &oddAnswerError{"the upload's id is missing"}
		}
		sums = out.ChecksumAlgorithm
		return nil
	}})
	if err == nil && doubtful {
		b.dropStrays(ctx, key, id, time.Since(begin))
	}
	return id, sums, err
}

// UploadPart stores body as part number of an upload, in place of what the part was
// before. Numbers go from 1 to 10,000; S3 wants 5 MiB at least of all parts but the
// last. The body is read more than once.
//
// The store refuses bytes that are not the body's: by their SHA-256, which the signature
// covers, or in a Summed upload by their CRC32C.
func (b *Bucket) UploadPart(ctx context.Context, key, uploadID string, number int, body *io.SectionReader) (object.Part, error) {
	const op = opPart
	if err := b.checkPart(ctx, op, key, uploadID, number); err != nil {
		return object.Part{}, err
	}
	if b.isSummed(uploadID) {
		return b.uploadSummed(ctx, key, uploadID, number, body)
	}
	part := object.Part{Number: number, Size: body.Size()}
	err := b.do(ctx, call{op: op, key: key, try: func(ctx context.Context, _ bool) error {
		sent := newSendBody(body)
		out, err := b.client.s3.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &b.name, Key: b.full(key), UploadId: &uploadID, PartNumber: aws.Int32(int32(number)),
			Body: sent, ContentLength: &part.Size,
		}, b.inRegion)
		if err != nil {
			return sent.blame(err)
		}
		part.ETag = bareETag(out.ETag)
		return needETag(part.ETag)
	}})
	if err != nil {
		return object.Part{}, err
	}
	return part, nil
}

func (b *Bucket) checkPart(ctx context.Context, op, key, uploadID string, number int) error {
	if err := b.checkKey(ctx, op, key); err != nil {
		return err
	}
	if uploadID == "" || number < 1 || number > limits.Max {
		return object.Errorf(object.KindInvalid, op, key, "part %d of upload %q", number, uploadID)
	}
	return nil
}

func needETag(etag string) error {
	if etag == "" {
		return &oddAnswerError{"the part's ETag is missing"}
	}
	return nil
}

// CompleteUpload makes the parts, in the order of their numbers, the new version
// under key. It happens as a whole or not at all; a condition that does not hold is
// an error of KindConflict, after which the upload is still there. Completing an
// upload whose completion worked already, but whose answer got lost, works.
//
// The Info has the ETag and the size; its LastModified is known only where the
// store had to be asked anyway. If the store claims a completion but has something
// else under key, the error is of KindConflict.
func (b *Bucket) CompleteUpload(ctx context.Context, key, uploadID string, parts []object.Part, c object.Condition) (object.Info, error) {
	if err := b.checkPart(ctx, opComplete.String(), key, uploadID, len(parts)); err != nil {
		return object.Info{}, err
	}
	info := object.Info{Key: key}
	done := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		done[i] = types.CompletedPart{ETag: quoted(p.ETag), PartNumber: aws.Int32(int32(p.Number)), ChecksumCRC32C: optional(p.CRC32C)}
		info.Size += p.Size
	}
	in := s3.CompleteMultipartUploadInput{
		Bucket: &b.name, Key: b.full(key), UploadId: &uploadID,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	}
	err := b.write(ctx, write{
		op: opComplete, key: key, want: c, trip: trip{xml: true, slow: true}, rescue: true,
		send: func(ctx context.Context, ifNoneMatch, ifMatch *string) error {
			in := in
			in.IfNoneMatch, in.IfMatch = ifNoneMatch, ifMatch
			out, err := b.client.s3.CompleteMultipartUpload(ctx, &in, b.inRegion)
			if err == nil {
				info.ETag = bareETag(out.ETag)
			}
			return err
		},
		landed: func(ctx context.Context) error {
			found, err := b.completeLanded(ctx, key, parts, info.Size)
			if err == nil {
				info = found
			}
			return err
		},
	})
	if err != nil {
		return object.Info{}, err
	}
	b.client.summed.Delete(uploadID)
	if info.ETag == "" || b.client.quirks.verify {
		return b.completed(ctx, key, parts, info)
	}
	return info, nil
}

// completed looks at what a completion left, where the answer has no ETag (Ceph's
// first one) or is not to be relied on.
func (b *Bucket) completed(ctx context.Context, key string, parts []object.Part, said object.Info) (object.Info, error) {
	found, err := b.head(ctx, key)
	if err != nil {
		return object.Info{}, err
	}
	want := said.ETag
	if sum, known := limits.ETag(parts); want == "" && known && !found.OtherETag && !b.client.cfg.OtherPartETags {
		want = sum
	}
	if found.Size != said.Size || (want != "" && found.ETag != want) {
		return object.Info{}, object.Errorf(object.KindConflict, opComplete.String(), key,
			"the store says that it completed %q of %d bytes, but has %q of %d bytes", want, said.Size, found.ETag, found.Size)
	}
	return found, nil
}

// completeLanded returns nil if the object under key is made of these parts.
func (b *Bucket) completeLanded(ctx context.Context, key string, parts []object.Part, size int64) (object.Info, error) {
	found, err := b.head(ctx, key)
	if err != nil {
		return object.Info{}, err
	}
	want, known := limits.ETag(parts)
	if found.OtherETag || b.client.cfg.OtherPartETags {
		known = false
	}
	same := known && found.ETag == want
	if !known {
		same = strings.HasSuffix(found.ETag, fmt.Sprintf("-%d", len(parts)))
	}
	if !same || found.Size != size {
		return object.Info{}, object.Errorf(object.KindConflict, opComplete.String(), key, "")
	}
	return found, nil
}

// AbortUpload gives up an upload and frees its parts. One that is gone is no error.
// A part that is being uploaded at the same moment may survive on some stores, so
// that the caller ends those first.
func (b *Bucket) AbortUpload(ctx context.Context, key, uploadID string) error {
	const op = "AbortMultipartUpload"
	if err := b.checkPart(ctx, op, key, uploadID, 1); err != nil {
		return err
	}
	err := b.do(ctx, call{op: op, key: key, try: func(ctx context.Context, _ bool) error {
		_, err := b.client.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: b.full(key), UploadId: &uploadID}, b.inRegion)
		return err
	}})
	if err == nil || object.Is(err, object.KindNotFound) {
		b.client.summed.Delete(uploadID)
		return nil
	}
	return err
}

// ListUploads returns the uploads whose keys begin with prefix that are neither
// completed nor aborted, in the order of their keys. MinIO answers only for a prefix
// that is a whole key, and with nothing for others.
func (b *Bucket) ListUploads(ctx context.Context, prefix string) ([]object.Upload, error) {
	const op = "ListMultipartUploads"
	var uploads []object.Upload
	in := s3.ListMultipartUploadsInput{Bucket: &b.name, Prefix: optional(b.prefix + prefix)}
	if !b.client.quirks.plainUploads {
		in.EncodingType = types.EncodingTypeUrl
	}
	for {
		var out *s3.ListMultipartUploadsOutput
		err := b.do(ctx, call{op: op, key: prefix, trip: trip{xml: true}, try: func(ctx context.Context, _ bool) (err error) {
			out, err = b.client.s3.ListMultipartUploads(ctx, &in, b.inRegion)
			return err
		}})
		if err != nil {
			return nil, err
		}
		last := ""
		for _, u := range out.Uploads {
			last = decodeKey(aws.ToString(u.Key), out.EncodingType)
			if key, ok := b.relative(object.Query{Prefix: prefix}, cursor{}, last); ok {
				uploads = append(uploads, object.Upload{Key: key, ID: aws.ToString(u.UploadId), Initiated: wholeSeconds(u.Initiated)})
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return uploads, nil
		}
		n := len(out.Uploads)
		if n == 0 || (in.KeyMarker != nil && (last < *in.KeyMarker || last == *in.KeyMarker && aws.ToString(out.Uploads[n-1].UploadId) == *in.UploadIdMarker)) {
			return nil, b.stuck(object.Query{Prefix: prefix})
		}
		in.KeyMarker, in.UploadIdMarker = &last, out.Uploads[n-1].UploadId
	}
}
