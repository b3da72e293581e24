package s3remote

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestCleanup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young := time.Now().Add(-48*time.Hour).UTC().Format(time.RFC3339), time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodGet {
				fmt.Fprint(w, "<ListMultipartUploadsResult>")
				for key, at := range map[string]string{"a": old, "b": young, "c": old, "d": ""} {
					if at != "" {
						at = "<Initiated>" + at + "</Initiated>"
					}
					fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>u</UploadId>%s</Upload>", key, at)
				}
				fmt.Fprint(w, "</ListMultipartUploadsResult>")
			} else if r.URL.Path == "/bkt/c" {
				refuse(w, 403, "AccessDenied")
			}
		})
		gone, err := b.Cleanup(t.Context(), "", 24*time.Hour)
		wantKind(t, err, object.KindPermission)
		if len(gone) != 1 || gone[0].Key != "a" || s.count() != 3 {
			t.Errorf("%v, %q", gone, s.seen())
		}
	})
}
