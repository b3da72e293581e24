package demoserver

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"net/url"
	"slices"
	"strings"
	"time"
)

// check is one behaviour of S3 that the mount relies on. Checks share a bucket, and
// each works under keys of its own.
type check struct {
	name string
	run  func(cl *client) error
}

var checks = []check{
	{"put, head, get", checkPut},
	{"metadata is exact", checkMetadata},
	{"long metadata", checkLongMetadata},
	{"empty object", checkEmpty},
	{"ranges", checkRanges},
	{"get is pinned by If-Match", checkPinned},
	{"an open get outlives an overwrite", checkOpenGet},
	{"If-None-Match on put", checkIfAbsent},
	{"If-Match on put", checkIfMatch},
	{"one of many conditional puts wins", checkRace},
	{"multipart", checkMultipart},
	{"parts in a wrong order or with a wrong ETag are refused", checkBadParts},
	{"upload part copy", checkPartCopy},
	{"conditions on complete", checkConditionalComplete},
	{"abort and list uploads", checkAbort},
	{"list uploads of a bucket without any", checkNoUploads},
	{"copy keeps or replaces metadata", checkCopy},
	{"copy is pinned", checkPinnedCopy},
	{"delete", checkDelete},
	{"delete objects", checkDeleteMany},
	{"paging", checkPaging},
	{"paging with a delimiter", checkDelimiterPaging},
	{"start-after", checkStartAfter},
	{"list and head agree", checkListHead},
	{"url encoding", checkURLEncoding},
	{"key with //", checkKeys("a//b", "/lead", "//")},
	{"directory marker beside its children", checkKeys("dir/", "dir/file", "dir/sub/")},
	{"file beside a directory of its name", checkKeys("x", "x/y", "x/")},
	{"dots", checkKeys("a/../b", "./c", "..", "d/.", "e/..")},
	{"non-ASCII", checkKeys("grüße/日本語", "e\u0301", "\u00e9")},
	{"punctuation", checkKeys("a b+c%d&e=f?g#h", "100%25", "a+b", "<>&\"'", `back\slash`, "tab\there", ":;@,$!*()")},
	{"newline in a key", checkKeys("two\nlines", "cr\rhere")},
	{"control characters in a key", checkKeys("bell\x07", "\x01\x1f\x7f")},
	{"a key that is not UTF-8 is refused", checkNotUTF8},
	{"key of 1024 bytes", checkKeys(strings.Repeat("k", 1024-len("123/")), strings.Repeat("d/", 510))},
	{"component over 255 bytes", checkKeys("deep/" + strings.Repeat("n", 300) + "/f")},
	{"key over 1024 bytes is refused", checkKeyTooLong},
	{"a truncated body stores nothing", checkTruncated},
	{"a wrong payload hash stores nothing", checkPayloadHash},
	{"wrong keys and clocks are told apart", checkAuth},
	{"no such bucket", checkNoBucket},
	{"trailing checksum (aws-chunked)", checkTrailer},
}

func checkPut(cl *client) error {
	body := []byte("hello, world")
	p, err := cl.want(200, call{method: "PUT", key: "put", body: body, header: map[string]string{"Content-Type": "text/x-test"}})
	if err != nil {
		return err
	}
	h, err := cl.want(200, call{method: "HEAD", key: "put"})
	if err != nil {
		return err
	}
	if h.etag() != p.etag() || h.header.Get("Content-Length") != "12" || h.header.Get("Content-Type") != "text/x-test" {
		return fmt.Errorf("HEAD says %v, put said %q", h.header, p.etag())
	}
	g, err := cl.want(200, call{method: "GET", key: "put"})
	if err != nil {
		return err
	}
	if !bytes.Equal(g.body, body) || g.etag() != p.etag() {
		return fmt.Errorf("GET: %q with ETag %q", g.body, g.etag())
	}
	if a, err := cl.do(call{method: "GET", key: "put-missing"}); err != nil || a.status != 404 || a.code() != "NoSuchKey" {
		return fmt.Errorf("missing key: %v, %v", a, err)
	}
	return nil
}

func checkMeta(cl *client, key string, meta map[string]string) error {
	header := map[string]string{}
	for k, v := range meta {
		header["x-amz-meta-"+k] = v
	}
	if _, err := cl.want(200, call{method: "PUT", key: key, header: header}); err != nil {
		return err
	}
	h, err := cl.want(200, call{method: "HEAD", key: key})
	if err != nil {
		return err
	}
	got := map[string]string{}
	for k, v := range h.header {
		if name, ok := strings.CutPrefix(strings.ToLower(k), "x-amz-meta-"); ok {
			got[name] = v[0]
		}
	}
	if !maps.Equal(got, meta) {
		return fmt.Errorf("metadata: got %q, want %q", got, meta)
	}
	return nil
}

func checkMetadata(cl *client) error {
	return checkMeta(cl, "meta", map[string]string{
		"mtime": "1511424000.123456789", "mode": "33188", "under_score": "a", "with.dot": "b", "target": "../some/where%20else",
	})
}

func checkLongMetadata(cl *client) error {
	return checkMeta(cl, "meta-long", map[string]string{"long": strings.Repeat("v", 1900)})
}

func checkEmpty(cl *client) error {
	if _, err := cl.want(200, call{method: "PUT", key: "empty"}); err != nil {
		return err
	}
	g, err := cl.want(200, call{method: "GET", key: "empty"})
	if err == nil && len(g.body) != 0 {
		err = fmt.Errorf("got %q", g.body)
	}
	return err
}

func checkRanges(cl *client) error {
	body := pattern(100_000)
	if _, err := cl.want(200, call{method: "PUT", key: "ranges", body: body}); err != nil {
		return err
	}
	for _, r := range []struct {
		header   string
		from, to int
	}{{"bytes=0-0", 0, 1}, {"bytes=10-19", 10, 20}, {"bytes=99990-", 99990, 100_000}, {"bytes=-7", 99993, 100_000}, {"bytes=99999-200000", 99999, 100_000}} {
		a, err := cl.want(206, call{method: "GET", key: "ranges", header: map[string]string{"Range": r.header}})
		if err != nil {
			return fmt.Errorf("%s: %w", r.header, err)
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", r.from, r.to-1, len(body)); !bytes.Equal(a.body, body[r.from:r.to]) || a.header.Get("Content-Range") != want {
			return fmt.Errorf("%s: %d bytes, %s", r.header, len(a.body), a.header.Get("Content-Range"))
		}
	}
	_, err := cl.want(416, call{method: "GET", key: "ranges", header: map[string]string{"Range": "bytes=100000-"}})
	return err
}

func checkPinned(cl *client) error {
	a, err := cl.want(200, call{method: "PUT", key: "pinned", body: []byte("first")})
	if err != nil {
		return err
	}
	get := call{method: "GET", key: "pinned", header: map[string]string{"Range": "bytes=1-2", "If-Match": `"` + a.etag() + `"`}}
	if g, err := cl.want(206, get); err != nil || string(g.body) != "ir" {
		return fmt.Errorf("pinned: %v, %v", g, err)
	}
	if _, err := cl.want(200, call{method: "PUT", key: "pinned", body: []byte("second")}); err != nil {
		return err
	}
	_, err = cl.want(412, get)
	return err
}

// checkOpenGet overwrites an object while a GET of it is under way: what comes must
// be the first version to its end, or an error, and never a mix.
func checkOpenGet(cl *client) error {
	first, second := bytes.Repeat([]byte("1"), 16<<20), bytes.Repeat([]byte("2"), 16<<20)
	if _, err := cl.want(200, call{method: "PUT", key: "open", body: first}); err != nil {
		return err
	}
	resp, err := cl.send(call{method: "GET", key: "open"})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1<<16)); err != nil {
		return err
	}
	if _, err := cl.want(200, call{method: "PUT", key: "open", body: second}); err != nil {
		return err
	}
	rest, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Equal(rest, first[1<<16:]) {
		return fmt.Errorf("a mix of two versions came")
	}
	return nil
}

func checkIfAbsent(cl *client) error {
	put := call{method: "PUT", key: "absent", body: []byte("1"), header: map[string]string{"If-None-Match": "*"}}
	if _, err := cl.want(200, put); err != nil {
		return err
	}
	put.body = []byte("2")
	if a, err := cl.want(412, put); err != nil || a.code() != "PreconditionFailed" {
		return fmt.Errorf("over an object: %v, %v", a, err)
	}
	return cl.holds("absent", []byte("1"))
}

func checkIfMatch(cl *client) error {
	a, err := cl.want(200, call{method: "PUT", key: "match", body: []byte("1")})
	if err != nil {
		return err
	}
	put := call{method: "PUT", key: "match", body: []byte("2"), header: map[string]string{"If-Match": `"` + a.etag() + `"`}}
	if _, err := cl.want(200, put); err != nil {
		return err
	}
	put.body = []byte("3")
	if _, err := cl.want(412, put); err != nil {
		return err
	}
	put.key = "match-missing"
	if a, err := cl.do(put); err != nil || a.status != 404 && a.status != 412 {
		return fmt.Errorf("If-Match on a missing key: %v, %v", a, err)
	}
	return cl.holds("match", []byte("2"))
}

func checkRace(cl *client) error {
	type result struct {
		a   *answer
		err error
	}
	results := make(chan result)
	const n = 8
	for i := range n {
		go func() {
			a, err := cl.do(call{method: "PUT", key: "race", body: bytes.Repeat([]byte{byte(i)}, 1<<20), header: map[string]string{"If-None-Match": "*"}})
			results <- result{a, err}
		}()
	}
	won := 0
	var failed error
	for range n {
		switch r := <-results; {
		case r.err != nil:
			failed = r.err
		case r.a.status == 200:
			won++
		case r.a.status != 412 && r.a.status != 409:
			failed = fmt.Errorf("a loser got %v", r.a)
		}
	}
	if failed == nil && won != 1 {
		return fmt.Errorf("%d writers won", won)
	}
	return failed
}

// upload runs a multipart upload of parts under key, and returns the answer to its
// last request, which carries header.
func (cl *client) upload(key string, create, complete map[string]string, parts ...[]byte) (*answer, error) {
	id, err := cl.createUpload(key, create)
	if err != nil {
		return nil, err
	}
	var tags []string
	for i, p := range parts {
		a, err := cl.want(200, call{method: "PUT", key: key, body: p, query: partQuery(id, i+1)})
		if err != nil {
			return nil, err
		}
		tags = append(tags, a.header.Get("ETag"))
	}
	return cl.do(completeCall(key, id, complete, tags...))
}

func (cl *client) createUpload(key string, header map[string]string) (id string, err error) {
	a, err := cl.want(200, call{method: "POST", key: key, query: url.Values{"uploads": {""}}, header: header})
	if err != nil {
		return "", err
	}
	var created struct{ UploadId string }
	err = xml.Unmarshal(a.body, &created)
	return created.UploadId, err
}

func partQuery(id string, number int) url.Values {
	return url.Values{"uploadId": {id}, "partNumber": {fmt.Sprint(number)}}
}

func completeCall(key, id string, header map[string]string, tags ...string) call {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i, t := range tags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, strings.ReplaceAll(t, `"`, "&quot;"))
	}
	b.WriteString("</CompleteMultipartUpload>")
	return call{method: "POST", key: key, query: url.Values{"uploadId": {id}}, body: []byte(b.String()), header: header}
}

func checkMultipart(cl *client) error {
	one, two := pattern(5<<20), []byte("the tail")
	a, err := cl.upload("multi/part", map[string]string{"x-amz-meta-mtime": "1.5", "Content-Type": "text/x-test"}, nil, one, two)
	if err != nil || a.status != 200 {
		return fmt.Errorf("complete: %v, %v", a, err)
	}
	var done struct{ ETag string }
	if err := xml.Unmarshal(a.body, &done); err != nil {
		return err
	}
	h, err := cl.want(200, call{method: "HEAD", key: "multi/part"})
	if err != nil {
		return err
	}
	if h.etag() != strings.Trim(done.ETag, `"`) {
		return fmt.Errorf("complete says ETag %s, HEAD %s", done.ETag, h.etag())
	}
	if len(h.etag()) == 32 {
		return fmt.Errorf("ETag %s looks like the MD5 of the bytes, and is not", h.etag())
	}
	if h.header.Get("x-amz-meta-mtime") != "1.5" || h.header.Get("Content-Type") != "text/x-test" {
		return fmt.Errorf("metadata: %v", h.header)
	}
	return cl.holds("multi/part", append(one, two...))
}

func checkBadParts(cl *client) error {
	id, err := cl.createUpload("bad-parts", nil)
	if err != nil {
		return err
	}
	var tags []string
	for i := range 2 {
		a, err := cl.want(200, call{method: "PUT", key: "bad-parts", body: pattern(5<<20 + i), query: partQuery(id, i+1)})
		if err != nil {
			return err
		}
		tags = append(tags, a.header.Get("ETag"))
	}
	if a, err := cl.want(400, completeCall("bad-parts", id, nil, tags[1], tags[0])); err != nil {
		return fmt.Errorf("swapped ETags: %v, %w", a, err)
	}
	if a, err := cl.want(400, completeCall("bad-parts", id, nil, tags[0], tags[1], tags[1])); err != nil {
		return fmt.Errorf("a part that never came: %v, %w", a, err)
	}
	_, err = cl.want(200, completeCall("bad-parts", id, nil, tags...))
	return err
}

func checkPartCopy(cl *client) error {
	src := pattern(12 << 20)
	p, err := cl.want(200, call{method: "PUT", key: "copy source+%.bin", body: src})
	if err != nil {
		return err
	}
	id, err := cl.createUpload("part-copy", nil)
	if err != nil {
		return err
	}
	header := map[string]string{
		"x-amz-copy-source":          escape("/"+cl.bucket+"/copy source+%.bin", true),
		"x-amz-copy-source-range":    "bytes=100-5242979",
		"x-amz-copy-source-if-match": `"` + p.etag() + `"`,
	}
	copyPart := call{method: "PUT", key: "part-copy", query: partQuery(id, 1), header: header}
	a, err := cl.want(200, copyPart)
	if err != nil {
		return err
	}
	var copied struct{ ETag string }
	if err := xml.Unmarshal(a.body, &copied); err != nil {
		return err
	}
	tail, err := cl.want(200, call{method: "PUT", key: "part-copy", body: []byte("tail"), query: partQuery(id, 2)})
	if err != nil {
		return err
	}
	header["x-amz-copy-source-if-match"] = `"0123456789abcdef0123456789abcdef"`
	if _, err := cl.want(412, copyPart); err != nil {
		return fmt.Errorf("another version: %w", err)
	}
	if _, err := cl.want(200, completeCall("part-copy", id, nil, copied.ETag, tail.header.Get("ETag"))); err != nil {
		return err
	}
	return cl.holds("part-copy", append(src[100:5242980:5242980], "tail"...))
}

func checkConditionalComplete(cl *client) error {
	absent := map[string]string{"If-None-Match": "*"}
	a, err := cl.upload("cond", nil, absent, []byte("first"))
	if err != nil || a.status != 200 {
		return fmt.Errorf("onto nothing: %v, %v", a, err)
	}
	if a, err = cl.upload("cond", nil, absent, []byte("second")); err != nil || a.status != 412 {
		return fmt.Errorf("If-None-Match onto an object: %v, %v", a, err)
	}
	h, err := cl.want(200, call{method: "HEAD", key: "cond"})
	if err != nil {
		return err
	}
	match := map[string]string{"If-Match": `"` + h.etag() + `"`}
	if a, err = cl.upload("cond", nil, match, []byte("third")); err != nil || a.status != 200 {
		return fmt.Errorf("If-Match: %v, %v", a, err)
	}
	if a, err = cl.upload("cond", nil, match, []byte("fourth")); err != nil || a.status != 412 {
		return fmt.Errorf("If-Match onto another version: %v, %v", a, err)
	}
	return cl.holds("cond", []byte("third"))
}

func (cl *client) uploads(prefix string) ([]string, error) {
	a, err := cl.want(200, call{method: "GET", query: url.Values{"uploads": {""}, "prefix": {prefix}}})
	if err != nil {
		return nil, err
	}
	var list struct {
		Upload []struct {
			Key, UploadId string
			Initiated     time.Time
		}
	}
	if err := xml.Unmarshal(a.body, &list); err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range list.Upload {
		if u.Initiated.IsZero() || !strings.HasPrefix(u.Key, prefix) {
			return nil, fmt.Errorf("upload %+v", u)
		}
		ids = append(ids, u.UploadId)
	}
	return ids, nil
}

func checkAbort(cl *client) error {
	id, err := cl.createUpload("abort/me", nil)
	if err != nil {
		return err
	}
	if _, err := cl.want(200, call{method: "PUT", key: "abort/me", body: pattern(1 << 20), query: partQuery(id, 1)}); err != nil {
		return err
	}
	if ids, err := cl.uploads("abort/"); err != nil || !slices.Equal(ids, []string{id}) {
		return fmt.Errorf("uploads %q, want %q, %v", ids, id, err)
	}
	abort := call{method: "DELETE", key: "abort/me", query: url.Values{"uploadId": {id}}}
	if _, err := cl.want(204, abort); err != nil {
		return err
	}
	if a, err := cl.want(404, abort); err != nil || a.code() != "NoSuchUpload" {
		return fmt.Errorf("aborting again: %v, %v", a, err)
	}
	if ids, err := cl.uploads("abort/"); err != nil || len(ids) != 0 {
		return fmt.Errorf("uploads after the abort: %q, %v", ids, err)
	}
	_, err = cl.want(404, call{method: "HEAD", key: "abort/me"})
	return err
}

func checkNoUploads(cl *client) error {
	other := *cl
	other.bucket = "no-uploads"
	if _, err := other.want(200, call{method: "PUT"}); err != nil {
		return err
	}
	ids, err := other.uploads("")
	if err == nil && len(ids) != 0 {
		err = fmt.Errorf("uploads %q", ids)
	}
	return err
}

func checkCopy(cl *client) error {
	put := call{method: "PUT", key: "copy/src", body: []byte("bytes"), header: map[string]string{"x-amz-meta-a": "1", "Content-Type": "text/x-test"}}
	if _, err := cl.want(200, put); err != nil {
		return err
	}
	source := "/" + cl.bucket + "/copy/src"
	cp := call{method: "PUT", key: "copy/dst", header: map[string]string{"x-amz-copy-source": source}}
	if _, err := cl.want(200, cp); err != nil {
		return err
	}
	h, err := cl.want(200, call{method: "HEAD", key: "copy/dst"})
	if err != nil || h.header.Get("x-amz-meta-a") != "1" || h.header.Get("Content-Type") != "text/x-test" {
		return fmt.Errorf("kept metadata: %v, %v", h.header, err)
	}
	cp.key = "copy/src"
	cp.header = map[string]string{"x-amz-copy-source": source, "x-amz-metadata-directive": "REPLACE", "x-amz-meta-b": "2", "Content-Type": "text/x-new"}
	if _, err := cl.want(200, cp); err != nil {
		return fmt.Errorf("onto itself: %w", err)
	}
	h, err = cl.want(200, call{method: "HEAD", key: "copy/src"})
	if err != nil || h.header.Get("x-amz-meta-b") != "2" || h.header.Get("x-amz-meta-a") != "" || h.header.Get("Content-Type") != "text/x-new" {
		return fmt.Errorf("replaced metadata: %v, %v", h.header, err)
	}
	return cl.holds("copy/src", []byte("bytes"))
}

func checkPinnedCopy(cl *client) error {
	if _, err := cl.want(200, call{method: "PUT", key: "pincopy", body: []byte("bytes")}); err != nil {
		return err
	}
	_, err := cl.want(412, call{method: "PUT", key: "pincopy-dst", header: map[string]string{
		"x-amz-copy-source": "/" + cl.bucket + "/pincopy", "x-amz-copy-source-if-match": `"0123456789abcdef0123456789abcdef"`}})
	if err != nil {
		return err
	}
	_, err = cl.want(404, call{method: "HEAD", key: "pincopy-dst"})
	return err
}

func checkDelete(cl *client) error {
	if _, err := cl.want(200, call{method: "PUT", key: "del", body: []byte("x")}); err != nil {
		return err
	}
	for range 2 { // deleting what is not there is no error
		if _, err := cl.want(204, call{method: "DELETE", key: "del"}); err != nil {
			return err
		}
	}
	_, err := cl.want(404, call{method: "GET", key: "del"})
	return err
}

func checkDeleteMany(cl *client) error {
	var body bytes.Buffer
	body.WriteString("<Delete>")
	for i := range 20 {
		key := fmt.Sprintf("many/%02d & <co>", i)
		if _, err := cl.want(200, call{method: "PUT", key: key}); err != nil {
			return err
		}
		body.WriteString("<Object><Key>")
		if err := xml.EscapeText(&body, []byte(key)); err != nil {
			return err
		}
		body.WriteString("</Key></Object>")
	}
	body.WriteString("<Object><Key>many/not-there</Key></Object></Delete>")
	a, err := cl.want(200, call{method: "POST", query: url.Values{"delete": {""}}, body: body.Bytes(), header: contentMD5(body.Bytes())})
	if err != nil {
		return err
	}
	var result struct {
		Deleted []struct{ Key string }
		Error   []struct{ Key, Code string }
	}
	if err := xml.Unmarshal(a.body, &result); err != nil || len(result.Deleted) != 21 || len(result.Error) != 0 {
		return fmt.Errorf("deleted %d, errors %v, %v", len(result.Deleted), result.Error, err)
	}
	keys, _, err := cl.list(url.Values{"prefix": {"many/"}})
	if err == nil && len(keys) != 0 {
		err = fmt.Errorf("left: %q", keys)
	}
	return err
}

// pattern returns n bytes that look random and are the same each time.
func pattern(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// holds says whether the bytes under key are body.
func (cl *client) holds(key string, body []byte) error {
	g, err := cl.want(200, call{method: "GET", key: key})
	if err == nil && !bytes.Equal(g.body, body) {
		return fmt.Errorf("%q holds %d bytes that differ from the %d expected", key, len(g.body), len(body))
	}
	return err
}
