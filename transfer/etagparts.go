package transfer

import (
	"crypto/md5"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
)

// The ETag of an object that was uploaded in parts is, at most stores, the MD5 of the parts'
// MD5s, with their number behind it. With it, ranges of whole parts can be summed up as they
// come, by as many cores as there are, where the MD5 of all is computed by one.

// partSizeOf returns the size in bytes of the parts that an ETag of parts tells of. It does
// not tell the size, but clients take whole MiB: 0 unless exactly one number of them fits.
func partSizeOf(etag string, size int64) int64 {
	const mib = 1 << 20
	sum, count, ok := strings.Cut(etag, "-")
	n, err := strconv.ParseInt(count, 10, 32)
	if raw, herr := hex.DecodeString(sum); !ok || err != nil || herr != nil || len(raw) != md5.Size || n < 2 || size < n {
		return 0
	}
	least := ((size+n-1)/n + mib - 1) / mib * mib // the least that needs no more parts
	if fits := func(p int64) bool { return (size+p-1)/p == n }; !fits(least) || fits(least+mib) {
		return 0
	}
	return least
}

// partSums are the MD5 sums of an object's parts. Ranges of whole parts may be summed up at
// the same time.
type partSums struct {
	etag string
	size int64 // of a part
	sums [][md5.Size]byte
}

// newPartSums is nil where the ETag does not tell the parts.
func newPartSums(etag string, size int64) *partSums {
	part := partSizeOf(etag, size)
	if part == 0 {
		return nil
	}
	return &partSums{etag: etag, size: part, sums: make([][md5.Size]byte, (size+part-1)/part)}
}

// at returns what sums up the bytes from off on, which is the beginning of a part. It is
// closed behind the last of them.
func (p *partSums) at(off int64) *partSummer {
	return &partSummer{p: p, part: off / p.size, left: p.size, h: md5.New()}
}

// match reports whether the parts are those of the ETag, after all are summed up.
func (p *partSums) match() bool {
	all := md5.New()
	for _, s := range p.sums {
		all.Write(s[:])
	}
	return strings.EqualFold(p.etag, hex.EncodeToString(all.Sum(nil))+"-"+strconv.Itoa(len(p.sums)))
}

// partSummer is the writer that at returns.
type partSummer struct {
	p    *partSums
	part int64 // that is summed up
	left int64 // bytes to its end
	h    hash.Hash
}

func (s *partSummer) Write(data []byte) (int, error) {
	for rest := data; len(rest) > 0; {
		n := min(int64(len(rest)), s.left)
		s.h.Write(rest[:n])
		rest = rest[n:]
		if s.left -= n; s.left == 0 {
			s.end()
		}
	}
	return len(data), nil
}

func (s *partSummer) end() {
	copy(s.p.sums[s.part][:], s.h.Sum(nil))
	s.part, s.left = s.part+1, s.p.size
	s.h.Reset()
}

// close ends the last part, which may be shorter.
func (s *partSummer) close() {
	if s.left < s.p.size {
		s.end()
	}
}
