package objcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

const testBlock = 16 << 10

// store is a Fetcher over bytes in memory that counts, and can be held and broken.
type store struct {
	mu struct {
		sync.Mutex
		objects map[object.ID][]byte
		gets    []object.Range // in the order of their beginning
		open    int            // Gets under way, until their bodies are closed
		most    int            // the most that were open at a time
	}
	// before, if set, is called at the begin of a Get; an error fails it.
	before  func(ctx context.Context, id object.ID, r object.Range) error
	users   atomic.Int32 // caches that are open
	anySize bool         // objects that are not there have any size; wrap makes their bytes
	// wrap, if set, replaces a body.
	wrap func(r object.Range, b []byte) io.Reader
}

func newStore() *store {
	s := &store{}
	s.mu.objects = make(map[object.ID][]byte)
	return s
}

// add stores size random bytes under key and ETag.
func (s *store) add(key, etag string, size int) (object.ID, []byte) {
	rnd := rand.NewChaCha8([32]byte{byte(len(key)), byte(size), byte(size >> 8), byte(len(etag))})
	data := make([]byte, size)
	rnd.Read(data)
	id := object.ID{Key: key, ETag: etag}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.objects[id] = data
	return id, data
}

func (s *store) Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	s.mu.Lock()
	data, ok := s.mu.objects[id]
	s.mu.gets = append(s.mu.gets, r)
	s.mu.open++
	s.mu.most = max(s.mu.most, s.mu.open)
	s.mu.Unlock()
	body, err := s.get(ctx, id, r, data, ok)
	if err != nil {
		s.mu.Lock()
		s.mu.open--
		s.mu.Unlock()
		return nil, err
	}
	return &trackedBody{Reader: body, s: s}, nil
}

func (s *store) get(ctx context.Context, id object.ID, r object.Range, data []byte, ok bool) (io.Reader, error) {
	if s.before != nil {
		if err := s.before(ctx, id, r); err != nil {
			return nil, err
		}
	}
	if s.anySize {
		return s.wrap(r, nil), nil
	}
	if !ok {
		return nil, object.Errorf(object.KindStale, "GetObject", id.Key, "")
	}
	if r.Len <= 0 || r.Off < 0 || r.End() > int64(len(data)) {
		return nil, object.Errorf(object.KindInvalid, "GetObject", id.Key, "range %v of %d", r, len(data))
	}
	part := data[r.Off:r.End()]
	if s.wrap != nil {
		return s.wrap(r, part), nil
	}
	return bytes.NewReader(part), nil
}

type trackedBody struct {
	io.Reader
	s *store
}

func (b *trackedBody) Close() error {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.s.mu.open--
	return nil
}

// gets returns how many GETs there were, and how many bytes they asked for.
func (s *store) gets() (n int, asked int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.mu.gets {
		asked += r.Len
	}
	return len(s.mu.gets), asked
}

func (s *store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.gets = nil
}

// open makes a cache on s that is closed, and whose gauges are checked, at the end. Its
// buffers come from the heap, where the race detector sees them.
func open(t testing.TB, s *store, o Options) *Cache {
	t.Helper()
	o.Fetcher = s
	if o.BlockSize == 0 {
		o.BlockSize = testBlock
	}
	if o.Memory == 0 {
		o.Memory = 64 * int64(o.BlockSize)
	}
	c, err := newCache(o, func(n int) []byte { return make([]byte, n) }, func([]byte) {})
	if err != nil {
		t.Fatal(err)
	}
	s.users.Add(1)
	t.Cleanup(func() {
		c.mu.Lock()
		closed := c.mu.closed
		c.mu.Unlock()
		if !closed { // else the test did, and may have gone on with the folder
			closeAndCheck(t, c, s)
		}
	})
	return c
}

func closeAndCheck(t testing.TB, c *Cache, s *store) {
	t.Helper()
	c.Close()
	st := c.Stats()
	if st.MemoryUsed != 0 || st.MemoryTotal != 0 || st.Blocks != 0 {
		t.Errorf("after Close: %+v", st)
	}
	c.mu.Lock()
	if c.mu.held != 0 || len(c.mu.holders) != 0 || len(c.slots) != 0 {
		t.Errorf("after Close: %d bytes held by %d readers, %d slots", c.mu.held, len(c.mu.holders), len(c.slots))
	}
	for id, v := range c.mu.versions {
		if len(v.readers) == 0 || len(v.blocks) != 0 {
			t.Errorf("after Close: version %v has %d readers, %d blocks", id, len(v.readers), len(v.blocks))
		}
	}
	c.mu.Unlock()
	if other := s.users.Add(-1); other == 0 {
		s.mu.Lock()
		if s.mu.open != 0 {
			t.Errorf("after Close: %d bodies are open", s.mu.open)
		}
		s.mu.Unlock()
	}
	if c.disk != nil {
		checkDisk(t, c.disk)
	}
}

// checkDisk compares the budget, which nobody else may draw on, with the files.
func checkDisk(t testing.TB, d *diskCache) {
	t.Helper()
	var reserved, onDisk int64
	d.mu.Lock()
	for _, e := range d.mu.entries {
		reserved += e.reserved
		if e.state != live {
			t.Errorf("entry %v is in state %d", e.name, e.state)
		}
	}
	scanned := d.mu.scanned
	d.mu.Unlock()
	used, limit := d.budget.Usage()
	if used != reserved || used > limit {
		t.Errorf("the budget counts %d bytes of %d, the entries %d", used, limit, reserved)
	}
	for _, path := range cacheFiles(t, d.dir, indexSuffix) {
		n, ok := parseName(filepath.Base(path[:len(path)-len(indexSuffix)]))
		if !ok {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if size, ok := readHeader(f, n, d.blockSize); ok {
			onDisk += indexCost(size, d.blockSize) + d.recorded(f, size)
		}
		f.Close()
	}
	if scanned && used < onDisk {
		t.Errorf("the budget counts %d bytes, on disk are %d", used, onDisk)
	}
}

func cacheFiles(t testing.TB, dir, suffix string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "?", "?", "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// mustRead reads n bytes at off and compares them.
func mustRead(t testing.TB, r *Reader, data []byte, off, n int) {
	t.Helper()
	p := make([]byte, n)
	got, err := r.ReadAt(context.Background(), p, int64(off))
	want := data[min(off, len(data)):min(off+n, len(data))]
	if err != nil && !(err == io.EOF && len(want) < n) {
		t.Fatalf("read %d at %d: %v", n, off, err)
	}
	if got != len(want) || !bytes.Equal(p[:got], want) {
		t.Fatalf("read %d at %d: %d bytes, want %d; equal: %v", n, off, got, len(want), bytes.Equal(p[:got], want))
	}
}

// await waits until cond holds; it is for what goroutines do soon.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
	}
}

// settled waits until no load is under way.
func settled(t testing.TB, c *Cache) {
	t.Helper()
	await(t, "all loads end", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, v := range c.mu.versions {
			for _, b := range v.blocks {
				if len(b.pieces) > 0 {
					return false
				}
			}
		}
		return len(c.slots) == 0
	})
}

// written waits until the disk writer has nothing to do, and the scan has ended.
func written(t testing.TB, c *Cache) {
	t.Helper()
	settled(t, c)
	await(t, "everything is written", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, v := range c.mu.versions {
			for _, b := range v.blocks {
				if b.refs > 0 {
					return false
				}
			}
		}
		if c.mu.unsaved.bytes > 0 {
			return false
		}
		c.disk.mu.Lock()
		defer c.disk.mu.Unlock()
		for _, e := range c.disk.mu.entries {
			if e.whole {
				return false
			}
		}
		return c.disk.mu.scanned
	})
}

func diskOptions(t testing.TB, dir string, limit int64) Options {
	t.Helper()
	return Options{Dir: dir, Disk: budget.NewDisk(limit)}
}

var errBroken = errors.New("broken on purpose")

// TestMain checks that no test leaves a goroutine behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			os.Stderr.Write(buf[:runtime.Stack(buf, true)])
			os.Stderr.WriteString("goroutines are left behind\n")
			code = 1
			break
		}
	}
	os.Exit(code)
}
