package s3remote

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestPauseGrowsAndJitters(t *testing.T) {
	for _, c := range []struct {
		n      int
		least  time.Duration
		random float64
		want   time.Duration
	}{
		{1, 0, 0, 50 * time.Millisecond}, {1, 0, 1, 100 * time.Millisecond},
		{3, 0, 0.5, 300 * time.Millisecond}, {6, 0, 1, 3200 * time.Millisecond},
		{7, 0, 1, 5 * time.Second}, {1000, 0, 0, 2500 * time.Millisecond},
		{1, 3 * time.Second, 1, 3 * time.Second},
	} {
		if got := pause(c.n, c.least, c.random); got != c.want {
			t.Errorf("pause(%d, %v, %v) = %v, want %v", c.n, c.least, c.random, got, c.want)
		}
	}
}

func TestPassingFailuresAreRetried(t *testing.T) {
	answers := map[string]func(http.ResponseWriter, *request){
		"503 SlowDown":       func(w http.ResponseWriter, _ *request) { refuse(w, 503, "SlowDown") },
		"500":                func(w http.ResponseWriter, _ *request) { refuse(w, 500, "InternalError") },
		"500 unknown":        func(w http.ResponseWriter, _ *request) { refuse(w, 500, "OnlyHere") },
		"429":                func(w http.ResponseWriter, _ *request) { w.WriteHeader(429) },
		"502 of a proxy":     func(w http.ResponseWriter, _ *request) { w.WriteHeader(502) },
		"400 RequestTimeout": func(w http.ResponseWriter, _ *request) { refuse(w, 400, "RequestTimeout") },
		"no answer":          func(w http.ResponseWriter, _ *request) { drop(w) },
		"hang":               func(_ http.ResponseWriter, r *request) { hang(r) },
		"half a head": func(w http.ResponseWriter, _ *request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nETag: "))
			c.Close()
		},
		"no HTTP": func(w http.ResponseWriter, _ *request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte("220 smtp.example.org ESMTP\r\n"))
			c.Close()
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
					if r.n <= 2 {
						answer(w, r)
						return
					}
					put(w, "e1")
				})
				info, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
				ok(t, err)
				if info.ETag != "e1" || s.count() != 3 || string(s.request(3).body) != "data" {
					t.Errorf("%+v after %q", info, s.seen())
				}
			})
		})
	}
}

// A header that makes no sense comes again with each answer: metadata with a NUL, say.
func TestHeadersThatMakeNoSenseAreNotRetriedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nX-Amz-Meta-A: a\x00b\r\nContent-Length: 0\r\n\r\n"))
			c.Close()
		})
		start := time.Now()
		_, err := b.Head(t.Context(), "k")
		wantKind(t, err, object.KindOther)
		if d := time.Since(start); d > 5*time.Second || s.count() != fewTries || !strings.Contains(err.Error(), "odd answer") {
			t.Errorf("%v after %v and %q", err, d, s.seen())
		}
	})
}

func TestOutageIsRiddenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { put(w, "e1") })
		s.setDialErr(&os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED})
		time.AfterFunc(20*time.Second, func() { s.setDialErr(nil) })
		start := time.Now()
		_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
		ok(t, err)
		if d := time.Since(start); d < 20*time.Second || d > 26*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestLastingFailuresFailAtOnce(t *testing.T) {
	for code, c := range map[string]struct {
		status int
		kind   object.Kind
	}{
		"AccessDenied": {403, object.KindPermission}, "NoSuchBucket": {404, object.KindNoBucket},
		"InvalidAccessKeyId": {403, object.KindCredentials}, "OnlyHere": {400, object.KindInvalid},
		"NotImplemented": {501, object.KindUnsupported},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, c.status, code) })
			start := time.Now()
			_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
			e := wantKind(t, err, c.kind)
			if e.Op != "PutObject" || e.Key != "k" || e.Code != code || e.RequestID != "req1" || !strings.Contains(e.Error(), "told so") {
				t.Errorf("%v", e)
			}
			if s.count() != 1 || time.Since(start) != 0 {
				t.Errorf("%d requests, %v", s.count(), time.Since(start))
			}
		})
	}
}

func TestRetryDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, func(c *Config) { c.RetryDeadline = 30 * time.Second },
			func(w http.ResponseWriter, _ *request) { refuse(w, 503, "SlowDown") })
		start := time.Now()
		_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
		wantKind(t, err, object.KindUnavailable)
		if d := time.Since(start); d < 20*time.Second || d > 30*time.Second || s.count() < 6 {
			t.Errorf("%d requests in %v", s.count(), d)
		}
	})
}

func TestChecksumMismatchIsTriedAFewTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 400, "XAmzContentSHA256Mismatch") })
		_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
		wantKind(t, err, object.KindCorrupt)
		if s.count() != fewTries {
			t.Errorf("%d requests", s.count())
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n == 1 {
				w.Header().Set("Retry-After", "7")
				refuse(w, 503, "SlowDown")
				return
			}
			put(w, "e")
		})
		start := time.Now()
		_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
		ok(t, err)
		if d := time.Since(start); d != 7*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 503, "SlowDown") })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := b.Head(ctx, "k")
		e := wantKind(t, err, object.KindTimeout)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", e)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = b.Put(ctx, "k", section(""), object.PutOptions{})
		wantKind(t, err, object.KindCanceled)
		start := time.Now()
		_, err = b.List(ctx, object.Query{})
		wantKind(t, err, object.KindCanceled)
		if time.Since(start) != 0 {
			t.Error("a call with an ended context waits")
		}
	})
}

func TestFirstByteLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n == 1 {
				hang(r)
				return
			}
			put(w, "e")
		})
		start := time.Now()
		_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
		ok(t, err)
		if d := time.Since(start); d < time.Minute || d > 61*time.Second || s.count() != 2 {
			t.Errorf("%d requests in %v", s.count(), d)
		}
	})
}

// A store copies 5 GiB before it answers.
func TestCopyMayTakeLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			time.Sleep(5 * time.Minute)
			_, _ = w.Write([]byte(`<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`))
		})
		_, err := b.Copy(t.Context(), object.ID{Key: "a"}, "b", object.CopyOptions{Size: 1})
		ok(t, err)
		if s.count() != 1 {
			t.Errorf("%q", s.seen())
		}
	})
}

func TestStalledUploadIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := strings.Repeat("0123456789abcdef", 64<<10)
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			if r.n == 1 {
				hang(r) // the body is never read: the connection fills up
				return
			}
			buf := make([]byte, 1<<20)
			for {
				n, err := r.Body.Read(buf)
				r.body = append(r.body, buf[:n]...)
				if err != nil {
					break
				}
			}
			put(w, "e")
		})
		start := time.Now()
		_, err := b.Put(t.Context(), "unread", section(data), object.PutOptions{})
		ok(t, err)
		if d := time.Since(start); d < 30*time.Second || d > 40*time.Second || s.count() != 2 || string(s.request(2).body) != data {
			t.Errorf("%d requests in %v", s.count(), d)
		}
	})
}

// Long uploads are fine as long as something moves.
func TestSlowUploadIsNotAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			buf := make([]byte, 64<<10)
			for {
				time.Sleep(10 * time.Second)
				if _, err := r.Body.Read(buf); err != nil {
					break
				}
			}
			put(w, "e")
		})
		start := time.Now()
		_, err := b.Put(t.Context(), "unread", section(strings.Repeat("x", 1<<20)), object.PutOptions{})
		ok(t, err)
		if d := time.Since(start); d < 2*time.Minute || s.count() != 1 {
			t.Errorf("%d requests in %v", s.count(), d)
		}
	})
}

func TestCheckGivesUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(http.ResponseWriter, *request) {})
		s.setDialErr(&os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED})
		start := time.Now()
		e := wantKind(t, b.Check(t.Context()), object.KindUnavailable)
		if d := time.Since(start); d > checkTimeout {
			t.Errorf("it took %v", d)
		}
		if !strings.Contains(e.Error(), "connection refused") {
			t.Errorf("%v", e)
		}
	})
}

// What is to be sent became unreadable, or shorter: no retry helps.
func TestLocalReadErrorFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { put(w, "e") })
		bad := errors.New("disk on fire")
		r := failingAt{err: bad}
		_, err := b.Put(t.Context(), "k", newSection(r, 100), object.PutOptions{})
		wantKind(t, err, object.KindOther)
		if !errors.Is(err, bad) {
			t.Errorf("%v", err)
		}
		_, err = b.UploadPart(t.Context(), "k", "id", 1, newSection(strings.NewReader("short"), 100))
		wantKind(t, err, object.KindOther)
		if !slices.Equal(s.seen(), nil) {
			t.Errorf("%q", s.seen())
		}
	})
}
