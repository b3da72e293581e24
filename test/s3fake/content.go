package s3fake

import (
	"bytes"
	"hash/maphash"
	"io"
	"runtime"
	"sort"
	"sync"
	"weak"
)

// chunkSize is the grain in which bodies are stored, compared and sent.
const chunkSize = 64 << 10

// rope is the body of an object: immutable pieces one behind the other. Copies and
// multipart uploads share pieces.
type rope struct {
	pieces []piece
	size   int64
}

// piece is n bytes of a rope: a part of a chunk, or of a pattern when chunk is nil.
type piece struct {
	at    int64 // offset in the rope
	n     int64
	chunk *chunk
	from  int64   // offset in the chunk or pattern
	pat   Pattern // used when chunk is nil
}

// chunk is bytes that never change.
type chunk struct{ b []byte }

// add appends p, and joins it with the last piece where both are one pattern's run.
func (r *rope) add(p piece) {
	if p.n == 0 {
		return
	}
	p.at = r.size
	r.size += p.n
	if len(r.pieces) > 0 && p.chunk == nil {
		last := &r.pieces[len(r.pieces)-1]
		end := last.from + last.n
		if last.chunk == nil && end%8 == 0 && p.from%8 == 0 &&
			uint64(last.pat)+uint64(end/8)*stride == uint64(p.pat)+uint64(p.from/8)*stride {
			last.n += p.n
			return
		}
	}
	r.pieces = append(r.pieces, p)
}

// slice returns n bytes of r from off on; both must lie within r.
func (r *rope) slice(off, n int64) *rope {
	out := &rope{}
	r.each(off, n, func(p piece) error { out.add(p); return nil })
	return out
}

// each calls f for the pieces that make up n bytes from off on, cut to fit.
func (r *rope) each(off, n int64, f func(piece) error) error {
	i := sort.Search(len(r.pieces), func(i int) bool { return r.pieces[i].at+r.pieces[i].n > off })
	for ; n > 0 && i < len(r.pieces); i++ {
		p := r.pieces[i]
		skip := off - p.at
		p.from += skip
		p.n = min(p.n-skip, n)
		if err := f(p); err != nil {
			return err
		}
		off += p.n
		n -= p.n
	}
	return nil
}

// concat returns the bytes of all ropes in order.
func concat(ropes []*rope) *rope {
	out := &rope{}
	for _, r := range ropes {
		for _, p := range r.pieces {
			out.add(p)
		}
	}
	return out
}

// sum tells h what distinguishes r from ropes with other bytes. Of a pattern that is little:
// equal bytes that were read from a body are in equal pieces.
func (r *rope) sum(h *maphash.Hash) {
	for _, p := range r.pieces {
		if p.chunk != nil {
			h.Write(p.chunk.b[p.from : p.from+p.n])
			continue
		}
		maphash.WriteComparable(h, [2]uint64{uint64(p.pat) + uint64(p.from/8)*stride, uint64(p.n)})
	}
}

var buffers = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// writeTo writes n bytes from off on to w.
func (r *rope) writeTo(w io.Writer, off, n int64) error {
	return r.each(off, n, func(p piece) error {
		if p.chunk != nil {
			_, err := w.Write(p.chunk.b[p.from : p.from+p.n])
			return err
		}
		buf := buffers.Get().(*[chunkSize]byte)
		defer buffers.Put(buf)
		for done := int64(0); done < p.n; {
			b := buf[:min(chunkSize, p.n-done)]
			p.pat.ReadAt(b, p.from+done)
			if _, err := w.Write(b); err != nil {
				return err
			}
			done += int64(len(b))
		}
		return nil
	})
}

// bytes returns all of r in one slice.
func (r *rope) bytes() []byte {
	var b bytes.Buffer
	b.Grow(int(r.size))
	r.writeTo(&b, 0, r.size) // a Buffer takes everything
	return b.Bytes()
}

// depot stores equal chunks once. It holds them weakly: what no object refers to any
// more is the garbage collector's.
type depot struct {
	seed maphash.Seed
	mu   struct {
		sync.Mutex
		chunks map[uint64]weak.Pointer[chunk]
	}
}

func newDepot() *depot {
	d := &depot{seed: maphash.MakeSeed()}
	d.mu.chunks = make(map[uint64]weak.Pointer[chunk])
	return d
}

// keep returns a chunk with the bytes of b, and whether b itself became its storage.
func (d *depot) keep(b []byte) (c *chunk, taken bool) {
	sum := maphash.Bytes(d.seed, b)
	d.mu.Lock()
	old := d.mu.chunks[sum].Value()
	d.mu.Unlock()
	if old != nil && bytes.Equal(old.b, b) {
		return old, false
	}
	c = &chunk{b: b}
	runtime.AddCleanup(c, d.forget, sum)
	d.mu.Lock()
	d.mu.chunks[sum] = weak.Make(c)
	d.mu.Unlock()
	return c, true
}

// forget drops the entry of a sum if its chunk is gone.
func (d *depot) forget(sum uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.mu.chunks[sum]; ok && p.Value() == nil {
		delete(d.mu.chunks, sum)
	}
}

// read takes a whole body in, telling each run of bytes to watch as well.
func (d *depot) read(body io.Reader, watch io.Writer) (*rope, error) {
	r := &rope{}
	scratch := buffers.Get().(*[chunkSize]byte)
	defer func() { buffers.Put(scratch) }()
	for {
		n, err := io.ReadFull(body, scratch[:])
		if n > 0 {
			watch.Write(scratch[:n])
			if d.store(r, scratch, n) {
				scratch = buffers.New().(*[chunkSize]byte)
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return r, nil
		default:
			return nil, err
		}
	}
}

// store appends the first n bytes of scratch to r, and reports whether scratch itself
// was kept, so that the caller needs another one.
func (d *depot) store(r *rope, scratch *[chunkSize]byte, n int) (taken bool) {
	p := piece{n: int64(n)}
	if pat, ok := recognise(scratch[:n]); ok {
		p.pat = pat
	} else if n == chunkSize {
		p.chunk, taken = d.keep(scratch[:])
	} else {
		p.chunk = &chunk{b: bytes.Clone(scratch[:n])}
	}
	r.add(p)
	return taken
}
