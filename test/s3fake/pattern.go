package s3fake

import (
	"encoding/binary"
	"fmt"
	"io"
)

// stride is the step between two words of a Pattern: odd, so that no word repeats
// within 2^64 of them, and with well mixed bits (2^64 divided by the golden ratio).
const stride = 0x9E3779B97F4A7C15

// Pattern is an endless run of bytes that can be made anew at any offset. No aligned
// eight bytes of it occur twice, so a block that ends up at a wrong offset shows.
// The server stores bytes of a pattern at no cost when they arrive in runs that start
// at a multiple of eight.
type Pattern uint64

// NewPattern returns the pattern of a seed.
func NewPattern(seed uint64) Pattern {
	z := seed + stride
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return Pattern(z ^ z>>31)
}

// ReadAt fills p with the pattern's bytes from off on. It never fails; off must not
// be negative.
func (a Pattern) ReadAt(p []byte, off int64) (int, error) {
	n := len(p)
	word := uint64(a) + uint64(off/8)*stride
	if skip := off % 8; skip != 0 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word)
		p = p[copy(p, b[skip:]):]
		word += stride
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, word)
		p, word = p[8:], word+stride
	}
	if len(p) > 0 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word)
		copy(p, b[:])
	}
	return n, nil
}

// Reader returns the first size bytes of the pattern.
func (a Pattern) Reader(size int64) *io.SectionReader {
	return io.NewSectionReader(a, 0, size)
}

// Check returns an error naming the first byte of p that is not the pattern's, where
// p[0] stands at off.
func (a Pattern) Check(p []byte, off int64) error {
	var buf [4096]byte
	for done := 0; done < len(p); {
		want := buf[:min(len(buf), len(p)-done)]
		a.ReadAt(want, off+int64(done))
		for i, w := range want {
			if got := p[done+i]; got != w {
				return fmt.Errorf("byte %d is %#02x, want %#02x", off+int64(done+i), got, w)
			}
		}
		done += len(want)
	}
	return nil
}

// recognise reports whether p is a run of a pattern, and which one begins with it.
func recognise(p []byte) (Pattern, bool) {
	if len(p) < 64 || len(p)%8 != 0 {
		return 0, false
	}
	first := binary.LittleEndian.Uint64(p)
	word, step := first, uint64(stride)
	for ; len(p) >= 32; p = p[32:] { // four words at a time are three times as fast
		bad := binary.LittleEndian.Uint64(p) ^ word
		bad |= binary.LittleEndian.Uint64(p[8:]) ^ (word + step)
		bad |= binary.LittleEndian.Uint64(p[16:]) ^ (word + 2*step)
		bad |= binary.LittleEndian.Uint64(p[24:]) ^ (word + 3*step)
		if bad != 0 {
			return 0, false
		}
		word += 4 * step
	}
	for ; len(p) > 0; p = p[8:] {
		if binary.LittleEndian.Uint64(p) != word {
			return 0, false
		}
		word += stride
	}
	return Pattern(first), true
}
