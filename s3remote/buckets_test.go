package s3remote

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestBuckets(t *testing.T) {
	s, b := serve(t, func(c *Config) { c.LocationConstraint = "eu" }, func(w http.ResponseWriter, r *request) {
		switch {
		case r.n == 1:
		case r.n == 2:
			refuse(w, 409, "BucketAlreadyOwnedByYou")
		case r.n == 3:
			refuse(w, 409, "BucketAlreadyExists")
		default:
			_, _ = io.WriteString(w, "<ListAllMyBucketsResult><Buckets><Bucket><Name>b2</Name></Bucket><Bucket><Name>b1</Name><CreationDate>2024-05-06T07:08:09.9Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>")
		}
	})
	ok(t, b.client.CreateBucket(t.Context(), "abc"))
	if r := s.request(1); r.Method != http.MethodPut || r.URL.Path != "/abc" || !strings.Contains(string(r.body), "<LocationConstraint>eu<") {
		t.Errorf("%v %s", r, r.body)
	}
	ok(t, b.client.CreateBucket(t.Context(), "abc"))
	wantKind(t, b.client.CreateBucket(t.Context(), "abc"), object.KindExists)
	wantKind(t, b.client.CreateBucket(t.Context(), "a/c"), object.KindInvalid)
	got, err := b.client.ListBuckets(t.Context())
	ok(t, err)
	if len(got) != 2 || got[0].Name != "b1" || !got[1].Created.IsZero() || !got[0].Created.Equal(time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)) {
		t.Errorf("%+v", got)
	}
}

func TestDeleteBucket(t *testing.T) {
	code := ""
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
		if code != "" {
			refuse(w, map[string]int{"BucketNotEmpty": 409, "NoSuchBucket": 404}[code], code)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	ok(t, b.client.DeleteBucket(t.Context(), "abc"))
	if got := s.request(1).String(); got != "DELETE /abc" {
		t.Errorf("%q", got)
	}
	code = "BucketNotEmpty"
	wantKind(t, b.client.DeleteBucket(t.Context(), "abc"), object.KindNotEmpty)
	code = "NoSuchBucket"
	wantKind(t, b.client.DeleteBucket(t.Context(), "abc"), object.KindNoBucket)
	wantKind(t, b.client.DeleteBucket(t.Context(), "a/b"), object.KindInvalid)
}

func TestBucketsInPages(t *testing.T) {
	stuck := false
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		token := r.URL.Query().Get("continuation-token")
		next := map[string]string{"": "t1", "t1": "t2", "t2": ""}[token]
		if stuck {
			next = "t1"
		}
		fmt.Fprintf(w, "<ListAllMyBucketsResult><Buckets><Bucket><Name>b%s</Name></Bucket></Buckets><ContinuationToken>%s</ContinuationToken></ListAllMyBucketsResult>", token, next)
	})
	got, err := b.client.ListBuckets(t.Context())
	if err != nil || len(got) != 3 || got[0].Name != "b" || got[2].Name != "bt2" || s.count() != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	stuck = true
	_, err = b.client.ListBuckets(t.Context())
	wantKind(t, err, object.KindOther)
}
