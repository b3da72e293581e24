package objcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestReadAtBoundaries(t *testing.T) {
	for _, size := range []int{0, 1, testBlock - 1, testBlock, testBlock + 1, 3*testBlock + 77} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newStore()
			id, data := s.add("k", "e", size)
			c := open(t, s, Options{})
			r := c.Reader(id, int64(size))
			defer r.Close()
			for _, off := range []int{0, 1, testBlock - 1, testBlock, testBlock + 1, size - 1, size, size + 1, size + testBlock} {
				for _, n := range []int{0, 1, 2, testBlock, testBlock + 1, 2*testBlock + 2, size, size + 1} {
					if off < 0 {
						continue
					}
					p := make([]byte, n)
					got, err := r.ReadAt(context.Background(), p, int64(off))
					want := min(n, max(size-off, 0))
					if got != want || string(p[:got]) != string(data[min(off, size):min(off, size)+want]) {
						t.Errorf("read %d at %d: %d bytes, want %d", n, off, got, want)
					}
					if wantErr := map[bool]error{true: io.EOF}[n > want]; err != wantErr {
						t.Errorf("read %d at %d: error %v, want %v", n, off, err, wantErr)
					}
				}
			}
			if _, asked := s.gets(); asked != int64(size) {
				t.Errorf("%d bytes were fetched of %d", asked, size)
			}
		})
	}
}

func TestReadAtRefusesWhatIsWrong(t *testing.T) {
	s := newStore()
	id, _ := s.add("k", "e", 10)
	c := open(t, s, Options{})
	r := c.Reader(id, 10)
	p := make([]byte, 1)
	if _, err := r.ReadAt(context.Background(), p, -1); !object.Is(err, object.KindInvalid) {
		t.Errorf("negative offset: %v", err)
	}
	r.Close()
	r.Close()
	if _, err := r.ReadAt(context.Background(), p, 0); !object.Is(err, object.KindBadHandle) {
		t.Errorf("closed reader: %v", err)
	}
	r = c.Reader(id, 10)
	c.Close()
	if _, err := r.ReadAt(context.Background(), p, 0); !object.Is(err, object.KindCanceled) {
		t.Errorf("closed cache: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{
		{},
		{Fetcher: newStore(), BlockSize: 5000},
		{Fetcher: newStore(), Memory: 4096},
		{Fetcher: newStore(), Dir: t.TempDir()},
		{Fetcher: newStore(), MaxFetches: -1},
	} {
		if _, err := New(o); !object.Is(err, object.KindInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	c, err := New(Options{Fetcher: newStore()})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestEachBlockIsFetchedOnceForManyReaders(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 20*testBlock)
	gate := make(chan struct{})
	s.before = func(context.Context, object.ID, object.Range) error { <-gate; return nil }
	c := open(t, s, Options{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := c.Reader(id, int64(len(data)))
			defer r.Close()
			for j := range 20 {
				mustRead(t, r, data, (i*3+j)%20*testBlock, testBlock)
			}
		})
	}
	close(gate)
	wg.Wait()
	settled(t, c)
	if _, asked := s.gets(); asked != int64(len(data)) {
		t.Errorf("%d bytes were fetched of %d", asked, len(data))
	}
}

func TestWaiterLeavesAndTheFetchGoesOn(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", testBlock)
	gate := make(chan struct{})
	s.before = func(context.Context, object.ID, object.Range) error { <-gate; return nil }
	c := open(t, s, Options{})
	r := c.Reader(id, testBlock)
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.ReadAt(ctx, make([]byte, testBlock), 0); !object.Is(err, object.KindCanceled) {
		t.Fatalf("canceled read: %v", err)
	}
	close(gate)
	mustRead(t, r, data, 0, testBlock)
	if n, _ := s.gets(); n != 1 {
		t.Errorf("%d GETs", n)
	}
}

func TestErrorsReachAllWaitersAndAreForgotten(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", testBlock)
	gate := make(chan struct{})
	s.before = func(context.Context, object.ID, object.Range) error {
		<-gate
		return object.Errorf(object.KindUnavailable, "GetObject", "k", "%w", errBroken)
	}
	c := open(t, s, Options{})
	const readers = 8
	errs := make(chan error, readers)
	for range readers {
		go func() {
			r := c.Reader(id, testBlock)
			defer r.Close()
			_, err := r.ReadAt(context.Background(), make([]byte, 1), 0)
			errs <- err
		}()
	}
	await(t, "all wait", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		v := c.mu.versions[id]
		return v != nil && v.blocks[0] != nil && len(v.blocks[0].pieces) == 1 && v.blocks[0].pieces[0].waiters == readers
	})
	close(gate)
	for range readers {
		if err := <-errs; !object.Is(err, object.KindUnavailable) || !errors.Is(err, errBroken) {
			t.Errorf("waiter got %v", err)
		}
	}
	if n, _ := s.gets(); n != 1 {
		t.Errorf("%d GETs", n)
	}
	s.before = nil
	r := c.Reader(id, testBlock)
	defer r.Close()
	mustRead(t, r, data, 0, testBlock)
}

func TestBodiesThatLie(t *testing.T) {
	for name, wrap := range map[string]func(object.Range, []byte) io.Reader{
		"empty": func(object.Range, []byte) io.Reader { return iotest.ErrReader(io.EOF) },
		"short": func(_ object.Range, b []byte) io.Reader { return io.LimitReader(bytesReader(b), int64(len(b)-1)) },
		"long":  func(_ object.Range, b []byte) io.Reader { return io.MultiReader(bytesReader(b), bytesReader(b[:1])) },
		"broken": func(_ object.Range, b []byte) io.Reader {
			return io.MultiReader(bytesReader(b[:9]), iotest.ErrReader(errBroken))
		},
		"late": func(_ object.Range, b []byte) io.Reader {
			return io.MultiReader(bytesReader(b), iotest.ErrReader(errBroken))
		},
		"timed out": func(object.Range, []byte) io.Reader { return iotest.ErrReader(context.DeadlineExceeded) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			id, data := s.add("k", "e", testBlock-5)
			s.wrap = wrap
			c := open(t, s, Options{})
			r := c.Reader(id, int64(len(data)))
			defer r.Close()
			n, err := r.ReadAt(context.Background(), make([]byte, len(data)), 0)
			var oe *object.Error
			if n != 0 || !errors.As(err, &oe) || oe.Key != "k" || errors.Is(err, io.EOF) {
				t.Errorf("got %d bytes, %v", n, err)
			}
			s.wrap = nil
			mustRead(t, r, data, 0, len(data))
		})
	}
}

// An error mid-body of a range leaves the blocks before it usable.
func TestBlocksBeforeAnErrorStay(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 4*testBlock)
	s.wrap = func(r object.Range, b []byte) io.Reader {
		return io.MultiReader(bytesReader(b[:max(2*testBlock+5-r.Off, 0)]), iotest.ErrReader(errBroken))
	}
	c := open(t, s, Options{})
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	p := make([]byte, len(data))
	n, err := r.ReadAt(context.Background(), p, 0)
	if n != 2*testBlock || string(p[:n]) != string(data[:n]) || !errors.Is(err, errBroken) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	s.wrap = nil
	s.forget()
	mustRead(t, r, data, 0, len(data))
	if _, asked := s.gets(); asked != 2*testBlock {
		t.Errorf("%d bytes were fetched again", asked)
	}
}

// A network error whose chain has io.EOF would end a caller's loop as if the object
// ended there.
func TestRegressionNetworkEOFIsNoEndOfFile(t *testing.T) {
	s := newStore()
	id, _ := s.add("k", "e", 100)
	s.before = func(context.Context, object.ID, object.Range) error {
		return &object.Error{Op: "GetObject", Key: "k", Kind: object.KindUnavailable, Code: "X", RequestID: "7", Err: fmt.Errorf("read: %w", io.EOF)}
	}
	c := open(t, s, Options{})
	r := c.Reader(id, 100)
	defer r.Close()
	_, err := r.ReadAt(context.Background(), make([]byte, 100), 0)
	var oe *object.Error
	if errors.Is(err, io.EOF) || !errors.As(err, &oe) || oe.Kind != object.KindUnavailable || oe.Code != "X" || oe.RequestID != "7" {
		t.Errorf("got %v", err)
	}
}

func TestStaleVersionIsNeverMixed(t *testing.T) {
	s := newStore()
	old, oldData := s.add("k", "old", 4*testBlock)
	fresh, freshData := s.add("k", "fresh!", 4*testBlock)
	c := open(t, s, Options{})
	r := c.Reader(old, 4*testBlock)
	defer r.Close()
	mustRead(t, r, oldData, 0, testBlock)
	s.mu.Lock()
	delete(s.mu.objects, old)
	s.mu.Unlock()
	mustRead(t, r, oldData, 0, testBlock)
	if _, err := r.ReadAt(context.Background(), make([]byte, 9), 2*testBlock); !object.Is(err, object.KindStale) {
		t.Errorf("missing block of a version that is gone: %v", err)
	}
	r2 := c.Reader(fresh, 4*testBlock)
	defer r2.Close()
	mustRead(t, r2, freshData, 0, 4*testBlock)
	mustRead(t, r, oldData, 0, testBlock)
}

func TestWithoutETagEachReaderAsksAnew(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "", 2*testBlock)
	dir := t.TempDir()
	c := open(t, s, diskOptions(t, dir, 1<<20))
	for range 2 {
		r := c.Reader(id, int64(len(data)))
		mustRead(t, r, data, 0, len(data))
		mustRead(t, r, data, 0, len(data))
		r.Close()
	}
	if _, asked := s.gets(); asked != 2*int64(len(data)) {
		t.Errorf("%d bytes were fetched", asked)
	}
	if st := c.Stats(); st.MemoryUsed != 0 {
		t.Errorf("a closed reader without ETag leaves %+v", st)
	}
	c.Close()
	if files := cacheFiles(t, dir, ""); len(files) != 0 {
		t.Errorf("on disk: %v", files)
	}
}

func TestDropForgets(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 4*testBlock)
	dir := t.TempDir()
	c := open(t, s, diskOptions(t, dir, 1<<20))
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	written(t, c)
	c.Drop(id)
	c.Drop(object.ID{Key: "never seen", ETag: "x"})
	if files := cacheFiles(t, dir, ""); len(files) != 0 {
		t.Errorf("on disk: %v", files)
	}
	if used, _ := c.disk.budget.Usage(); used != 0 {
		t.Errorf("the budget counts %d bytes", used)
	}
	s.forget()
	mustRead(t, r, data, 0, len(data))
	if _, asked := s.gets(); asked != int64(len(data)) {
		t.Errorf("%d bytes were fetched", asked)
	}
}

// A block that is given out while it is dropped keeps its buffer until it is copied.
func TestDropWhileLoading(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", testBlock)
	gate, begun := make(chan struct{}), make(chan struct{})
	s.before = func(context.Context, object.ID, object.Range) error { close(begun); <-gate; return nil }
	c := open(t, s, Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := c.Reader(id, testBlock)
		defer r.Close()
		mustRead(t, r, data, 0, testBlock)
	}()
	<-begun
	c.Drop(id)
	close(gate)
	<-done
	if st := c.Stats(); st.MemoryUsed != 0 {
		t.Errorf("left: %+v", st)
	}
}

func TestFetchHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		id, _ := s.add("k", "e", testBlock)
		s.before = func(ctx context.Context, _ object.ID, _ object.Range) error { <-ctx.Done(); return ctx.Err() }
		c := open(t, s, Options{FetchTimeout: time.Minute})
		r := c.Reader(id, testBlock)
		defer r.Close()
		start := time.Now()
		_, err := r.ReadAt(context.Background(), make([]byte, 1), 0)
		if !object.Is(err, object.KindTimeout) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestCloseEndsReadsUnderWay(t *testing.T) {
	s := newStore()
	id, _ := s.add("k", "e", testBlock)
	begun := make(chan struct{})
	s.before = func(ctx context.Context, _ object.ID, _ object.Range) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	c := open(t, s, Options{})
	errs := make(chan error)
	go func() {
		r := c.Reader(id, testBlock)
		defer r.Close()
		_, err := r.ReadAt(context.Background(), make([]byte, 1), 0)
		errs <- err
	}()
	<-begun
	c.Close()
	if err := <-errs; !object.Is(err, object.KindCanceled) {
		t.Errorf("got %v", err)
	}
}

func TestRandomReadsEqualTheReference(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newStore()
	type known struct {
		id   object.ID
		data []byte
	}
	var objects []known
	for i, size := range []int{1, 100, testBlock, 5*testBlock + 3, 40 * testBlock, 63*testBlock + 1} {
		id, data := s.add(fmt.Sprint("k", i), "e", size)
		objects = append(objects, known{id, data})
	}
	for name, blocks := range map[string]int64{"1 block": 1, "2 blocks": 2, "5 blocks": 5, "roomy": 256} {
		t.Run(name, func(t *testing.T) {
			o := diskOptions(t, t.TempDir(), 50*testBlock)
			o.Memory, o.MaxFetches = blocks*testBlock, 4
			c := open(t, s, o)
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, uint64(w)))
					for range 12 {
						k := objects[rnd.IntN(len(objects))]
						r := c.Reader(k.id, int64(len(k.data)))
						off := rnd.IntN(len(k.data))
						for range 20 {
							n := 1 + rnd.IntN(2*testBlock)
							mustRead(t, r, k.data, off, n)
							if off += n; rnd.IntN(4) == 0 || off >= len(k.data) {
								off = rnd.IntN(len(k.data))
							}
						}
						r.Close()
						if rnd.IntN(20) == 0 {
							c.Drop(k.id)
						}
					}
				})
			}
			wg.Wait()
			if st := c.Stats(); st.MemoryTotal > o.Memory {
				t.Errorf("%d bytes of memory, the limit is %d", st.MemoryTotal, o.Memory)
			}
			s.mu.Lock() // what was loaded ahead may still come
			defer s.mu.Unlock()
			if s.mu.most > 4 {
				t.Errorf("%d GETs at a time", s.mu.most)
			}
			s.mu.most = 0
		})
	}
}

func TestHitsMakeNoGarbage(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 4*testBlock)
	c := open(t, s, Options{})
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	p := make([]byte, len(data))
	mustRead(t, r, data, 0, len(data))
	allocs := testing.AllocsPerRun(100, func() {
		if _, err := r.ReadAt(context.Background(), p, 0); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations per read", allocs)
	}
}

func bytesReader(b []byte) io.Reader { return &onlyReader{b} }

// onlyReader gives few bytes at a time.
type onlyReader struct{ rest []byte }

func (r *onlyReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(len(r.rest), 1000)])
	r.rest = r.rest[n:]
	return n, nil
}

// knownBody is a body that knows which version it is of.
type knownBody struct {
	io.ReadCloser
	etag string
}

func (b knownBody) Info() object.Info { return object.Info{Key: "k", ETag: b.etag} }

// changingStore has an object that is replaced between two GETs, and tells its ETag only
// with the bytes.
type changingStore struct {
	*store
	gets atomic.Int32
}

func (s *changingStore) Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	etag := fmt.Sprint("e", s.gets.Add(1))
	if id.ETag != "" && id.ETag != etag {
		return nil, object.Errorf(object.KindStale, "GetObject", id.Key, "")
	}
	body, err := s.store.Get(ctx, object.ID{Key: id.Key}, r)
	return knownBody{body, etag}, err
}

// Where a listing tells no ETags, those that come with the bytes keep versions apart.
func TestBytesOfAVersionWithoutAnETagAreNotMixed(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "", 20*testBlock)
	c := open(t, s, Options{})
	c.o.Fetcher = &changingStore{store: s}
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 15*testBlock, 100)
	_, err := r.ReadAt(context.Background(), make([]byte, 100), 5*testBlock)
	if !object.Is(err, object.KindStale) {
		t.Errorf("bytes of another version: %v", err)
	}
}
