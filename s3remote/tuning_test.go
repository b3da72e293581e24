package s3remote

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/object"
)

// listingWith lists a folder with options set, and returns the query.
func listingWith(t *testing.T, options map[string]string, q object.Query) string {
	t.Helper()
	s, b := serve(t, func(c *Config) {
		conf, err := from(options)
		ok(t, err)
		c.ListChunk, c.ListVersion, c.PlainListings = conf.ListChunk, conf.ListVersion, conf.PlainListings
	}, takeAll)
	_, err := b.List(t.Context(), q)
	ok(t, err)
	return s.request(1).URL.RawQuery
}

func TestListingsAsTheyAreConfigured(t *testing.T) {
	for _, c := range []struct {
		options map[string]string
		max     int
		want    string
	}{
		{nil, 0, "encoding-type=url&list-type=2"},
		{map[string]string{"list_chunk": "50"}, 0, "encoding-type=url&list-type=2&max-keys=50"},
		{map[string]string{"list_chunk": "50"}, 1, "encoding-type=url&list-type=2&max-keys=1"},
		{map[string]string{"list_chunk": "5000"}, 0, "encoding-type=url&list-type=2&max-keys=1000"},
		{map[string]string{"list_version": "1"}, 0, "encoding-type=url"},
		{map[string]string{"list_version": "2"}, 0, "encoding-type=url&list-type=2"},
		{map[string]string{"list_version": "0", "list_url_encode": "unset"}, 0, "encoding-type=url&list-type=2"},
		{map[string]string{"list_url_encode": "false"}, 0, "list-type=2"},
	} {
		if got := listingWith(t, c.options, object.Query{Max: c.max}); got != c.want {
			t.Errorf("%v: %s, want %s", c.options, got, c.want)
		}
	}
}

// A page of list_chunk keys is not the end of a listing.
func TestListChunkListsAll(t *testing.T) {
	s, b := serve(t, func(c *Config) { c.ListChunk = 1 }, func(w http.ResponseWriter, r *request) {
		if r.URL.Query().Get("continuation-token") == "" {
			_, _ = io.WriteString(w, listBody("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents><Key>a</Key><Size>1</Size></Contents>"))
			return
		}
		_, _ = io.WriteString(w, listBody("<Contents><Key>b</Key><Size>1</Size></Contents>"))
	})
	page, err := b.List(t.Context(), object.Query{})
	ok(t, err)
	page, err = b.List(t.Context(), object.Query{Token: page.Next})
	ok(t, err)
	if page.Next != "" || len(page.Objects) != 1 || s.count() != 2 {
		t.Errorf("%+v after %d requests", page, s.count())
	}
}

func TestBucketWithObjectLock(t *testing.T) {
	const header = "X-Amz-Bucket-Object-Lock-Enabled"
	wantHeader(t, record(t, map[string]string{"bucket_object_lock_enabled": "true"}), header, "true", "CreateBucket")
	wantHeader(t, record(t, nil), header, "")
}

// A store that is known to claim uploads is looked at, unless no_head says not to.
func TestNoHeadBelievesTheStore(t *testing.T) {
	for _, noHead := range []bool{false, true} {
		s, b := serve(t, func(c *Config) { c.Provider, c.NoHead = "Other", noHead }, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", "4")
				put(w, "e-1")
				return
			}
			takeAll(w, r)
		})
		_, err := b.CompleteUpload(t.Context(), "k", "up", []object.Part{{Number: 1, ETag: "e", Size: 4}}, object.Condition{})
		ok(t, err)
		looked := strings.Contains(strings.Join(s.seen(), "\n"), "HEAD")
		if looked == noHead {
			t.Errorf("no_head = %v: %q", noHead, s.seen())
		}
	}
}

// What a store of odd ETags has is not taken for something else.
func TestOtherPartETagsAreNotCompared(t *testing.T) {
	part := object.Part{Number: 1, ETag: strings.Repeat("ab", 16), Size: 4}
	for _, other := range []bool{false, true} {
		_, b := serve(t, func(c *Config) { c.OtherPartETags = other }, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", "4")
				put(w, "odd")
				return
			}
			_, _ = io.WriteString(w, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
		})
		_, err := b.CompleteUpload(t.Context(), "k", "up", []object.Part{part}, object.Condition{})
		if (err == nil) != other {
			t.Errorf("use_multipart_etag = %v: %v", !other, err)
		}
	}
}

func TestCutoffs(t *testing.T) {
	for _, c := range []struct {
		options map[string]string
		want    int64
	}{
		{nil, 0},
		{map[string]string{"upload_cutoff": "0"}, 1},
		{map[string]string{"upload_cutoff": "200Mi"}, 200 << 20},
		{map[string]string{"use_multipart_uploads": "true"}, 0},
		{map[string]string{"use_multipart_uploads": "false", "upload_cutoff": "200Mi"}, parts.MaxSize},
	} {
		got, err := from(c.options)
		ok(t, err)
		if got.UploadCutoff != c.want {
			t.Errorf("%v: %d, want %d", c.options, got.UploadCutoff, c.want)
		}
	}
}

func TestOptionsOfRoles(t *testing.T) {
	c, err := from(map[string]string{
		"env_auth": "true", "role_arn": testRole, "role_session_name": "n", "role_session_duration": "1h30m", "role_external_id": "x", "sts_endpoint": "sts.test",
	})
	ok(t, err)
	if c.RoleARN != testRole || c.RoleSessionName != "n" || c.RoleSessionDuration != 90*time.Minute || c.RoleExternalID != "x" || c.STSEndpoint != "sts.test" {
		t.Errorf("%+v", c)
	}
	// Without a role they do nothing, as with rclone.
	if _, err := from(map[string]string{"role_session_name": "n", "sts_endpoint": "ftp://x"}); err != nil {
		t.Error(err)
	}
}

// The URL of a proxy may have a password.
func TestWrongProxyIsNotShown(t *testing.T) {
	_, b := serve(t, func(c *Config) { c.RetryDeadline = 1 }, nil)
	b.client.wire.transport.Proxy = quietProxy(func(*http.Request) (*url.URL, error) {
		return nil, &url.Error{Op: "parse", URL: "http://me:s3cret@bad host", Err: errors.New("a blank")}
	})
	_, err := b.Head(t.Context(), "k")
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "HTTP_PROXY") {
		t.Errorf("the error is %v", err)
	}
}
