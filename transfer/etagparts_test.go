package transfer

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestPartSizeOfAnETag(t *testing.T) {
	const mib = 1 << 20
	sum := "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		etag string
		size int64
		want int64
	}{
		{sum + "-128", 2048 * mib, 16 * mib},
		{sum + "-410", 2048 * mib, 5 * mib}, // 409.6 parts
		{sum + "-2", 10 * mib, 0},           // of 5 to 9 MiB
		{sum + "-1", 10 * mib, 0},
		{sum + "-0", 10 * mib, 0},
		{sum + "--3", 10 * mib, 0},
		{sum, 10 * mib, 0},
		{"x" + sum[1:] + "-128", 2048 * mib, 0},
		{sum + "-5000", 2048 * mib, 0}, // less than a MiB each
		{sum + "-3", 2, 0},
		{"", 10 * mib, 0},
	} {
		if got := partSizeOf(c.etag, c.size); got != c.want {
			t.Errorf("%s of %d bytes: parts of %d, want %d", c.etag, c.size, got, c.want)
		}
	}
}

// versionedContent is content with an ETag and a sum of its own.
type versionedContent struct {
	Content
	etag string
	info object.Info
}

func (c versionedContent) version() string                           { return c.etag }
func (c versionedContent) Info(context.Context) (object.Info, error) { return c.info, nil }

// TestADownloadIsComparedWithItsParts fetches what an ETag of parts tells of, where the
// bytes are right, or not, and where the ETag is of parts of another size.
func TestADownloadIsComparedWithItsParts(t *testing.T) {
	const size, part = wholeSize + 3<<20 + 12345, 5 << 20
	data := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
	etagOf := func(part int) string {
		all, n := md5.New(), 0
		for off := 0; off < size; off += part {
			s := md5.Sum(data[off:min(off+part, size)])
			all.Write(s[:])
			n++
		}
		return fmt.Sprintf("%x-%d", all.Sum(nil), n)
	}
	whole := md5.Sum(data)
	known := object.Meta{object.MetaMD5: base64.StdEncoding.EncodeToString(whole[:])}
	damaged := bytes.Clone(data)
	damaged[size-3] ^= 1
	for name, c := range map[string]struct {
		data    []byte
		etag    string
		meta    object.Meta
		corrupt bool
	}{
		"right":                    {data, etagOf(part), known, false},
		"right, with no sum":       {data, etagOf(part), object.Meta{}, false},
		"damaged":                  {damaged, etagOf(part), known, true},
		"parts of other sizes":     {data, etagOf(part - 1000), known, false},
		"of others, and damaged":   {damaged, etagOf(part - 1000), known, true},
		"of others, with no sum":   {data, etagOf(part - 1000), object.Meta{}, false},
		"an ETag that tells of no": {damaged, etagOf(40 << 20), known, true},
	} {
		f := newFolder(t)
		content := versionedContent{NewContent(c.data), c.etag, object.Info{ETag: c.etag, Meta: c.meta}}
		got, err := f.ep().Put(t.Context(), "f", content, PutOptions{})
		if c.corrupt != object.Is(err, object.KindCorrupt) || !c.corrupt && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && len(c.meta) > 0 && got.MD5 != hex.EncodeToString(whole[:]) {
			t.Errorf("%s: the sum is %q", name, got.MD5)
		}
		if wrote, rerr := os.ReadFile(filepath.Join(f.dir, "f")); err == nil && (rerr != nil || !bytes.Equal(wrote, data)) {
			t.Errorf("%s: other bytes were written", name)
		}
	}
}
