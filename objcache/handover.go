package objcache

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// inherit gives the files of one version to another one, whose own files, if it has any, go.
// Readers of the first that have its files open see blocks that don't match the checksums
// which they know (the index of the heir is another file), and that the version is gone.
func (d *diskCache) inherit(from, to name, s succession) {
	e := d.find(from, s.from)
	if e == nil || d.off.Load() || !d.worthInheriting(e, to, s.same()) {
		return
	}
	heir := d.claim(to)
	e.io.Lock()
	defer e.io.Unlock()
	h := d.beginHandOver(e, heir, s)
	if h == nil {
		d.forsake(heir)
		return
	}
	h.end(h.run())
}

// worthInheriting reports whether the files of e may be changed, or need not be where the
// bytes are the same, and are more than what there is of the version to.
func (d *diskCache) worthInheriting(e *entry, to name, same bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	other := d.mu.entries[to]
	more := other == nil || other.state == live && other.pins == 0 && other.reserved < e.reserved
	return more && !d.mu.closed && (e.pins == 0 || same)
}

// forsake forgets an entry in state making that has no files.
func (d *diskCache) forsake(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.goneLocked(e)
}

// handOver is the giving of the files of e to heir. The caller holds e.io.
type handOver struct {
	d       *diskCache
	s       succession
	e, heir *entry
	whole   bool  // all of e's file is right, with a record or without
	had     int64 // bytes of the budget, with what was taken for the heir
	proof   proof // of e

	data, index *os.File // of e; index may be nil
	buf         []byte
	cost        int64 // of the blocks that the heir has
	right       []int64
}

func (d *diskCache) beginHandOver(e, heir *entry, s succession) *handOver {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &handOver{d: d, s: s, e: e, heir: heir, whole: e.whole, had: e.reserved, proof: e.proof}
	if e.pins > 0 && !s.same() || !d.retireLocked(e) {
		return nil
	}
	e.reserved = 0
	return h
}

var errNothingLeft = errors.New("no block of the version before is right in the new one")

// run changes the files, under the old names first: all blocks that a crash leaves under
// either fail their checksums, or have no index.
func (h *handOver) run() (err error) {
	d, old := h.d, h.e.name
	if h.data, err = os.OpenFile(d.path(old, dataSuffix), os.O_RDWR, 0); err != nil {
		return err
	}
	if h.index, err = os.Open(d.path(old, indexSuffix)); err == nil {
		err = os.Remove(h.index.Name())
	} else if h.whole {
		err = nil
	}
	if err != nil {
		return err
	}
	if h.proof.writing || h.proof.at != stampOf(h.data) {
		h.proof = proof{}
	}
	if len(h.s.changed) > 0 || h.s.to != h.s.from { // a rename, of many files at the same time, needs none
		h.buf = make([]byte, d.blockSize)
	}
	to := d.path(h.heir.name, dataSuffix)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if h.whole {
		err = h.patchWhole()
	} else {
		err = h.patchBlocks()
	}
	if err == nil && h.s.to != h.s.from {
		err = h.data.Truncate(h.s.to)
	}
	if err == nil {
		err = os.Rename(h.data.Name(), to)
	}
	return err
}

// take takes n more bytes of the budget.
func (h *handOver) take(n int64) bool {
	if n <= 0 {
		return true
	}
	if !h.d.reserve(n, nil) {
		return false
	}
	h.had += n
	return true
}

var errNoRoom = errors.New("the disk cache has no room")

// patchWhole puts all that is changed into a file that is right as a whole.
func (h *handOver) patchWhole() error {
	d, s := h.d, &h.s
	held := h.had
	if h.index != nil {
		held -= indexCost(s.from, d.blockSize)
	}
	h.cost = held
	for _, r := range s.changed {
		h.cost += pages(r.End()) - r.Off&^(page-1)
	}
	h.cost = min(h.cost, pages(s.to))
	if !h.take(h.cost - held) {
		return errNoRoom
	}
	for _, r := range s.changed {
		for off := r.Off; off < r.End(); off += int64(len(h.buf)) {
			p := h.buf[:min(int64(len(h.buf)), r.End()-off)]
			if err := s.overlay(p, off, h.writeData); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *handOver) writeData(p []byte, off int64) error { return h.d.pwrite(h.data, off, p) }

// patchBlocks puts what is changed into the blocks that are there, and makes the index of the
// heir.
func (h *handOver) patchBlocks() (err error) {
	d, s := h.d, &h.s
	beside := h.had - d.recorded(h.index, s.from) - indexCost(s.from, d.blockSize) // what a crash left
	if !h.take(indexCost(s.to, d.blockSize) - indexCost(s.from, d.blockSize)) {
		return errNoRoom
	}
	if err := d.createIndex(h.heir.name, s.to); err != nil {
		return err
	}
	fresh, err := os.OpenFile(d.path(h.heir.name, indexSuffix), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	const atOnce = 4096
	for first := int64(0); first < ceilDiv(s.to, d.blockSize); first += atOnce {
		records := make([]byte, recordSize*min(atOnce, ceilDiv(s.to, d.blockSize)-first))
		k, _ := h.index.ReadAt(records, recordOffset(first)) // what is not read is not there
		clear(records[k:])
		some, err := h.patchRecords(records, first)
		if err == nil && some {
			err = d.pwrite(fresh, recordOffset(first), records)
		}
		if err != nil {
			return err
		}
	}
	if h.cost == 0 {
		return errNothingLeft
	}
	h.cost += indexCost(s.to, d.blockSize) + max(beside, 0)
	return nil
}

// patchRecords makes the records of blocks from first on those of the heir; false: none of
// them is there.
func (h *handOver) patchRecords(records []byte, first int64) (some bool, err error) {
	for i := range int64(len(records) / recordSize) {
		r, index := (*record)(records[i*recordSize:]), first+i
		crc, ok := r.crc(index)
		was := ok && index*h.s.blockSize < h.s.from
		ok = was
		if h.s.affects(index) {
			if crc, ok, err = h.patch(index, crc, was); err != nil {
				return false, err
			}
		} else if ok && h.proof.has(index) {
			h.right = append(h.right, index)
		}
		off, end := h.s.block(index)
		switch {
		case ok:
			*r, some = makeRecord(index, crc), true
			h.cost += pages(end - off)
			continue
		case was: // its space is given back, where the file system can
			const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
			_ = unix.Fallocate(int(h.data.Fd()), mode, off, h.s.blockSize)
		}
		*r = record{}
	}
	return some, nil
}

// patch makes a block of the old version one of the heir, and returns its checksum; false: it
// can't be had, or nothing of it is left. was says that it is there, with the checksum crc.
func (h *handOver) patch(index int64, crc uint32, was bool) (uint32, bool, error) {
	s := &h.s
	off, end := s.block(index)
	if !was || s.covered(off, end) {
		return 0, false, nil
	}
	p := h.buf[:min(s.blockSize, s.from-off)]
	if _, err := h.data.ReadAt(p, off); err != nil || crc32.Checksum(p, castagnoli) != crc {
		return 0, false, nil
	}
	if !h.take(pages(end-off) - pages(int64(len(p)))) {
		return 0, false, nil
	}
	p = h.buf[:end-off]
	if err := s.overlay(p, off, h.writeData); err != nil {
		return 0, false, err
	}
	h.right = append(h.right, index)
	return crc32.Checksum(p, castagnoli), true, nil
}

// end makes the heir live, or takes away what is left of either after an error.
func (h *handOver) end(err error) {
	d, heir := h.d, h.heir
	at := stamp{}
	if h.data != nil {
		if err == nil {
			at = stampOf(h.data)
		}
		h.data.Close() // nothing is lost with an error: every block has its checksum
	}
	if h.index != nil {
		h.index.Close()
	}
	if err != nil {
		for _, n := range []name{h.e.name, heir.name} {
			os.Remove(d.path(n, indexSuffix)) // one without data is found at the next start
			os.Remove(d.path(n, dataSuffix))
		}
		h.cost = 0
	}
	if err != nil && !errors.Is(err, errNothingLeft) && !errors.Is(err, errNoRoom) && !errors.Is(err, os.ErrNotExist) {
		d.log.Warn("what is cached of a file's version before is not kept for the new one", "op", "inherit", "key", h.s.key, "dir", d.dir, "err", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil && h.e.pins > 0 { // the space is free once the last has closed the file
		h.e.reserved, h.had = h.had, 0
	}
	d.budget.Release(h.had - h.cost)
	d.goneLocked(h.e)
	if err != nil {
		d.goneLocked(heir)
		return
	}
	heir.size, heir.reserved, heir.whole = h.s.to, h.cost, h.whole
	h.prove(at)
	d.settleLocked(heir, true, time.Now())
	d.movePinsLocked(h.e, heir)
	if heir.whole {
		d.mu.unsummed = append(d.mu.unsummed, heir)
		d.rouse()
	}
}

// prove begins the proof of the heir with what is known of its blocks. Guarded by d.mu.
func (h *handOver) prove(at stamp) {
	blocks := ceilDiv(h.s.to, h.d.blockSize)
	if at.size != h.s.to || h.s.to < minWhole {
		return
	}
	p := &h.heir.proof
	p.begin(at)
	switch {
	case !h.whole:
		for _, index := range h.right {
			p.add(index, blocks)
		}
	case h.proof.count == ceilDiv(h.s.from, h.d.blockSize):
		p.addAll(blocks)
	}
	h.d.completeLocked(h.heir)
}
