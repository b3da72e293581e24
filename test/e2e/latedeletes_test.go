package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
)

// TestWritebackDeletesLeaveWhatOthersStoreMeanwhile removes and renames while the store
// takes no deletes, and somebody else stores other things under the old names.
func TestWritebackDeletesLeaveWhatOthersStoreMeanwhile(t *testing.T) {
	semantics.Claim(t, "With --writeback, unlink and rename remove from S3 the version that was there: what somebody else has stored under the name before the delete is sent stays, shows again, and the log says so; a check goes before each delete, and what is stored between the two is lost.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback", "--retry-for", "1s")
	for i := range 20 {
		b.Put(fmt.Sprintf("many/%d", i), []byte("ours"), nil)
		b.Put(fmt.Sprintf("dir/%d", i), []byte("ours"), nil)
	}
	b.Put("f", []byte("ours"), nil)
	same(t, "files", len(names(t, m.Dir+"/many"))+len(names(t, m.Dir+"/dir")), 40)
	write(t, m.Dir+"/new", "ours")
	flush := func() {
		t.Helper()
		if code, _, stderr := s3mount(t, nil, "flush", m.Dir); code != 0 {
			t.Fatalf("flush: %d, %s", code, stderr)
		}
	}
	flush()
	read(t, m.Dir+"/f")

	fake.Fail(
		s3fake.Rule{Op: s3fake.DeleteObject, Fault: s3fake.Fault{Act: s3fake.Reset}},
		s3fake.Rule{Op: s3fake.DeleteObjects, Fault: s3fake.Fault{Act: s3fake.Reset}})
	must(t, os.Rename(m.Dir+"/dir", m.Dir+"/moved"))
	eventually(t, "the copies stand", func() bool { return len(b.Keys("moved/")) == 20 })
	must(t, os.Remove(m.Dir+"/f"))
	must(t, os.Remove(m.Dir+"/new"))
	for i := range 20 {
		must(t, os.Remove(fmt.Sprintf("%s/many/%d", m.Dir, i)))
	}
	theirs := []string{"f", "new", "many/7", "dir/7"}
	for _, key := range theirs {
		b.Put(key, []byte("theirs"), nil)
	}
	before := fake.Stats().Requests[s3fake.ListObjectsV2]
	eventually(t, "the next tries begin", func() bool { return fake.Stats().Requests[s3fake.ListObjectsV2] >= before+3 })
	fake.Heal()
	flush()

	for _, key := range theirs {
		got, _ := b.Get(key)
		same(t, key+" in the store", string(got), "theirs")
		eventually(t, key+" shows again", func() bool {
			got, err := os.ReadFile(m.Dir + "/" + key)
			return err == nil && string(got) == "theirs"
		})
	}
	same(t, "what else is there", len(b.Keys("")), len(theirs)+1+20) // and the marker of many
	if !strings.Contains(m.Log(), "somebody else stored objects under names that were removed here") {
		t.Errorf("the log does not say so:\n%s", m.Log())
	}
}

// TestWritebackRmdir removes a tree: what is known of its folders is enough for that, and what
// somebody else puts into one meanwhile stays.
func TestWritebackRmdir(t *testing.T) {
	semantics.Claim(t, "With --writeback, rmdir goes by what the mount shows of the folder: what another client has put into it within --dir-cache-time stays in S3, and shows again with the folder.")
	t.Parallel()
	m, fake, b := fakeMount(t, "--writeback", "--dir-cache-time", "5s")
	for i := range 60 {
		for j := range 3 {
			b.Put(fmt.Sprintf("tree/%d/%d", i, j), []byte("ours"), nil)
		}
	}
	b.Put("dir/f", []byte("ours"), nil)
	must(t, os.RemoveAll(m.Dir+"/tree"))
	if n := fake.Stats().Requests[s3fake.ListObjectsV2]; n > 10 {
		t.Errorf("%d listings to remove 61 folders", n)
	}
	same(t, "the folder", strings.Join(names(t, m.Dir+"/dir"), " "), "f")
	must(t, os.Remove(m.Dir+"/dir/f"))
	b.Put("dir/theirs", []byte("theirs"), nil)
	must(t, unix.Rmdir(m.Dir+"/dir"))
	if code, _, stderr := s3mount(t, nil, "flush", m.Dir); code != 0 {
		t.Fatalf("flush: %d, %s", code, stderr)
	}
	same(t, "keys", strings.Join(b.Keys(""), " "), "dir/theirs")
	eventually(t, "it shows again", func() bool {
		got, err := os.ReadFile(m.Dir + "/dir/theirs")
		return err == nil && string(got) == "theirs"
	})
}
