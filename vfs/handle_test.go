package vfs

import (
	"strings"
	"testing"
	"time"

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

// What the kernel read ahead in vain it asks for again, a page of it, when the program
// comes there.
func TestAReadThatFailedIsNotTriedAgainAtOnce(t *testing.T) {
	m := newMemStore()
	m.put("a", strings.Repeat("0123456789", 1000), nil)
	w := newWorld(t, m)
	h := w.open("a", false)
	defer h.Release()
	fail := func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.fail = func(string, string) error { return err }
	}
	read := func(off int64) error {
		_, err := h.ReadAt(w.ctx(), make([]byte, 4096), off)
		return err
	}
	fail(object.Errorf(object.KindUnavailable, "GetObject", "a", ""))
	w.want(read(0), object.KindUnavailable)
	asked := m.requests("Get")
	w.want(read(0), object.KindUnavailable)
	w.want(read(4095), object.KindUnavailable)
	if n := m.requests("Get") - asked; n != 0 {
		t.Errorf("%d more requests", n)
	}
	fail(nil)
	w.must(read(4096))
	w.pass(time.Second)
	w.must(read(0))
}

// A read that failed says nothing of what is written there since.
func TestRegressionWhatIsWrittenIsReadRightAfterAFailure(t *testing.T) {
	m := newMemStore()
	m.put("a", strings.Repeat("0123456789", 1000), nil)
	w := newWorld(t, m)
	h := w.open("a", true)
	m.mu.Lock()
	m.fail = func(op, key string) error { return object.Errorf(object.KindUnavailable, op, key, "") }
	m.mu.Unlock()
	buf := make([]byte, 4)
	_, err := h.ReadAt(w.ctx(), buf, 0)
	w.want(err, object.KindUnavailable)
	w.writeAt(h, "mine", 0)
	if _, err := h.ReadAt(w.ctx(), buf, 0); err != nil || string(buf) != "mine" {
		t.Errorf("reads %q, %v", buf, err)
	}
	m.mu.Lock()
	m.fail = nil
	m.mu.Unlock()
	w.closeFile(h)
}
