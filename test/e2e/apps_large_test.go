package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/s3mount/s3mount/test/servers"
)

// writeRandom writes size random bytes to a file, in pieces of odd lengths, and returns
// what sum says of them.
func writeRandom(t testing.TB, path string, size int64) string {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	var seed [32]byte
	copy(seed[:], path)
	random, h := rand.NewChaCha8(seed), sha256.New()
	buf := make([]byte, 1<<20+4711)
	for left := size; left > 0; {
		p := buf[:min(left, int64(len(buf)))]
		random.Read(p) // never fails
		h.Write(p)
		_, err := f.Write(p)
		must(t, err)
		left -= int64(len(p))
	}
	must(t, f.Close())
	return fmt.Sprintf("%d bytes %x", size, h.Sum(nil))
}

func wantSum(t testing.TB, what, path, want string) {
	t.Helper()
	got, err := sum(path)
	must(t, err)
	same(t, what, got, want)
}

func TestLargeFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(testing.TB) servers.Server
		size  int64
	}{
		{"embedded", pool.Embedded, 1 << 30},
		{"minio", pool.MinIO, 1 << 30},
		{"ceph", pool.Ceph, 256 << 20}, // its data lies in memory
	} {
		t.Run(c.name, func(t *testing.T) {
			m, b := newMount(t, c.start(t))
			path := m.Dir + "/large"
			want := writeRandom(t, path, c.size)
			info, err := b.Head(context.Background(), "large")
			must(t, err)
			same(t, "the object's size", info.Size, c.size)
			dropCaches(t)
			wantSum(t, "read back", path, want)
			m.Remount(true)
			wantSum(t, "read after a remount", path, want)
			must(t, os.Remove(path))
		})
	}
}
