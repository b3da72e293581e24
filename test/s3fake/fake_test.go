package s3fake

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// client is an S3 client of a few lines, so that the server is not tested with itself.
type client struct {
	t    *testing.T
	http *http.Client
	base string
}

func newClient(t *testing.T, s *Server) *client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &client{t, &http.Client{Transport: tr}, s.URL()}
}

// try sends a request; header holds names and values in turn.
func (c *client) try(method, path string, body []byte, header ...string) (*http.Response, []byte, error) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

// do is try for a request that must be answered with status.
func (c *client) do(status int, method, path string, body []byte, header ...string) (*http.Response, []byte) {
	c.t.Helper()
	resp, b, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	if resp.Header.Get("X-Amz-Request-Id") == "" {
		c.t.Errorf("%s %s: no request id", method, path)
	}
	return resp, b
}

// refused is do for a request that must fail with a code.
func (c *client) refused(code string, method, path string, body []byte, header ...string) {
	c.t.Helper()
	status := (&apiError{code: code}).status()
	_, b := c.do(status, method, path, body, header...)
	var e struct{ Code string }
	if err := xml.Unmarshal(b, &e); err != nil || e.Code != code {
		c.t.Errorf("%s %s: answer %q, want code %s", method, path, b, code)
	}
}

func start(t *testing.T, o Options) (*Server, *Bucket, *client) {
	s := Start(t, o)
	return s, s.Bucket("bucket"), newClient(t, s)
}

func TestObjectRoundTrip(t *testing.T) {
	_, b, c := start(t, Options{})
	sum := md5.Sum([]byte("hello"))
	resp, _ := c.do(200, "PUT", "/bucket/dir/a%2Bb%20c%0A", []byte("hello"),
		"X-Amz-Meta-Mtime", "1511424000.123456789", "Content-Type", "text/x-test",
		"Content-MD5", base64.StdEncoding.EncodeToString(sum[:]), "X-Amz-Storage-Class", "STANDARD_IA")
	if got, want := resp.Header.Get("Etag"), `"`+hex.EncodeToString(sum[:])+`"`; got != want {
		t.Errorf("ETag %s, want %s", got, want)
	}
	resp, body := c.do(200, "GET", "/bucket/dir/a+b%20c%0A", nil)
	if string(body) != "hello" || resp.Header.Get("X-Amz-Meta-Mtime") != "1511424000.123456789" ||
		resp.Header.Get("Content-Type") != "text/x-test" || resp.Header.Get("X-Amz-Storage-Class") != "STANDARD_IA" {
		t.Errorf("GET: %q, %v", body, resp.Header)
	}
	resp, _ = c.do(200, "HEAD", "/bucket/dir/a+b%20c%0A", nil)
	if resp.ContentLength != 5 {
		t.Errorf("HEAD: length %d", resp.ContentLength)
	}
	o, ok := b.Head("dir/a+b c\n")
	if !ok || o.Meta["mtime"] != "1511424000.123456789" {
		t.Errorf("Head: %+v, %v", o, ok)
	}
	c.do(204, "DELETE", "/bucket/dir/a+b%20c%0A", nil)
	c.do(204, "DELETE", "/bucket/dir/a+b%20c%0A", nil)
	c.refused("NoSuchKey", "GET", "/bucket/dir/a+b%20c%0A", nil)
	c.refused("NoSuchBucket", "GET", "/other-bucket/x", nil)
	c.do(404, "HEAD", "/bucket/none", nil)
}

func TestKeysAreKeptAsSpelled(t *testing.T) {
	_, b, c := start(t, Options{})
	for _, path := range []string{"a//b", "/lead", "a/", "a/./b", "a/../b", "a%2Fb", "%00"} {
		c.do(200, "PUT", "/bucket/"+path, []byte(path))
		_, body := c.do(200, "GET", "/bucket/"+path, nil)
		if string(body) != path {
			t.Errorf("%q holds %q", path, body)
		}
	}
	want := []string{"\x00", "/lead", "a/", "a/../b", "a/./b", "a//b", "a/b"}
	if got := b.Keys(""); !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	c.do(200, "PUT", "/bucket/"+strings.Repeat("k", 1024), nil)
	c.refused("KeyTooLongError", "PUT", "/bucket/"+strings.Repeat("k", 1025), nil)
	c.refused("InvalidURI", "PUT", "/bucket/%ff", nil)
}

// TestRecalledSums stores bodies twice: what is remembered refuses and answers the same.
func TestRecalledSums(t *testing.T) {
	_, _, c := start(t, Options{RecallSums: true})
	good := base64.StdEncoding.EncodeToString([]byte("\x9d\xd4\xe4\x61\x26\x8c\x80\x34\xf5\xc8\x56\x4e\x15\x5c\x67\xa6")) // of "x"
	for range 2 {
		c.refused("BadDigest", "PUT", "/bucket/k", []byte("y"), "Content-MD5", good)
		c.refused("XAmzContentSHA256Mismatch", "PUT", "/bucket/k", []byte("x"), "X-Amz-Content-Sha256", strings.Repeat("0", 64))
		resp, _ := c.do(200, "PUT", "/bucket/k", []byte("x"), "Content-MD5", good)
		if got := resp.Header.Get("Etag"); got != `"9dd4e461268c8034f5c8564e155c67a6"` {
			t.Errorf("ETag %s", got)
		}
	}
}

func TestBodiesAreVerified(t *testing.T) {
	_, b, c := start(t, Options{})
	zero := strings.Repeat("0", 64)
	c.refused("XAmzContentSHA256Mismatch", "PUT", "/bucket/k", []byte("x"), "X-Amz-Content-Sha256", zero)
	c.refused("BadDigest", "PUT", "/bucket/k", []byte("x"), "Content-MD5", base64.StdEncoding.EncodeToString(make([]byte, 16)))
	c.refused("InvalidDigest", "PUT", "/bucket/k", []byte("x"), "Content-MD5", "no")
	c.refused("BadDigest", "PUT", "/bucket/k", []byte("x"), "X-Amz-Checksum-Crc32", "AAAAAA==")
	if got := b.Keys(""); got != nil {
		t.Errorf("refused bodies were stored: %q", got)
	}
	c.do(200, "PUT", "/bucket/k", []byte("123456789"), "X-Amz-Checksum-Crc32", "y/Q5Jg==",
		"X-Amz-Checksum-Crc32c", "4waSgw==", "X-Amz-Checksum-Crc64nvme", "rosUhgp5mIg=")
	c.refused("MetadataTooLarge", "PUT", "/bucket/m", nil, "X-Amz-Meta-Long", strings.Repeat("v", 2050))

	framed := "5;chunk-signature=00\r\nhello\r\n6;chunk-signature=00\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
	c.do(200, "PUT", "/bucket/framed", []byte(framed), "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		"X-Amz-Decoded-Content-Length", "11")
	if got, _ := b.Get("framed"); string(got) != "hello world" {
		t.Errorf("framed body is %q", got)
	}
	c.refused("IncompleteBody", "PUT", "/bucket/cut", []byte(framed[:30]), "X-Amz-Content-Sha256",
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Decoded-Content-Length", "11")
}

func TestRanges(t *testing.T) {
	_, b, c := start(t, Options{})
	b.Put("k", []byte("0123456789"), nil)
	b.Put("empty", nil, nil)
	tests := []struct {
		spec   string
		status int
		want   string
	}{
		{"bytes=0-0", 206, "0"}, {"bytes=2-4", 206, "234"}, {"bytes=8-99", 206, "89"},
		{"bytes=7-", 206, "789"}, {"bytes=-3", 206, "789"}, {"bytes=-99", 206, "0123456789"},
		{"bytes=10-", 416, ""}, {"bytes=-0", 416, ""},
		{"bytes=4-2", 200, "0123456789"}, {"bytes=x", 200, "0123456789"}, {"bytes=0-1,3-4", 200, "0123456789"},
	}
	for _, tt := range tests {
		resp, body := c.do(tt.status, "GET", "/bucket/k", nil, "Range", tt.spec)
		if tt.want != "" && string(body) != tt.want {
			t.Errorf("%s: %q, want %q", tt.spec, body, tt.want)
		}
		if tt.status == 206 && !strings.HasSuffix(resp.Header.Get("Content-Range"), "/10") {
			t.Errorf("%s: Content-Range %q", tt.spec, resp.Header.Get("Content-Range"))
		}
	}
	c.refused("InvalidRange", "GET", "/bucket/empty", nil, "Range", "bytes=0-0")
}

func TestConditions(t *testing.T) {
	s, b, c := start(t, Options{})
	old := b.Put("k", []byte("old"), nil)
	c.do(200, "GET", "/bucket/k", nil, "If-Match", quote(old))
	c.do(304, "GET", "/bucket/k", nil, "If-None-Match", quote(old))
	b.Put("k", []byte("new"), nil)
	c.refused("PreconditionFailed", "GET", "/bucket/k", nil, "If-Match", quote(old))
	c.refused("PreconditionFailed", "PUT", "/bucket/k", nil, "If-None-Match", "*")
	c.refused("PreconditionFailed", "PUT", "/bucket/k", nil, "If-Match", quote(old))
	c.refused("NoSuchKey", "PUT", "/bucket/none", nil, "If-Match", quote(old))
	c.refused("PreconditionFailed", "PUT", "/bucket/c", nil, "X-Amz-Copy-Source", "/bucket/k", "X-Amz-Copy-Source-If-Match", quote(old))
	c.do(200, "PUT", "/bucket/none", nil, "If-None-Match", "*")
	if got := s.Stats().Requests[PutObject]; got != 4 {
		t.Errorf("%d PUTs counted, want 4", got)
	}

	_, _, lax := start(t, Options{Quirks: Quirks{IgnoreConditions: true}})
	lax.do(200, "PUT", "/bucket/k", nil)
	lax.do(200, "PUT", "/bucket/k", nil, "If-None-Match", "*")
	_, _, strict := start(t, Options{Quirks: Quirks{RefuseConditions: true}})
	strict.refused("NotImplemented", "PUT", "/bucket/k", nil, "If-None-Match", "*")
}

func TestCopy(t *testing.T) {
	_, b, c := start(t, Options{})
	b.Put("a+b %", []byte("data"), map[string]string{"mtime": "1"})
	c.do(200, "PUT", "/bucket/copy", nil, "X-Amz-Copy-Source", "/bucket/a%2Bb%20%25")
	c.do(200, "PUT", "/bucket/changed", nil, "X-Amz-Copy-Source", "bucket/copy",
		"X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Mtime", "2")
	c.refused("InvalidRequest", "PUT", "/bucket/copy", nil, "X-Amz-Copy-Source", "/bucket/copy")
	c.refused("NoSuchKey", "PUT", "/bucket/x", nil, "X-Amz-Copy-Source", "/bucket/none")
	for key, mtime := range map[string]string{"copy": "1", "changed": "2"} {
		o, _ := b.Head(key)
		if data, _ := b.Get(key); string(data) != "data" || o.Meta["mtime"] != mtime {
			t.Errorf("%s: %q, %+v", key, data, o)
		}
	}
	b.SetStorageClass("copy", "GLACIER")
	c.refused("InvalidObjectState", "GET", "/bucket/copy", nil)
}

func TestBucketsAndDeletes(t *testing.T) {
	_, b, c := start(t, Options{Region: "eu-west-1"})
	c.do(200, "PUT", "/second", nil)
	c.refused("BucketAlreadyOwnedByYou", "PUT", "/second", nil)
	c.refused("InvalidBucketName", "PUT", "/B", nil)
	resp, _ := c.do(200, "HEAD", "/second", nil)
	if got := resp.Header.Get("X-Amz-Bucket-Region"); got != "eu-west-1" {
		t.Errorf("region %q", got)
	}
	_, body := c.do(200, "GET", "/second?location", nil)
	if !bytes.Contains(body, []byte("eu-west-1")) {
		t.Errorf("location %s", body)
	}
	_, body = c.do(200, "GET", "/", nil)
	if !bytes.Contains(body, []byte("<Name>bucket</Name>")) || !bytes.Contains(body, []byte("<Name>second</Name>")) {
		t.Errorf("buckets %s", body)
	}
	b.Put("a", nil, nil)
	b.Put("<&>", nil, nil)
	c.refused("BucketNotEmpty", "DELETE", "/bucket", nil)
	_, body = c.do(200, "POST", "/bucket?delete", []byte("<Delete><Object><Key>a</Key></Object><Object><Key>&lt;&amp;&gt;</Key></Object><Object><Key>none</Key></Object></Delete>"))
	if n := bytes.Count(body, []byte("<Deleted>")); n != 3 || b.Keys("") != nil {
		t.Errorf("%d deleted, %q left: %s", n, b.Keys(""), body)
	}
	c.refused("MalformedXML", "POST", "/bucket?delete", []byte("<Delete>"))
	c.do(204, "DELETE", "/bucket", nil)
	c.refused("NotImplemented", "GET", "/second?acl", nil)
	c.refused("NotImplemented", "GET", "/second/k?tagging", nil)
}

func TestAccessKey(t *testing.T) {
	_, _, c := start(t, Options{AccessKey: "KNOWN"})
	c.refused("AccessDenied", "GET", "/bucket", nil)
	c.refused("InvalidAccessKeyId", "GET", "/bucket", nil, "Authorization", "AWS4-HMAC-SHA256 Credential=OTHER/20260101/x")
	c.do(200, "GET", "/bucket", nil, "Authorization", "AWS4-HMAC-SHA256 Credential=KNOWN/20260101/x")
	c.do(200, "GET", "/bucket", nil, "Authorization", "AWS KNOWN:sig")
}

func TestMultipart(t *testing.T) {
	s, b, c := start(t, Options{MinPart: 16})
	begin := func(key string) string {
		_, body := c.do(200, "POST", "/bucket/"+key+"?uploads", nil, "X-Amz-Meta-Mode", "33188")
		var doc struct{ UploadId string }
		if err := xml.Unmarshal(body, &doc); err != nil || doc.UploadId == "" {
			t.Fatalf("create: %s", body)
		}
		return "/bucket/" + key + "?uploadId=" + url.QueryEscape(doc.UploadId)
	}
	send := func(up string, n int, data string) string {
		resp, _ := c.do(200, "PUT", fmt.Sprintf("%s&partNumber=%d", up, n), []byte(data))
		return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, resp.Header.Get("Etag"))
	}
	ask := func(parts ...string) []byte {
		return []byte("<CompleteMultipartUpload>" + strings.Join(parts, "") + "</CompleteMultipartUpload>")
	}
	up := begin("k")
	stale := send(up, 1, "wrong wrong wrong")
	one, two := send(up, 1, "sixteen bytes or"), send(up, 2, " so")
	small := send(up, 3, "x")
	c.refused("InvalidPart", "POST", up, ask(stale))
	c.refused("InvalidPartOrder", "POST", up, ask(two, one))
	c.refused("EntityTooSmall", "POST", up, ask(one, two, small))
	c.refused("MalformedXML", "POST", up, ask())
	c.refused("InvalidArgument", "PUT", up+"&partNumber=10001", nil)
	_, body := c.do(200, "GET", up+"&max-parts=2", nil)
	if !bytes.Contains(body, []byte("<IsTruncated>true</IsTruncated>")) || bytes.Count(body, []byte("<Part>")) != 2 {
		t.Errorf("parts: %s", body)
	}
	b.Put("k", []byte("in the way"), nil)
	c.refused("PreconditionFailed", "POST", up, ask(one, two), "If-None-Match", "*")
	c.do(200, "POST", up, ask(one, two))
	o, _ := b.Head("k")
	if data, _ := b.Get("k"); string(data) != "sixteen bytes or so" || o.Meta["mode"] != "33188" || o.Parts != 2 {
		t.Errorf("%q, %+v", data, o)
	}
	c.refused("NoSuchUpload", "POST", up, ask(one, two))

	up = begin("copied")
	_, body = c.do(200, "PUT", up+"&partNumber=1", nil, "X-Amz-Copy-Source", "/bucket/k", "X-Amz-Copy-Source-Range", "bytes=8-12")
	var part struct{ ETag string }
	if err := xml.Unmarshal(body, &part); err != nil {
		t.Fatal(err)
	}
	_, body = c.do(200, "GET", "/bucket?uploads&prefix=cop", nil)
	if !bytes.Contains(body, []byte("<Key>copied</Key>")) {
		t.Errorf("uploads: %s", body)
	}
	c.do(200, "POST", up, ask("<Part><PartNumber>1</PartNumber><ETag>"+part.ETag+"</ETag></Part>"))
	if data, _ := b.Get("copied"); string(data) != "bytes" {
		t.Errorf("copied part: %q", data)
	}
	c.do(204, "DELETE", begin("never"), nil)
	c.refused("NoSuchUpload", "DELETE", up, nil)
	if got := b.Uploads(); got != nil {
		t.Errorf("uploads left: %q", got)
	}
	if s.Stats().Requests[UploadPart] == 0 {
		t.Error("parts are not counted")
	}
}

func TestPatternsCostNothing(t *testing.T) {
	s, b, c := start(t, Options{FastETag: true})
	const size = 64 << 20
	p := NewPattern(7)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL()+"/bucket/big", p.Reader(size))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = size
	resp, err := c.http.Do(r)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if n := len(b.objects["big"].body.pieces); n != 1 {
		t.Errorf("%d pieces, want 1", n)
	}
	_, body := c.do(206, "GET", "/bucket/big", nil, "Range", "bytes=60000003-60200000")
	if err := p.Check(body, 60000003); err != nil {
		t.Error(err)
	}
	if got := s.Stats(); got.BytesIn != size || got.BytesOut != 199998 {
		t.Errorf("in %d, out %d", got.BytesIn, got.BytesOut)
	}
}

func TestEqualChunksAreStoredOnce(t *testing.T) {
	s, b, _ := start(t, Options{})
	data := bytes.Repeat([]byte("0123456789abcdef!"), 20*chunkSize/17*17)
	for range 3 {
		b.Put("k", data[:17*chunkSize], nil) // every 17 chunks all offsets have been seen
		b.Put("l", data[:17*chunkSize], nil)
	}
	s.depot.mu.Lock()
	n := len(s.depot.mu.chunks)
	s.depot.mu.Unlock()
	if n != 17 {
		t.Errorf("%d chunks stored, want 17", n)
	}
	if got, _ := b.Get("l"); !bytes.Equal(got, data[:17*chunkSize]) {
		t.Error("bytes differ")
	}
}
