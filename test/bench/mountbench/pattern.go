package mountbench

import (
	"encoding/binary"

	"github.com/s3mount/s3mount/test/s3fake"
)

// checkPattern says whether data is a pattern's from off on. It compares whole words, at
// the speed of memory: readers are timed with it.
func checkPattern(p s3fake.Pattern, data []byte, off int64) error {
	if off%8 != 0 || len(data) < 16 {
		return p.Check(data, off)
	}
	var two [16]byte
	p.ReadAt(two[:], off)
	word := binary.LittleEndian.Uint64(two[:])
	step := binary.LittleEndian.Uint64(two[8:]) - word
	rest, bad := data, uint64(0)
	for len(rest) >= 32 {
		bad |= binary.LittleEndian.Uint64(rest) ^ word
		bad |= binary.LittleEndian.Uint64(rest[8:]) ^ (word + step)
		bad |= binary.LittleEndian.Uint64(rest[16:]) ^ (word + 2*step)
		bad |= binary.LittleEndian.Uint64(rest[24:]) ^ (word + 3*step)
		rest, word = rest[32:], word+4*step
	}
	if bad != 0 {
		return p.Check(data, off) // names the byte
	}
	return p.Check(rest, off+int64(len(data)-len(rest)))
}
