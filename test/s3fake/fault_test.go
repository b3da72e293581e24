package s3fake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestStatusFaults(t *testing.T) {
	s, b, c := start(t, Options{})
	b.Put("k", []byte("data"), nil)
	s.Fail(Rule{Op: GetObject, Key: "k*", Skip: 1, Count: 2, Fault: SlowDown()})
	c.do(200, "GET", "/bucket/k", nil)
	c.refused("SlowDown", "GET", "/bucket/k", nil)
	c.do(200, "HEAD", "/bucket/k", nil)
	c.refused("SlowDown", "GET", "/bucket/k", nil)
	c.do(200, "GET", "/bucket/k", nil)

	s.Fail(Rule{Op: PutObject, Fault: Denied()})
	c.refused("AccessDenied", "PUT", "/bucket/k", bytes.Repeat([]byte("x"), 1<<20))
	if got, _ := b.Get("k"); string(got) != "data" {
		t.Error("a denied PUT was stored")
	}
	s.Heal()
	s.Fail(Rule{Fault: Redirect("eu-west-1")})
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, body := c.do(301, "GET", "/bucket/k", nil)
	if resp.Header.Get("X-Amz-Bucket-Region") != "eu-west-1" || !bytes.Contains(body, []byte("<Region>eu-west-1</Region>")) {
		t.Errorf("redirect: %v %s", resp.Header, body)
	}
	if got := s.Stats().Faults; got != 4 {
		t.Errorf("%d faults counted, want 4", got)
	}
}

func TestErrorWithin200(t *testing.T) {
	s, b, c := start(t, Options{})
	b.Put("k", []byte("data"), nil)
	s.Fail(Rule{Op: CopyObject, Count: 1, Fault: Fault{Act: Within200}})
	_, body := c.do(200, "PUT", "/bucket/copy", nil, "X-Amz-Copy-Source", "/bucket/k")
	if !bytes.Contains(body, []byte("<Code>InternalError</Code>")) {
		t.Errorf("answer %s", body)
	}
	if _, ok := b.Get("copy"); ok {
		t.Error("the copy was made")
	}
	s.Fail(Rule{Op: DeleteObjects, Key: "k", Fault: Denied()})
	_, body = c.do(200, "POST", "/bucket?delete", []byte("<Delete><Object><Key>k</Key></Object></Delete>"))
	if _, ok := b.Get("k"); !ok || !bytes.Contains(body, []byte("<Code>AccessDenied</Code>")) {
		t.Errorf("DeleteObjects of a denied key: %s", body)
	}
}

func TestCutAnswers(t *testing.T) {
	s, b, c := start(t, Options{})
	b.PutPattern("k", 1000, NewPattern(1), nil)
	cut := func(f Fault) ([]byte, error) {
		s.Heal()
		s.Fail(Rule{Op: GetObject, Fault: f})
		_, body, err := c.try("GET", "/bucket/k", nil)
		return body, err
	}
	body, err := cut(Fault{Act: Truncate})
	if !errors.Is(err, io.ErrUnexpectedEOF) || len(body) != 500 {
		t.Errorf("truncated: %d bytes, %v", len(body), err)
	}
	if body, err = cut(Fault{Act: Truncate, After: 10}); !errors.Is(err, io.ErrUnexpectedEOF) || len(body) != 10 {
		t.Errorf("truncated after 10: %d bytes, %v", len(body), err)
	}
	if _, err = cut(Fault{Act: Reset, After: 10}); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset in the body: %v", err)
	}
	if _, _, err := c.try("HEAD", "/bucket/k", nil); err != nil {
		t.Error(err)
	}
}

func TestResets(t *testing.T) {
	s, b, c := start(t, Options{})
	s.Fail(Rule{Op: PutObject, Fault: Fault{Act: Reset}})
	if _, _, err := c.try("PUT", "/bucket/k", []byte("x")); err == nil {
		t.Error("no error from a reset")
	}
	s.Heal()
	s.Fail(Rule{Op: PutObject, Fault: Fault{Act: Lost}})
	if _, _, err := c.try("PUT", "/bucket/k", []byte("x")); err == nil {
		t.Error("no error from a lost answer")
	}
	if got, _ := b.Get("k"); string(got) != "x" {
		t.Error("a lost answer is to a request that was done")
	}
}

// hangs checks that a request ends only when the client gives up, once begun is closed.
func hangs(t *testing.T, c *client, method, path string, body []byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		resp, err := c.http.Do(r)
		if err == nil {
			cancel() // the header is here, the rest will not come
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		done <- err
	}()
	if method == "PUT" {
		cancel()
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%s %s: %v, want canceled", method, path, err)
	}
}

func TestStallsEndWithTheClient(t *testing.T) {
	s, b, c := start(t, Options{})
	b.PutPattern("k", 1<<20, NewPattern(1), nil)
	s.Fail(Rule{Op: GetObject, Fault: Fault{Act: Stall}}, Rule{Op: PutObject, Key: "stall", Fault: Fault{Act: Stall}},
		Rule{Op: PutObject, Key: "hang", Fault: Fault{Act: Hang}})
	hangs(t, c, "GET", "/bucket/k", nil)
	hangs(t, c, "PUT", "/bucket/stall", make([]byte, 100))
	hangs(t, c, "PUT", "/bucket/hang", make([]byte, 100))
	if b.Keys("hang") != nil || b.Keys("stall") != nil {
		t.Error("a request that stalled was done")
	}
}

func TestDownRefusesAndUpAnswersOnTheSamePort(t *testing.T) {
	s, b, c := start(t, Options{})
	b.Put("k", []byte("x"), nil)
	c.do(200, "GET", "/bucket/k", nil)
	s.Down()
	s.Down()
	if _, _, err := c.try("GET", "/bucket/k", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while down: %v, want connection refused", err)
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	c.do(200, "GET", "/bucket/k", nil)
}

func TestProbabilityIsSeeded(t *testing.T) {
	roll := func(seed uint64) string {
		f := newFaults(seed)
		f.rules = []*plannedRule{{Rule: Rule{Probability: 0.1, Fault: SlowDown()}}}
		var out strings.Builder
		for range 1000 {
			if f.pick(GetObject, "k") != nil {
				out.WriteByte('x')
			} else {
				out.WriteByte('.')
			}
		}
		return out.String()
	}
	if n := strings.Count(roll(1), "x"); n < 70 || n > 130 {
		t.Errorf("%d of 1000 at 10%%", n)
	}
	first, again, other := roll(1), roll(1), roll(2)
	if first != again || first == other {
		t.Error("the seed does not decide")
	}
}

func TestCloseEndsWhatHangs(t *testing.T) {
	s, b, c := start(t, Options{})
	b.Put("k", []byte("x"), nil)
	s.Fail(Rule{Op: GetObject, Fault: Fault{Act: Hang}})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, _, err := c.try("GET", "/bucket/k", nil); err == nil {
			t.Error("an answer from a server that hangs")
		}
	})
	for s.Stats().Requests[GetObject] == 0 {
		c.do(200, "HEAD", "/bucket/k", nil) // the way there is a request long
	}
	s.Close()
	wg.Wait()
}

func TestPacerKeepsToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pacer
		began := time.Now()
		for range 100 {
			p.wait(10_000, 1_000_000, nil)
		}
		if took := time.Since(began); took < 990*time.Millisecond || took > 1010*time.Millisecond {
			t.Errorf("1 MB at 1 MB/s took %v", took)
		}
	})
}

func TestLatencyIsPerOperation(t *testing.T) {
	l := Latency{FirstByte: 1, Head: 2, List: 3, Put: 4, Part: 5, Create: 6, Complete: 7, Copy: 8, Delete: 9, Other: 10}
	for op, want := range map[Op]time.Duration{
		GetObject: 1, HeadObject: 2, ListObjectsV2: 3, PutObject: 4, UploadPart: 5, CreateUpload: 6,
		CompleteUpload: 7, CopyObject: 8, DeleteObjects: 9, HeadBucket: 10,
	} {
		if got := l.of(op); got != want {
			t.Errorf("%s: %v, want %v", op, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		pause(time.Minute, t.Context(), context.Background())
		if took := time.Since(began); took != time.Minute {
			t.Errorf("paused for %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		pause(time.Hour, ctx, context.Background())
		if took := time.Since(began); took != time.Minute {
			t.Error("a client that is gone was waited for")
		}
	})
}
