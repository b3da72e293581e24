package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/s3mount/s3mount/internal/durable"
)

const (
	segmentMagic  = "s3mlog01"
	segmentHeader = 16 // the magic and the salt
	segmentSuffix = ".log"
	asideSuffix   = ".damaged"
)

// segment is one file of the log.
type segment struct {
	number uint64
	path   string
	file   *os.File
	size   int64
	salt   uint64
	end    int64 // where the next frame goes
	synced int64 // up to where the file is durable
	live   map[*Record]struct{}
	// freed is how far the log had come, as Journal.appended counts, when a record was last
	// released: what says that it is not needed may not be durable before.
	freed int64
}

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d%s", number, segmentSuffix))
}

// newSegment makes a file of zeros, durably, so that writing into it changes no metadata.
func newSegment(dir string, number uint64, size int64) (s *segment, err error) {
	s = &segment{number: number, path: segmentPath(dir, number), size: size, end: segmentHeader, synced: segmentHeader, live: map[*Record]struct{}{}}
	head := make([]byte, segmentHeader)
	copy(head, segmentMagic)
	if _, err := rand.Read(head[8:]); err != nil {
		return nil, err
	}
	s.salt = binary.LittleEndian.Uint64(head[8:])
	temp := s.path + ".tmp"
	if s.file, err = os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.file.Close()
			os.Remove(temp)
		}
	}()
	if err := fill(s.file, head, size); err != nil {
		return nil, err
	}
	if err := s.file.Sync(); err != nil {
		return nil, err
	}
	if err := os.Rename(temp, s.path); err != nil {
		return nil, err
	}
	return s, durable.SyncDir(dir)
}

func fill(f *os.File, head []byte, size int64) error {
	zeros := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return err
		}
	}
	_, err := f.WriteAt(head, 0)
	return err
}

// remove deletes the file of a segment that nobody needs. What cannot be deleted is read
// again by the next Open, to no harm.
func (s *segment) remove() error {
	return errors.Join(s.file.Close(), os.Remove(s.path), durable.SyncDir(filepath.Dir(s.path)))
}

// tidy makes the folder, or deletes in it what a crash left half made.
func tidy(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	half, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix+".tmp"))
	for _, path := range half {
		os.Remove(path) // else again next time
	}
	return err
}

// segmentNumbers lists the segments in a folder, the oldest first.
func segmentNumbers(dir string) (numbers []uint64, err error) {
	entries, err := os.ReadDir(dir) // in the order of names, which is that of numbers
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// unusedSegment reports whether nothing was ever written to a segment: one that was made
// ahead.
func unusedSegment(dir string, number uint64) (bool, error) {
	b, err := os.ReadFile(segmentPath(dir, number))
	if err != nil || len(b) < segmentHeader || string(b[:8]) != segmentMagic {
		return false, err
	}
	return len(bytes.Trim(b[segmentHeader:], "\x00")) == 0, nil
}

// readSegment opens a segment and gives each record in it to each, in order. last says
// that no segment that was written to follows. damaged is where a record that was synced can't be read, 0: all
// can.
func readSegment(dir string, number uint64, last bool, each func(*Record, []byte)) (s *segment, damaged int64, err error) {
	s = &segment{number: number, path: segmentPath(dir, number), live: map[*Record]struct{}{}}
	if s.file, err = os.OpenFile(s.path, os.O_RDWR, 0); err != nil {
		return nil, 0, err
	}
	b, err := io.ReadAll(s.file)
	if err != nil {
		s.file.Close()
		return nil, 0, err
	}
	s.size = int64(len(b))
	if len(b) < segmentHeader || string(b[:8]) != segmentMagic {
		return s, 1, nil // it was made whole before its name was
	}
	s.salt = binary.LittleEndian.Uint64(b[8:])
	s.end = segmentHeader
	for {
		f, state := parseFrame(b[min(s.end, s.size):], s.salt)
		if state == frameWhole {
			r := &Record{seg: s, off: s.end, head: len(f.head), data: len(f.data)}
			s.live[r] = struct{}{}
			each(r, f.head)
			s.end += f.size
			continue
		}
		if state == frameTorn && !last || promised(b, s.end, s.salt) {
			return s, s.end, nil
		}
		break
	}
	s.synced = s.end
	return s, 0, nil
}

// cut takes a torn tail away for good: behind it, the next segment would make it damage.
func (s *segment) cut() error {
	if err := s.file.Truncate(s.end); err != nil {
		return err
	}
	s.size = s.end
	return s.file.Sync()
}
