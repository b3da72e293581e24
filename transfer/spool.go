package transfer

import (
	"bufio"
	"encoding/binary"
	"io"
	"iter"
	"os"
	"strconv"
	"time"

	"github.com/s3mount/s3mount/object"
)

// spoolMemory is how many files a spool holds in memory.
const spoolMemory = 10_000

// spool is the list of what Sync is to delete at its end: the first in memory, the rest in
// a file without a name. A second walk instead would ask for every page again, and could
// delete what came after the copies were planned.
type spool struct {
	dir    string
	first  []File
	limit  int
	file   *os.File
	out    *bufio.Writer
	number int64
}

func newSpool(dir string) *spool { return &spool{dir: dir, limit: spoolMemory} }

// add appends a file. Only Path, Size and what identifies its version are kept: a backup is
// to be of that.
func (s *spool) add(f File) error {
	s.number++
	if len(s.first) < s.limit {
		s.first = append(s.first, f)
		return nil
	}
	if s.file == nil {
		file, err := os.CreateTemp(s.dir, "s3mount-deletes-")
		if err != nil {
			return spoolError(err)
		}
		os.Remove(file.Name()) // it lives as long as it is open
		s.file, s.out = file, bufio.NewWriterSize(file, 64<<10)
	}
	modified := ""
	if !f.ModTime.IsZero() {
		modified = f.ModTime.Format(time.RFC3339Nano)
	}
	for _, text := range []string{f.Path, f.Info.Key, f.Info.ETag, strconv.FormatInt(f.Size, 10), modified} {
		head := binary.AppendUvarint(nil, uint64(len(text)))
		if _, err := s.out.Write(head); err != nil {
			return spoolError(err)
		}
		if _, err := s.out.WriteString(text); err != nil {
			return spoolError(err)
		}
	}
	return nil
}

func spoolError(err error) error {
	return &object.Error{Op: "list of deletes", Kind: object.KindOther, Err: err}
}

// all yields the files in the order in which they came. It can be called again.
func (s *spool) all() iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, f := range s.first {
			if !yield(f, nil) {
				return
			}
		}
		if s.file == nil {
			return
		}
		if err := s.out.Flush(); err != nil {
			yield(File{}, spoolError(err))
			return
		}
		in := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, 1<<62), 64<<10)
		for range s.number - int64(len(s.first)) {
			f, err := readSpooled(in)
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

func readSpooled(in *bufio.Reader) (File, error) {
	var texts [5]string
	for i := range texts {
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return File{}, spoolError(err)
		}
		buf := make([]byte, n)
		if _, err := io.ReadFull(in, buf); err != nil {
			return File{}, spoolError(err)
		}
		texts[i] = string(buf)
	}
	size, err := strconv.ParseInt(texts[3], 10, 64)
	if err != nil {
		return File{}, spoolError(err)
	}
	f := File{Path: texts[0], Size: size, Info: object.Info{Key: texts[1], ETag: texts[2], Size: size}}
	if texts[4] != "" {
		if f.ModTime, err = time.Parse(time.RFC3339Nano, texts[4]); err != nil {
			return File{}, spoolError(err)
		}
	}
	return f, nil
}

// close frees the file.
func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
