package e2e

import (
	"os"
	"testing"

	"github.com/s3mount/s3mount/test/s3fake"
)

// The mount takes the options of the remote that tune uploads. Not in parallel: a process that
// is started while the file is written closes its copy of the handle, and what was written by
// then is an upload more.
func TestUploadOptionsOfTheMount(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		flags []string
		parts int64
	}{
		{[]string{"--s3-chunk-size=5Mi", "--s3-upload-cutoff=5Mi"}, 4},
		{[]string{"--s3-upload-cutoff=20Mi"}, 0},
		{[]string{"--s3-use-multipart-uploads=false"}, 0},
	} {
		m, fake, b := fakeMount(t, c.flags...)
		must(t, os.WriteFile(m.Dir+"/file", make([]byte, 20*mib), 0o644))
		got := fake.Stats().Requests
		if got[s3fake.UploadPart] != c.parts || (c.parts == 0) != (got[s3fake.PutObject] == 1) {
			t.Errorf("%q: %v", c.flags, got)
		}
		if data, ok := b.Get("file"); !ok || len(data) != 20*mib {
			t.Errorf("%q: %d bytes are stored", c.flags, len(data))
		}
	}
}
