package s3fake

import (
	"crypto/md5"
	"hash"
	"hash/maphash"
	"io"
	"sync"
)

// recall remembers the slow hashes of bodies by a fast one, for Options.RecallSums.
type recall struct {
	seed maphash.Seed
	mu   struct {
		sync.Mutex
		sums map[recallKey][]byte
	}
}

// recallKey is one hash of one body.
type recallKey struct {
	body uint64 // its fast hash
	size int64
	name string // of the slow hash
}

func newRecall() *recall {
	r := &recall{seed: maphash.MakeSeed()}
	r.mu.sums = make(map[recallKey][]byte)
	return r
}

// recalled is a hash whose sum is known.
type recalled struct {
	hash.Hash
	sum []byte
}

func (h *recalled) Sum(b []byte) []byte { return append(b, h.sum...) }

// finish returns h with the sum of body: computed the first time, known from then on.
func (r *recall) finish(h hash.Hash, name string, body *rope, fast uint64) hash.Hash {
	key := recallKey{fast, body.size, name}
	r.mu.Lock()
	sum := r.mu.sums[key]
	r.mu.Unlock()
	if sum == nil {
		body.writeTo(h, 0, body.size) // a hash takes everything
		sum = h.Sum(nil)
		r.mu.Lock()
		r.mu.sums[key] = sum
		r.mu.Unlock()
	}
	return &recalled{h, sum}
}

// readRecalled is readSummed, but for bodies that came before.
func (s *Server) readRecalled(in io.Reader, d *digest, expected []expectation) (*rope, error) {
	var fast maphash.Hash
	fast.SetSeed(s.recall.seed)
	body, err := s.depot.read(in, &fast)
	if err != nil {
		return nil, err
	}
	for i, e := range expected {
		expected[i].hash = s.recall.finish(e.hash, e.name, body, fast.Sum64())
	}
	d.finish(body)
	if d.fast == nil {
		d.md5 = s.recall.finish(md5.New(), "MD5", body, fast.Sum64())
	}
	return body, nil
}
