package s3remote

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// TestASummedPartIsSignedWithItsSum sends the sum that the caller knows, and leaves what
// else is asked on the way alone: here, the bucket's region.
func TestASummedPartIsSignedWithItsSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := strings.Repeat("x", 100)
		known := sha256.Sum256([]byte(data))
		var told []string
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			told = append(told, r.Header.Get("X-Amz-Content-Sha256"))
			switch r.n {
			case 1:
				refuse(w, 400, "AuthorizationHeaderMalformed")
			case 2:
				w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			default:
				w.Header().Set("Etag", `"part"`)
			}
		})
		part, err := b.UploadSummedPart(t.Context(), "k", "id", 1, section(data), known)
		if err != nil || part.ETag != "part" {
			t.Fatalf("%v, %v", part, err)
		}
		nothing := sha256.Sum256(nil)
		want := []string{hex.EncodeToString(known[:]), hex.EncodeToString(nothing[:]), hex.EncodeToString(known[:])}
		if strings.Join(told, " ") != strings.Join(want, " ") {
			t.Errorf("sums %q, want %q", told, want)
		}
	})
}
