package demoserver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"
)

// client is a small S3 client that signs and sends what a test says, so that the
// bytes on the wire are the test's own and no SDK smooths them over.
type client struct {
	http               *http.Client
	endpoint, bucket   string
	accessKey, secret  string
	now                func() time.Time
	payload            string // in place of the SHA-256 of the body, where not empty
	announcedSizeExtra int64  // bytes announced in Content-Length but never sent
}

// call is one request; key "" means the bucket itself.
type call struct {
	method, key string
	query       url.Values
	header      map[string]string
	body        []byte
}

// answer is a response whose body was read to the end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code returns the S3 error code in the body, or "".
func (a *answer) code() string {
	var e struct{ Code string }
	if xml.Unmarshal(a.body, &e) != nil {
		return ""
	}
	return e.Code
}

func (a *answer) etag() string { return strings.Trim(a.header.Get("ETag"), `"`) }

func (a *answer) String() string {
	b := a.body
	if len(b) > 300 {
		b = b[:300]
	}
	return fmt.Sprintf("%d %s", a.status, b)
}

// do sends c and reads the whole answer.
func (cl *client) do(c call) (*answer, error) {
	resp, err := cl.send(c)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, body}, err
}

// send sends c and leaves the body to the caller, who closes it.
func (cl *client) send(c call) (*http.Response, error) {
	path := "/" + cl.bucket
	if c.key != "" {
		path += "/" + c.key
	}
	u, err := url.Parse(cl.endpoint)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath, u.RawQuery = path, escape(path, true), canonicalQuery(c.query)
	req, err := http.NewRequest(c.method, u.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.ContentLength += cl.announcedSizeExtra
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	cl.sign(req, c.body)
	return cl.http.Do(req)
}

// want is do, with every status but the wanted one made an error.
func (cl *client) want(status int, c call) (*answer, error) {
	a, err := cl.do(c)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", c.method, c.key, err)
	}
	if a.status != status {
		return a, fmt.Errorf("%s %q %v: got %v, want %d", c.method, c.key, c.query, a, status)
	}
	return a, nil
}

func (cl *client) sign(req *http.Request, body []byte) {
	t := cl.now().UTC()
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	if cl.payload != "" {
		payload = cl.payload
	}
	req.Header.Set("X-Amz-Date", t.Format("20060102T150405Z"))
	req.Header.Set("X-Amz-Content-Sha256", payload)
	headers := map[string]string{"host": req.URL.Host}
	for k, v := range req.Header {
		if k = strings.ToLower(k); strings.HasPrefix(k, "x-amz-") {
			headers[k] = strings.Join(strings.Fields(v[0]), " ")
		}
	}
	names := make([]string, 0, len(headers))
	for k := range headers {
		names = append(names, k)
	}
	sort.Strings(names)
	var lines strings.Builder
	for _, k := range names {
		fmt.Fprintf(&lines, "%s:%s\n", k, headers[k])
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{req.Method, req.URL.EscapedPath(), req.URL.RawQuery, lines.String(), signed, payload}, "\n")
	scope := t.Format("20060102") + "/" + region + "/s3/aws4_request"
	hashed := sha256.Sum256([]byte(canonical))
	toSign := "AWS4-HMAC-SHA256\n" + t.Format("20060102T150405Z") + "\n" + scope + "\n" + hex.EncodeToString(hashed[:])
	key := []byte("AWS4" + cl.secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		cl.accessKey, scope, signed, mac(key, toSign)))
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// escape percent-encodes every byte but S3's unreserved ones, and "/" where keepSlash.
func escape(s string, keepSlash bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-._~", c) >= 0 || keepSlash && c == '/' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func canonicalQuery(q url.Values) string {
	var parts []string
	for k, vs := range q {
		for _, v := range vs {
			parts = append(parts, escape(k, false)+"="+escape(v, false))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, "&")
}
