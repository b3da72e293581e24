package vfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/s3mount/s3mount/internal/parts"
)

const largeSize = 48 << 20 // bytes, of an object of which the store copies what an edit leaves

// largeObject stores an object of random bytes.
func (w *world) largeObject(key string) []byte {
	data := make([]byte, largeSize)
	rand.NewChaCha8([32]byte{1}).Read(data)
	w.m.put(key, string(data), nil)
	return data
}

// overwrite writes some bytes at each place of a file in one open, and makes data what the
// file holds then.
func (w *world) overwrite(p string, data []byte, text string, places ...int64) []byte {
	w.t.Helper()
	h := w.open(p, true)
	for _, at := range places {
		w.writeAt(h, text, at)
		data = append(data, make([]byte, max(0, int(at)+len(text)-len(data)))...)
		copy(data[at:], text)
	}
	w.closeFile(h)
	return data
}

// whole reads a file and compares it. It returns how many bytes the store sent for that.
func (w *world) whole(p string, data []byte) int64 {
	w.t.Helper()
	before := w.m.sent()
	h := w.open(p, false)
	defer h.Release()
	got := make([]byte, 1<<20)
	for off := 0; off < len(data); {
		n, err := h.ReadAt(w.ctx(), got, int64(off))
		if err != nil && err != io.EOF || n == 0 {
			w.t.Fatalf("read at %d: %d, %v", off, n, err)
		}
		if !bytes.Equal(got[:n], data[off:min(off+n, len(data))]) {
			w.t.Fatalf("other bytes within %d and %d", off, off+n)
		}
		off += n
	}
	return w.m.sent() - before
}

func TestRegressionAnEditFetchesItsPartsOnly(t *testing.T) {
	w := newWorld(t, newMemStore())
	data := w.largeObject("f")
	data = w.overwrite("f", data, "changed", 10<<20+4711, 20<<20, 35<<20+1)
	w.stored("f", string(data))
	if got := w.m.requests("UploadPart"); got != 3 {
		t.Errorf("%d parts were sent", got)
	}
	// A part is fetched in 2 MiB at a time, and at its ends in whole units of the cache.
	if got, most := w.m.sent(), int64(3*(parts.MinSize+8<<10)); got < 3*(parts.MinSize-64) || got > most {
		t.Errorf("%d bytes were fetched, at most %d are needed", got, most)
	}
	if got := w.m.requests("Get"); got > 12 { // a part is 3, and one more where two reads meet
		t.Errorf("%d GETs", got)
	}
}
