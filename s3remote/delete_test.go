package s3remote

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/s3mount/s3mount/object"
)

func deleteResult(errs ...string) string {
	var b strings.Builder
	b.WriteString("<DeleteResult>")
	for _, e := range errs {
		key, code, _ := strings.Cut(e, " ")
		fmt.Fprintf(&b, "<Error><Key>%s</Key><Code>%s</Code><Message>m</Message></Error>", key, code)
	}
	return b.String() + "</DeleteResult>"
}

func TestDeleteManyInBatches(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, deleteResult())
			return
		}
		w.WriteHeader(204)
	})
	keys := []string{"ctl\x01", "\xff", "nl\n", " lead", "trail ", "repl\uFFFD", "<&>\"'", "ü+%"}
	for i := range 2100 {
		keys = append(keys, fmt.Sprint(i))
	}
	ok(t, b.DeleteMany(t.Context(), keys))
	posts, deletes := 0, 0
	for n := 1; n <= s.count(); n++ {
		r := s.request(n)
		if r.Method == http.MethodDelete {
			deletes++
			continue
		}
		posts++
		if r.Header.Get("Content-Md5") == "" || r.Header.Get("X-Amz-Checksum-Crc32") != "" {
			t.Errorf("%v", r.Header)
		}
		if posts == 1 && (!strings.Contains(string(r.body), "<Key>&lt;&amp;&gt;&#34;&#39;</Key>") || !strings.Contains(string(r.body), "<Key>ü+%</Key>")) {
			t.Errorf("%.300s", r.body)
		}
	}
	if posts != 3 || deletes != 6 {
		t.Errorf("%d batches, %d single deletes", posts, deletes)
	}
	ok(t, b.DeleteMany(t.Context(), nil))
}

func TestDeleteManyTellsEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n == 1 {
				_, _ = io.WriteString(w, deleteResult("a AccessDenied", "b SlowDown", "c NoSuchKey"))
				return
			}
			_, _ = io.WriteString(w, deleteResult())
		})
		err := b.DeleteMany(t.Context(), []string{"a", "b", "c", "d"})
		e := wantKind(t, err, object.KindPermission)
		if e.Key != "a" || e.Code != "AccessDenied" || strings.Contains(err.Error(), `"c"`) {
			t.Errorf("%v", err)
		}
		if body := string(s.request(2).body); s.count() != 2 || !strings.Contains(body, "<Key>b</Key>") || strings.Contains(body, "<Key>a</Key>") {
			t.Errorf("the second try: %s", body)
		}
	})
}

func TestDeleteManyBoundsItsErrors(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 403, "AccessDenied") })
	var keys []string
	for i := range 1500 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	err := b.DeleteMany(t.Context(), keys)
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != deleteErrors+1 || !strings.Contains(err.Error(), "and 1480 more keys") {
		t.Errorf("%.300s", err)
	}
	wantKind(t, err, object.KindPermission)
}

func TestStoreWithoutDeleteMany(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		switch {
		case r.Method == http.MethodPost:
			refuse(w, 501, "NotImplemented")
		case r.URL.Path == "/bkt/gone":
			refuse(w, 404, "NoSuchKey")
		default:
			w.WriteHeader(204)
		}
	})
	ok(t, b.DeleteMany(t.Context(), []string{"a", "gone"}))
	ok(t, b.DeleteMany(t.Context(), []string{"c"}))
	if s.count() != 4 {
		t.Errorf("%q", s.seen())
	}
}

func TestDeleteOfABucketThatIsGone(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 404, "NoSuchBucket") })
	wantKind(t, b.Delete(t.Context(), "k"), object.KindNoBucket)
}

func TestDeleteOfAVersion(t *testing.T) {
	is := func(etag string, answer func(w http.ResponseWriter)) func(w http.ResponseWriter, r *request) {
		return func(w http.ResponseWriter, r *request) {
			switch {
			case r.Method == http.MethodHead && etag == "":
				w.WriteHeader(404)
			case r.Method == http.MethodHead:
				serveObject(w, r, "data", etag)
			case r.Header.Get("If-Match") != "":
				answer(w)
			default:
				w.WriteHeader(204)
			}
		}
	}
	refused := func(status int, code string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) { refuse(w, status, code) }
	}
	for name, c := range map[string]struct {
		etag     string
		answer   func(w http.ResponseWriter)
		conflict bool
		requests int // of two deletes
	}{
		"it is that version":              {"e1", func(w http.ResponseWriter) { w.WriteHeader(204) }, false, 2},
		"it is not there":                 {"", refused(404, "NoSuchKey"), false, 2},
		"it is another version":           {"e2", refused(412, "PreconditionFailed"), true, 4},
		"it went meanwhile":               {"", refused(412, "PreconditionFailed"), false, 4},
		"the store can't compare":         {"e1", refused(412, "PreconditionFailed"), false, 4},
		"the store does not know it":      {"e1", refused(501, "NotImplemented"), false, 3},
		"the store takes it for nonsense": {"e1", refused(400, "InvalidArgument"), false, 3},
		"somebody is writing":             {"e1", refused(409, "ConditionalRequestConflict"), true, 2 * fewTries},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := serve(t, nil, is(c.etag, c.answer))
				for range 2 {
					err := b.DeleteVersion(t.Context(), object.ID{Key: "k", ETag: "e1"})
					if c.conflict {
						wantKind(t, err, object.KindConflict)
					} else {
						ok(t, err)
					}
				}
				if s.count() != c.requests || s.request(1).Header.Get("If-Match") != `"e1"` {
					t.Errorf("%q", s.seen())
				}
			})
		})
	}
}

// What is wrong with a key says nothing of the store.
func TestDeleteOfAVersionWhoseKeyIsRefused(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) { refuse(w, 400, "InvalidURI") })
	for range 2 {
		wantKind(t, b.DeleteVersion(t.Context(), object.ID{Key: "k", ETag: "e1"}), object.KindInvalid)
	}
	if s.count() != 4 || s.request(3).Header.Get("If-Match") == "" {
		t.Errorf("%q", s.seen())
	}
}

// What answers is no S3 store: a page for people, as a proxy or the store's console sends it.
func TestDeleteManyIsNotConfirmedByAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, pages("<!DOCTYPE html><html><body>Welcome</body></html>"))
		wantKind(t, b.DeleteMany(t.Context(), []string{"a", "b"}), object.KindOther)
	})
}
