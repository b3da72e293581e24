package transfer

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestLimiterBoundsBothDirectionsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		dial := NewLimiter(100 << 10).Dial(func(ctxT, string, string) (net.Conn, error) { return here, nil })
		conn := must[net.Conn](t)(dial(t.Context(), "tcp", "x"))
		go func() {
			io.CopyN(io.Discard, there, 500<<10)
			there.Write(make([]byte, 500<<10))
			there.Close()
		}()
		start := time.Now()
		n := must[int](t)(conn.Write(make([]byte, 500<<10)))
		equal(t, "written", n, 500<<10)
		got := must[int64](t)(io.Copy(io.Discard, conn))
		equal(t, "read", got, int64(500<<10))
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("1000 KiB at 100 KiB/s took %v", took)
		}
		conn.Close()
		if _, err := conn.Write(make([]byte, 100<<10)); err == nil {
			t.Error("a closed connection takes bytes")
		}
	})
}

func TestStatsShowWhatIsUnderWay(t *testing.T) {
	s := NewStats()
	s.expect(10)
	a, b := s.begin("a", 10), s.begin("b", 5)
	a.sent(4)
	b.sent(5)
	snap := s.Snapshot()
	equal(t, "bytes", snap.Bytes, 9)
	equal(t, "under way", len(snap.Active), 2)
	equal(t, "first", snap.Active[0].Path, "a")
	equal(t, "of it", snap.Active[0].Bytes, 4)
	a.end(true)
	b.end(false)
	snap = s.Snapshot()
	equal(t, "bytes at the end", snap.Bytes, 10)
	equal(t, "under way at the end", len(snap.Active), 0)
	equal(t, "expected", snap.TotalBytes, 10)
}

func TestProgressOfBodiesThatAreReadTwice(t *testing.T) {
	var total, most int64
	body := &sending{r: NewContent(make([]byte, 100)).(memory), size: 100, tell: func(n int64) {
		total += n
		most = max(most, total)
	}}
	read := func() { must[int64](t)(io.Copy(io.Discard, io.NewSectionReader(body, 0, 100))) }
	read()
	equal(t, "after the checksum", total, 0)
	read()
	equal(t, "sent", total, 100)
	read() // a retry
	equal(t, "at most", most, 100)
	body.end(false)
	equal(t, "failed", total, 0)
}

func TestEndpointBasics(t *testing.T) {
	s, f := newStore(t), newFolder(t)
	for _, ep := range []Endpoint{s.at("p"), f.ep()} {
		put := must[File](t)(ep.Put(t.Context(), "d/a.txt", NewContent([]byte("hello")), PutOptions{ModTime: epoch}))
		got := must[File](t)(ep.Stat(t.Context(), "d/a.txt"))
		equal(t, "time", got.ModTime.UnixNano(), epoch.UnixNano())
		equal(t, "put", put.ModTime.UnixNano(), epoch.UnixNano())
		body := must[io.ReadCloser](t)(ep.Open(t.Context(), got, object.Range{Off: 1, Len: 3}))
		equal(t, "range", string(must[[]byte](t)(io.ReadAll(body))), "ell")
		body.Close()
		body = must[io.ReadCloser](t)(ep.Open(t.Context(), got, object.Range{Off: 2}))
		equal(t, "rest", string(must[[]byte](t)(io.ReadAll(body))), "llo")
		body.Close()
		if err := ep.Rmdir(t.Context(), "d"); !object.Is(err, object.KindNotEmpty) {
			t.Errorf("%v: %v", ep, err)
		}
		if err := ep.Remove(t.Context(), []string{"d/a.txt", "d/none"}); err != nil {
			t.Error(err)
		}
		if _, err := ep.Stat(t.Context(), "d/a.txt"); !object.Is(err, object.KindNotFound) {
			t.Errorf("%v: %v", ep, err)
		}
		if err := ep.Mkdir(t.Context(), "m/n"); err != nil {
			t.Error(err)
		}
		if err := ep.Rmdir(t.Context(), "d"); err != nil {
			t.Errorf("%v: %v", ep, err)
		}
		for _, bad := range []string{"", "x\xff"} {
			if _, err := s.at("").Put(t.Context(), bad, NewContent(nil), PutOptions{}); err == nil {
				t.Errorf("%q was stored", bad)
			}
		}
	}
	f.write("a", "1")
	if err := f.ep().Rmdir(t.Context(), "a"); !object.Is(err, object.KindNotDir) {
		t.Errorf("%v", err)
	}
}
