package writeback

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

// env is a queue over a fake store.
type env struct {
	*testing.T
	dir   string
	store *fakeStore
	disk  *budget.Disk
	q     *Queue
}

// inQueue runs body in a synctest bubble, then closes the queue and checks that nothing
// is left: no goroutine (the bubble's own check), no budget, file, record or upload.
func inQueue(t *testing.T, body func(t *testing.T, e *env), change ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &env{T: t, dir: t.TempDir(), store: newFakeStore(), disk: budget.NewDisk(1 << 30)}
		e.open(change...)
		body(t, e)
		e.close()
	})
}

func (e *env) open(change ...func(*Options)) {
	e.Helper()
	o := Options{Dir: e.dir, Uploader: e.store, Disk: e.disk, Parallel: 4, PartSize: testPart, MultipartOver: testOver,
		CopyOver: testOver, MinPart: testMin}
	e.store.minPart = testMin
	for _, f := range change {
		f(&o)
	}
	q, err := NewQueue(o)
	if err != nil {
		e.Fatal(err)
	}
	e.q = q
}

func (e *env) close() {
	e.Helper()
	for _, s := range e.q.files() {
		s.Discard()
	}
	if err := e.q.Close(e.Context()); err != nil {
		e.Errorf("Close: %v", err)
	}
	e.checkEmpty()
	if n := e.store.uploadCount(); n != 0 {
		e.Errorf("%d multipart uploads are left at the store", n)
	}
	if n := len(e.names("uploads")); n != 0 {
		e.Errorf("%d records are left", n)
	}
}

// checkEmpty checks the gauges that are zero after every Close.
func (e *env) checkEmpty() {
	e.Helper()
	if used, _ := e.disk.Usage(); used != 0 {
		e.Errorf("%d bytes of disk budget are left", used)
	}
	if n := len(e.names("staged")); n != 0 {
		e.Errorf("%d staged files are left", n)
	}
	if free, all := e.q.slots.mu.free, e.q.slots.mu.limit; free != all {
		e.Errorf("%d of %d slots are free", free, all)
	}
	if len(e.q.mu.multiparts) != 0 || len(e.q.mu.staged) != 0 {
		e.Errorf("left: %d multiparts, %d files", len(e.q.mu.multiparts), len(e.q.mu.staged))
	}
}

func (e *env) names(sub string) []string {
	e.Helper()
	entries, err := os.ReadDir(e.dir + "/" + sub)
	if err != nil {
		e.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func (e *env) stage() *Staged {
	e.Helper()
	s, err := e.q.Stage()
	if err != nil {
		e.Fatal(err)
	}
	return s
}

func (e *env) stageOver(data []byte) (*Staged, *fakeBase) {
	e.Helper()
	b := &fakeBase{data: data}
	s, err := e.q.StageOver(object.ID{}, int64(len(data)), b.open)
	if err != nil {
		e.Fatal(err)
	}
	return s, b
}

// edit makes an edit of an object that is at the store; read counts what is read of it.
func (e *env) edit(key string, data []byte) (s *Staged, info object.Info, read *atomic.Int64) {
	e.Helper()
	info = e.store.seed(key, data)
	read = &atomic.Int64{}
	s, err := e.q.StageOver(info.ID(), info.Size, func(id object.ID, _ int64) Base {
		return storeBase{e.store, id, read}
	})
	if err != nil {
		e.Fatal(err)
	}
	return s, info, read
}

func (e *env) write(s *Staged, p []byte, off int64) {
	e.Helper()
	buf := bytes.Clone(p)
	if n, err := s.WriteAt(e.Context(), buf, off); err != nil || n != len(p) {
		e.Fatalf("WriteAt(%d, %d) = %d, %v", len(p), off, n, err)
	}
	for i := range buf {
		buf[i] = 0xEE // the buffer is the caller's again
	}
}

func (e *env) truncate(s *Staged, size int64) {
	e.Helper()
	if err := s.Truncate(e.Context(), size); err != nil {
		e.Fatalf("Truncate(%d): %v", size, err)
	}
}

func (e *env) upload(s *Staged, key string, o object.PutOptions) object.Info {
	e.Helper()
	info, err := s.Upload(key, o).Wait(e.Context())
	if err != nil {
		e.Fatalf("Upload: %v", err)
	}
	return info
}

func (e *env) wantKind(err error, k object.Kind) {
	e.Helper()
	if !object.Is(err, k) {
		e.Fatalf("error %v is of kind %v, want %v", err, object.KindOf(err), k)
	}
}

func (e *env) wantObject(key string, data []byte) {
	e.Helper()
	obj, ok := e.store.object(key)
	if !ok || !bytes.Equal(obj.data, data) {
		e.Fatalf("object %q: there %v, %d bytes, want %d; first difference at %d", key, ok, len(obj.data), len(data), differAt(obj.data, data))
	}
}

func (e *env) wantCount(op string, n int) {
	e.Helper()
	if got := e.store.count(op); got != n {
		e.Fatalf("%d × %s, want %d", got, op, n)
	}
}

// wantContent compares what a reader sees with data.
func (e *env) wantContent(s *Staged, data []byte) {
	e.Helper()
	got := make([]byte, len(data)+1)
	n, err := s.ReadAt(e.Context(), got, 0)
	if err != io.EOF || !bytes.Equal(got[:n], data) {
		e.Fatalf("ReadAt = %d, %v, want %d; first difference at %d", n, err, len(data), differAt(got[:n], data))
	}
}

func differAt(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// pattern makes n bytes that tell their place and their seed.
func pattern(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i>>8)*31 ^ byte(i) ^ seed
	}
	return p
}

func meta(v string) object.PutOptions { return object.PutOptions{Meta: object.Meta{"mtime": v}} }

func removeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
