package transfer

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync"
)

// sumBuf is how many bytes are summed up at a time.
const sumBuf = 1 << 20

// sumParts reads a content once, and returns its MD5 sum and the SHA-256 of its parts.
// MD5 cannot be computed by more than one core, and nothing can be sent before it is
// there: so reading and SHA-256 have their time beside it, not behind it. Memory: two
// buffers of sumBuf.
func sumParts(ctx context.Context, c Content, partSize int64) (string, [][sha256.Size]byte, error) {
	size := c.Size()
	body, err := c.Range(ctx, 0, size)
	if err != nil {
		return "", nil, err
	}
	defer body.Close()
	whole, part := newSummer(md5.New()), newSummer(sha256.New())
	defer whole.close()
	defer part.close()
	sums := make([][sha256.Size]byte, 0, (size+partSize-1)/partSize)
	var bufs [2][]byte
	for i := range bufs {
		bufs[i] = make([]byte, min(sumBuf, size))
	}
	for off := int64(0); off < size; {
		end := min(size, int64(len(sums)+1)*partSize)
		buf := bufs[0][:min(sumBuf, end-off)]
		if _, err := io.ReadFull(body, buf); err != nil {
			return "", nil, err
		}
		whole.wait()
		part.wait()
		whole.start(buf)
		part.start(buf)
		bufs[0], bufs[1] = bufs[1], bufs[0]
		if off += int64(len(buf)); off == end {
			part.wait()
			sums = append(sums, [sha256.Size]byte(part.h.Sum(nil)))
			part.h.Reset()
		}
	}
	whole.wait()
	return hex.EncodeToString(whole.h.Sum(nil)), sums, c.Unchanged()
}

// summer is a hash that is computed by a goroutine of its own.
type summer struct {
	h    hash.Hash
	work chan []byte
	busy sync.WaitGroup
}

func newSummer(h hash.Hash) *summer {
	s := &summer{h: h, work: make(chan []byte)}
	go func() { // ends with close
		for p := range s.work {
			s.h.Write(p)
			s.busy.Done()
		}
	}()
	return s
}

// start adds p, which stays as it is until wait has returned.
func (s *summer) start(p []byte) {
	s.busy.Add(1)
	s.work <- p
}

func (s *summer) wait() { s.busy.Wait() }

func (s *summer) close() {
	s.busy.Wait()
	close(s.work)
}
