package objcache

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

const attrTestLimit = 4 << 20

var attrTestNow = time.Unix(1_800_000_000, 0)

func openAttr(t *testing.T, dir string, log *strings.Builder) *Attributes {
	t.Helper()
	o := AttributesOptions{Dir: dir, Limit: attrTestLimit, Now: func() time.Time { return attrTestNow }}
	if log != nil {
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	a, err := OpenAttributes(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func closeAttr(t *testing.T, a *Attributes) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

func attrInfo(i int) object.Info {
	return object.Info{Key: fmt.Sprintf("folder/name-%06d", i), ETag: fmt.Sprint("etag", i), Size: int64(i),
		LastModified: attrTestNow.Add(-time.Hour), ContentType: "text/plain",
		Meta: object.Meta{"mtime": fmt.Sprint(i, ".123456789"), "mode": "33188", "x-own": "value"}}
}

// bare is what a listing tells of an object.
func bare(i object.Info) object.Info {
	i.Meta, i.ContentType = nil, ""
	return i
}

func wantAttr(t *testing.T, a *Attributes, i object.Info) {
	t.Helper()
	ct, meta, ok := a.Get(bare(i))
	if !ok || ct != i.ContentType || !maps.Equal(meta, i.Meta) {
		t.Fatalf("%s: got %q, %v, %v; want %q, %v", i.Key, ct, meta, ok, i.ContentType, i.Meta)
	}
}

func wantNoAttr(t *testing.T, a *Attributes, i object.Info, why string) {
	t.Helper()
	if _, meta, ok := a.Get(bare(i)); ok {
		t.Errorf("%s: got %v although %s", i.Key, meta, why)
	}
}

func TestAttributesAreThereAtTheNextOpen(t *testing.T) {
	const n = 5000 // the file grows twice and more
	dir := t.TempDir()
	a := openAttr(t, dir, nil)
	for i := range n {
		a.Put(attrInfo(i))
	}
	wantAttr(t, a, attrInfo(17)) // while it waits, or is written
	closeAttr(t, a)
	a.Put(attrInfo(n)) // nothing happens
	a = openAttr(t, dir, nil)
	for i := range n {
		wantAttr(t, a, attrInfo(i))
	}
	wantNoAttr(t, a, attrInfo(n), "it was put after Close")
}

func TestAttributesAreOfOneVersion(t *testing.T) {
	a := openAttr(t, t.TempDir(), nil)
	have := attrInfo(1)
	a.Put(have)
	wantAttr(t, a, have)
	other := have
	other.ETag = "other"
	wantNoAttr(t, a, other, "the ETag is another")
	other = have
	other.Size++
	wantNoAttr(t, a, other, "the size is another")
	other = have
	other.LastModified = have.LastModified.Add(time.Second)
	wantNoAttr(t, a, other, "a copy onto itself changed the metadata")
	a.Put(object.Info{Key: "no metadata known", ETag: "e"})
	wantNoAttr(t, a, object.Info{Key: "no metadata known", ETag: "e", LastModified: attrTestNow}, "none was put")
	none := object.Info{Key: "none", ETag: "e", LastModified: attrTestNow, Meta: object.Meta{}}
	a.Put(none)
	wantAttr(t, a, none)
}

func TestAttributesOfWhatThisMountStored(t *testing.T) {
	a := openAttr(t, t.TempDir(), nil)
	stored := attrInfo(1)
	stored.LastModified = time.Time{} // as the answer to a PUT
	a.Put(stored)
	for _, c := range []struct {
		later time.Duration
		ok    bool
	}{{0, true}, {-2 * time.Second, true}, {2 * time.Second, true}, {-4 * time.Second, false}, {3 * time.Second, false}} {
		seen := stored
		seen.LastModified = attrTestNow.Add(c.later)
		if _, _, ok := a.Get(bare(seen)); ok != c.ok {
			t.Errorf("LastModified %v after the upload: %v", c.later, ok)
		}
	}
	wantNoAttr(t, a, stored, "no listing told the time")
}

func TestAttributesHaveAHardLimit(t *testing.T) {
	dir := t.TempDir()
	a := openAttr(t, dir, nil)
	const n = 60_000
	for i := range n {
		for info := attrInfo(i); ; {
			if a.Put(info); a.waiting(attrKeyOf(info.Key)) != nil || a.has(info) {
				break
			}
		}
	}
	closeAttr(t, a)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > attrTestLimit || len(files) != 1 {
		t.Errorf("%d bytes in %d files", size, len(files))
	}
	a = openAttr(t, dir, nil)
	kept := 0
	for i := n - 5000; i < n; i++ {
		if _, _, ok := a.Get(bare(attrInfo(i))); ok {
			kept++
		}
	}
	if kept < 4900 {
		t.Errorf("of the last 5000, %d are there", kept)
	}
	wantNoAttr(t, a, attrInfo(0), "it was the oldest of too many")
}

func (a *Attributes) has(i object.Info) bool {
	_, _, ok := a.Get(bare(i))
	return ok
}

// Attributes that are read stay, those that nobody reads go.
func TestAttributesInUseStay(t *testing.T) {
	p := attrPage(make([]byte, attrPageSize))
	p.setUsed(attrPageHead)
	used := attrKeyOf("used")
	p.put(used, make([]byte, 100))
	for i := range 1000 {
		p.put(attrKeyOf(fmt.Sprint(i)), make([]byte, 100))
		if value, old := p.find(used); value == nil {
			t.Fatalf("gone after %d others", i+1)
		} else if old {
			p.put(used, make([]byte, 100))
		}
	}
}

func TestADamagedPageIsEmpty(t *testing.T) {
	dir := t.TempDir()
	a := openAttr(t, dir, nil)
	const n = 2000
	for i := range n {
		a.Put(attrInfo(i))
	}
	closeAttr(t, a)
	path := filepath.Join(dir, attrName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := attrPageSize + 100; at < len(data); at += 2 * attrPageSize {
		data[at] ^= 0x40
	}
	if err := os.WriteFile(path, data[:len(data)-1000], 0o600); err != nil { // and one is cut
		t.Fatal(err)
	}
	a = openAttr(t, dir, nil)
	kept := 0
	for i := range n {
		want := attrInfo(i)
		if _, meta, ok := a.Get(bare(want)); ok {
			if !maps.Equal(meta, want.Meta) {
				t.Fatalf("%s: got %v", want.Key, meta)
			}
			kept++
		}
	}
	if kept < n/4 || kept > 3*n/4 {
		t.Errorf("%d of %d are there", kept, n)
	}
	for i := range n {
		a.Put(attrInfo(i))
	}
	closeAttr(t, a)
	a = openAttr(t, dir, nil)
	for i := range n {
		wantAttr(t, a, attrInfo(i))
	}
}

func TestADamagedFileIsThrownAwayWithOneLine(t *testing.T) {
	for what, content := range map[string]string{
		"garbage": strings.Repeat("garbage ", 1000), "short": "s3", "future": strings.Replace(string(attrHeader(64)), "form 1", "form 2", 1),
		"odd": string(attrHeader(65)), "huge": string(attrHeader(1 << 31)[:200]),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, attrName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		a := openAttr(t, dir, &log)
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "thrown away") {
			t.Errorf("%s: %d lines: %s", what, n, &log)
		}
		a.Put(attrInfo(1))
		closeAttr(t, a)
		wantAttr(t, openAttr(t, dir, nil), attrInfo(1))
	}
}

func TestASecondMountDoesWithout(t *testing.T) {
	dir := t.TempDir()
	a := openAttr(t, dir, nil)
	for range 2 {
		if b, err := OpenAttributes(AttributesOptions{Dir: dir, Limit: attrTestLimit}); err == nil {
			b.Close()
			t.Fatal("two have the same file")
		}
		a.file.Lock() // the lock holds while the file is exchanged for a larger one
		now, err := a.file.doubled()
		if err != nil {
			t.Fatal(err)
		}
		a.file.f.Close()
		a.file.attrFile = now
		a.file.Unlock()
	}
}

func TestADiskThatFailsEndsTheKeeping(t *testing.T) {
	var log strings.Builder
	a := openAttr(t, t.TempDir(), &log)
	a.file.Lock()
	a.file.f.Close()
	a.file.Unlock()
	for i := range attrBatch {
		a.Put(attrInfo(i))
	}
	<-a.done
	a.Put(attrInfo(1))
	wantNoAttr(t, a, attrInfo(1), "the disk fails")
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("log: %s", &log)
	}
}

func TestMetadataRecallsFromDisk(t *testing.T) {
	dir := t.TempDir()
	a := openAttr(t, dir, nil)
	m := NewMetadata(2)
	m.KeepOn(a)
	for i := range 10 {
		m.Learn(attrInfo(i))
	}
	young := attrInfo(11)
	young.LastModified = attrTestNow
	m.Learn(young)
	for i := range 10 {
		if got, ok := m.Recall(bare(attrInfo(i))); !ok || !maps.Equal(got.Meta, attrInfo(i).Meta) {
			t.Errorf("%d: %v, %v", i, got, ok)
		}
	}
	wantNoAttr(t, a, young, "its metadata may change within the second")
	if m.Len() > 2 {
		t.Errorf("%d in memory", m.Len())
	}
}

// TestRemovedAttributesAreNotBelieved stores, removes and stores the same bytes again with
// other metadata within a second, as the rename of a folder over another does.
func TestRemovedAttributesAreNotBelieved(t *testing.T) {
	dir := t.TempDir()
	a := openAttr(t, dir, nil)
	m := NewMetadata(100)
	m.KeepOn(a)
	stored, other := attrInfo(1), attrInfo(2)
	stored.LastModified = time.Time{} // this mount stored it just now
	m.Put(stored)
	m.Put(other)
	shown := bare(stored)
	shown.LastModified = attrTestNow
	if _, ok := m.Recall(shown); !ok {
		t.Fatal("what was stored is not known: the test proves nothing")
	}
	closeAttr(t, a)
	a = openAttr(t, dir, nil) // the record is in the file, not only on its way
	m.KeepOn(a)
	m.Remove(stored.Key)
	if i, ok := m.Recall(shown); ok {
		t.Errorf("what was removed is believed: %v", i.Meta)
	}
	closeAttr(t, a)
	again := openAttr(t, dir, nil)
	if _, meta, ok := again.Get(shown); ok {
		t.Errorf("what was removed is believed by the next mount: %v", meta)
	}
	wantAttr(t, again, other)
}
