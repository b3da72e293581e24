package s3remote

import (
	"context"
	"io"
	"maps"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mount/s3mount/object"
)

// Put stores body as a new version under key, all of it or nothing. The body is read
// more than once. A condition that does not hold is an error of KindConflict.
//
// The Info has the ETag and the size; its LastModified is zero, as the store does
// not tell it.
func (b *Bucket) Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error) {
	op := opPut.String()
	if err := b.checkNewKey(ctx, op, key); err != nil {
		return object.Info{}, err
	}
	if err := checkContentType(op, key, o.ContentType); err != nil {
		return object.Info{}, err
	}
	meta, err := encodeMeta(op, key, o.Meta)
	if err != nil {
		return object.Info{}, err
	}
	info := object.Info{Key: key, Size: body.Size(), ContentType: orDefaultType(o.ContentType), Meta: o.Meta.Clone()}
	err = b.write(ctx, write{
		op: opPut, key: key, want: o.Condition,
		send: func(ctx context.Context, ifNoneMatch, ifMatch *string) error {
			in := b.putInput(key, meta, info.ContentType)
			in.IfNoneMatch, in.IfMatch = ifNoneMatch, ifMatch
			etag, err := b.putOnce(ctx, in, body)
			info.ETag = etag
			return err
		},
		landed: func(ctx context.Context) error {
			found, err := b.putLanded(ctx, key, body, info)
			if err == nil {
				info = found
			}
			return err
		},
	})
	if err != nil {
		return object.Info{}, err
	}
	if info.ETag == "" {
		return b.Head(ctx, key)
	}
	return info, nil
}

func (b *Bucket) putInput(key string, meta map[string]string, contentType string) *s3.PutObjectInput {
	c := &b.client.cfg
	return &s3.PutObjectInput{
		Bucket: &b.name, Key: b.full(key), Metadata: meta, ContentType: &contentType,
		ACL: types.ObjectCannedACL(c.ACL), StorageClass: types.StorageClass(c.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(c.ServerSideEncryption), SSEKMSKeyId: optional(c.SSEKMSKeyID),
	}
}

func (b *Bucket) putOnce(ctx context.Context, in *s3.PutObjectInput, body *io.SectionReader) (etag string, err error) {
	sent := newSendBody(body)
	size := body.Size()
	in.Body, in.ContentLength = sent, &size
	out, err := b.client.s3.PutObject(ctx, in, b.inRegion)
	if err != nil {
		return "", sent.blame(err)
	}
	return bareETag(out.ETag), nil
}

// putLanded returns nil if the object under key is the one that was sent: the same
// bytes by their MD5, and the same metadata.
func (b *Bucket) putLanded(ctx context.Context, key string, body *io.SectionReader, sent object.Info) (object.Info, error) {
	out, err := b.head(ctx, key)
	if err != nil {
		return object.Info{}, err
	}
	want, err := bodyETag(body)
	if err != nil {
		return object.Info{}, err
	}
	found := headInfo(key, out)
	if !etagIsMD5(out) || found.ETag != want || found.Size != sent.Size || !maps.Equal(found.Meta, sent.Meta) {
		return object.Info{}, object.Errorf(object.KindConflict, opPut.String(), key, "")
	}
	return found, nil
}

// sendBody is the body of one try. It remembers its own failures, so that they are
// not taken for the connection's.
type sendBody struct {
	r    *io.SectionReader
	fail atomic.Pointer[localError] // set by net/http's goroutine
}

func newSendBody(body *io.SectionReader) *sendBody {
	return &sendBody{r: io.NewSectionReader(body, 0, body.Size())}
}

func (s *sendBody) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err == io.EOF {
		if at, _ := s.r.Seek(0, io.SeekCurrent); at < s.r.Size() {
			err = io.ErrUnexpectedEOF // what is to be sent has become shorter
		}
	}
	if err != nil && err != io.EOF {
		local := &localError{err}
		s.fail.Store(local)
		return n, local
	}
	return n, err
}

func (s *sendBody) Seek(offset int64, whence int) (int64, error) { return s.r.Seek(offset, whence) }

// blame returns the body's own failure if it had one, else err.
func (s *sendBody) blame(err error) error {
	if local := s.fail.Load(); local != nil {
		return local
	}
	return err
}
