package s3remote

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/s3mount/s3mount/object"
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

// partsETag returns the ETag that S3 gives to an object of these parts: the MD5 of
// the parts' MD5s, and their number. It is false where a part's ETag is no MD5.
func partsETag(parts []object.Part) (string, bool) {
	h := md5.New()
	for _, p := range parts {
		if !isMD5(p.ETag) {
			return "", false
		}
		sum, _ := hex.DecodeString(p.ETag)
		h.Write(sum)
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(parts)), true
}
