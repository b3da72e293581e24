package vfs

import (
	"runtime"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// A file that is opened while it is replaced or removed is what it was, or stale, which
// makes the kernel look again.
func TestOpenedWhileItLeaves(t *testing.T) {
	for op, do := range map[string]func(*world) error{
		"Copy":   func(w *world) error { return w.rename("new", "f") },
		"Delete": func(w *world) error { return w.unlink("f") },
	} {
		for range 20 {
			m := newMemStore()
			m.put("f", "old", nil)
			m.put("new", "new", nil)
			w := newWorld(t, m)
			e, err := w.lookup("f")
			w.must(err)
			opened := make(chan *Handle, 1)
			m.fail = func(now, _ string) error {
				if now == op {
					m.fail = nil
					go func() {
						h, _, err := w.fs.Open(w.ctx(), e.Node, false)
						if err != nil && !object.Is(err, object.KindStale) {
							t.Errorf("open: %v", err)
						}
						opened <- h
					}()
					for range 100 {
						runtime.Gosched()
					}
				}
				return nil
			}
			w.must(do(w))
			if h := <-opened; h != nil {
				if s, err := w.readHandle(h); s != "old" || err != nil {
					t.Errorf("%s: read %q, %v", op, s, err)
				}
				h.Release()
			}
		}
	}
}
