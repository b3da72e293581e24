package vfs

import (
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// A read that began before the file was renamed comes to its reader after one that began
// later, which is still reading.
func TestAReadIsNotEndedByOneThatBeganBeforeARename(t *testing.T) {
	m := newMemStore()
	data := strings.Repeat("0123456789", 100_000) // several blocks
	m.put("a", data, nil)
	w := newWorld(t, m)
	h := w.open("a", false)
	defer h.Release()
	before := w.fs.content(h.n)
	w.must(w.rename("a", "b"))
	asked, goOn := make(chan struct{}, 8), make(chan struct{})
	m.mu.Lock()
	m.fail = func(op, _ string) error {
		if op == "Get" {
			asked <- struct{}{}
			<-goOn
		}
		return nil
	}
	m.mu.Unlock()
	got := make([]byte, len(data))
	done := make(chan error, 1)
	go func() {
		_, err := h.ReadAt(w.ctx(), got, 0)
		done <- err
	}()
	<-asked
	h.readerOf(before)
	close(goOn)
	w.must(<-done)
	if string(got) != data {
		t.Error("other bytes came")
	}
}

func TestAReadOfARemovedObjectIsStale(t *testing.T) {
	m := newMemStore()
	m.put("a", "12345", nil)
	w := newWorld(t, m)
	h := w.open("a", false)
	defer h.Release()
	w.must(m.Delete(w.ctx(), "a"))
	_, err := w.readHandle(h)
	w.want(err, object.KindStale)
}
