package transfer

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/s3fake"
)

// small makes files of more than 6 MiB go in parts.
var small = BucketOptions{Cutoff: 6 << 20, PartSize: 5 << 20, Parallel: 2}

func bigText(n int) string { return strings.Repeat("0123456789abcdef", n<<20/16) }

func TestLargeFilesGoInPartsWithTheirSum(t *testing.T) {
	s, up, down := newStore(t), newFolder(t), newFolder(t)
	up.write("big", bigText(12))
	must[Summary](t)(Copy(t.Context(), up.ep(), s.at("", small), Options{}))
	head, _ := s.b().Head("big")
	equal(t, "parts", head.Parts, 3)
	want := must[string](t)(MD5(t.Context(), up.ep(), must[File](t)(up.ep().Stat(t.Context(), "big"))))
	equal(t, "sum", must[File](t)(s.at("").Stat(t.Context(), "big")).MD5, want)
	sum := must[Summary](t)(Check(t.Context(), up.ep(), s.at(""), false, Options{}))
	equal(t, "check", sum, Summary{Same: 1})
	must[Summary](t)(Copy(t.Context(), s.at(""), down.ep(), Options{}))
	if down.tree() != up.tree() {
		t.Error("it came back different")
	}
	noSum := small
	noSum.NoMD5 = true
	s.b().Delete("big")
	must[Summary](t)(Copy(t.Context(), up.ep(), s.at("", noSum), Options{}))
	sum = must[Summary](t)(Check(t.Context(), up.ep(), s.at(""), false, Options{}))
	equal(t, "check without a sum", sum, Summary{Same: 1, Uncertain: 1})
}

func TestPartsGrowWithTheFile(t *testing.T) {
	for _, c := range []struct{ size, want int64 }{{1, 16 << 20}, {160_000 << 20, 16 << 20}, {160_001 << 20, 17 << 20}, {5 << 40, 525 << 20}} {
		got := partSize(c.size, 16<<20)
		if got != c.want || (c.size+got-1)/got > maxParts {
			t.Errorf("%d bytes: parts of %d", c.size, got)
		}
	}
}

// meddling is an endpoint whose files something happens to while they are read.
type meddling struct {
	Endpoint
	on func(path string)
}

func (m meddling) Content(ctx context.Context, f File) (Content, error) {
	c, err := m.Endpoint.Content(ctx, f)
	if err != nil {
		return nil, err
	}
	return meddlingContent{c.(*localContent), m.on}, nil
}

type meddlingContent struct {
	*localContent
	on func(path string)
}

func (m meddlingContent) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	m.on(m.path)
	return m.localContent.Range(ctx, off, n)
}

func TestAFileThatChangesWhileItIsRead(t *testing.T) {
	for _, size := range []int{1, 12} {
		for name, change := range map[string]func(string) error{
			"grows":   func(p string) error { return os.WriteFile(p, []byte(bigText(size)+"more"), 0o666) },
			"shrinks": func(p string) error { return os.WriteFile(p, []byte("less"), 0o666) },
			"touched": func(p string) error { return os.Chtimes(p, epoch.Add(1), epoch.Add(1)) },
		} {
			s, up := newStore(t), newFolder(t)
			up.write("a", bigText(size), "b", "fine")
			src := meddling{up.ep(), func(path string) {
				if path == "a" {
					if err := change(filepath.Join(up.dir, path)); err != nil {
						t.Error(err)
					}
				}
			}}
			var n notes
			_, err := Copy(t.Context(), src, s.at("", small), Options{Report: n.report, Retries: 1})
			if !object.Is(err, object.KindStale) || !strings.Contains(err.Error(), `"a"`) {
				t.Errorf("%s, %d MiB: %v", name, size, err)
			}
			equal(t, name, s.tree(""), "b=fine")
			equal(t, "uploads", len(s.b().Uploads()), 0)
		}
	}
}

func TestAFileThatVanishes(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "b", "2")
	s.b().Put("x", []byte("extra"), nil)
	files := must[File](t)(up.ep().Stat(t.Context(), "a"))
	if err := os.Remove(filepath.Join(up.dir, "a")); err != nil {
		t.Fatal(err)
	}
	_, err := CopyFile(t.Context(), up.ep(), files, s.at(""), "a", nil)
	if !object.Is(err, object.KindNotFound) || !strings.Contains(err.Error(), "vanished") {
		t.Errorf("%v", err)
	}
}

func TestDownloadsThatBreakLeaveNothing(t *testing.T) {
	for name, fault := range map[string]s3fake.Fault{
		"truncated": {Act: s3fake.Truncate}, "refused": s3fake.Denied(), "gone": {Act: s3fake.Status, Code: "NoSuchKey"},
	} {
		s, down := newStore(t), newFolder(t)
		s.b().Put("d/a", []byte(bigText(1)), nil)
		s.b().Put("d/b", []byte("fine"), nil)
		down.write("d/a", "what was there")
		s.Fail(s3fake.Rule{Op: s3fake.GetObject, Key: "d/a", Fault: fault})
		sum, err := Sync(t.Context(), s.at(""), down.ep(), Options{Retries: 1})
		if err == nil || sum.Errors != 1 {
			t.Errorf("%s: %v %+v", name, err, sum)
		}
		equal(t, name, down.tree(), "d/a=what was there d/b=fine")
	}
}

// lying is a store whose objects come damaged.
type lying struct{ Store }

func (l lying) Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	body, err := l.Store.Get(ctx, id, r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	data[0] ^= 1
	return io.NopCloser(strings.NewReader(string(data))), errors.Join(err, body.Close())
}

// encrypted is a lying store whose ETags are no sums.
type encrypted struct{ lying }

func (e encrypted) Head(ctx context.Context, key string) (object.Info, error) {
	info, err := e.lying.Head(ctx, key)
	info.OtherETag = true
	return info, err
}

func TestDamagedDownloadsAreSeen(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	s.b().Put("a", []byte("data"), nil)
	ep, _ := NewBucket(lying{s.bucketStore("bkt")}, "", BucketOptions{})
	_, err := Copy(t.Context(), ep, down.ep(), Options{})
	if !object.Is(err, object.KindCorrupt) {
		t.Errorf("%v", err)
	}
	equal(t, "tree", down.tree(), "")
	other := newStore(t)
	if _, err = Copy(t.Context(), ep, other.at(""), Options{}); !object.Is(err, object.KindCorrupt) {
		t.Errorf("to another store: %v", err)
	}
	kms, _ := NewBucket(encrypted{lying{s.bucketStore("bkt")}}, "", BucketOptions{})
	must[Summary](t)(Copy(t.Context(), kms, down.ep(), Options{}))
	equal(t, "encrypted", down.tree(), "a=eata")
}

func TestLargeDownloadsAreCompared(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	pattern := s3fake.NewPattern(3)
	const size = 2*rangeSize + 100
	sum := must[string](t)(contentMD5(t.Context(), memoryOf(pattern, size)))
	for name, want := range map[string]bool{sum: true, "00000000000000000000000000000000": false} {
		raw := must[[]byte](t)(hex.DecodeString(name))
		s.b().PutPattern("big", size, pattern, map[string]string{object.MetaMD5: base64.StdEncoding.EncodeToString(raw)})
		s.ResetStats()
		_, err := Copy(t.Context(), faked{s.at("")}, down.ep(), Options{Retries: 1})
		if want && err != nil || !want && !object.Is(err, object.KindCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		equal(t, "ranges", s.Stats().Requests[s3fake.GetObject], 2)
		fi, err := os.Stat(filepath.Join(down.dir, "big"))
		if want && (err != nil || fi.Size() != size) || !want && err == nil {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
		os.Remove(filepath.Join(down.dir, "big"))
	}
}

// faked hides what a listing tells of sums, as of an object of several parts.
type faked struct{ Endpoint }

func (f faked) Walk(ctx context.Context, o WalkOptions) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for file, err := range f.Endpoint.Walk(ctx, o) {
			file.MD5 = ""
			yield(file, err)
		}
	}
}

func (f faked) Content(ctx context.Context, file File) (Content, error) {
	c, err := f.Endpoint.Content(ctx, file)
	return partsContent{c.(*bucketContent)}, err
}

// partsContent is of an object whose ETag is no sum.
type partsContent struct{ *bucketContent }

func (p partsContent) Info(ctx context.Context) (object.Info, error) {
	info, err := p.bucketContent.Info(ctx)
	info.OtherETag = true
	return info, err
}

func memoryOf(p s3fake.Pattern, size int64) Content {
	data := make([]byte, size)
	p.ReadAt(data, 0)
	return NewContent(data)
}

func TestInterruptLeavesNothingBehind(t *testing.T) {
	s, up, down := newStore(t), newFolder(t), newFolder(t)
	up.write("big", bigText(12))
	s.b().Put("far/big", []byte(bigText(12)), nil)
	for name, c := range map[string]struct {
		src, dst Endpoint
		op       s3fake.Op
	}{
		"up":   {up.ep(), s.at("to", small), s3fake.UploadPart},
		"down": {s.at("far"), down.ep(), s3fake.GetObject},
	} {
		s.Fail(s3fake.Rule{Op: c.op, Fault: s3fake.Fault{Act: s3fake.Hang}})
		ctx, cancel := context.WithCancel(t.Context())
		stats := NewStats()
		src := cancelOnRead{c.src, cancel}
		_, err := Copy(ctx, src, c.dst, Options{Stats: stats})
		if !object.Is(err, object.KindCanceled) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		s.Heal()
		equal(t, "under way", len(stats.Snapshot().Active), 0)
	}
	equal(t, "uploads", len(s.b().Uploads()), 0)
	equal(t, "store", s.tree("to/"), "")
	equal(t, "folder", down.tree(), "")
}

// cancelOnRead cancels as soon as a file is opened.
type cancelOnRead struct {
	Endpoint
	cancel func()
}

func (c cancelOnRead) Content(ctx context.Context, f File) (Content, error) {
	content, err := c.Endpoint.Content(ctx, f)
	if _, local := content.(*localContent); local {
		return lateCancel{content.(*localContent), c.cancel}, err
	}
	c.cancel()
	return content, err
}

// lateCancel cancels when the second part is read.
type lateCancel struct {
	*localContent
	cancel func()
}

func (l lateCancel) ReadAt(p []byte, off int64) (int, error) {
	if off >= 5<<20 {
		l.cancel()
	}
	return l.localContent.ReadAt(p, off)
}

func TestCredentialsThatAreRefusedEndItAtOnce(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	for i := range 200 {
		up.write(filepath.Join("d", string(rune('a'+i%26))+strings.Repeat("x", i)), "1")
	}
	s.Fail(s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Fault{Act: s3fake.Status, Code: "InvalidAccessKeyId"}})
	sum, err := Copy(t.Context(), up.ep(), s.at(""), Options{Transfers: 2})
	if !object.Is(err, object.KindCredentials) || sum.Errors > 4 {
		t.Errorf("%v, %d errors", err, sum.Errors)
	}
}

func TestCheckReports(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("same", "1", "size", "22", "content", "abc", "missing", "x")
	for k, v := range map[string]string{"same": "1", "size": "2", "content": "abd", "extra": "y"} {
		s.b().Put(k, []byte(v), nil)
	}
	var n notes
	sum, err := Check(t.Context(), up.ep(), s.at(""), false, Options{Report: n.report})
	var diff *Differences
	if !errors.As(err, &diff) || err.Error() != "4 differences found" {
		t.Errorf("%v", err)
	}
	equal(t, "summary", sum, Summary{Same: 1, Missing: 1, Extra: 1, Differ: 2})
	equal(t, "reports", n.String(), "differ content\ndiffer size\nextra extra\nmissing missing")
	sum, _ = Check(t.Context(), up.ep(), s.at(""), true, Options{SizeOnly: true})
	equal(t, "one way, sizes", sum, Summary{Same: 2, Missing: 1, Differ: 1})
}

func TestDeleteAndPurge(t *testing.T) {
	s, f := newStore(t), newFolder(t)
	f.write("a/x.txt", "1", "a/y", "2", "b", "3")
	for _, k := range []string{"p/a/x.txt", "p/a/y", "p/b", "p/marker/", "other"} {
		s.b().Put(k, nil, nil)
	}
	txt := func() *Filter {
		f := &Filter{}
		f.Include("*.txt")
		return f
	}
	for _, ep := range []Endpoint{s.at("p"), f.ep()} {
		sum := must[Summary](t)(Delete(t.Context(), ep, Options{Filter: txt(), DryRun: true}))
		equal(t, "dry run", sum.Deleted, 1)
		sum = must[Summary](t)(Delete(t.Context(), ep, Options{Filter: txt()}))
		equal(t, "deleted", sum.Deleted, 1)
	}
	equal(t, "store", s.tree("p/"), "a/y= b= marker/=")
	equal(t, "folder", f.tree(), "a/y=2 b=3")
	for _, ep := range []Endpoint{s.at("p"), f.ep()} {
		must[Summary](t)(Purge(t.Context(), ep, Options{DryRun: true}))
		if len(collect(t, ep, WalkOptions{})) == 0 {
			t.Error("a dry run purged")
		}
		must[Summary](t)(Purge(t.Context(), ep, Options{}))
	}
	equal(t, "store", s.tree(""), "other=")
	if _, err := os.Stat(f.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestSomeDeletesFail(t *testing.T) {
	s := newStore(t)
	for _, k := range []string{"p/a", "p/b", "p/c"} {
		s.b().Put(k, nil, nil)
	}
	s.Fail(s3fake.Rule{Op: s3fake.DeleteObjects, Key: "p/b", Fault: s3fake.Denied()}, s3fake.Rule{Op: s3fake.DeleteObject, Key: "p/b", Fault: s3fake.Denied()})
	var n notes
	sum, err := Delete(t.Context(), s.at("p"), Options{Report: n.report})
	if !object.Is(err, object.KindPermission) {
		t.Errorf("%v", err)
	}
	equal(t, "deleted", sum.Deleted, 2)
	equal(t, "reports", n.String(), "delete a\ndelete c\nerror b: access denied")
}
