package transfer

import (
	"bytes"
	"context"
	"io"

	"github.com/s3mount/s3mount/object"
)

// NewContent returns bytes as Content for Put.
func NewContent(data []byte) Content { return memory{bytes.NewReader(data)} }

type memory struct{ *bytes.Reader }

func (m memory) Unchanged() error { return nil }
func (m memory) Close() error     { return nil }

func (m memory) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n < 0 || off+n > m.Size() {
		return nil, object.Errorf(object.KindInvalid, "read", "", "%d bytes at %d of %d", n, off, m.Size())
	}
	return io.NopCloser(io.NewSectionReader(m.Reader, off, n)), nil
}

// MD5 returns the MD5 sum of a file in hexadecimal: the one that is known, or that of a
// local file's content. Empty: not known, as of an object of several parts.
func MD5(ctx context.Context, ep Endpoint, f File) (string, error) {
	if f.MD5 != "" {
		return f.MD5, nil
	}
	if f.Info.Key != "" {
		if f.Info.Meta != nil {
			return "", nil
		}
		now, err := ep.Stat(ctx, f.Path)
		return now.MD5, err
	}
	c, err := ep.Content(ctx, f)
	if err != nil {
		return "", err
	}
	defer c.Close()
	return contentMD5(ctx, c)
}
