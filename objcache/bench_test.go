package objcache

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// slowStore is a store with 20 ms to the first byte and 90 MB/s per stream, in real
// time. Its bytes are zeros, so that little but the cache's own work is measured.
type slowStore struct{}

const (
	benchLatency = 20 * time.Millisecond
	benchRate    = 90e6 // bytes a second
)

func (slowStore) Get(ctx context.Context, _ object.ID, r object.Range) (io.ReadCloser, error) {
	select {
	case <-time.After(benchLatency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &slowBody{ctx: ctx, left: r.Len, start: time.Now()}, nil
}

type slowBody struct {
	ctx        context.Context
	left, sent int64
	start      time.Time
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := int64(min(len(p), 256<<10))
	n = min(n, b.left)
	due := b.start.Add(time.Duration(float64(b.sent+n) / benchRate * float64(time.Second)))
	if wait := time.Until(due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	clear(p[:n])
	b.left -= n
	b.sent += n
	return int(n), nil
}

func (*slowBody) Close() error { return nil }

// BenchmarkSequential reads 2 GiB in order, in requests of 1 MiB or 128 KiB as the
// kernel's, with 32 parallel GETs and 128 MiB of memory.
func BenchmarkSequential(b *testing.B) {
	for name, request := range map[string]int{"1MiB": 1 << 20, "128KiB": 128 << 10} {
		b.Run(name, func(b *testing.B) {
			const size = 2 << 30
			p := make([]byte, request)
			b.SetBytes(size)
			for b.Loop() {
				c, err := New(Options{Fetcher: slowStore{}, Memory: 128 << 20})
				if err != nil {
					b.Fatal(err)
				}
				r := c.Reader(object.ID{Key: "k", ETag: "e"}, size)
				for off := int64(0); off < size; off += int64(request) {
					if _, err := r.ReadAt(context.Background(), p, off); err != nil {
						b.Fatal(err)
					}
				}
				st := c.Stats()
				r.Close()
				c.Close()
				b.ReportMetric(float64(st.MemoryTotal)/(1<<20), "MiB-memory")
				b.ReportMetric(float64(st.Fetches), "GETs")
				b.ReportMetric(float64(st.FetchedByte)/size, "bytes-fetched/byte")
			}
		})
	}
}

// BenchmarkHit reads 128 KiB that are in memory.
func BenchmarkHit(b *testing.B) {
	c, err := New(Options{Fetcher: slowStore{}})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r := c.Reader(object.ID{Key: "k", ETag: "e"}, 1<<20)
	defer r.Close()
	p := make([]byte, 128<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ReadAt(context.Background(), p, 256<<10); err != nil {
			b.Fatal(err)
		}
	}
}
