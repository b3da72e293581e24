package objcache

import (
	"math/bits"

	"golang.org/x/sys/unix"
)

// minBuffer is the smallest buffer in bytes; the others are its doubles.
const minBuffer = 4 << 10

// pool hands out buffers of power-of-two sizes up to the block size, and keeps those
// that come back for reuse. All it ever made and did not give back to the system,
// total, stays within limit. It has no lock of its own.
type pool struct {
	limit       int64
	total, used int64 // bytes made; bytes of them that are handed out
	blockSize   int
	idle        [][][]byte // by size class
	closed      bool
	// The source of block-sized buffers. They come from outside of the garbage
	// collector's heap, which would otherwise let as much garbage pile up beside them
	// as they hold. Smaller buffers are ordinary slices.
	alloc func(int) []byte // nil when the system has no memory
	free  func([]byte)
}

func newPool(limit int64, blockSize int, alloc func(int) []byte, free func([]byte)) pool {
	return pool{
		limit: limit, blockSize: blockSize, alloc: alloc, free: free,
		idle: make([][][]byte, classOf(blockSize)+1),
	}
}

// classOf returns the class of the smallest buffer that holds n bytes.
func classOf(n int) int { return bits.Len(uint(max(n, minBuffer)-1)) - bits.Len(uint(minBuffer-1)) }

// get returns a buffer of length n, at most the block size, with any content; nil if
// that would exceed the limit.
func (p *pool) get(n int) []byte {
	class := classOf(n)
	size := minBuffer << class
	if l := len(p.idle[class]); l > 0 {
		b := p.idle[class][l-1]
		p.idle[class] = p.idle[class][:l-1]
		p.used += int64(size)
		return b[:n]
	}
	p.shrink(p.limit - int64(size))
	if p.closed || p.total+int64(size) > p.limit {
		return nil
	}
	b := p.fresh(size)
	if b == nil {
		return nil
	}
	p.total += int64(size)
	p.used += int64(size)
	return b[:n]
}

func (p *pool) fresh(size int) []byte {
	if size == p.blockSize {
		return p.alloc(size)
	}
	return make([]byte, size)
}

// put takes a buffer of get back.
func (p *pool) put(b []byte) {
	b = b[:cap(b)]
	p.used -= int64(len(b))
	class := classOf(len(b))
	p.idle[class] = append(p.idle[class], b)
	if p.closed {
		p.shrink(0)
	}
}

// shrink gives idle buffers back to the system until the total is at most target.
func (p *pool) shrink(target int64) {
	for class, idle := range p.idle {
		for len(idle) > 0 && p.total > target {
			b := idle[len(idle)-1]
			idle[len(idle)-1] = nil
			idle = idle[:len(idle)-1]
			p.total -= int64(len(b))
			if len(b) == p.blockSize {
				p.free(b)
			}
		}
		p.idle[class] = idle
	}
}

// close makes get fail, and gives back what is idle now or becomes it later.
func (p *pool) close() {
	p.closed = true
	p.shrink(0)
}

// mapBuffer makes a buffer outside of the garbage collector's heap.
func mapBuffer(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return b[:n:n]
}

// unmapBuffer ends a buffer of mapBuffer. An error would mean that b is none, and
// leaves it mapped.
func unmapBuffer(b []byte) { _ = unix.Munmap(b) }
