package transfer

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestSumsOfParts(t *testing.T) {
	data := []byte(bigText(3))[:2<<20+12345]
	for _, partSize := range []int64{1 << 20, sumBuf + 1, 700_001, 16 << 20} {
		sum, sums, err := sumParts(t.Context(), NewContent(data), partSize)
		whole := md5.Sum(data)
		if err != nil || sum != hex.EncodeToString(whole[:]) {
			t.Fatalf("parts of %d: %s, %v", partSize, sum, err)
		}
		for i, off := 0, int64(0); off < int64(len(data)); i, off = i+1, off+partSize {
			if sums[i] != sha256.Sum256(data[off:min(off+partSize, int64(len(data)))]) {
				t.Errorf("parts of %d: part %d has another sum", partSize, i)
			}
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	f := newFolder(t)
	f.write("a", string(data))
	c := must[Content](t)(f.ep().Content(t.Context(), must[File](t)(f.ep().Stat(t.Context(), "a"))))
	defer c.Close()
	if _, _, err := sumParts(canceled, c, 1<<20); !object.Is(err, object.KindCanceled) {
		t.Errorf("canceled: %v", err)
	}
}

// tampering changes a file's bytes behind its size and time, after the sums were taken.
type tampering struct{ *localContent }

func (c tampering) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.localContent.ReadAt(p, off)
	for i := range p[:n] {
		p[i] ^= 1
	}
	return n, err
}

// TestAPartThatIsNotWhatWasSummedUpIsRefused has a store that checks what it is sent.
func TestAPartThatIsNotWhatWasSummedUpIsRefused(t *testing.T) {
	s, f := newStore(t), newFolder(t)
	f.write("a", bigText(7))
	c := must[Content](t)(f.ep().Content(t.Context(), must[File](t)(f.ep().Stat(t.Context(), "a"))))
	defer c.Close()
	_, err := s.at("", small).Put(t.Context(), "a", tampering{c.(*localContent)}, PutOptions{})
	if !object.Is(err, object.KindCorrupt) {
		t.Errorf("%v", err)
	}
	equal(t, "stored", s.tree(""), "")
	equal(t, "uploads", len(s.b().Uploads()), 0)
}
