package s3remote

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mount/s3mount/object"
)

// Put stores body as a new version under key, all of it or nothing. The body is read
// more than once. A condition that does not hold is an error of KindConflict.
//
// With o.MD5, the store is told the sum, and refuses other bytes: KindCorrupt. Should
// the ETag that it answers with be an MD5 too, but another one, that is KindCorrupt
// as well, and what is stored under key is not what was sent.
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
	sum, err := contentMD5(key, o.MD5)
	if err != nil {
		return object.Info{}, err
	}
	info := object.Info{Key: key, Size: body.Size(), ContentType: orDefaultType(o.ContentType), Meta: o.Meta.Clone()}
	err = b.write(ctx, write{
		op: opPut, key: key, want: o.Condition, small: body.Size() <= probeSize,
		send: func(ctx context.Context, ifNoneMatch, ifMatch *string) error {
			in := b.putInput(key, meta, info.ContentType)
			in.IfNoneMatch, in.IfMatch, in.ContentMD5 = ifNoneMatch, ifMatch, sum
			out, err := b.putOnce(ctx, in, body)
			if err == nil {
				info.ETag, info.OtherETag = bareETag(out.ETag), b.client.cfg.otherETags() || !plainETag(out.ServerSideEncryption, out.SSECustomerAlgorithm)
			}
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
		if info, err = b.Head(ctx, key); err != nil {
			return object.Info{}, err
		}
	}
	return info, checkStoredMD5(info, o.MD5)
}

// probeSize is the greatest body in bytes that is sent again to find out whether the
// store refuses it.
const probeSize = 64 << 10

// contentMD5 makes of a sum in hexadecimal what the header has; nil where it is empty.
func contentMD5(key, sum string) (*string, error) {
	if sum == "" {
		return nil, nil
	}
	raw, err := hex.DecodeString(sum)
	if err != nil || len(raw) != md5.Size {
		return nil, object.Errorf(object.KindInvalid, opPut.String(), key, "the MD5 %q is none", sum)
	}
	return aws.String(base64.StdEncoding.EncodeToString(raw)), nil
}

// checkStoredMD5 compares the ETag with what was sent, where both are MD5 sums.
func checkStoredMD5(info object.Info, sent string) error {
	if sent == "" || info.OtherETag || !isMD5(info.ETag) || strings.EqualFold(info.ETag, sent) {
		return nil
	}
	return object.Errorf(object.KindCorrupt, opPut.String(), info.Key, "the store has the MD5 %s instead of %s", info.ETag, sent)
}

func (b *Bucket) putInput(key string, meta map[string]string, contentType string) *s3.PutObjectInput {
	c := &b.client.cfg
	return &s3.PutObjectInput{
		Bucket: &b.name, Key: b.full(key), Metadata: meta, ContentType: &contentType,
		ACL: types.ObjectCannedACL(c.ACL), StorageClass: types.StorageClass(c.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(c.ServerSideEncryption), SSEKMSKeyId: optional(c.SSEKMSKeyID),
	}
}

func (b *Bucket) putOnce(ctx context.Context, in *s3.PutObjectInput, body *io.SectionReader) (*s3.PutObjectOutput, error) {
	if !b.client.quirks.v2 { // else a stage of the SDK's adds the MD5 that is signed
		return b.putDirect(ctx, in, body)
	}
	sent := newSendBody(body)
	size := body.Size()
	in.Body, in.ContentLength = sent, &size
	out, err := b.client.s3.PutObject(ctx, in, b.inRegion)
	if err != nil {
		return nil, sent.blame(err)
	}
	return out, nil
}

// putLanded returns nil if the object under key is the one that was sent: the same
// bytes by their MD5, and the same metadata.
func (b *Bucket) putLanded(ctx context.Context, key string, body *io.SectionReader, sent object.Info) (object.Info, error) {
	found, err := b.head(ctx, key)
	if err != nil {
		return object.Info{}, err
	}
	want, err := bodyETag(body)
	if err != nil {
		return object.Info{}, err
	}
	same := found.Size == sent.Size && maps.Equal(found.Meta, sent.Meta)
	if same && found.ETag != want {
		same, err = false, nil
		if found.OtherETag || !isMD5(found.ETag) {
			same, err = b.contentIs(ctx, found, want)
		}
		if err != nil {
			return object.Info{}, err
		}
	}
	if !same {
		return object.Info{}, object.Errorf(object.KindConflict, opPut.String(), key, "")
	}
	return found, nil
}

// contentIs reads an object whose ETag does not tell its MD5, and reports whether that is
// sum.
func (b *Bucket) contentIs(ctx context.Context, found object.Info, sum string) (bool, error) {
	h := md5.New()
	if found.Size > 0 {
		body, err := b.Get(ctx, found.ID(), object.Range{Len: found.Size})
		if err != nil {
			return false, err
		}
		defer body.Close()
		if _, err := io.Copy(h, body); err != nil {
			return false, err
		}
	}
	return hex.EncodeToString(h.Sum(nil)) == sum, nil
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
		return n, s.failed(err)
	}
	return n, err
}

// failed notes that the body can't be read.
func (s *sendBody) failed(err error) error {
	local := &localError{err}
	s.fail.Store(local)
	return local
}

// place returns the file in which the rest of the body lies, if it lies in one.
func (s *sendBody) place() (file *os.File, off, left int64) {
	at, _ := s.r.Seek(0, io.SeekCurrent)
	body, _, _ := s.r.Outer()
	outer, off, _ := body.(*io.SectionReader).Outer()
	file, _ = outer.(*os.File)
	return file, off + at, s.r.Size() - at
}

// skip goes on behind bytes that were sent otherwise.
func (s *sendBody) skip(n int64) { _, _ = s.r.Seek(n, io.SeekCurrent) }

// Close does nothing: the caller has the body.
func (s *sendBody) Close() error { return nil }

func (s *sendBody) Seek(offset int64, whence int) (int64, error) { return s.r.Seek(offset, whence) }

// blame returns the body's own failure if it had one, else err.
func (s *sendBody) blame(err error) error {
	if local := s.fail.Load(); local != nil {
		return local
	}
	return err
}
