package parts

import (
	"math/rand/v2"
	"slices"
	"testing"
)

const mib = 1 << 20

// sent is how many bytes of a plan are sent.
func sent(plan []Piece) (n int64) {
	for _, p := range plan {
		if !p.Copy {
			n += p.Size
		}
	}
	return n
}

func TestAppendCopiesAllInOnePart(t *testing.T) {
	plan := Edit(256*mib+4096, 256*mib, []Span{{256 * mib, 256*mib + 4096}}, Limits{})
	want := []Piece{{0, 256 * mib, true}, {256 * mib, 4096, false}}
	if !slices.Equal(plan, want) {
		t.Errorf("%v", plan)
	}
}

func TestSmallEditsSendTheLeastThatAPartMayBe(t *testing.T) {
	var changed []Span
	for i := range int64(5) {
		changed = append(changed, Span{i*50*mib + 1000, i*50*mib + 5096})
	}
	plan := Edit(256*mib, 256*mib, changed, Limits{})
	if got := sent(plan); got != 5*MinSize || len(plan) != 10 {
		t.Errorf("%d bytes in %d parts: %v", got, len(plan), plan)
	}
}

func TestEdits(t *testing.T) {
	for name, c := range map[string]struct {
		size, kept int64
		changed    []Span
		want       []Piece
	}{
		"the last byte":      {100, 100, []Span{{99, 100}}, []Piece{{0, 99, true}, {99, 1, false}}},
		"the first byte":     {100, 100, []Span{{0, 1}}, []Piece{{0, 10, false}, {10, 90, true}}},
		"near the begin":     {100, 100, []Span{{5, 6}}, []Piece{{0, 10, false}, {10, 90, true}}},
		"in the middle":      {100, 100, []Span{{50, 51}}, []Piece{{0, 50, true}, {50, 10, false}, {60, 40, true}}},
		"near the end":       {100, 100, []Span{{85, 86}}, []Piece{{0, 85, true}, {85, 10, false}, {95, 5, true}}},
		"grows to the left":  {100, 100, []Span{{30, 31}, {45, 55}}, []Piece{{0, 21, true}, {21, 10, false}, {31, 14, true}, {45, 10, false}, {55, 45, true}}},
		"two that join":      {100, 100, []Span{{12, 13}, {31, 32}}, []Piece{{0, 12, true}, {12, 20, false}, {32, 68, true}}},
		"cut off":            {60, 60, nil, []Piece{{0, 60, true}}},
		"cut off and grown":  {100, 60, nil, []Piece{{0, 60, true}, {60, 20, false}, {80, 20, false}}},
		"all":                {100, 100, []Span{{0, 100}}, nil},
		"almost all":         {100, 100, []Span{{5, 95}}, []Piece{{0, 20, false}, {20, 20, false}, {40, 20, false}, {60, 20, false}, {80, 15, false}, {95, 5, true}}},
		"nothing at all":     {0, 0, nil, nil},
		"nothing but growth": {50, 0, nil, nil},
		"large copies":       {300, 300, []Span{{299, 300}}, []Piece{{0, 150, true}, {150, 149, true}, {299, 1, false}}},
	} {
		plan := Edit(c.size, c.kept, c.changed, Limits{Min: 10, Send: 20, Copy: 200})
		if !slices.Equal(plan, c.want) {
			t.Errorf("%s: %v, want %v", name, plan, c.want)
		}
	}
}

// Any edit gives parts that a store takes, in order and without a gap, and copies nothing
// that changed.
func TestRandomEdits(t *testing.T) {
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := Limits{Min: 1 + r.Int64N(20), Max: 4 + r.IntN(60)}
		l.Send, l.Copy = l.Min+r.Int64N(30), 2*l.Min+r.Int64N(200)
		size := r.Int64N(min(600, l.Min*int64(l.Max))) // a store could take it as a whole
		kept := r.Int64N(700)
		differs := make([]bool, size)
		for i := range differs {
			differs[i] = int64(i) >= kept
		}
		var changed []Span
		for off := r.Int64N(100); off < 700; {
			end := off + 1 + r.Int64N(30)
			changed = append(changed, Span{off, end})
			for i := off; i < min(end, size); i++ {
				differs[i] = true
			}
			off = end + 1 + r.Int64N(1+r.Int64N(200))
		}
		plan := Edit(size, kept, changed, l)
		at := int64(0)
		for i, p := range plan {
			if p.Off != at || p.Size <= 0 || p.Size < l.Min && i < len(plan)-1 || p.Copy && p.Size > l.Copy+l.Min {
				t.Fatalf("seed %d, %+v: %v", seed, l, plan)
			}
			if p.Copy && slices.Contains(differs[p.Off:p.end()], true) {
				t.Fatalf("seed %d: %v copies what changed", seed, plan)
			}
			at = p.end()
		}
		if plan != nil && (at != size || len(plan) > l.Max) {
			t.Fatalf("seed %d: %d parts of %d, up to %d of %d", seed, len(plan), l.Max, at, size)
		}
	}
}
