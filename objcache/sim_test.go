package objcache

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// pacedReader delivers a test block per blockTime, as a stream of 90 MB/s does blocks
// of 1 MiB.
type pacedReader struct {
	io.Reader
	start time.Time
	sent  int64
}

const blockTime = time.Second * (1 << 20) / 90e6

func (r *pacedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), testBlock/4)])
	r.sent += int64(n)
	time.Sleep(time.Until(r.start.Add(time.Duration(r.sent) * blockTime / testBlock)))
	return n, err
}

// On a store with 20 ms to the first byte and 90 MB/s per stream, one reader in order
// gets more than 1 GB/s (blocks of 16 KiB stand for 1 MiB here) from 32 GETs and
// 128 blocks. Time is simulated, so the figure does not depend on the machine.
func TestSequentialThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		const blocks = 1024
		id, data := s.add("k", "e", blocks*testBlock)
		s.before = func(context.Context, object.ID, object.Range) error {
			time.Sleep(20 * time.Millisecond)
			return nil
		}
		s.wrap = func(_ object.Range, b []byte) io.Reader {
			return &pacedReader{Reader: bytes.NewReader(b), start: time.Now()}
		}
		c := open(t, s, Options{Memory: 128 * testBlock})
		r := c.Reader(id, int64(len(data)))
		defer r.Close()
		start := time.Now()
		for off := 0; off < len(data); off += testBlock / 8 {
			mustRead(t, r, data, off, testBlock/8)
		}
		took := time.Since(start)
		n, asked := s.gets()
		t.Logf("1 GiB in %v: %.0f MB/s, %d GETs", took, blocks*(1<<20)/1e6/took.Seconds(), n)
		if took > 1070*time.Millisecond || asked != int64(len(data)) {
			t.Errorf("%v for %d bytes of %d", took, asked, len(data))
		}
	})
}
