package writeback

import (
	"math"
	"testing"
	"time"
)

// line is a way to a store: each connection has so many bytes per second, and all together.
type line struct{ each, all float64 }

// drive sends parts through a line until the pace has had so many windows, and returns the
// requests at a time.
func (l line) drive(p *pace, windows int) int {
	const part, latency = 8 << 20, 0.03
	now := time.Unix(1, 0)
	limit := p.landed(part, false, now)
	for range windows {
		n := limit
		took := latency + part/math.Min(l.each, l.all/float64(n))
		for range n {
			now = now.Add(time.Duration(took / float64(n) * 1e9))
			limit = p.landed(part, true, now)
		}
	}
	return limit
}

func TestPaceFollowsTheLine(t *testing.T) {
	for name, c := range map[string]struct {
		line        line
		least, most int
	}{
		"the same region":     {line{90e6, 3e9}, 32, 64},
		"a fast machine":      {line{90e6, 50e9}, 64, 64},
		"a line that is thin": {line{50e6, 12e6}, 4, 6},
		"an office":           {line{40e6, 120e6}, 4, 8},
	} {
		p := newPace(16, 4, 64)
		if got := c.line.drive(p, 40); p.mu.known < c.least || p.mu.known > c.most {
			t.Errorf("%s: %d requests at a time (%d just now), want %d to %d", name, p.mu.known, got, c.least, c.most)
		}
	}
}

// A line that becomes better is found out.
func TestPaceTriesAgain(t *testing.T) {
	p := newPace(16, 4, 64)
	line{50e6, 12e6}.drive(p, 40)
	p.mu.begin = time.Time{}
	line{90e6, 50e9}.drive(p, 4*paceRest)
	if p.mu.known < 32 {
		t.Errorf("%d requests at a time", p.mu.known)
	}
}

// Who writes slower than the line is not measured, and a number that was set is kept.
func TestPaceLeavesAlone(t *testing.T) {
	now := time.Unix(1, 0)
	idle, fixed := newPace(16, 4, 64), newPace(7, 7, 7)
	for i := range 1000 {
		now = now.Add(time.Millisecond * time.Duration(1+i%7))
		if n := idle.landed(1<<20, i%5 != 0, now); n != 16 {
			t.Fatalf("%d requests at a time", n)
		}
		if n := fixed.landed(1<<20, true, now); n != 7 {
			t.Fatalf("%d requests at a time, not 7", n)
		}
	}
}
