//go:build !race

// The race detector multiplies memory; this test runs without it.

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/test/s3fake"
)

func TestFiftyHandlesInLittleMemory(t *testing.T) {
	const handles, files, size = 50, 10, 24 << 20
	m, _, b := fakeMount(t, "--memory=64M", "--cache-size=64M")
	for i := range uint64(files) {
		b.PutPattern(fmt.Sprint(i), size, s3fake.NewPattern(i), nil)
	}
	var g errgroup.Group
	for h := range uint64(handles) {
		f, err := os.Open(fmt.Sprint(m.Dir, "/", h%files))
		must(t, err)
		defer f.Close()
		p, dice := s3fake.NewPattern(h%files), rand.New(rand.NewPCG(h, 2))
		g.Go(func() error {
			if h%3 > 0 {
				return checkRead(f, p, 0)
			}
			buf := make([]byte, 100<<10)
			for range 40 {
				off := dice.Int64N(size - int64(len(buf)))
				if _, err := f.ReadAt(buf, off); err != nil {
					return err
				}
				if err := p.Check(buf, off); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(t, g.Wait())
	wantPeak(t, "50 handles with --memory 64M", m, 128<<20)
}
