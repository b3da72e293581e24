package writeback

import (
	"math/rand/v2"
	"testing"
)

// check fails unless the set is sorted, merged and without empty ranges.
func (x *extents) check(t *testing.T) {
	t.Helper()
	for i, e := range x.list {
		if e.off >= e.end {
			t.Fatalf("empty range %v in %v", e, x.list)
		}
		if i > 0 && x.list[i-1].end >= e.off {
			t.Fatalf("ranges touch or overlap at %d in %v", i, x.list)
		}
	}
}

func TestExtentsAgainstBitmap(t *testing.T) {
	const space = 96
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var x extents
		var bits [space]bool
		for range 120 {
			off := rnd.Int64N(space)
			end := off + rnd.Int64N(space-off+1)
			if rnd.IntN(8) == 0 {
				x.cut(off)
				clear(bits[off:])
			} else if small := min(end, off+6); true {
				x.add(off, small)
				for i := off; i < small; i++ {
					bits[i] = true
				}
			}
			x.check(t)
			compareWithBits(t, &x, bits[:], off, end)
		}
	}
}

func compareWithBits(t *testing.T, x *extents, bits []bool, off, end int64) {
	t.Helper()
	var covered int64
	first, last := int64(-1), int64(-1)
	for i := off; i < end; i++ {
		if bits[i] {
			covered++
			if first >= 0 && last < 0 {
				last = i
			}
		} else if first < 0 {
			first = i
		}
	}
	if last < 0 {
		last = end
	}
	if got := x.covered(off, end); got != covered {
		t.Fatalf("covered(%d,%d) = %d, want %d in %v", off, end, got, covered, x.list)
	}
	if got := x.missing(off, end); got != end-off-covered {
		t.Fatalf("missing(%d,%d) = %d", off, end, got)
	}
	if got := x.contains(off, end); got != (covered == end-off) {
		t.Fatalf("contains(%d,%d) = %v in %v", off, end, got, x.list)
	}
	gap, ok := x.gap(off, end)
	if ok != (first >= 0) || ok && gap != (extent{first, last}) {
		t.Fatalf("gap(%d,%d) = %v %v, want %d-%d in %v", off, end, gap, ok, first, last, x.list)
	}
	if off < end {
		inside, until := x.run(off, end)
		want := off + 1
		for want < end && bits[want] == bits[off] {
			want++
		}
		if inside != bits[off] || until != want {
			t.Fatalf("run(%d,%d) = %v %d, want %v %d", off, end, inside, until, bits[off], want)
		}
	}
}

func TestExtentWindowsReduceTheCount(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		var x extents
		for range 2000 {
			off := rnd.Int64N(1<<30) &^ 4095
			x.add(off, off+4096)
		}
		for x.count() > 1 {
			before := x.count()
			ws := x.windows(1<<20, before/8)
			if len(ws) == 0 {
				t.Fatalf("seed %d: no window for %d ranges", seed, before)
			}
			for i, w := range ws {
				if i > 0 && ws[i-1].end > w.off {
					t.Fatalf("windows out of order: %v", ws)
				}
				x.add(w.off, w.end)
			}
			if x.count() >= before {
				t.Fatalf("seed %d: windows joined nothing: %d then %d", seed, before, x.count())
			}
		}
	}
}
