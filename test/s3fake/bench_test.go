package s3fake

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// The server must be faster than what is measured with it: these are its own limits.
func benchClient(b *testing.B, o Options) (*Server, *http.Client) {
	s := Start(b, o)
	tr := &http.Transport{MaxIdleConnsPerHost: 32}
	b.Cleanup(tr.CloseIdleConnections)
	return s, &http.Client{Transport: tr}
}

func BenchmarkGetAt32Streams(b *testing.B) {
	s, client := benchClient(b, Options{})
	const size = 8 << 20
	s.Bucket("bucket").PutPattern("k", size, NewPattern(1), nil)
	b.SetBytes(size)
	b.SetParallelism(16) // streams per processor
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Get(s.URL() + "/bucket/k")
			if err != nil {
				b.Error(err)
				return
			}
			if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != size {
				b.Error(n, err)
			}
			resp.Body.Close()
		}
	})
}

func BenchmarkPut(b *testing.B) {
	const size = 8 << 20
	data := make([]byte, size)
	NewPattern(1).ReadAt(data, 0)
	for name, o := range map[string]Options{"md5": {}, "fast": {FastETag: true}} {
		b.Run(name, func(b *testing.B) {
			s, client := benchClient(b, o)
			s.Bucket("bucket")
			b.SetBytes(size)
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPut, s.URL()+"/bucket/k", bytes.NewReader(data))
				if err != nil {
					b.Fatal(err)
				}
				resp, err := client.Do(r)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Fatal(resp, err)
				}
				resp.Body.Close()
			}
		})
	}
}

func BenchmarkListMillion(b *testing.B) {
	s := Start(b, Options{})
	bucket := s.Bucket("bucket")
	bucket.AddVirtual(Virtual{Prefix: "v/", N: 1_000_000})
	after := ""
	for b.Loop() {
		p := bucket.list(listing{prefix: "v/", after: after, max: maxList})
		if after = p.last; !p.more {
			after = ""
		}
	}
}
