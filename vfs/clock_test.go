package vfs

import (
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/semantics"
)

// TestClockThatIsSetBackEndsTrust sets the clock back by a day: nothing that was known is
// believed for a day and ten seconds.
func TestClockThatIsSetBackEndsTrust(t *testing.T) {
	semantics.Claim(t, "A clock that is set back makes no listing and no version be trusted for longer than --dir-cache-time.")
	m := newMemStore()
	m.put("d/f", "one", nil)
	m.put("opened", "one", nil)
	m.put("gone", "x", nil)
	w := newWorld(t, m)
	if got := w.list("d"); len(got) != 1 {
		t.Fatalf("d has %q", got)
	}
	if got := w.read("d/f"); got != "one" {
		t.Fatalf("d/f reads %q", got)
	}
	known, err := w.lookup("opened")
	w.must(err)
	if _, err := w.lookup("d/new"); err == nil {
		t.Fatal("d/new is there")
	}
	m.put("d/f", "two!", nil)
	m.put("opened", "two!", nil)
	m.put("d/new", "new", nil)
	w.pass(-24 * time.Hour)
	h, _, err := w.fs.Open(w.ctx(), known.Node, false) // by its inode alone
	w.must(err)
	if got, err := w.readHandle(h); err != nil || got != "two!" {
		t.Errorf("what is opened reads %q: %v", got, err)
	}
	h.Release()
	if got := w.read("d/f"); got != "two!" {
		t.Errorf("d/f reads %q", got)
	}
	if got := w.read("d/new"); got != "new" {
		t.Errorf("d/new reads %q", got)
	}
	if got := w.list("d"); len(got) != 2 {
		t.Errorf("d has %q", got)
	}
	w.read("d/f")
	requests := m.asked()
	w.read("d/f")
	w.list("d")
	if n := m.asked() - requests; n > 0 {
		t.Errorf("%d requests for what is known by the new clock", n)
	}
}
