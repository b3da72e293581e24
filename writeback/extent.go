package writeback

import "sort"

// extent is the range [off, end) of bytes (or of blocks). It is never empty in a set.
type extent struct{ off, end int64 }

func (e extent) len() int64 { return e.end - e.off }

// clip returns the part of e inside [off, end); it may be empty.
func (e extent) clip(off, end int64) extent { return extent{max(e.off, off), min(e.end, end)} }

// extents is a set of ranges, kept sorted, disjoint and merged: two neighbours never
// touch. The zero value is the empty set. The user does the locking.
type extents struct{ list []extent }

// count is the number of ranges, which is what memory and insertion cost depend on.
func (x *extents) count() int { return len(x.list) }

func (x *extents) clear() { x.list = nil }

// after returns the index of the first range whose end is behind off.
func (x *extents) after(off int64) int {
	return sort.Search(len(x.list), func(i int) bool { return x.list[i].end > off })
}

// add puts [off, end) into the set.
func (x *extents) add(off, end int64) {
	if off >= end {
		return
	}
	if n := len(x.list); n > 0 && x.list[n-1].off <= off && off <= x.list[n-1].end {
		x.list[n-1].end = max(x.list[n-1].end, end) // appending is the usual case
		return
	}
	i := x.after(off - 1) // the first that touches or lies behind
	j := i
	for j < len(x.list) && x.list[j].off <= end {
		off, end = min(off, x.list[j].off), max(end, x.list[j].end)
		j++
	}
	if i == j {
		x.list = append(x.list, extent{})
		copy(x.list[i+1:], x.list[i:])
	} else {
		x.list = append(x.list[:i+1], x.list[j:]...)
	}
	x.list[i] = extent{off, end}
}

// cut removes everything from size on.
func (x *extents) cut(size int64) {
	i := x.after(size)
	if i < len(x.list) && x.list[i].off < size {
		x.list[i].end = size
		i++
	}
	x.list = x.list[:i]
}

// contains reports whether all of [off, end) is in the set.
func (x *extents) contains(off, end int64) bool {
	if off >= end {
		return true
	}
	i := x.after(off)
	return i < len(x.list) && x.list[i].off <= off && end <= x.list[i].end
}

// gap returns the first range inside [off, end) that is not in the set.
func (x *extents) gap(off, end int64) (extent, bool) {
	for i := x.after(off); i < len(x.list) && x.list[i].off <= off; i++ {
		off = x.list[i].end
	}
	if off >= end {
		return extent{}, false
	}
	if i := x.after(off); i < len(x.list) {
		end = min(end, x.list[i].off)
	}
	return extent{off, end}, true
}

// run tells whether off is in the set, and where that changes, at end at the latest.
func (x *extents) run(off, end int64) (inside bool, until int64) {
	i := x.after(off)
	switch {
	case i == len(x.list):
		return false, end
	case x.list[i].off > off:
		return false, min(end, x.list[i].off)
	}
	return true, min(end, x.list[i].end)
}

// covered is how much of [off, end) is in the set.
func (x *extents) covered(off, end int64) int64 {
	var sum int64
	for i := x.after(off); i < len(x.list) && x.list[i].off < end; i++ {
		sum += x.list[i].clip(off, end).len()
	}
	return sum
}

// missing is how much of [off, end) is not in the set.
func (x *extents) missing(off, end int64) int64 {
	if off >= end {
		return 0
	}
	return end - off - x.covered(off, end)
}

// windows chooses aligned ranges to fill, so that the number of ranges in the set falls
// by at least goal if that can be had by windows of one size: the smallest windows that
// join anything, the most crowded first. They come in ascending order.
func (x *extents) windows(smallest int64, goal int) []extent {
	for w := smallest; len(x.list) > 1; w *= 2 {
		crowded := map[int64]int{} // window number → ranges that begin in it
		for _, e := range x.list {
			crowded[e.off/w]++
		}
		if picked := pick(crowded, goal); len(picked) > 0 {
			out := make([]extent, len(picked))
			for i, n := range picked {
				out[i] = extent{n * w, (n + 1) * w}
			}
			return out
		}
	}
	return nil
}

// pick takes the most crowded windows until goal ranges would be saved, and returns
// their numbers in ascending order; none if no window holds two ranges.
func pick(crowded map[int64]int, goal int) []int64 {
	var numbers []int64
	for n, c := range crowded {
		if c > 1 {
			numbers = append(numbers, n)
		}
	}
	sort.Slice(numbers, func(i, j int) bool {
		a, b := numbers[i], numbers[j]
		if crowded[a] != crowded[b] {
			return crowded[a] > crowded[b]
		}
		return a < b
	})
	saved := 0
	for i, n := range numbers {
		if saved += crowded[n] - 1; saved >= goal {
			numbers = numbers[:i+1]
			break
		}
	}
	sort.Slice(numbers, func(i, j int) bool { return numbers[i] < numbers[j] })
	return numbers
}
