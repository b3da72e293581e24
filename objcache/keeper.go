package objcache

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// The keeper is one goroutine that makes the proofs of files complete: it has the
// kernel write what is in its memory, so that a disk that fails to take it is found out
// while the file is still read with checksums, and checks the last few blocks of a file
// that nobody has read since this process started.

// fewMissing is the share of a file's blocks that the keeper checks at most: one in so
// many. The others are checked when they are read.
const fewMissing = 4

// askKeeperLocked queues an entry for the keeper, once.
func (d *diskCache) askKeeperLocked(e *entry) {
	if e.proof.asked {
		return
	}
	e.proof.asked = true
	d.mu.unkept = append(d.mu.unkept, e)
	select {
	case d.wakeKeeper <- struct{}{}:
	default: // it is awake
	}
}

// keep runs until ctx ends.
func (d *diskCache) keep(ctx context.Context) {
	for {
		d.mu.Lock()
		var e *entry
		if len(d.mu.unkept) > 0 {
			e, d.mu.unkept = d.mu.unkept[0], d.mu.unkept[1:]
		}
		d.mu.Unlock()
		if e != nil && ctx.Err() == nil {
			d.keepEntry(ctx, e)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wakeKeeper:
		}
	}
}

func (d *diskCache) keepEntry(ctx context.Context, e *entry) {
	s := d.openEntry(e)
	defer s.close()
	done := s != nil && s.checkMissing(ctx) && s.writeOut()
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &e.proof
	p.asked = false
	p.kept = done && e.state == live && !p.writing && p.count == ceilDiv(e.size, d.blockSize)
}

// checkMissing reads the blocks that are not known to be right; false: one is not.
func (s *session) checkMissing(ctx context.Context) bool {
	var buf []byte
	for index := int64(0); ctx.Err() == nil; index++ {
		s.d.mu.Lock()
		index = s.e.proof.missing(index, s.blocks())
		s.d.mu.Unlock()
		if index < 0 {
			return true
		}
		if _, ok := s.crc(index); !ok {
			return false
		}
		if buf == nil {
			buf = make([]byte, s.d.blockSize)
		}
		if !s.read(index, buf[:s.blockLen(index)]) {
			return false
		}
	}
	return false
}

// writeOut makes the kernel write the data file; on an error the version is given up.
func (s *session) writeOut() bool {
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	err := s.d.syncOut(s.data, all)
	if err == nil {
		return true
	}
	s.d.log.Warn("the disk failed to keep a file of the cache: it will be fetched again", "file", s.data.Name(), "err", err)
	s.d.giveUp(s.e)
	return false
}

func syncOut(f *os.File, flags int) error {
	return unix.SyncFileRange(int(f.Fd()), 0, 0, flags)
}

// giveUp removes the files of a live entry.
func (d *diskCache) giveUp(e *entry) {
	d.mu.Lock()
	retired := d.retireLocked(e)
	d.mu.Unlock()
	if retired {
		d.remove(e)
	}
}
