package demoserver

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

type listing struct {
	IsTruncated           bool
	NextContinuationToken string
	KeyCount              int
	Contents              []struct {
		Key, ETag    string
		Size         int64
		LastModified time.Time
	}
	CommonPrefixes []struct{ Prefix string }
}

func (cl *client) page(q url.Values) (*listing, error) {
	query := url.Values{"list-type": {"2"}, "encoding-type": {"url"}}
	for k, v := range q {
		query[k] = v
	}
	a, err := cl.want(200, call{method: "GET", query: query})
	if err != nil {
		return nil, err
	}
	var l listing
	if err := xml.Unmarshal(a.body, &l); err != nil {
		return nil, fmt.Errorf("%w in %.300s", err, a.body)
	}
	for i := range l.Contents {
		if l.Contents[i].Key, err = url.QueryUnescape(l.Contents[i].Key); err != nil {
			return nil, err
		}
	}
	for i := range l.CommonPrefixes {
		if l.CommonPrefixes[i].Prefix, err = url.QueryUnescape(l.CommonPrefixes[i].Prefix); err != nil {
			return nil, err
		}
	}
	return &l, nil
}

// list follows the pages of q to the end.
func (cl *client) list(q url.Values) (keys, prefixes []string, err error) {
	for range 10_000 {
		l, err := cl.page(q)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range l.Contents {
			keys = append(keys, c.Key)
		}
		for _, p := range l.CommonPrefixes {
			prefixes = append(prefixes, p.Prefix)
		}
		if !l.IsTruncated {
			return keys, prefixes, nil
		}
		if l.NextContinuationToken == "" {
			return nil, nil, fmt.Errorf("truncated, but no token")
		}
		q.Set("continuation-token", l.NextContinuationToken)
	}
	return nil, nil, fmt.Errorf("the pages never end")
}

// fill puts an empty object under each key.
func (cl *client) fill(keys ...string) error {
	for _, k := range keys {
		if _, err := cl.want(200, call{method: "PUT", key: k, body: []byte(k)}); err != nil {
			return err
		}
	}
	return nil
}

func checkPaging(cl *client) error {
	var want []string
	for i := range 53 {
		want = append(want, fmt.Sprintf("paging/%03d+%%", i))
	}
	if err := cl.fill(want...); err != nil {
		return err
	}
	for _, n := range []string{"1", "7", "52", "53", "1000"} {
		keys, _, err := cl.list(url.Values{"prefix": {"paging/"}, "max-keys": {n}})
		if err != nil || !slices.Equal(keys, want) {
			return fmt.Errorf("max-keys %s: %d keys %.200q, %v", n, len(keys), keys, err)
		}
	}
	return nil
}

func checkDelimiterPaging(cl *client) error {
	if err := cl.fill("tree/a", "tree/b/1", "tree/b/2", "tree/b/3", "tree/b!", "tree/c", "tree/d/e/f", "tree/é/x", "treeless"); err != nil {
		return err
	}
	for _, n := range []string{"1", "2", "3", "1000"} {
		keys, prefixes, err := cl.list(url.Values{"prefix": {"tree/"}, "delimiter": {"/"}, "max-keys": {n}})
		if err != nil || !slices.Equal(keys, []string{"tree/a", "tree/b!", "tree/c"}) || !slices.Equal(prefixes, []string{"tree/b/", "tree/d/", "tree/é/"}) {
			return fmt.Errorf("max-keys %s: %q and %q, %v", n, keys, prefixes, err)
		}
	}
	return nil
}

func checkStartAfter(cl *client) error {
	if err := cl.fill("after/a", "after/b", "after/c/1", "after/d"); err != nil {
		return err
	}
	for after, want := range map[string]string{"after/a": "b c/ d", "after/aa": "b c/ d", "after/b": "c/ d", "after/c/": "d", "after/d": "", "a": "a b c/ d", "z": ""} {
		keys, prefixes, err := cl.list(url.Values{"prefix": {"after/"}, "delimiter": {"/"}, "start-after": {after}})
		got := append(keys, prefixes...)
		slices.Sort(got)
		if s := strings.ReplaceAll(strings.Join(got, " "), "after/", ""); err != nil || s != want {
			return fmt.Errorf("after %q: %q, want %q, %v", after, s, want, err)
		}
	}
	return nil
}

// checkListHead compares what a listing says with what HEAD says: a cache that is
// keyed by ETag, time and size must see the same version in both.
func checkListHead(cl *client) error {
	if err := cl.fill("same/one"); err != nil {
		return err
	}
	if a, err := cl.upload("same/two", nil, nil, []byte("part")); err != nil || a.status != 200 {
		return fmt.Errorf("%v, %v", a, err)
	}
	l, err := cl.page(url.Values{"prefix": {"same/"}})
	if err != nil || len(l.Contents) != 2 {
		return fmt.Errorf("listing: %+v, %v", l, err)
	}
	for _, c := range l.Contents {
		h, err := cl.want(200, call{method: "HEAD", key: c.Key})
		if err != nil {
			return err
		}
		t, err := http.ParseTime(h.header.Get("Last-Modified"))
		if err != nil || !t.Equal(c.LastModified) || strings.Trim(c.ETag, `"`) != h.etag() || fmt.Sprint(c.Size) != h.header.Get("Content-Length") {
			return fmt.Errorf("%s: the listing says %+v, HEAD %v, %v", c.Key, c, h.header, err)
		}
	}
	return nil
}

func checkURLEncoding(cl *client) error {
	if err := cl.fill("enc/a b", "enc/a+b", "enc/a%20b", "enc/ü/x"); err != nil {
		return err
	}
	a, err := cl.want(200, call{method: "GET", query: url.Values{"list-type": {"2"}, "encoding-type": {"url"}, "prefix": {"enc/"}, "delimiter": {"/"}}})
	if err != nil {
		return err
	}
	for _, s := range []string{"a%2Bb", "a%2520b", "%C3%BC/", "<EncodingType>url<"} {
		if !strings.Contains(string(a.body), s) {
			return fmt.Errorf("no %q in %s", s, a.body)
		}
	}
	return nil
}

// checkKeys puts an object under each key, and finds each under its own name, with
// its own bytes, by GET and in a listing; then deletes them one by one.
func checkKeys(names ...string) func(*client) error {
	return func(cl *client) error {
		h := crc32.ChecksumIEEE([]byte(names[0]))
		prefix := fmt.Sprintf("%03d/", h%1000)
		var keys []string
		for _, n := range names {
			keys = append(keys, prefix+n)
		}
		if err := cl.fill(keys...); err != nil {
			return err
		}
		for _, k := range keys {
			if err := cl.holds(k, []byte(k)); err != nil {
				return err
			}
		}
		got, _, err := cl.list(url.Values{"prefix": {prefix}, "max-keys": {"1"}})
		slices.Sort(keys)
		if err != nil || !slices.Equal(got, keys) {
			return fmt.Errorf("listed %.200q, want %.200q, %v", got, keys, err)
		}
		for i, k := range keys {
			if _, err := cl.want(204, call{method: "DELETE", key: k}); err != nil {
				return err
			}
			for _, left := range keys[i+1:] {
				if err := cl.holds(left, []byte(left)); err != nil {
					return fmt.Errorf("after the delete of %.60q: %w", k, err)
				}
			}
		}
		return nil
	}
}

func checkKeyTooLong(cl *client) error {
	a, err := cl.want(400, call{method: "PUT", key: strings.Repeat("k", 1025)})
	if err == nil && a.code() != "KeyTooLongError" {
		err = fmt.Errorf("code %q", a.code())
	}
	return err
}

func checkTruncated(cl *client) error {
	// The transport sends what it has and notices the gap itself; the server sees a
	// connection that ends before the body does.
	short := *cl
	short.announcedSizeExtra = 1000
	if a, err := short.do(call{method: "PUT", key: "short", body: pattern(100_000)}); err == nil && a.status == 200 {
		return fmt.Errorf("accepted: %v", a)
	}
	_, err := cl.want(404, call{method: "HEAD", key: "short"})
	return err
}

func checkPayloadHash(cl *client) error {
	a, err := cl.sendTampered("tampered", []byte("what was signed"), []byte("what was sent!!"))
	if err != nil {
		return err
	}
	if a.status != 400 {
		return fmt.Errorf("got %v", a)
	}
	_, err = cl.want(404, call{method: "HEAD", key: "tampered"})
	return err
}

// sendTampered signs one body and sends another of the same length.
func (cl *client) sendTampered(key string, signed, sent []byte) (*answer, error) {
	req, err := http.NewRequest("PUT", cl.endpoint+"/"+cl.bucket+"/"+key, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	cl.sign(req, signed)
	resp, err := cl.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, body}, err
}

func checkAuth(cl *client) error {
	for _, c := range []struct {
		code   string
		change func(*client)
	}{
		{"SignatureDoesNotMatch", func(c *client) { c.secret += "x" }},
		{"InvalidAccessKeyId", func(c *client) { c.accessKey += "x" }},
		{"RequestTimeTooSkewed", func(c *client) { c.now = func() time.Time { return time.Now().Add(-time.Hour) } }},
	} {
		other := *cl
		c.change(&other)
		a, err := other.want(403, call{method: "GET", query: url.Values{"list-type": {"2"}}})
		if err != nil || a.code() != c.code {
			return fmt.Errorf("want %s: %v, %v", c.code, a, err)
		}
	}
	resp, err := cl.http.Get(cl.endpoint + "/" + cl.bucket)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		return fmt.Errorf("without a signature: %s", resp.Status)
	}
	return nil
}

func checkNoBucket(cl *client) error {
	other := *cl
	other.bucket = "not-there"
	if _, err := other.want(404, call{method: "HEAD"}); err != nil {
		return err
	}
	for _, c := range []call{{method: "GET", query: url.Values{"list-type": {"2"}}}, {method: "PUT", key: "k"}} {
		if a, err := other.want(404, c); err != nil || a.code() != "NoSuchBucket" {
			return fmt.Errorf("%v, %v", a, err)
		}
	}
	return nil
}

// checkTrailer sends a body the way current SDKs do by default: in chunks, with a
// checksum behind it.
func checkTrailer(cl *client) error {
	body := pattern(200_000)
	sum := crc32.ChecksumIEEE(body)
	crc := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	wire := fmt.Sprintf("%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n", len(body), body, crc)
	chunked := *cl
	chunked.payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	_, err := chunked.want(200, call{method: "PUT", key: "trailer", body: []byte(wire), header: map[string]string{
		"Content-Encoding": "aws-chunked", "X-Amz-Trailer": "x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length": fmt.Sprint(len(body)),
	}})
	if err != nil {
		return err
	}
	return cl.holds("trailer", body)
}

func contentMD5(b []byte) map[string]string {
	sum := md5.Sum(b)
	return map[string]string{"Content-MD5": base64.StdEncoding.EncodeToString(sum[:])}
}

func checkNotUTF8(cl *client) error {
	a, err := cl.want(400, call{method: "PUT", key: "latin1-\xe9"})
	if err == nil && a.code() != "InvalidURI" {
		err = fmt.Errorf("code %q", a.code())
	}
	return err
}
