package objcache

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestFirstReadFetchesExactlyItsUnits(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 60*testBlock)
	c := open(t, s, Options{})
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, testBlock+5, 2*testBlock)
	settled(t, c)
	if n, asked := s.gets(); n != 1 || asked != 2*testBlock+int64(c.unit) {
		t.Errorf("%d GETs of %d bytes", n, asked)
	}
}

func TestRandomReadsFetchOnlyWhatTheyTouch(t *testing.T) {
	s := newStore()
	const size = 64 << 20
	id, data := s.add("k", "e", size)
	c := open(t, s, Options{Memory: 32 << 20})
	r := c.Reader(id, size)
	defer r.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	touched := map[int]bool{}
	for range 100 {
		off := rnd.IntN(64)<<20 + rnd.IntN(1<<19)
		mustRead(t, r, data, off, 20<<10)
		for b := off / testBlock; b <= (off+20<<10-1)/testBlock; b++ {
			touched[b] = true
		}
	}
	settled(t, c)
	// Reads that happen to follow each other closely look like reading in order.
	if _, asked := s.gets(); asked > int64(len(touched)*testBlock)*11/10 {
		t.Errorf("%d bytes were fetched for %d blocks", asked, len(touched))
	}
}

// A reader in order has many GETs at work, holds no more than the budget, and each
// byte is fetched once.
func TestSequentialReadIsParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		id, data := s.add("k", "e", 1000*testBlock)
		s.before = func(context.Context, object.ID, object.Range) error {
			time.Sleep(20 * time.Millisecond)
			return nil
		}
		c := open(t, s, Options{Memory: 128 * testBlock, MaxFetches: 16})
		r := c.Reader(id, int64(len(data)))
		defer r.Close()
		start := time.Now()
		for off := 0; off < len(data); off += testBlock / 2 {
			mustRead(t, r, data, off, testBlock/2)
			if st := c.Stats(); st.MemoryTotal > 128*testBlock {
				t.Fatalf("memory: %+v", st)
			}
		}
		// One block at a time would take 20 s, a window of 96 blocks takes 0.2 s.
		if took := time.Since(start); took > 600*time.Millisecond {
			t.Errorf("took %v", took)
		}
		n, asked := s.gets()
		if asked != int64(len(data)) {
			t.Errorf("%d bytes were fetched of %d", asked, len(data))
		}
		if s.mu.most < 10 || n > 400 {
			t.Errorf("%d GETs, at most %d at a time", n, s.mu.most)
		}
	})
}

// A reader waits for its block, not for the whole range of the GET.
func TestBlocksAreHandedOutAsTheyArrive(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 4*testBlock)
	gate := make(chan struct{})
	s.wrap = func(r object.Range, b []byte) io.Reader {
		return io.MultiReader(bytesReader(b[:testBlock]), gateReader{gate}, bytesReader(b[testBlock:]))
	}
	c := open(t, s, Options{})
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	all := make(chan struct{})
	go func() {
		defer close(all)
		mustRead(t, r, data, 0, len(data))
	}()
	await(t, "the GET begins", func() bool { n, _ := s.gets(); return n == 1 })
	mustRead(t, r, data, 0, testBlock)
	select {
	case <-all:
		t.Error("the rest came through a closed gate")
	default:
	}
	close(gate)
	<-all
	if n, _ := s.gets(); n != 1 {
		t.Errorf("%d GETs", n)
	}
}

// gateReader has no bytes, and ends when the gate opens.
type gateReader struct{ gate chan struct{} }

func (g gateReader) Read([]byte) (int, error) { <-g.gate; return 0, io.EOF }

// startAhead reads the first two blocks of an object whose further GETs hang until
// they are canceled or the gate opens, and returns when the load ahead has begun.
func startAhead(t *testing.T, c *Cache, s *store, r *Reader, data []byte) (canceled func() int, gate chan struct{}) {
	t.Helper()
	gate = make(chan struct{})
	var mu sync.Mutex
	n := 0
	s.before = func(ctx context.Context, _ object.ID, rg object.Range) error {
		if rg.Off < 2*testBlock || rg.Off > 100*testBlock {
			return nil
		}
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			mu.Lock()
			defer mu.Unlock()
			n++
			return ctx.Err()
		}
	}
	mustRead(t, r, data, 0, testBlock)
	mustRead(t, r, data, testBlock, testBlock)
	await(t, "a load ahead", func() bool { return c.held() > 0 })
	return func() int { mu.Lock(); defer mu.Unlock(); return n }, gate
}

func (c *Cache) held() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.held
}

func TestCloseCancelsLoadsAhead(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 60*testBlock)
	c := open(t, s, Options{})
	r := c.Reader(id, int64(len(data)))
	canceled, _ := startAhead(t, c, s, r, data)
	r.Close()
	settled(t, c)
	if canceled() == 0 || c.held() != 0 {
		t.Errorf("%d canceled, %d bytes held", canceled(), c.held())
	}
}

// A reader that reads elsewhere does not come back.
func TestJumpGivesUpLoadsAhead(t *testing.T) {
	s := newStore()
	size := 200*testBlock + maxSlack
	id, data := s.add("k", "e", size)
	c := open(t, s, Options{})
	r := c.Reader(id, int64(size))
	defer r.Close()
	canceled, gate := startAhead(t, c, s, r, data)
	for range maxAway + 1 {
		mustRead(t, r, data, size-testBlock, 10)
	}
	await(t, "loads are canceled", func() bool { return canceled() > 0 })
	close(gate)
	settled(t, c)
	if c.held() != 0 {
		t.Errorf("%d bytes held", c.held())
	}
}

func TestLoadAheadGoesOnForAnotherReader(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 60*testBlock)
	c := open(t, s, Options{})
	r := c.Reader(id, int64(len(data)))
	_, gate := startAhead(t, c, s, r, data)
	other := c.Reader(id, int64(len(data)))
	defer other.Close()
	got := make(chan struct{})
	go func() {
		defer close(got)
		mustRead(t, other, data, 2*testBlock, 10)
	}()
	await(t, "the other waits", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		b := r.v.blocks[2]
		return b != nil && len(b.pieces) > 0 && b.pieces[0].waiters > 0
	})
	r.Close()
	close(gate)
	<-got
	n := 0
	s.mu.Lock()
	for _, g := range s.mu.gets {
		if g.Off <= 2*testBlock && g.End() > 2*testBlock {
			n++
		}
	}
	s.mu.Unlock()
	if n != 1 {
		t.Errorf("the block was fetched %d times", n)
	}
}

func TestAFailedLoadAheadDoesNotFailTheRead(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 60*testBlock)
	c := open(t, s, Options{})
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	s.before = func(_ context.Context, _ object.ID, rg object.Range) error {
		if rg.Off >= 2*testBlock {
			return errBroken
		}
		return nil
	}
	mustRead(t, r, data, 0, testBlock)
	mustRead(t, r, data, testBlock, testBlock)
	settled(t, c)
	s.before = nil
	mustRead(t, r, data, 2*testBlock, 20*testBlock)
}

// Fifty handles in a budget that can't give each a window: nobody waits for memory.
func TestFiftyHandlesInASmallBudget(t *testing.T) {
	for _, blocks := range []int64{1, 8, 64} {
		t.Run(fmt.Sprint(blocks), func(t *testing.T) {
			s := newStore()
			id, data := s.add("k", "e", 100*testBlock)
			c := open(t, s, Options{Memory: blocks * testBlock})
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					r := c.Reader(id, int64(len(data)))
					defer r.Close()
					for off := i * testBlock; off < (i+50)*testBlock; off += testBlock / 2 {
						mustRead(t, r, data, off, testBlock/2)
					}
				})
			}
			wg.Wait()
			if st := c.Stats(); st.MemoryTotal > blocks*testBlock {
				t.Errorf("memory: %+v", st)
			}
		})
	}
}

// A reader that stops reading gives way: another gets its share at once, and all of it
// when the first is closed.
func TestAPausedReaderGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		one, data := s.add("one", "e", 1000*testBlock)
		two, data2 := s.add("two", "e2", 1000*testBlock)
		c := open(t, s, Options{Memory: 64 * testBlock})
		r1, r2 := c.Reader(one, int64(len(data))), c.Reader(two, int64(len(data2)))
		defer r1.Close()
		defer r2.Close()
		read := func(r *Reader, data []byte, from, to int) int64 {
			for off := from * testBlock; off < to*testBlock; off += testBlock {
				mustRead(t, r, data, off, testBlock)
				synctest.Wait()
			}
			return r.held / testBlock
		}
		if got := read(r1, data, 0, 100); got != 48 {
			t.Errorf("alone: %d blocks ahead", got)
		}
		if got := read(r2, data2, 0, 100); got != 24 || r1.held != 24*testBlock {
			t.Errorf("two: %d and %d blocks ahead", got, r1.held/testBlock)
		}
		r1.Close()
		if got := read(r2, data2, 100, 200); got != 48 {
			t.Errorf("alone again: %d blocks ahead", got)
		}
	})
}

// What readers that stopped hold ahead goes to those who read, after a while.
func TestIdleAheadIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		c := open(t, s, Options{Memory: 16 * testBlock})
		for i := range 12 {
			id, data := s.add(fmt.Sprint(i), "e", 3*testBlock)
			r := c.Reader(id, int64(len(data)))
			defer r.Close()
			mustRead(t, r, data, 0, testBlock)
			mustRead(t, r, data, testBlock, testBlock)
			synctest.Wait()
		}
		if c.held() != 12*testBlock {
			t.Fatalf("%d blocks are held", c.held()/testBlock)
		}
		id, data := s.add("busy", "e", 100*testBlock)
		r := c.Reader(id, int64(len(data)))
		defer r.Close()
		mustRead(t, r, data, 0, testBlock)
		mustRead(t, r, data, testBlock, testBlock)
		synctest.Wait()
		if r.held != 0 {
			t.Errorf("%d blocks of others were taken too early", r.held/testBlock)
		}
		time.Sleep(2 * idleAhead)
		for off := 2 * testBlock; off < 40*testBlock; off += testBlock {
			mustRead(t, r, data, off, testBlock)
			synctest.Wait()
		}
		if r.held == 0 {
			t.Error("the blocks that nobody reads still fill the memory")
		}
	})
}
