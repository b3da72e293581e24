package parts

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"

	"github.com/s3mount/s3mount/object"
)

// ETag returns the ETag that S3 gives to an object of these parts: the MD5 of the parts'
// MD5s, and their number. It is false where a part's ETag is no MD5.
func ETag(list []object.Part) (string, bool) {
	h := md5.New()
	for _, p := range list {
		sum, err := hex.DecodeString(p.ETag)
		if err != nil || len(sum) != md5.Size {
			return "", false
		}
		h.Write(sum)
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(list)), true
}
