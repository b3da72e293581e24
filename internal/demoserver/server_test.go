package demoserver

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// start starts a server with a bucket in it, and a client of both.
func start(t *testing.T, o Options) (*Server, *client) {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	cl := newClient(s)
	t.Cleanup(cl.http.CloseIdleConnections)
	if a, err := cl.do(call{method: "PUT"}); err != nil || a.status != 200 && a.code() != "BucketAlreadyExists" {
		t.Fatal(a, err)
	}
	return s, cl
}

func newClient(s *Server) *client {
	return &client{
		http:     &http.Client{Timeout: time.Minute, Transport: &http.Transport{}},
		endpoint: s.Endpoint, bucket: "bucket", accessKey: s.AccessKey, secret: s.SecretKey, now: time.Now,
	}
}

// TestConformance holds the server to what the mount relies on.
func TestConformance(t *testing.T) {
	var log bytes.Buffer
	_, cl := start(t, Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(cl); err != nil {
				t.Error(err)
			}
		})
	}
	if log.Len() > 0 {
		t.Errorf("a quiet server logged: %s", &log)
	}
}

// TestKeep stops a server and starts another on its data, which is all there; what
// was under way is gone.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	s, cl := start(t, Options{Dir: dir})
	if err := checkMetadata(cl); err != nil {
		t.Fatal(err)
	}
	keys := []string{"x", "x/y", "x//y", "\x01", strings.Repeat("k", 1024)}
	if err := cl.fill(keys...); err != nil {
		t.Fatal(err)
	}
	id, err := cl.createUpload("half", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cl.want(200, call{method: "PUT", key: "half", body: []byte("part"), query: partQuery(id, 1)}); err != nil {
		t.Fatal(err)
	}
	before, err := cl.want(200, call{method: "HEAD", key: "meta"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	_, cl = start(t, Options{Dir: dir})
	for _, k := range keys {
		if err := cl.holds(k, []byte(k)); err != nil {
			t.Error(err)
		}
	}
	after, err := cl.want(200, call{method: "HEAD", key: "meta"})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"ETag", "Last-Modified", "X-Amz-Meta-Mtime", "X-Amz-Meta-Target"} {
		if before.header.Get(h) == "" || before.header.Get(h) != after.header.Get(h) {
			t.Errorf("%s was %q, is %q", h, before.header.Get(h), after.header.Get(h))
		}
	}
	if ids, err := cl.uploads(""); err != nil || len(ids) != 0 {
		t.Errorf("uploads %q, %v", ids, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, tempName)); err != nil || len(left) != 0 {
		t.Errorf("left under way: %v, %v", left, err)
	}
}

// TestLeavesNothing: a server without a folder removes its data at Close, also
// that of a multipart upload, and ends its connections.
func TestLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s, cl := start(t, Options{})
	if err := cl.fill("a"); err != nil {
		t.Fatal(err)
	}
	if a, err := cl.upload("b", nil, nil, pattern(5<<20), []byte("x")); err != nil || a.status != 200 {
		t.Fatal(a, err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "http://")); err == nil {
		t.Error("the port still answers")
	}
}

// TestCloseCutsStalled closes a server while a client stopped reading in the middle of
// a GET and another stopped sending in the middle of a PUT.
func TestCloseCutsStalled(t *testing.T) {
	s, cl := start(t, Options{Dir: t.TempDir()})
	if _, err := cl.want(200, call{method: "PUT", key: "big", body: pattern(32 << 20)}); err != nil {
		t.Fatal(err)
	}
	resp, err := cl.send(call{method: "GET", key: "big"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r, w := io.Pipe()
	defer w.Close()
	req, err := http.NewRequest("PUT", cl.endpoint+"/bucket/half", r)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 100
	cl.payload = "UNSIGNED-PAYLOAD"
	cl.sign(req, nil)
	sent := make(chan error, 1)
	go func() {
		resp, err := cl.http.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		sent <- err
	}()
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-sent; err == nil {
		t.Error("the stalled PUT was answered")
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the stalled GET ended well")
	}
}

// TestFolderInUse: two servers can't share a folder, and one can follow the other.
func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	s, _ := start(t, Options{Dir: dir})
	if other, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v, %v", other, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir})
}

// TestForeignFolder: a folder with somebody's files is refused and not touched.
func TestForeignFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestAddrInUse: the error names the address, and the temporary folder is gone.
func TestAddrInUse(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Start(t.Context(), Options{Addr: l.Addr().String()}); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestDamagedFile: files that are not whole objects are left out, logged and kept, and
// the others are served.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	s, cl := start(t, Options{Dir: dir})
	if err := cl.fill("good", "cut", "moved"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	bucket := filepath.Join(dir, bucketsName, "bucket")
	if err := os.Truncate(filepath.Join(bucket, fileName("cut")), 20); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(bucket, fileName("moved")), filepath.Join(bucket, fileName("elsewhere"))); err != nil {
		t.Fatal(err)
	}
	for i, content := range []string{"", "short", strings.Repeat("x", 100), strings.Repeat("\xff", 8) + fileMagic, strings.Repeat("\x00", 8) + fileMagic} {
		if err := os.WriteFile(filepath.Join(bucket, fmt.Sprintf("junk%d", i)), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	_, cl = start(t, Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if keys, _, err := cl.list(url.Values{}); err != nil || !slices.Equal(keys, []string{"good"}) {
		t.Errorf("keys %q, %v", keys, err)
	}
	if n := strings.Count(log.String(), "file left out"); n != 7 {
		t.Errorf("%d files in the log: %s", n, &log)
	}
	if entries, err := os.ReadDir(bucket); err != nil || len(entries) != 8 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}
