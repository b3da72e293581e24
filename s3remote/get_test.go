package s3remote

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

var digits = strings.Repeat("0123456789", 20000) // 200 kB

func TestGetIsPinnedAndRanged(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) { serveObject(w, r, digits, "e1") })
	got, err := readAll(b.Get(t.Context(), object.ID{Key: "k", ETag: "e1"}, object.Range{Off: 5, Len: 10}))
	ok(t, err)
	if got != "5678901234" {
		t.Errorf("%q", got)
	}
	if r := s.request(1); r.Header.Get("If-Match") != `"e1"` || r.Header.Get("Range") != "bytes=5-14" || r.Header.Get("Accept-Encoding") != "" {
		t.Errorf("%v", r.Header)
	}
	for _, c := range []struct {
		off, n int64
		want   int
	}{{199990, 100, 10}, {0, math.MaxInt64, len(digits)}, {100, math.MaxInt64, len(digits) - 100}, {0, 1, 1}} {
		if got, err := readAll(b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Off: c.off, Len: c.n})); err != nil || len(got) != c.want || !strings.HasPrefix(digits[c.off:], got) {
			t.Errorf("%+v: %d bytes, %v", c, len(got), err)
		}
	}
	_, err = b.Get(t.Context(), object.ID{Key: "k", ETag: "old"}, object.Range{Len: 10})
	wantKind(t, err, object.KindStale)
	_, err = b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Off: 200000, Len: 10})
	wantKind(t, err, object.KindInvalid)
	for _, r := range []object.Range{{}, {Off: -1, Len: 1}, {Len: -1}} {
		_, err = b.Get(t.Context(), object.ID{Key: "k"}, r)
		wantKind(t, err, object.KindInvalid)
	}
}

func TestGetOfAnEmptyObject(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, r *request) { serveObject(w, r, "", "e") })
	got, err := readAll(b.Get(t.Context(), object.ID{Key: "k", ETag: "e"}, object.Range{Len: 10}))
	if got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Each try delivers some bytes and then fails in its own way; the whole comes out.
func TestBodyGoesOnWhereItStopped(t *testing.T) {
	ends := map[string]func(w http.ResponseWriter, r *request){
		"reset": func(w http.ResponseWriter, _ *request) { drop(w) },
		"stall": func(_ http.ResponseWriter, r *request) { hang(r) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
					if r.n == 4 {
						refuse(w, 503, "SlowDown")
						return
					}
					if r.n >= 6 {
						serveObject(w, r, digits, "e1")
						return
					}
					var from, to int
					_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
					put(w, "e1")
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(digits)))
					w.Header().Set("Content-Length", fmt.Sprint(to-from+1))
					w.WriteHeader(206)
					_, _ = io.WriteString(w, digits[from:from+30000])
					w.(http.Flusher).Flush()
					end(w, r)
				})
				start := time.Now()
				got, err := readAll(b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Off: 1, Len: 199998}))
				ok(t, err)
				if got != digits[1:199999] {
					t.Errorf("%d bytes came", len(got))
				}
				if r := s.request(6); s.count() != 6 || r.Header.Get("Range") != "bytes=120001-199998" || r.Header.Get("If-Match") != `"e1"` {
					t.Errorf("%d requests, the last one %v", s.count(), r.Header)
				}
				if d := time.Since(start); name == "stall" && (d < 2*time.Minute || d > 130*time.Second) {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// The store says 100 bytes in all and then, with a proper end, that it was less.
func TestBodyThatEndsEarlyIsNotTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n == 1 {
				put(w, "e1")
				w.Header().Set("Content-Range", "bytes 0-99/200000")
				w.WriteHeader(206)
				_, _ = io.WriteString(w, digits[:60])
				return
			}
			serveObject(w, r, digits, "e1")
		})
		got, err := readAll(b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Len: 100}))
		ok(t, err)
		if got != digits[:100] || s.request(2).Header.Get("Range") != "bytes=60-99" {
			t.Errorf("%q after %v", got, s.seen())
		}
	})
}

func TestChangedObjectIsNeverMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n == 1 {
				put(w, "e1")
				w.Header().Set("Content-Length", "200000")
				_, _ = io.WriteString(w, digits[:1000])
				w.(http.Flusher).Flush()
				drop(w)
			}
			serveObject(w, r, strings.Repeat("x", 200000), "e2")
		})
		got, err := readAll(b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Len: 200000}))
		wantKind(t, err, object.KindStale)
		if got != digits[:1000] {
			t.Errorf("%d bytes before the error", len(got))
		}
	})
}

// A store that passes over If-Match and Range is found out.
func TestAnswersAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		id     object.ID
		off    int64
		answer func(http.ResponseWriter)
		kind   object.Kind
	}{
		"another version": {object.ID{Key: "k", ETag: "e1"}, 0, func(w http.ResponseWriter) { put(w, "e2") }, object.KindStale},
		"no version":      {object.ID{Key: "k", ETag: "e1"}, 0, func(http.ResponseWriter) {}, object.KindOther},
		"unpacked": {object.ID{Key: "k", ETag: "e1"}, 0, func(w http.ResponseWriter) {
			put(w, "e1")
			w.Header().Set("X-Goog-Stored-Content-Encoding", "gzip")
		}, object.KindUnsupported},
		"transformed": {object.ID{Key: "k", ETag: "e1"}, 0, func(w http.ResponseWriter) {
			put(w, "e1")
			w.Header().Set("Warning", "214 UploadServer gunzipped")
		}, object.KindUnsupported},
		"no ranges": {object.ID{Key: "k"}, 5, func(w http.ResponseWriter) { put(w, "e1") }, object.KindUnsupported},
		"another range": {object.ID{Key: "k"}, 5, func(w http.ResponseWriter) {
			put(w, "e1")
			w.Header().Set("Content-Range", "bytes 6-9/10")
			w.WriteHeader(206)
		}, object.KindOther},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
					c.answer(w)
					_, _ = io.WriteString(w, "data")
				})
				_, err := b.Get(t.Context(), c.id, object.Range{Off: c.off, Len: 4})
				wantKind(t, err, c.kind)
			})
		})
	}
}

func TestBodyFailsWhenNothingHelps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n > 1 {
				refuse(w, 503, "SlowDown")
				return
			}
			put(w, "e1")
			w.Header().Set("Content-Length", "200000")
			_, _ = io.WriteString(w, digits[:1000])
			w.(http.Flusher).Flush()
			drop(w)
		})
		start := time.Now()
		_, err := readAll(b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Len: 200000}))
		wantKind(t, err, object.KindUnavailable)
		if d := time.Since(start); d < time.Minute || d > 2*time.Minute {
			t.Errorf("it took %v", d)
		}
	})
}

func TestBodyObeysItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			put(w, "e1")
			w.Header().Set("Content-Length", "200000")
			w.(http.Flusher).Flush()
			hang(r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		body, err := b.Get(ctx, object.ID{Key: "k"}, object.Range{Len: 200000})
		ok(t, err)
		time.AfterFunc(time.Second, cancel)
		_, err = body.Read(make([]byte, 10))
		wantKind(t, err, object.KindCanceled)
		ok(t, body.Close())
		if _, err := body.Read(make([]byte, 10)); err == nil {
			t.Error("a closed body was read")
		}
	})
}

// A reader that takes its time between two reads is no stall.
func TestSlowReaderIsNotAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) { serveObject(w, r, digits, "e1") })
		body, err := b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Len: 200000})
		ok(t, err)
		defer body.Close()
		buf, total := make([]byte, 50000), 0
		for err == nil {
			var n int
			n, err = io.ReadFull(body, buf)
			total += n
			time.Sleep(5 * time.Minute)
		}
		if total != 200000 || s.count() != 1 {
			t.Errorf("%d bytes in %d requests, %v", total, s.count(), err)
		}
	})
}
