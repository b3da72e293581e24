package s3remote

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/object"
)

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestPutRequest(t *testing.T) {
	for _, data := range []string{"data", ""} {
		s, b := serve(t, func(c *Config) {
			c.ACL, c.StorageClass, c.ServerSideEncryption = "private", "STANDARD_IA", "AES256"
		}, func(w http.ResponseWriter, _ *request) { put(w, "e1") })
		info, err := b.Put(t.Context(), "k", section(data), object.PutOptions{Meta: object.Meta{"mtime": "1.5"}, ContentType: "text/plain"})
		ok(t, err)
		if info.ETag != "e1" || info.Size != int64(len(data)) || info.Meta["mtime"] != "1.5" || info.ContentType != "text/plain" {
			t.Errorf("%+v", info)
		}
		r := s.request(1)
		sum := sha256.Sum256([]byte(data))
		for name, want := range map[string]string{
			"X-Amz-Content-Sha256": hex.EncodeToString(sum[:]), "X-Amz-Meta-Mtime": "1.5", "Content-Type": "text/plain",
			"X-Amz-Acl": "private", "X-Amz-Storage-Class": "STANDARD_IA", "X-Amz-Server-Side-Encryption": "AES256",
			"Expect": "", "X-Amz-Trailer": "", "Content-Encoding": "", "X-Amz-Sdk-Checksum-Algorithm": "", "Accept-Encoding": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if r.ContentLength != int64(len(data)) || len(r.TransferEncoding) != 0 || string(r.body) != data {
			t.Errorf("length %d, encoding %q", r.ContentLength, r.TransferEncoding)
		}
	}
}

// What is sent above 2 MiB gets "Expect: 100-continue" from the SDK by default.
func TestNoExpectation(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { put(w, "e1") })
	_, err := b.UploadPart(t.Context(), "k", "id", 3, section(strings.Repeat("x", 5<<20)))
	ok(t, err)
	if r := s.request(1); r.Header.Get("Expect") != "" || r.ContentLength != 5<<20 {
		t.Errorf("%v", r.Header)
	}
}

// A conditional write of which the answer got lost finds its own object in its way.
func TestLostAnswerOfConditionalPut(t *testing.T) {
	meta := object.Meta{"mtime": "1.5"}
	for name, c := range map[string]struct {
		stored, mtime, sse string
		kind               object.Kind // KindOther: it works
	}{
		"ours":                      {"data", "1.5", "", object.KindOther},
		"other bytes":               {"dada", "1.5", "", object.KindConflict},
		"other meta":                {"data", "2.5", "", object.KindConflict},
		"no MD5":                    {"data", "1.5", "aws:kms", object.KindOther},
		"no MD5, and others' bytes": {"dada", "1.5", "aws:kms", object.KindConflict},
	} {
		for _, want := range []object.Condition{{IfAbsent: true}, {IfMatch: "old"}} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					etag := md5Hex(c.stored)
					if c.sse != "" {
						etag = md5Hex("encrypted " + c.stored)
					}
					_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
						switch {
						case r.Method == http.MethodHead || r.Method == http.MethodGet:
							w.Header().Set("X-Amz-Meta-Mtime", c.mtime)
							if c.sse != "" {
								w.Header().Set("X-Amz-Server-Side-Encryption", c.sse)
							}
							serveObject(w, r, c.stored, etag)
						case r.n == 1:
							drop(w)
						default:
							refuse(w, 412, "PreconditionFailed")
						}
					})
					info, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{Meta: meta, Condition: want})
					if c.kind != object.KindOther {
						wantKind(t, err, c.kind)
					} else if ok(t, err); info.ETag != etag {
						t.Errorf("%+v", info)
					}
				})
			})
		}
	}
}

func TestConditionThatDoesNotHold(t *testing.T) {
	for _, want := range []object.Condition{{IfAbsent: true}, {IfMatch: "old"}} {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodHead {
				serveObject(w, r, "data", md5Hex("data"))
				return
			}
			refuse(w, 412, "PreconditionFailed")
		})
		// The bytes are the same, but no answer was lost: it is not ours.
		_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{Condition: want})
		wantKind(t, err, object.KindConflict)
		if r := s.request(1); r.Method != http.MethodPut || (want.IfAbsent && r.Header.Get("If-None-Match") != "*") || (!want.IfAbsent && r.Header.Get("If-Match") != `"old"`) {
			t.Errorf("%v %v", r, r.Header)
		}
	}
}

// Ceph compares the header's text, quotes included, with the ETag.
func TestQuotesAreFoundOut(t *testing.T) {
	for provider, want := range map[string]int{"Minio": 3, "Ceph": 1} {
		s, b := serve(t, func(c *Config) { c.Provider = provider }, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodPut && r.Header.Get("If-Match") != "e1" {
				refuse(w, 412, "PreconditionFailed")
				return
			}
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", "3")
			}
			put(w, "e1")
		})
		o := object.PutOptions{Condition: object.Condition{IfMatch: "e1"}}
		_, err := b.Put(t.Context(), "k", section("new"), o)
		ok(t, err)
		first := s.count()
		_, err = b.Put(t.Context(), "k", section("new"), o)
		ok(t, err)
		if first != want || s.count() != want+1 {
			t.Errorf("%s: %d requests, then %d: %q", provider, first, s.count()-first, s.seen())
		}
	}
}

func TestStoreWithoutConditions(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		switch {
		case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/new"):
			w.WriteHeader(404)
		case r.Header.Get("If-Match")+r.Header.Get("If-None-Match") != "":
			refuse(w, 501, "NotImplemented")
		default:
			serveObject(w, r, "old", "e1")
		}
	})
	put := func(key string, c object.Condition) error {
		_, err := b.Put(t.Context(), key, section("x"), object.PutOptions{Condition: c})
		return err
	}
	ok(t, put("new", object.Condition{IfAbsent: true}))
	ok(t, put("k", object.Condition{IfMatch: "e1"}))
	wantKind(t, put("k", object.Condition{IfMatch: "e0"}), object.KindConflict)
	wantKind(t, put("k", object.Condition{IfAbsent: true}), object.KindConflict)
	wantKind(t, put("new", object.Condition{IfMatch: "e1"}), object.KindConflict)
	if got := s.count(); got != 3+2+1+1+1 {
		t.Errorf("%q", s.seen())
	}
}

// A store that nobody knows may pass conditions over: the first write is sent once more,
// and until one is refused, each is looked at before.
func TestUnknownStoreIsProbed(t *testing.T) {
	for _, c := range []struct {
		refuses bool
		form    object.Condition
		want    []int // requests after each write
	}{
		{true, object.Condition{IfAbsent: true}, []int{3, 4, 5}},
		{false, object.Condition{IfAbsent: true}, []int{3, 5, 7}},
		{true, object.Condition{IfMatch: "e0"}, []int{3, 4, 5}},
	} {
		s, b := serve(t, func(c *Config) { c.Provider = "Other" }, func(w http.ResponseWriter, r *request) {
			switch {
			case r.Method == http.MethodHead && c.form.IfAbsent:
				w.WriteHeader(404)
			case r.Method == http.MethodHead:
				w.Header().Set("Content-Length", "1")
				put(w, "e0")
			case c.refuses && r.n == 3:
				refuse(w, 412, "PreconditionFailed")
			default:
				put(w, "e1")
			}
		})
		for i, want := range c.want {
			_, err := b.Put(t.Context(), fmt.Sprint("k", i), section("x"), object.PutOptions{Condition: c.form})
			ok(t, err)
			if s.count() != want {
				t.Errorf("%+v, write %d: %q", c, i, s.seen())
			}
		}
	}
}

// What a store does with one form of condition says nothing of the other.
func TestFormsOfConditionsAreProbedApart(t *testing.T) {
	s, b := serve(t, func(c *Config) { c.Provider = "Other" }, func(w http.ResponseWriter, r *request) {
		switch {
		case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "new"):
			w.WriteHeader(404)
		case r.Method == http.MethodHead:
			w.Header().Set("Content-Length", "1")
			put(w, "e1")
		case r.Header.Get("If-None-Match") != "" && r.n == 3:
			refuse(w, 412, "PreconditionFailed")
		default:
			put(w, "e1")
		}
	})
	_, err := b.Put(t.Context(), "new", section("x"), object.PutOptions{Condition: object.Condition{IfAbsent: true}})
	ok(t, err)
	_, err = b.Put(t.Context(), "k", section("x"), object.PutOptions{Condition: object.Condition{IfMatch: "e0"}})
	wantKind(t, err, object.KindConflict)
	if s.count() != 4 {
		t.Errorf("%q", s.seen())
	}
}

// AWS answers 404 where there is nothing to match.
func TestNothingToMatchIsAConflict(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 404, "NoSuchKey") })
	_, err := b.Put(t.Context(), "k", section("x"), object.PutOptions{Condition: object.Condition{IfMatch: "e1"}})
	wantKind(t, err, object.KindConflict)
	parts, _ := twoParts()
	_, err = b.CompleteUpload(t.Context(), "k", "id", parts, object.Condition{IfMatch: "e1"})
	wantKind(t, err, object.KindConflict)
}

func TestCopyOfPart(t *testing.T) {
	src, r := object.ID{Key: "a", ETag: "e1"}, object.Range{Off: 5, Len: 7}
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
		_, _ = io.WriteString(w, "<CopyPartResult><ETag>&quot;p1&quot;</ETag></CopyPartResult>")
	})
	part, err := b.CopyPart(t.Context(), "k", "id", 3, src, r)
	ok(t, err)
	if part != (object.Part{Number: 3, ETag: "p1", Size: 7}) {
		t.Errorf("%+v", part)
	}
	h := s.request(1).Header
	if h.Get("X-Amz-Copy-Source-Range") != "bytes=5-11" || h.Get("X-Amz-Copy-Source-If-Match") != `"e1"` || h.Get("X-Amz-Copy-Source") != "bkt/a" {
		t.Errorf("%v", h)
	}
}

func TestRefusedCopyOfPart(t *testing.T) {
	src, r := object.ID{Key: "a", ETag: "e1"}, object.Range{Off: 5, Len: 7}
	for code, c := range map[string]struct {
		status, twice int // requests after a second call
		kind          object.Kind
	}{
		"NotImplemented":  {501, 1, object.KindUnsupported},
		"InvalidArgument": {400, 1, object.KindUnsupported},
		"AccessDenied":    {403, 2, object.KindPermission},
		"NoSuchKey":       {404, 2, object.KindStale},
		"NoSuchUpload":    {404, 2, object.KindNotFound},
	} {
		s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, c.status, code) })
		for range 2 {
			_, err := b.CopyPart(t.Context(), "k", "id", 3, src, r)
			wantKind(t, err, c.kind)
		}
		if s.count() != c.twice {
			t.Errorf("%s: %q", code, s.seen())
		}
	}
}

// A store that passes over the condition on the source is looked at after the copy.
func TestCopyOfPartOfAnotherVersion(t *testing.T) {
	for etag, kind := range map[string]object.Kind{"e1": object.KindOther, "e2": object.KindStale} {
		_, b := serve(t, func(c *Config) { c.Provider = "Ceph" }, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodHead {
				serveObject(w, r, "data", etag)
				return
			}
			_, _ = io.WriteString(w, "<CopyPartResult><ETag>p1</ETag></CopyPartResult>")
		})
		_, err := b.CopyPart(t.Context(), "k", "id", 3, object.ID{Key: "a", ETag: "e1"}, object.Range{Len: 4})
		if kind == object.KindOther {
			ok(t, err)
		} else {
			wantKind(t, err, kind)
		}
	}
}

func TestCopyOverNothing(t *testing.T) {
	const there = "<CopyObjectResult><ETag>e1</ETag></CopyObjectResult>"
	src := object.ID{Key: "a", ETag: "e1"}
	for name, c := range map[string]struct {
		provider string
		taken    bool // by an object
		race     bool // it comes between the look and the copy
		lost     bool // the answer to the first try, which worked
		kind     object.Kind
	}{
		"free":                {"Minio", false, false, false, object.KindOther},
		"taken":               {"Minio", true, false, false, object.KindExists},
		"taken in between":    {"Minio", true, true, false, object.KindExists},
		"AWS refuses by self": {"AWS", true, true, false, object.KindExists},
		"lost answer":         {"AWS", true, true, true, object.KindOther},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				copies := 0
				_, b := serve(t, func(cfg *Config) { cfg.Provider = c.provider }, func(w http.ResponseWriter, r *request) {
					isCopy := r.Header.Get("X-Amz-Copy-Source") != ""
					if isCopy {
						copies++
					}
					target := strings.HasSuffix(r.URL.Path, "/b")
					switch {
					case isCopy && c.lost && copies == 1:
						drop(w)
					case isCopy && c.taken:
						refuse(w, 412, "PreconditionFailed")
					case isCopy:
						_, _ = io.WriteString(w, there)
					case target && (!c.taken || c.race && copies == 0):
						w.WriteHeader(404)
					case target && !c.lost:
						serveObject(w, r, "others' data", "e2")
					default:
						serveObject(w, r, "data", "e1")
					}
				})
				info, err := b.Copy(t.Context(), src, "b", object.CopyOptions{Size: 4, IfAbsent: true})
				if c.kind != object.KindOther {
					wantKind(t, err, c.kind)
				} else if ok(t, err); info.ETag != "e1" {
					t.Errorf("%+v", info)
				}
			})
		})
	}
}

const completed = `<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>`

func twoParts() ([]object.Part, string) {
	list := []object.Part{{Number: 1, ETag: md5Hex("a"), Size: 3}, {Number: 2, ETag: md5Hex("b"), Size: 4}}
	sum, _ := parts.ETag(list)
	return list, sum
}

func TestPartsETag(t *testing.T) {
	// The figures are those of an object on AWS in two parts.
	if _, sum := twoParts(); !strings.HasSuffix(sum, "-2") || len(sum) != 34 {
		t.Errorf("%s", sum)
	}
	if _, known := parts.ETag([]object.Part{{ETag: "opaque"}}); known {
		t.Error("an ETag of parts that are no MD5s")
	}
}

func TestErrorUnderASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			switch r.n {
			case 1:
				_, _ = io.WriteString(w, "<?xml version=\"1.0\"?>\n  <Error><Code>InternalError</Code></Error>")
			case 2: // the store kept the connection alive with blanks, and died
				_, _ = io.WriteString(w, "   ")
			default:
				_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n"+completed, `&quot;x-2&quot;`)
			}
		})
		parts, _ := twoParts()
		info, err := b.CompleteUpload(t.Context(), "k", "id", parts, object.Condition{})
		ok(t, err)
		if info.ETag != "x-2" || info.Size != 7 || s.count() != 3 {
			t.Errorf("%+v after %q", info, s.seen())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n == 1 {
				_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
				return
			}
			_, _ = io.WriteString(w, "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")
		})
		info, err := b.Copy(t.Context(), object.ID{Key: "a"}, "b", object.CopyOptions{Size: 1})
		ok(t, err)
		if info.ETag != "e" || s.count() != 2 {
			t.Errorf("%+v after %q", info, s.seen())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
		})
		_, err := b.Copy(t.Context(), object.ID{Key: "a"}, "b", object.CopyOptions{Size: 1})
		wantKind(t, err, object.KindPermission)
		if s.count() != 1 {
			t.Errorf("%q", s.seen())
		}
	})
}

func TestLostAnswerOfComplete(t *testing.T) {
	parts, sum := twoParts()
	for name, c := range map[string]struct {
		etag string
		size int
		kind object.Kind // KindOther: it works
	}{
		"ours":        {sum, 7, object.KindOther},
		"other bytes": {"0123-2", 7, object.KindNotFound},
		"other size":  {sum, 8, object.KindNotFound},
	} {
		for _, code := range []string{"404 NoSuchUpload", "412 PreconditionFailed"} {
			t.Run(name+" "+code, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
						switch {
						case r.Method == http.MethodHead:
							put(w, c.etag)
							w.Header().Set("Content-Length", fmt.Sprint(c.size))
						case r.n == 1:
							drop(w)
						case code == "404 NoSuchUpload":
							refuse(w, 404, "NoSuchUpload")
						default:
							refuse(w, 412, "PreconditionFailed")
						}
					})
					info, err := b.CompleteUpload(t.Context(), "k", "id", parts, object.Condition{IfAbsent: true})
					switch {
					case c.kind == object.KindOther:
						ok(t, err)
						if info.ETag != sum || info.Size != 7 {
							t.Errorf("%+v", info)
						}
					case err == nil || (!object.Is(err, object.KindNotFound) && !object.Is(err, object.KindConflict)):
						t.Errorf("%v", err)
					}
				})
			})
		}
	}
}

// No answer comes to any try, but the first one worked.
func TestCompleteIsLookedForAfterTheLastTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parts, sum := twoParts()
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodHead {
				put(w, sum)
				w.Header().Set("Content-Length", "7")
				return
			}
			refuse(w, 500, "InternalError")
		})
		info, err := b.CompleteUpload(t.Context(), "k", "id", parts, object.Condition{})
		ok(t, err)
		if info.ETag != sum {
			t.Errorf("%+v", info)
		}
	})
}

// Without a lost answer, NoSuchUpload is what it says, even if the object looks right.
func TestUploadThatIsGone(t *testing.T) {
	parts, sum := twoParts()
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		if r.Method == http.MethodHead {
			put(w, sum)
			w.Header().Set("Content-Length", "7")
			return
		}
		refuse(w, 404, "NoSuchUpload")
	})
	_, err := b.CompleteUpload(t.Context(), "k", "id", parts, object.Condition{})
	wantKind(t, err, object.KindNotFound)
	if s.count() != 1 {
		t.Errorf("%q", s.seen())
	}
	ok(t, b.AbortUpload(t.Context(), "k", "id"))
}

// Ceph's first answer has an empty ETag; versitygw completes uploads it has not.
func TestCompletionIsLookedAt(t *testing.T) {
	parts, sum := twoParts()
	for _, c := range []struct {
		provider, said, found string
		size                  int
		works                 bool
	}{
		{"Ceph", "", sum, 7, true}, {"Ceph", "", "other-2", 7, false},
		{"Other", `"` + sum + `"`, sum, 7, true}, {"Other", `"` + sum + `"`, "old", 7, false}, {"Other", `"` + sum + `"`, sum, 9, false},
	} {
		_, b := serve(t, func(cfg *Config) { cfg.Provider = c.provider }, func(w http.ResponseWriter, r *request) {
			if r.Method == http.MethodHead {
				put(w, c.found)
				w.Header().Set("Content-Length", fmt.Sprint(c.size))
				return
			}
			fmt.Fprintf(w, completed, c.said)
		})
		info, err := b.CompleteUpload(t.Context(), "k", "id", parts, object.Condition{})
		if !c.works {
			wantKind(t, err, object.KindConflict)
		} else if ok(t, err); info.ETag != sum || info.Size != 7 {
			t.Errorf("%+v: %+v", c, info)
		}
	}
}

func TestUploadArguments(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {})
	ctx := t.Context()
	_, err := b.UploadPart(ctx, "k", "id", 0, section(""))
	wantKind(t, err, object.KindInvalid)
	_, err = b.UploadPart(ctx, "k", "id", parts.Max+1, section(""))
	wantKind(t, err, object.KindInvalid)
	_, err = b.CompleteUpload(ctx, "k", "id", nil, object.Condition{})
	wantKind(t, err, object.KindInvalid)
	_, err = b.CreateUpload(ctx, "", object.PutOptions{})
	wantKind(t, err, object.KindInvalid)
	_, err = b.Put(ctx, strings.Repeat("k", 1025), section(""), object.PutOptions{})
	wantKind(t, err, object.KindNameTooLong)
	_, err = b.Put(ctx, "\xff", section(""), object.PutOptions{})
	wantKind(t, err, object.KindNotUTF8)
	if s.count() != 0 {
		t.Errorf("%q", s.seen())
	}
}

// A known sum goes along, so that the store refuses other bytes; what it answers is
// compared with it.
func TestPutWithMD5(t *testing.T) {
	etag, sse := md5Hex("data"), ""
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		if r.Header.Get("Content-Md5") != base64MD5(string(r.body)) {
			refuse(w, 400, "BadDigest")
			return
		}
		if sse != "" {
			w.Header().Set("X-Amz-Server-Side-Encryption", sse)
		}
		put(w, etag)
	})
	b.client.cfg.RetryDeadline = 1
	store := func(data, sum string) (object.Info, error) {
		return b.Put(t.Context(), "k", section(data), object.PutOptions{MD5: sum})
	}
	info, err := store("data", strings.ToUpper(md5Hex("data")))
	ok(t, err)
	if sum, known := info.MD5(); !known || sum != md5Hex("data") {
		t.Errorf("%+v", info)
	}
	_, err = store("dada", md5Hex("data"))
	wantKind(t, err, object.KindCorrupt)
	etag = md5Hex("another")
	_, err = store("data", md5Hex("data"))
	wantKind(t, err, object.KindCorrupt)
	sse = "aws:kms" // the ETag is no MD5 then
	info, err = store("data", md5Hex("data"))
	ok(t, err)
	if _, known := info.MD5(); known || !info.OtherETag {
		t.Errorf("%+v", info)
	}
	sse, etag = "", "odd-etag"
	_, err = store("data", md5Hex("data"))
	ok(t, err)
	before := s.count()
	_, err = store("data", "abc")
	wantKind(t, err, object.KindInvalid)
	if s.count() != before {
		t.Error("a request with a sum that is none")
	}
}
