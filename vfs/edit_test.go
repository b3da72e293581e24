package vfs

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/writeback"
)

// newEditWorld is a world in which the store copies what an edit leaves of 1 MiB and more, in
// parts of editPart bytes at least.
func newEditWorld(t *testing.T) *world {
	w := newWorld(t, newMemStore())
	w.must(w.queue.Close(w.ctx()))
	var err error
	w.queue, err = writeback.NewQueue(writeback.Options{Dir: w.dir + "/staging", Uploader: w.m, Cache: w.cache, Disk: w.disk,
		PartSize: editPart, MinPart: editPart, MultipartOver: 1 << 20, CopyOver: 1 << 20})
	w.must(err)
	w.fs.o.Queue = w.queue
	return w
}

const (
	editPart = 512 << 10 // bytes
	editSize = 5 << 20
)

func randomBytes(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// largeObject stores an object of random bytes.
func (w *world) largeObject(key string, size int) []byte {
	data := randomBytes(size)
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

// holds checks an object whose bytes say nothing in a message.
func (w *world) holds(key string, data []byte) {
	w.t.Helper()
	got, ok := w.m.get(key)
	at := 0
	for at < min(len(got), len(data)) && got[at] == data[at] {
		at++
	}
	if !ok || at < max(len(got), len(data)) {
		w.t.Fatalf("object %q has %d bytes, want %d, and others from %d on", key, len(got), len(data), at)
	}
}

// awaitCached returns once the disk has all of an object.
func (w *world) awaitCached(key string) {
	w.t.Helper()
	info, err := w.m.Head(w.ctx(), key)
	w.must(err)
	for end := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		if file := w.cache.Whole(info.ID(), info.Size); file != nil {
			file.Close()
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s is not cached", key)
		}
	}
}

func TestRegressionAnEditFetchesItsPartsOnly(t *testing.T) {
	w := newWorld(t, newMemStore())
	data := w.largeObject("f", 48<<20)
	data = w.overwrite("f", data, "changed", 10<<20+4711, 20<<20, 35<<20+1)
	w.holds("f", data)
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

// What was cached of a file, and what a change of it brought, is cached of the next version.
func TestRegressionAnEditedFileIsNotDownloadedAgain(t *testing.T) {
	const block = 256 << 10
	edits := []int64{1<<20 + 4711, 5 << 19, 4<<20 + 1}

	t.Run("not cached before", func(t *testing.T) {
		w := newEditWorld(t)
		data := w.largeObject("f", editSize)
		data = w.overwrite("f", data, "changed", edits...)
		if got, most := w.whole("f", data), int64(editSize-3*(editPart-2*block)); got > most {
			t.Errorf("%d bytes were fetched, at most %d are not here", got, most)
		}
	})

	t.Run("in a folder that is renamed", func(t *testing.T) {
		w := newEditWorld(t)
		w.mkdir("d")
		data := randomBytes(editSize)
		w.write("d/f", string(data))
		h := w.open("d/f", false)
		w.must(w.rename("d", "e"))
		if got := w.whole("e/f", data); got > 0 {
			t.Errorf("%d bytes were fetched", got)
		}
		h.Release()
		w.must(w.rename("e", "d"))
		if got := w.whole("d/f", data); got > 0 {
			t.Errorf("%d bytes were fetched of what nobody had open", got)
		}
	})

	change := map[string]func(w *world, data []byte) []byte{
		"edited": func(w *world, data []byte) []byte { return w.overwrite("f", data, "changed", edits...) },
		"appended": func(w *world, data []byte) []byte {
			for range 3 {
				data = w.overwrite("f", data, "more", int64(len(data)))
			}
			return data
		},
		"edited, with fsync after each": func(w *world, data []byte) []byte {
			h := w.open("f", true)
			for _, at := range append(edits, 3<<20) {
				w.writeAt(h, "again", at)
				copy(data[at:], "again")
				w.must(h.Fsync(w.ctx()))
				if got := w.whole("f", data); got > 0 {
					t.Errorf("%d bytes were fetched after an fsync", got)
				}
			}
			w.closeFile(h)
			return data
		},
		"cut off and grown": func(w *world, data []byte) []byte {
			h := w.open("f", true)
			w.must(h.Truncate(w.ctx(), 3<<20+5))
			w.must(h.Truncate(w.ctx(), 4<<20+7))
			w.closeFile(h)
			clear(data[3<<20+5 : 4<<20+7])
			return data[:4<<20+7]
		},
		"renamed": func(w *world, data []byte) []byte {
			w.must(w.rename("f", "g"))
			w.must(w.rename("g", "f"))
			return data
		},
		"with another mode": func(w *world, data []byte) []byte {
			e, err := w.lookup("f")
			w.must(err)
			mode := uint32(0o600)
			_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Mode: &mode})
			w.must(err)
			return data
		},
	}
	for name, f := range change {
		t.Run("written here and "+name, func(t *testing.T) {
			w := newEditWorld(t)
			data := randomBytes(editSize)
			w.write("f", string(data))
			before := w.m.sent()
			data = f(w, data)
			if got := w.whole("f", data) + w.m.sent() - before; got > 0 {
				t.Errorf("%d bytes were fetched", got)
			}
			w.holds("f", data)
		})
		t.Run("read and "+name, func(t *testing.T) {
			w := newEditWorld(t)
			data := w.largeObject("f", editSize)
			w.whole("f", data)
			w.awaitCached("f")
			before := w.m.sent()
			data = f(w, data)
			if got := w.whole("f", data) + w.m.sent() - before; got > 0 {
				t.Errorf("%d bytes were fetched", got)
			}
			w.holds("f", data)
		})
	}
}
