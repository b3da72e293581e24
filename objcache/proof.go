package objcache

import (
	"math/bits"
	"os"

	"golang.org/x/sys/unix"
)

// A proof is what this process knows of the bytes of a data file: which of its blocks
// it has written itself, or read and found to have their checksums, and what the file
// looked like since. Whoever changes the file changes its ctime, so a proof holds for
// as long as the stamp does; what the disk itself does to bytes at rest does not show
// in a stamp. Guarded by diskCache.mu.
type proof struct {
	at      stamp
	right   []uint64 // a bit a block
	count   int64    // of the bits
	epoch   uint64   // counts the times that it was begun anew
	changes uint64   // counts the changes that this process has made to the file
	writing bool     // this process is changing the file: its stamp is not at
	kept    bool     // the disk has taken all that was written
	asked   bool     // the keeper has been asked to make it complete
}

// stamp is what changes with every change of a file.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

// stampOf returns the zero stamp, which is no file's, on an error.
func stampOf(f *os.File) stamp {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return stamp{}
	}
	return stamp{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
}

// begin forgets all blocks.
func (p *proof) begin(at stamp) {
	*p = proof{at: at, epoch: p.epoch + 1, changes: p.changes}
}

func (p *proof) add(index, blocks int64) {
	if p.right == nil {
		p.right = make([]uint64, ceilDiv(blocks, 64))
	}
	word, bit := index/64, uint64(1)<<(index%64)
	if p.right[word]&bit == 0 {
		p.right[word] |= bit
		p.count++
	}
}

func (p *proof) has(index int64) bool {
	return p.right != nil && p.right[index/64]&(1<<(index%64)) != 0
}

func (p *proof) remove(index int64) {
	word, bit := index/64, uint64(1)<<(index%64)
	if p.right != nil && p.right[word]&bit != 0 {
		p.right[word] &^= bit
		p.count--
	}
	p.kept, p.asked = false, false
}

// addAll is for a file whose bytes the caller vouches for.
func (p *proof) addAll(blocks int64) {
	p.right = make([]uint64, ceilDiv(blocks, 64))
	for i := range p.right {
		p.right[i] = ^uint64(0)
	}
	p.count = blocks
}

// missing returns the first block from index on that is not known to be right; -1: none.
func (p *proof) missing(index, blocks int64) int64 {
	for index < blocks {
		if p.right == nil {
			return index
		}
		if rest := ^p.right[index/64] >> (index % 64); rest != 0 {
			if index += int64(bits.TrailingZeros64(rest)); index < blocks {
				return index
			}
			return -1
		}
		index = (index/64 + 1) * 64
	}
	return -1
}

// sighting is a look at a file that is about to be checked.
type sighting struct {
	epoch uint64
	valid bool
}

// provable reports whether a file is worth a proof.
func (s *session) provable() bool { return s.size >= minWhole }

// look notes the state of the file before a block is read.
func (s *session) look() (at sighting) {
	if !s.provable() {
		return at
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.e.state != live {
		return at
	}
	s.d.compareLocked(s.e, s.data)
	return sighting{s.e.proof.epoch, true}
}

// compareLocked begins the proof of e anew if somebody else has changed its file f. It
// gives up d.mu for the look at f, and looks again if this process has changed it
// meanwhile. While this process is changing it, what is known of the other blocks stands:
// changing has compared, and changed notes the new stamp.
func (d *diskCache) compareLocked(e *entry, f *os.File) {
	for p := &e.proof; !p.writing; {
		before := p.changes
		d.mu.Unlock()
		now := stampOf(f)
		d.mu.Lock()
		if p.writing || p.changes != before {
			continue
		}
		if p.at != now {
			p.begin(now)
		}
		return
	}
}

// found notes that the block is right, as read since at.
func (s *session) found(index int64, at sighting) {
	if !at.valid {
		return
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if p := &s.e.proof; s.e.state == live && p.epoch == at.epoch {
		p.add(index, s.blocks())
		s.d.completeLocked(s.e)
	}
}

// changing tells that this process is about to change the file. The caller holds e.io,
// and calls changed.
func (s *session) changing() {
	if !s.provable() {
		return
	}
	now := stampOf(s.data)
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	p := &s.e.proof
	if p.at != now || p.writing {
		p.begin(now)
	}
	p.writing = true
}

// changed ends what changing began: n blocks are right now, or not there.
func (s *session) changed(index int64, n int, right bool) {
	if !s.provable() {
		return
	}
	now := stampOf(s.data)
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	p := &s.e.proof
	if !p.writing {
		return
	}
	p.at, p.writing, p.kept = now, false, false
	p.changes++
	for i := range int64(n) {
		if right {
			p.add(index+i, s.blocks())
		} else {
			p.remove(index + i)
		}
	}
	if right {
		s.d.completeLocked(s.e)
	}
}

func (s *session) blocks() int64 { return ceilDiv(s.size, s.d.blockSize) }

// completeLocked gives a file all of whose blocks are right to the keeper.
func (d *diskCache) completeLocked(e *entry) {
	if e.proof.count == ceilDiv(e.size, d.blockSize) && !e.proof.kept {
		d.askKeeperLocked(e)
	}
}
