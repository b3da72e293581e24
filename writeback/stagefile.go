package writeback

import (
	"os"

	"github.com/s3mount/s3mount/object"
)

// StageFile makes an edit of the version id of size bytes in the very file that holds all of
// them, so that whoever else has it open sees what is written. take moves the file to
// path, and returns how many bytes of the disk budget come with it: its size, rounded up
// to blocks of 4 KiB. The edit counts as unmodified. If StageFile fails after take, the
// file is deleted.
func (q *Queue) StageFile(id object.ID, size int64, take func(path string) (reserved int64, err error)) (*Staged, error) {
	if size <= 0 || size > q.layout.capacity() {
		return nil, object.Errorf(object.KindTooLarge, "stage", "", "%d bytes are not from 1 to %d",
			size, q.layout.capacity())
	}
	path := q.newPath()
	reserved, err := take(path)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		q.Dispose(path, reserved)
		return nil, localError("stage", "", err)
	}
	s := &Staged{q: q, path: path, file: file, gate: newGate()}
	s.uses = newShared(s.closeFile)
	s.mu.since = q.Clock()
	s.mu.size, s.mu.saved, s.mu.reserved = size, true, reserved
	s.mu.source, s.mu.sourceSize, s.mu.kept = id, size, size
	s.mu.present.add(0, size)
	first, last := blocksOf(0, size)
	s.mu.blocks.add(first, last)
	if !q.register(s) {
		s.finish(fateDeleted)
		return nil, errClosed("stage", "")
	}
	return s, nil
}
