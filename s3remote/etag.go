package s3remote

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"strings"
)

// bareETag takes the quotes off an ETag.
func bareETag(s *string) string {
	if s == nil {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(*s, "W/"), `"`)
}

func quoted(etag string) *string {
	s := `"` + etag + `"`
	return &s
}

// isMD5 reports whether an ETag has the form of one.
func isMD5(etag string) bool {
	if len(etag) != 2*md5.Size {
		return false
	}
	_, err := hex.DecodeString(etag)
	return err == nil
}

// bodyETag returns the ETag that a store gives to a body that comes in one request,
// if its ETags are MD5 sums.
func bodyETag(body *io.SectionReader) (string, error) {
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(body, 0, body.Size())); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
