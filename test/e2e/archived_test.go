package e2e

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// An object in an archive is listed, and its reading is refused with one line that says
// how it is made readable.
func TestArchivedObjectIsNamed(t *testing.T) {
	t.Parallel()
	m, _, b := fakeMount(t)
	b.Put("dir/old", []byte("data"), nil)
	if !b.SetStorageClass("dir/old", "GLACIER") {
		t.Fatal("the stand-in has no such object")
	}
	same(t, "names", len(names(t, m.Dir+"/dir")), 1)
	for range 3 {
		if _, err := os.ReadFile(m.Dir + "/dir/old"); !errors.Is(err, unix.ENOMEDIUM) {
			t.Errorf("reading it: %v", err)
		}
	}
	const line = "Object in GLACIER, restore first: dir/old"
	if n := strings.Count(m.Log(), line); n != 1 {
		t.Errorf("the log has %q %d times:\n%s", line, n, m.Log())
	}
}
