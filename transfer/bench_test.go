package transfer

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkSmallFiles is 500 files up, unchanged, and down, with the requests of each.
func BenchmarkSmallFiles(b *testing.B) {
	f := newFolder(b)
	for i := range 500 {
		f.write(fmt.Sprintf("d%d/f%03d", i%10, i), strings.Repeat("x", 1000))
	}
	s := newStore(b)
	n, down := 0, newFolder(b)
	for name, prepare := range map[string]func() (Endpoint, Endpoint){
		"up": func() (Endpoint, Endpoint) {
			n++
			return f.ep(), s.at(fmt.Sprintf("up%d", n))
		},
		"unchanged": func() (Endpoint, Endpoint) {
			Copy(b.Context(), f.ep(), s.at("same"), Options{})
			return f.ep(), s.at("same")
		},
		"down": func() (Endpoint, Endpoint) {
			Copy(b.Context(), f.ep(), s.at("same"), Options{})
			n++
			to, _ := NewLocal(filepath.Join(down.dir, fmt.Sprint(n)), LocalOptions{})
			return s.at("same"), to
		},
	} {
		b.Run(name, func(b *testing.B) {
			var requests int64
			for range b.N {
				b.StopTimer()
				src, dst := prepare()
				s.ResetStats()
				b.StartTimer()
				if _, err := Copy(b.Context(), src, dst, Options{}); err != nil {
					b.Fatal(err)
				}
				requests += s.Stats().Total()
			}
			b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
		})
	}
}

// BenchmarkWalk is the listing of 100,000 keys out of memory.
func BenchmarkWalk(b *testing.B) {
	for name, folders := range map[string]int{"one folder": 1, "100 folders": 100, "10,000 folders": 10_000} {
		s := &listStore{page: 1000}
		for i := range 100_000 {
			s.keys = append(s.keys, fmt.Sprintf("%05d/%06d", i/(100_000/folders), i))
		}
		ep, _ := NewBucket(s, "", BucketOptions{})
		for _, fast := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/fast=%v", name, fast), func(b *testing.B) {
				s.requests.Store(0)
				for range b.N {
					collect(b, ep, WalkOptions{Fast: fast})
				}
				b.ReportMetric(float64(s.requests.Load())/float64(b.N), "requests/op")
			})
		}
	}
}
