package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
)

// TestKilledRenameOfAFolder kills the mount while a folder is renamed: among the copies,
// and when all stand. At the next mount it is under its old name, and under its new one.
func TestKilledRenameOfAFolder(t *testing.T) {
	t.Parallel()
	semantics.Claim(t,
		"A process that is killed in the middle of renaming a folder leaves each file under at least one of its names, and the next mount of the same bucket with the same cache directory undoes the rename or finishes it.",
		"What somebody else has put under either name meanwhile stays.",
	)
	const files = 300
	m, fake, b := fakeMount(t)
	for i := range files {
		b.Put(fmt.Sprintf("old/%03d", i), content(i), map[string]string{"mode": "33152"})
	}
	b.Put("new/", nil, nil)
	complete := func(prefix string) bool {
		for i := range files {
			if got, ok := b.Get(fmt.Sprintf("%s/%03d", prefix, i)); !ok || string(got) != string(content(i)) {
				return false
			}
		}
		return len(b.Keys(prefix+"/0")) == files/3 // 0xx, 1xx and 2xx
	}
	// die renames (os.Rename refuses a folder as the new name), and kills the mount once some copies stand and the first request of
	// a kind hangs.
	die := func(at s3fake.Op, skip int) {
		before := fake.Stats().Requests[at]
		fake.Fail(s3fake.Rule{Op: at, Skip: skip, Fault: s3fake.Fault{Act: s3fake.Hang}})
		renamed := make(chan error, 1)
		go func() { renamed <- unix.Rename(m.Dir+"/old", m.Dir+"/new") }()
		eventually(t, "the rename comes to "+string(at), func() bool {
			select {
			case err := <-renamed:
				t.Fatalf("the rename has ended: %v", err)
			default:
			}
			return fake.Stats().Requests[at] > before+int64(skip)
		})
		m.Kill()
		if err := <-renamed; err == nil {
			t.Error("a rename that was killed has succeeded")
		}
		fake.Heal()
	}

	die(s3fake.CopyObject, 100)
	if n := len(b.Keys("new/")); n < 50 || n > files {
		t.Errorf("%d copies stand", n)
	}
	if !complete("old") {
		t.Error("a file is missing under its old name")
	}
	b.Put("new/theirs", []byte("x"), nil)
	m.Revive()
	says(t, m, "is undone")
	if got, ok := b.Get("new/theirs"); !ok || string(got) != "x" {
		t.Errorf("what somebody else has put there is %q", got)
	}
	b.Delete("new/theirs")
	m.Signal(os.Interrupt) // what it knows of the folder is from before
	must(t, m.Wait())
	m.Revive()
	if !complete("old") || len(b.Keys("new/")) != 1 {
		t.Errorf("the rename is not undone: %q", b.Keys("new/"))
	}

	die(s3fake.DeleteObjects, 0)
	if !complete("old") || !complete("new") {
		t.Error("deletions began before all copies stood")
	}
	m.Revive()
	if !complete("new") || len(b.Keys("old/")) != 0 {
		t.Errorf("the rename is not finished: %q", b.Keys("old/"))
	}
	if got, err := os.ReadFile(m.Dir + "/new/299"); err != nil || string(got) != string(content(299)) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if _, err := os.Stat(m.Dir + "/old"); !os.IsNotExist(err) {
		t.Errorf("the old name: %v", err)
	}
	says(t, m, "is finished")
}

// says checks that the mount's log has a text.
func says(t *testing.T, m *mounts.Mount, text string) {
	t.Helper()
	eventually(t, "the log says "+text, func() bool { return strings.Contains(m.Log(), text) })
}
