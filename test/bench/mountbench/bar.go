package mountbench

import (
	"fmt"
	"strings"

	"github.com/s3mount/s3mount/test/s3fake"
)

// bar is what s3mount is to reach. Zero values ask for nothing.
type bar struct {
	times   float64 // of the limit's seconds
	seconds float64
	settled float64 // most seconds until all is in the store
	bytes   float64 // most bytes received, as a multiple of needs
	needs   int64
	memory  int64 // most bytes of memory
	sent    int64 // most bytes sent
	noHeads bool  // no HEAD may be sent
	nothing bool  // nothing may be written
	most    int64 // most requests
}

// allowed is the seconds that the bar allows, given the limit's; 0: any.
func (b bar) allowed(limit float64) float64 {
	if b.times > 0 {
		return b.times * limit
	}
	return b.seconds
}

// word says what the bar is.
func (b bar) word(limit float64) string {
	var words []string
	if b.times > 0 {
		words = append(words, fmt.Sprintf("%.2f × limit", b.times))
		if limit > 0 {
			words[0] += fmt.Sprintf(" = %s s", number(b.allowed(limit)))
		}
	} else if b.seconds > 0 {
		words = append(words, fmt.Sprintf("%g s", b.seconds))
	}
	if b.settled > 0 {
		words[0] += fmt.Sprintf(" / %g s", b.settled)
	}
	if b.bytes > 0 {
		words = append(words, fmt.Sprintf("%.2f × the bytes", b.bytes))
	}
	if b.memory > 0 {
		words = append(words, fmt.Sprintf("%d MiB", b.memory>>20))
	}
	if b.sent > 0 {
		words = append(words, fmt.Sprintf("%d MB sent", b.sent/1e6))
	}
	if b.noHeads {
		words = append(words, "no HEAD")
	}
	if b.nothing {
		words = append(words, "nothing sent")
	}
	if b.most > 0 {
		words = append(words, fmt.Sprintf("%d requests", b.most))
	}
	return orDash(len(words) > 0, strings.Join(words, ", "))
}

// verdict says whether a run reaches the bar, and by what it misses it.
func (b bar) verdict(f figure, limit float64) string {
	if f.Failed != "" {
		return "✗ failed"
	}
	var missed []string
	allowed := b.allowed(limit)
	if allowed > 0 && f.Seconds > allowed {
		missed = append(missed, fmt.Sprintf("%.1f × the bar", f.Seconds/allowed))
	}
	if b.settled > 0 && f.Settled > b.settled {
		missed = append(missed, fmt.Sprintf("all in S3 %.1f × the bar", f.Settled/b.settled))
	}
	if b.bytes > 0 && float64(f.Out) > b.bytes*float64(b.needs) {
		missed = append(missed, fmt.Sprintf("%.2f × the bytes", float64(f.Out)/float64(b.needs)))
	}
	if b.memory > 0 && f.Peak > b.memory {
		missed = append(missed, fmt.Sprintf("%d MiB", f.Peak>>20))
	}
	if b.sent > 0 && f.In > b.sent {
		missed = append(missed, fmt.Sprintf("%d MB sent", f.In/1e6))
	}
	if n := f.Requests[s3fake.HeadObject]; b.noHeads && n > 0 {
		missed = append(missed, fmt.Sprintf("%d HEADs", n))
	}
	if n := f.writes(); b.nothing && n > 0 {
		missed = append(missed, fmt.Sprintf("%d writes", n))
	}
	if n := f.all(); b.most > 0 && n > b.most {
		missed = append(missed, fmt.Sprintf("%d requests", n))
	}
	switch {
	case len(missed) > 0:
		return "✗ " + strings.Join(missed, ", ")
	case b == bar{} || (b.times > 0 && limit == 0): // nobody can tell
		return ""
	}
	return "✓"
}

// writes is the number of requests that change something.
func (f figure) writes() int64 {
	var n int64
	for op, v := range f.Requests {
		if op.Writes() {
			n += v
		}
	}
	return n
}
