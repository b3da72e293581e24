package writeback

import "testing"

const mib = 1 << 20

func TestLayoutTilesTheObject(t *testing.T) {
	for _, first := range []int64{5 * mib, 6*mib + 1, 8 * mib, 64 * mib, 1 << 30, maxPartSize} {
		l := layout{first}
		if got := l.capacity(); got != maxObjectSize {
			t.Fatalf("first %d: capacity %d, want 5 TiB", first, got)
		}
		var off int64
		for n := 1; n <= maxParts; n++ {
			p := l.part(n)
			if p.number != n || p.off != off || p.size < first || p.size > maxPartSize {
				t.Fatalf("first %d: part %d = %+v, want it at %d", first, n, p, off)
			}
			for _, at := range []int64{p.off, p.off + p.size/2, p.end() - 1} {
				if got := l.at(at); got != p {
					t.Fatalf("first %d: at(%d) = %+v, want %+v", first, at, got, p)
				}
			}
			off = p.end()
		}
	}
}

func TestLayoutPartsOfASize(t *testing.T) {
	l := layout{8 * mib}
	sizes := []int64{0, 1, maxObjectSize - 1, maxObjectSize}
	for n := 1; n <= 9500; n += 37 {
		end := l.part(n).end()
		if end >= maxObjectSize {
			break
		}
		sizes = append(sizes, end-1, end, end+1)
	}
	for _, size := range sizes {
		parts := l.parts(size)
		var sum int64
		for i, p := range parts {
			full := l.part(i + 1)
			last := i == len(parts)-1
			if p.number != i+1 || p.off != full.off || !last && p.size != full.size {
				t.Fatalf("size %d: part %d = %+v", size, i+1, p)
			}
			if last && (p.size > full.size || p.size <= 0 && size > 0) {
				t.Fatalf("size %d: last part %+v", size, p)
			}
			sum += p.size
		}
		if sum != size || len(parts) > maxParts {
			t.Fatalf("size %d: %d parts of %d bytes", size, len(parts), sum)
		}
	}
}

func TestLayoutOfTinyPartsHasACapacity(t *testing.T) {
	l := layout{1}
	size := l.capacity()
	if parts := l.parts(size); len(parts) != maxParts || parts[maxParts-1].end() != size {
		t.Fatalf("%d parts for %d bytes", len(parts), size)
	}
}
