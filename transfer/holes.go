package transfer

import (
	"bytes"
	"io"
)

// holeSize is the least run of zeros in bytes that is left out of a file: a block of most
// file systems.
const holeSize = 4 << 10

// holeWriter writes to a new file from an offset on, and leaves out blocks of zeros: where
// nothing is written, a file system reads zeros and keeps nothing, so that a sparse file
// stays one.
type holeWriter struct {
	w    io.WriterAt
	off  int64
	hole bool // the last byte was left out
}

func (h *holeWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, zero := h.run(p[done:])
		if !zero {
			if _, err := h.w.WriteAt(p[done:done+n], h.off); err != nil {
				return done, err
			}
		}
		h.off, h.hole = h.off+int64(n), zero
		done += n
	}
	return done, nil
}

// run returns how many bytes at the beginning of p can be left out, or must be written.
func (h *holeWriter) run(p []byte) (n int, zero bool) {
	for n < len(p) {
		block := p[n:min(len(p), n+holeSize-int((h.off+int64(n))%holeSize))]
		z := len(block) == holeSize && block[0] == 0 && bytes.Equal(block[1:], block[:holeSize-1])
		if n > 0 && z != zero {
			break
		}
		n, zero = n+len(block), z
	}
	return n, zero
}

// end makes the file reach up to the last byte that was left out.
func (h *holeWriter) end() error {
	if !h.hole {
		return nil
	}
	_, err := h.w.WriteAt([]byte{0}, h.off-1)
	return err
}
