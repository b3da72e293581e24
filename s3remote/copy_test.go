package s3remote

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/s3mount/s3mount/object"
)

const copied = `<CopyObjectResult><ETag>"e1"</ETag><LastModified>2024-05-06T07:08:09.123Z</LastModified></CopyObjectResult>`

var oddKeys = []string{
	"plain", "a b", "a+b", "100%", "100%41", "what?x=y#z", "a&b;c=d", "日本", "a//b", "//lead", "trail/", "a/../b", ".", "..",
	"./x", "a/./b", `back\slash`, "tilde~", "nl\n", "cr\r", "nul\x00", "ctl\x01", "quote\"'", "<xml>", ":", "@", "(*)!$,[]",
}

// Keys reach the store byte for byte: nothing on the way takes them for paths.
func TestKeysReachTheStoreUnchanged(t *testing.T) {
	yes := true
	for _, key := range oddKeys {
		s, b := serve(t, func(c *Config) { c.Provider, c.ForcePathStyle = "AWS", &yes }, func(w http.ResponseWriter, r *request) {
			switch {
			case r.Header.Get("X-Amz-Copy-Source") != "":
				_, _ = io.WriteString(w, copied)
			default:
				serveObject(w, r, "data", "e1")
			}
		})
		ctx := t.Context()
		_, err := b.Put(ctx, key, section("x"), object.PutOptions{})
		ok(t, err)
		_, err = b.Head(ctx, key)
		ok(t, err)
		_, err = readAll(b.Get(ctx, object.ID{Key: key}, object.Range{Len: 4}))
		ok(t, err)
		_, err = b.Copy(ctx, object.ID{Key: key, ETag: "e1"}, key, object.CopyOptions{Size: 4})
		ok(t, err)
		ok(t, b.Delete(ctx, key))
		for n := 1; n <= s.count(); n++ {
			r := s.request(n)
			path, _, _ := strings.Cut(r.RequestURI, "?")
			raw, found := strings.CutPrefix(path, "/bkt/")
			if got, err := url.PathUnescape(raw); !found || err != nil || got != key {
				t.Errorf("%q went as %q", key, r)
			}
			if source := r.Header.Get("X-Amz-Copy-Source"); source != "" {
				if got, err := url.PathUnescape(source); err != nil || got != "bkt/"+key || strings.ContainsAny(source, "+ ?#&\\\"") {
					t.Errorf("%q is copied from %q", key, source)
				}
				if r.Header.Get("X-Amz-Copy-Source-If-Match") != `"e1"` {
					t.Errorf("the copy is unconditional: %v", r.Header)
				}
			}
		}
	}
}

// The time of a file that went up while it was written is one request, without a look at what
// was stored.
func TestRegressionACopyOfWhatIsOursIsOneRequest(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { _, _ = io.WriteString(w, copied) })
	_, err := b.Copy(t.Context(), object.ID{Key: "a", ETag: "e0"}, "a", object.CopyOptions{Size: 9, Meta: object.Meta{"mtime": "1.5"}, Ours: true})
	ok(t, err)
	if n := s.count(); n != 1 {
		t.Errorf("%d requests", n)
	}
	h := s.request(1).Header
	if h.Get("X-Amz-Metadata-Directive") != "REPLACE" || h.Get("X-Amz-Meta-Mtime") != "1.5" || h.Get("Content-Type") != "application/octet-stream" ||
		h.Get("X-Amz-Copy-Source-If-Match") != `"e0"` {
		t.Errorf("%v", h)
	}
}

func TestCopyAnswer(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { _, _ = io.WriteString(w, copied) })
	info, err := b.Copy(t.Context(), object.ID{Key: "a"}, "b", object.CopyOptions{Size: 9, ContentType: "ignored/type"})
	ok(t, err)
	if info.Key != "b" || info.ETag != "e1" || info.Size != 9 || info.LastModified.Nanosecond() != 0 || info.LastModified.IsZero() {
		t.Errorf("%+v", info)
	}
	if r := s.request(1); s.count() != 1 || r.Header.Get("X-Amz-Metadata-Directive") != "" || r.Header.Get("Content-Type") == "ignored/type" {
		t.Errorf("%v", r.Header)
	}
	_, b = serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 412, "PreconditionFailed") })
	_, err = b.Copy(t.Context(), object.ID{Key: "a", ETag: "e0"}, "b", object.CopyOptions{})
	wantKind(t, err, object.KindStale)
}

// Replacing the metadata keeps what else is with the object.
func TestCopyKeepsHeaders(t *testing.T) {
	kept := map[string]string{
		"Content-Type": "text/css", "Cache-Control": "no-store", "Content-Encoding": "gzip", "Content-Language": "de",
		"Content-Disposition": "inline", "Expires": "Thu, 01 Dec 1994 16:00:00 GMT", "X-Amz-Storage-Class": "STANDARD_IA",
	}
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		if r.Method == http.MethodHead {
			for name, value := range kept {
				w.Header().Set(name, value)
			}
			w.Header().Set("X-Amz-Meta-Old", "1")
			serveObject(w, r, "data", "e1")
			return
		}
		_, _ = io.WriteString(w, copied)
	})
	info, err := b.Copy(t.Context(), object.ID{Key: "k", ETag: "e1"}, "k", object.CopyOptions{Meta: object.Meta{"new": "ü\n"}})
	ok(t, err)
	if info.Meta["new"] != "ü\n" || info.Size != 4 || info.ContentType != "text/css" {
		t.Errorf("%+v", info)
	}
	r := s.request(2)
	for name, value := range kept {
		if r.Header.Get(name) != value {
			t.Errorf("%s: %q", name, r.Header.Get(name))
		}
	}
	if r.Header.Get("X-Amz-Metadata-Directive") != "REPLACE" || r.Header.Get("X-Amz-Meta-New") != "=?UTF-8?B?w7wK?=" || r.Header.Get("X-Amz-Meta-Old") != "" {
		t.Errorf("%v", r.Header)
	}
	_, err = b.Copy(t.Context(), object.ID{Key: "k"}, "k", object.CopyOptions{Meta: object.Meta{}, ContentType: "text/x"})
	ok(t, err)
	if got := s.request(4).Header.Get("Content-Type"); got != "text/x" {
		t.Errorf("content type %q", got)
	}
}

// Ceph passes over the condition on the source.
func TestCopyOnAStoreThatPassesConditionsOver(t *testing.T) {
	for name, c := range map[string]struct {
		heads  []string // the source's ETags over time
		result string
		kind   object.Kind // KindOther: it works
		count  int
	}{
		"as asked":          {[]string{"e1"}, "e1", object.KindOther, 2},
		"changed before":    {[]string{"e2"}, "e2", object.KindStale, 1},
		"changed meanwhile": {[]string{"e1", "e2"}, "e2", object.KindStale, 3},
		"other ETag":        {[]string{"e1", "e1"}, "e9", object.KindOther, 3},
	} {
		t.Run(name, func(t *testing.T) {
			heads := c.heads
			s, b := serve(t, func(cfg *Config) { cfg.Provider = "Ceph" }, func(w http.ResponseWriter, r *request) {
				if r.Method == http.MethodHead {
					serveObject(w, r, "data", heads[0])
					heads = heads[1:]
					return
				}
				fmt.Fprintf(w, "<CopyObjectResult><ETag>%s</ETag></CopyObjectResult>", c.result)
			})
			_, err := b.Copy(t.Context(), object.ID{Key: "a", ETag: "e1"}, "b", object.CopyOptions{Size: 4})
			if c.kind != object.KindOther {
				wantKind(t, err, c.kind)
			} else {
				ok(t, err)
			}
			if s.count() != c.count {
				t.Errorf("%q", s.seen())
			}
		})
	}
}

// A copy onto itself may give a new ETag, so that a second try is refused.
func TestLostAnswerOfCopyOntoItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			switch {
			case r.Method == http.MethodHead && r.n > 1:
				w.Header().Set("X-Amz-Meta-Mtime", "2")
				serveObject(w, r, "data", "e2")
			case r.Method == http.MethodHead:
				serveObject(w, r, "data", "e1")
			case r.n == 2:
				drop(w)
			default:
				refuse(w, 412, "PreconditionFailed")
			}
		})
		info, err := b.Copy(t.Context(), object.ID{Key: "k", ETag: "e1"}, "k", object.CopyOptions{Meta: object.Meta{"mtime": "2"}})
		ok(t, err)
		if info.ETag != "e2" {
			t.Errorf("%+v after %q", info, s.seen())
		}
	})
}

// serveParts is a store that copies "data…" of 25 bytes in parts.
func serveParts(t *testing.T, fail func(r *request) bool) (*server, *Bucket) {
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		q := r.URL.Query()
		switch {
		case fail != nil && fail(r):
			refuse(w, 403, "AccessDenied")
		case r.Method == http.MethodHead:
			w.Header().Set("X-Amz-Meta-Mtime", "1.5")
			w.Header().Set("Content-Type", "text/css")
			serveObject(w, r, strings.Repeat("x", 25), "e1")
		case q.Has("uploads"):
			_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>up1</UploadId></InitiateMultipartUploadResult>")
		case q.Has("partNumber"):
			fmt.Fprintf(w, "<CopyPartResult><ETag>%s</ETag></CopyPartResult>", md5Hex(q.Get("partNumber")))
		case r.Method == http.MethodPost:
			fmt.Fprintf(w, completed, "sum-3")
		}
	})
	b.limits = copyLimits{whole: 20, part: 10}
	return s, b
}

func TestCopyInParts(t *testing.T) {
	s, b := serveParts(t, nil)
	info, err := b.Copy(t.Context(), object.ID{Key: "a"}, "b", object.CopyOptions{Size: 25})
	ok(t, err)
	if info.ETag != "sum-3" || info.Size != 25 || info.Meta["mtime"] != "1.5" || info.ContentType != "text/css" {
		t.Errorf("%+v", info)
	}
	var ranges []string
	for n := 3; n <= 5; n++ {
		r := s.request(n)
		ranges = append(ranges, r.URL.Query().Get("partNumber")+" "+r.Header.Get("X-Amz-Copy-Source-Range"))
		if r.Header.Get("X-Amz-Copy-Source-If-Match") != `"e1"` {
			t.Errorf("a part is unconditional: %v", r.Header)
		}
	}
	slices.Sort(ranges)
	if !slices.Equal(ranges, []string{"1 bytes=0-9", "2 bytes=10-19", "3 bytes=20-24"}) {
		t.Errorf("%q", ranges)
	}
	if r := s.request(2); r.Header.Get("X-Amz-Meta-Mtime") != "1.5" || r.Header.Get("Content-Type") != "text/css" {
		t.Errorf("%v", r.Header)
	}
}

func TestCopyInPartsIsAborted(t *testing.T) {
	s, b := serveParts(t, func(r *request) bool { return r.URL.Query().Get("partNumber") == "2" })
	_, err := b.Copy(t.Context(), object.ID{Key: "a", ETag: "e1"}, "b", object.CopyOptions{Size: 25})
	wantKind(t, err, object.KindPermission)
	// The server may come to a part that was given up after it came to the abort.
	aborts := func(r string) bool { return strings.HasPrefix(r, "DELETE /bkt/b?uploadId=up1") }
	if seen := s.seen(); !slices.ContainsFunc(seen, aborts) {
		t.Errorf("%q", seen)
	}
}

// A store that takes keys for paths shows an object under a key that it does not list.
func TestKeyTakenForAnotherIsRefused(t *testing.T) {
	exact := false
	s, b := serve(t, func(c *Config) { c.Provider = "Other" }, func(w http.ResponseWriter, r *request) {
		switch {
		case strings.HasPrefix(r.RequestURI, "/bkt?") && exact:
			_, _ = io.WriteString(w, listBody("", "a//b"))
		case strings.HasPrefix(r.RequestURI, "/bkt?"):
			_, _ = io.WriteString(w, listBody("", "a/b"))
		default:
			serveObject(w, r, "data", "e1")
		}
	})
	ctx := t.Context()
	for _, key := range []string{"a//b", "/a/b", "a/./b", "a/x/../b", "..", "../bkt/a"} {
		wantKind(t, b.Delete(ctx, key), object.KindInvalid)
		_, err := b.Head(ctx, key)
		wantKind(t, err, object.KindInvalid)
	}
	before := s.count()
	_, err := b.Head(ctx, "dir/")
	ok(t, err)
	if s.count() != before+1 {
		t.Errorf("%q", s.seen()[before:])
	}
	exact = true
	ok(t, b.Delete(ctx, "a//b"))
	before = s.count()
	ok(t, b.Delete(ctx, "a/../b"))
	if s.count() != before+1 {
		t.Errorf("%q", s.seen()[before:])
	}
}
