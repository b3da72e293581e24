package objcache

import (
	"bytes"
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

// far is an object so large that places in it are out of each other's slack.
const far = 64 << 20

// slowly makes every GET take a while, in the simulated time of synctest.
func slowly(s *store) {
	s.before = func(context.Context, object.ID, object.Range) error {
		time.Sleep(20 * time.Millisecond)
		return nil
	}
}

// readAll reads what offsets names, in order, n bytes each, and returns how long it took.
func readAll(t *testing.T, r *Reader, data []byte, n int, offsets ...int) time.Duration {
	t.Helper()
	start := time.Now()
	for _, off := range offsets {
		mustRead(t, r, data, off, n)
	}
	return time.Since(start)
}

func steps(from, step, count int) (offsets []int) {
	for i := range count {
		offsets = append(offsets, from+i*step)
	}
	return offsets
}

// Reading in order is noticed in each direction, in steps, and at several places at once:
// then a read does not wait for its GET, and hardly more is fetched than is read.
func TestOrderIsNoticed(t *testing.T) {
	const block, count = testBlock, 400
	interleaved := func(starts ...int) (offsets []int) {
		for i := range count / len(starts) {
			for _, start := range starts {
				offsets = append(offsets, start+i*block)
			}
		}
		return offsets
	}
	for name, offsets := range map[string][]int{
		"upwards":         steps(far/2, block, count),
		"downwards":       steps(far/2, -block, count),
		"from the end":    steps(far-block, -block, count),
		"to the end":      steps(far-count*block, block, count),
		"in steps":        steps(0, 9*block, count),
		"in steps back":   steps(far-block, -9*block, count),
		"at three places": interleaved(0, far/3, far/2),
		"both ways":       interleaved(far/4, far*3/4),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				id, data := s.add("k", "e", far)
				slowly(s)
				c := open(t, s, Options{Memory: 256 * block})
				r := c.Reader(id, far)
				took := readAll(t, r, data, block, offsets...)
				r.Close()
				if took > count*20*time.Millisecond/5 {
					t.Errorf("%v for %d reads", took, count)
				}
				if _, asked := s.gets(); asked > count*block*3/2 {
					t.Errorf("%d bytes were asked for, %d read", asked, count*block)
				}
			})
		})
	}
}

// Two requests of the kernel may come in the wrong order; that is not reading downwards.
func TestSwappedRequestsAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		id, data := s.add("k", "e", far)
		slowly(s)
		c := open(t, s, Options{Memory: 256 * testBlock})
		r := c.Reader(id, far)
		defer r.Close()
		var offsets []int
		for i := 0; i < 400; i += 2 {
			offsets = append(offsets, (i+1)*testBlock, i*testBlock)
		}
		if took := readAll(t, r, data, testBlock, offsets...); took > time.Second {
			t.Errorf("%v", took)
		}
	})
}

// A random read asks for the units that it touches and nothing else, in one GET.
func TestRandomReadIsExact(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", far)
	c := open(t, s, Options{Memory: 32 << 20, BlockSize: 256 << 10})
	r := c.Reader(id, far)
	defer r.Close()
	const n = 128 << 10
	for i, at := range rand.New(rand.NewPCG(3, 4)).Perm(12) {
		s.forget()
		off := (at*5+1)<<20 - n/2 + i*4096
		mustRead(t, r, data, off, n)
		if gets, asked := s.gets(); gets != 1 || asked != n {
			t.Errorf("%d at %d: %d GETs of %d bytes", n, off, gets, asked)
		}
		mustRead(t, r, data, off+10, n-20)
		if gets, _ := s.gets(); gets != 1 {
			t.Errorf("what was read is fetched again")
		}
	}
}

// A block that reads come to again and again is filled, once.
func TestAVisitedBlockIsFilled(t *testing.T) {
	s := newStore()
	const block, unit = 4 << 20, 64 << 10
	id, data := s.add("k", "e", far)
	c := open(t, s, Options{Memory: 32 << 20, BlockSize: block})
	r := c.Reader(id, far)
	defer r.Close()
	for i, at := range []int{8, 48, 28} {
		mustRead(t, r, data, 5*block+at*unit, unit)
		mustRead(t, r, data, (8+i*3)*block, 1) // elsewhere
	}
	if n, asked := s.gets(); n != 6 || asked != (5+39)*unit {
		t.Errorf("%d GETs of %d units", n, asked/unit)
	}
	again := c.Reader(id, far)
	defer again.Close()
	mustRead(t, again, data, 5*block+8*unit, 41*unit)
	if n, _ := s.gets(); n != 6 {
		t.Error("what was fetched is fetched again")
	}
}

// Random reads of parts of blocks by many at once, with and without a disk, give the
// right bytes, and what is whole goes to the disk.
func TestPartsOfBlocksByMany(t *testing.T) {
	for _, memory := range []int64{2 * testBlock, 40 * testBlock} {
		for _, disk := range []bool{false, true} {
			t.Run(fmt.Sprint(memory, disk), func(t *testing.T) {
				s := newStore()
				id, data := s.add("k", "e", 50*testBlock+777)
				o := Options{}
				if disk {
					o = diskOptions(t, t.TempDir(), 1<<30)
				}
				o.Memory = memory
				c := open(t, s, o)
				var wg sync.WaitGroup
				for i := range 8 {
					wg.Go(func() {
						rnd := rand.New(rand.NewPCG(uint64(i), 9))
						r := c.Reader(id, int64(len(data)))
						defer r.Close()
						for range 200 {
							off := rnd.IntN(len(data))
							n := 1 + rnd.IntN(3*testBlock)
							v, err := r.View(context.Background(), make([]byte, n), int64(off))
							want := data[off:min(off+n, len(data))]
							if err != nil && err != io.EOF || !bytes.Equal(bytes.Join(v.Parts, nil), want) {
								t.Errorf("read %d at %d: %d bytes, %v", n, off, v.Len(), err)
							}
							v.Release()
							mustRead(t, r, data, off, n)
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// A reader's load ahead ends where another has begun to read far: what is there was
// fetched once already.
func TestReadersShareAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		const part, readers = 200 * testBlock, 8
		id, data := s.add("k", "e", readers*part)
		slowly(s)
		c := open(t, s, Options{Memory: 256 * testBlock})
		var wg sync.WaitGroup
		for i := range readers {
			wg.Go(func() {
				r := c.Reader(id, int64(len(data)))
				defer r.Close()
				readAll(t, r, data, testBlock/2, steps(i*part, testBlock/2, part/(testBlock/2))...)
			})
		}
		wg.Wait()
		if _, asked := s.gets(); asked > int64(len(data))*105/100 {
			t.Errorf("%d bytes were fetched of %d", asked, len(data))
		}
	})
}

// A reader that takes its time has little loaded ahead; a quick one as much as it needs.
func TestTheWindowFollowsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		id, data := s.add("k", "e", far)
		slowly(s)
		c := open(t, s, Options{Memory: 1024 * testBlock})
		r := c.Reader(id, far)
		defer r.Close()
		for i := range 100 {
			mustRead(t, r, data, i*testBlock, testBlock)
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		if c.held() > 8*testBlock {
			t.Errorf("a slow reader has %d blocks ahead", c.held()/testBlock)
		}
		readAll(t, r, data, testBlock, steps(100*testBlock, testBlock, 1000)...)
		if c.held() < 32*testBlock {
			t.Errorf("a quick reader has %d blocks ahead", c.held()/testBlock)
		}
	})
}

// Fetch costs one GET, tells what it told, and leaves nothing to fetch for a reader.
func TestFetchASmallVersion(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", testBlock+100)
	c := open(t, s, Options{})
	for range 2 {
		if _, err := c.Fetch(context.Background(), id, int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	if n, asked := s.gets(); n != 1 || asked != int64(len(data)) {
		t.Errorf("%d GETs of %d bytes", n, asked)
	}
	gone := object.ID{Key: "k", ETag: "old"}
	if _, err := c.Fetch(context.Background(), gone, 10); !object.Is(err, object.KindStale) {
		t.Errorf("a version that is gone: %v", err)
	}
	if n := c.Stats().Blocks; n != 2 {
		t.Errorf("%d blocks", n)
	}
}
