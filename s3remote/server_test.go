package s3remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// server is a store in the process. Its connections are pipes, so that time can be
// that of testing/synctest.
type server struct {
	t      *testing.T
	conns  chan net.Conn
	done   chan struct{}
	handle func(http.ResponseWriter, *request)

	mu struct {
		sync.Mutex
		requests []*request
		dialErr  error
	}
}

// request is what came in, with its body read unless the test said not to.
type request struct {
	*http.Request
	n    int // from 1
	body []byte
	end  <-chan struct{} // closed when the test ends
}

func (r *request) String() string { return r.Method + " " + r.RequestURI }

type address struct{}

func (address) Network() string { return "pipe" }
func (address) String() string  { return "s3.test" }

func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}
func (s *server) Close() error   { return nil }
func (s *server) Addr() net.Addr { return address{} }

func (s *server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	err := s.mu.dialErr
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	here, there := net.Pipe()
	select {
	case s.conns <- there:
		return here, nil
	case <-s.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *server) setDialErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.dialErr = err
}

// ServeHTTP hands a request to the test's handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{Request: r, end: s.done}
	if !s.unread(r) {
		req.body, _ = io.ReadAll(r.Body)
	}
	s.mu.Lock()
	s.mu.requests = append(s.mu.requests, req)
	req.n = len(s.mu.requests)
	s.mu.Unlock()
	s.handle(w, req)
}

// unread keeps bodies of some paths in the connection: the store reads no byte.
func (s *server) unread(r *http.Request) bool { return strings.Contains(r.URL.Path, "unread") }

// seen returns the requests so far as lines.
func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, r := range s.mu.requests {
		lines = append(lines, r.String())
	}
	return lines
}

func (s *server) count() int { return len(s.seen()) }

func (s *server) request(n int) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > len(s.mu.requests) {
		s.t.Fatalf("there is no request %d", n)
	}
	return s.mu.requests[n-1]
}

// serve starts a store and returns it with a bucket on it. The provider is Minio,
// which differs least from S3, unless change says otherwise.
func serve(t *testing.T, change func(*Config), handle func(http.ResponseWriter, *request)) (*server, *Bucket) {
	t.Helper()
	s := &server{t: t, conns: make(chan net.Conn), done: make(chan struct{}), handle: handle}
	var conns sync.WaitGroup
	web := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			conns.Done()
		}
	}}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = web.Serve(s)
	}()
	cfg := Config{Provider: "Minio", Endpoint: "http://s3.test", AccessKeyID: "id", SecretAccessKey: secret.New("key"), Dial: s.dial}
	if change != nil {
		change(&cfg)
	}
	client, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	client.wire.transport.Proxy = nil
	client.random = func() float64 { return 0.5 }
	t.Cleanup(func() {
		client.Close()
		close(s.done)
		_ = web.Close()
		<-stopped
		conns.Wait()
	})
	b, err := client.Bucket("bkt", "")
	if err != nil {
		t.Fatal(err)
	}
	return s, b
}

// refuse answers with an error document.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "req1")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>told so</Message></Error>", code)
}

// drop breaks the connection without an answer.
func drop(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// hang keeps the request until the client gives up or the test ends.
func hang(r *request) {
	select {
	case <-r.Context().Done():
	case <-r.end:
	}
}

func put(w http.ResponseWriter, etag string) { w.Header().Set("ETag", `"`+etag+`"`) }

func section(s string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(s), 0, int64(len(s)))
}

func readAll(r io.ReadCloser, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

func wantKind(t *testing.T, err error, kind object.Kind) *object.Error {
	t.Helper()
	var e *object.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error %v, want one of kind %v", err, kind)
	}
	return e
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serveObject answers GET and HEAD for data as a store does.
func serveObject(w http.ResponseWriter, r *request, data, etag string) {
	put(w, etag)
	if match := r.Header.Get("If-Match"); match != "" && match != `"`+etag+`"` {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	var from, to int
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n > 0 {
		if n == 1 {
			to = len(data) - 1
		}
		if from >= len(data) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", len(data)))
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		to = min(to, len(data)-1)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
		w.Header().Set("Content-Length", fmt.Sprint(to-from+1))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, data[from:to+1])
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, bytes.NewReader([]byte(data)))
	}
}

type failingAt struct{ err error }

func (f failingAt) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func newSection(r io.ReaderAt, n int64) *io.SectionReader { return io.NewSectionReader(r, 0, n) }
