package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
)

// noSums hides the sums of a store's objects, as those of objects in parts are hidden.
type noSums struct{ Store }

func (n noSums) List(ctx context.Context, q object.Query) (object.Page, error) {
	page, err := n.Store.List(ctx, q)
	for i := range page.Objects {
		page.Objects[i].OtherETag = true
	}
	return page, err
}

func (n noSums) Head(ctx context.Context, key string) (object.Info, error) {
	info, err := n.Store.Head(ctx, key)
	info.OtherETag = true
	return info, err
}

func (s *store) withoutSums(t *testing.T) Endpoint {
	return must[Endpoint](t)(NewBucket(noSums{s.bucketStore("bkt")}, "", BucketOptions{}))
}

// Bytes differ, and no sum tells: sums leave it open, bytes don't.
func TestCheckDownloadComparesBytes(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("same", "1", "differ", "abcdef", "empty", "", "size", "1")
	for k, v := range map[string]string{"same": "1", "differ": "abcxef", "empty": "", "size": "12"} {
		s.b().Put(k, []byte(v), nil)
	}
	sum, _ := Check(t.Context(), up.ep(), s.withoutSums(t), false, Options{})
	equal(t, "by sums", sum, Summary{Same: 3, Uncertain: 3, Differ: 1})
	var n notes
	sum, err := Check(t.Context(), up.ep(), s.withoutSums(t), false, Options{Download: true, Report: n.report})
	var diff *Differences
	if !errors.As(err, &diff) {
		t.Errorf("%v", err)
	}
	equal(t, "by bytes", sum, Summary{Same: 2, Differ: 2, Bytes: sum.Bytes})
	equal(t, "reports", n.String(), "differ differ\ndiffer size")
	for _, a := range n.all {
		if a.Path == "differ" {
			equal(t, "why", a.Why, "contents differ at byte 3")
		}
	}
	sum = must[Summary](t)(Check(t.Context(), s.at(""), s.withoutSums(t), false, Options{Download: true}))
	equal(t, "of a store with itself", sum.Same, 4)
}

// The ranges of a large file are compared at a time, and the last byte counts.
func TestCheckDownloadOfALargeFile(t *testing.T) {
	s := newStore(t)
	const size = 2*rangeSize + 1<<20
	pattern := s3fake.NewPattern(1)
	s.b().PutPattern("a/big", size, pattern, nil)
	s.b().PutPattern("b/big", size, pattern, nil)
	stats := NewStats()
	sum := must[Summary](t)(Check(t.Context(), s.at("a"), s.at("b"), false, Options{Download: true, Stats: stats}))
	equal(t, "summary", sum, Summary{Same: 1, Bytes: size})
	equal(t, "in all", stats.Snapshot().TotalBytes, size)
	a, b := memoryOf(pattern, size), endless{size, size - 1}
	err := compareContents(t.Context(), a, changedAt{a, size - 1}, size, func(int64) {})
	equal(t, "the last byte", fmt.Sprint(err), fmt.Sprintf("contents differ at byte %d", size-1))
	if err := compareContents(t.Context(), a, b, size, func(int64) {}); err == nil {
		t.Error("a content that ends early is the same")
	}
}

// changedAt is a content with one byte changed.
type changedAt struct {
	Content
	at int64
}

func (c changedAt) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	body, err := c.Content.Range(ctx, off, n)
	if err != nil || c.at < off || c.at >= off+n {
		return body, err
	}
	data, err := io.ReadAll(body)
	data[c.at-off] ^= 1
	return io.NopCloser(bytes.NewReader(data)), err
}

// endless has zeros up to some byte, and says that there are more.
type endless struct{ size, zeros int64 }

func (e endless) Size() int64      { return e.size }
func (e endless) Unchanged() error { return nil }
func (e endless) Close() error     { return nil }
func (e endless) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(make([]byte, max(0, min(n, e.zeros-off))))), nil
}

// What changes, vanishes or breaks while it is compared is neither the same nor different.
func TestCheckDownloadOfWhatCannotBeRead(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("broken", "12345678", "changes", "12345678", "fine", "12345678", "shrinks", "12345678", "vanishes", "12345678")
	for _, k := range []string{"broken", "changes", "fine", "shrinks", "vanishes"} {
		s.b().Put(k, []byte("12345678"), nil)
	}
	s.Fail(s3fake.Rule{Op: s3fake.GetObject, Key: "broken", Fault: s3fake.Fault{Act: s3fake.Truncate}})
	src := disturbed{up.ep(), map[string]func(string){
		"changes":  func(p string) { os.WriteFile(p, []byte("12345678"), 0o600) },
		"shrinks":  func(p string) { os.Truncate(p, 3) },
		"vanishes": func(p string) { os.Remove(p) },
	}, up.dir}
	var n notes
	sum, err := Check(t.Context(), src, s.at(""), false, Options{Download: true, Report: n.report})
	var failures *Failures
	if !errors.As(err, &failures) || failures.N != 4 {
		t.Errorf("%v", err)
	}
	equal(t, "summary", sum, Summary{Same: 1, Errors: 4, Bytes: sum.Bytes})
	for _, a := range n.all {
		if want := a.Path == "fine"; (a.Err == nil) != want || a.Err != nil && a.Op != OpFailed {
			t.Errorf("%s: %v, %v", a.Path, a.Op, a.Err)
		}
	}
}

// disturbed changes a file between its listing and its first byte; what is open stays so.
type disturbed struct {
	Endpoint
	by  map[string]func(path string)
	dir string
}

func (d disturbed) Content(ctx context.Context, f File) (Content, error) {
	disturb := d.by[f.Path]
	if disturb != nil && f.Path == "vanishes" {
		disturb(filepath.Join(d.dir, f.Path))
	}
	c, err := d.Endpoint.Content(ctx, f)
	if disturb != nil && err == nil {
		disturb(filepath.Join(d.dir, f.Path))
	}
	return c, err
}
