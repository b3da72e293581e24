package demoserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/gob"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A file of an object is the object's bytes, a gob of its record, the length of the gob
// as 8 bytes big-endian, and fileMagic.
const (
	fileMagic = "s3mdemo1"
	tailSize  = 8 + len(fileMagic)
	maxRecord = 1 << 20 // far over a key of 1 KiB and its metadata
)

// record is what is known about an object beside its bytes.
type record struct {
	Key  string
	Size int64 // bytes
	// Hash is the MD5 of the bytes, or, after a multipart upload, the MD5 of the
	// parts' MD5s and two bytes of their number. The ETag is its hex form, which is
	// thus never taken for the MD5 of bytes that it is not.
	Hash     []byte
	Modified time.Time // whole seconds, so that HEAD and LIST say the same
	// Headers are the ones that are kept and given back; byte for byte, so gob
	// and not JSON.
	Headers map[string]string
}

func (r *record) etag() string { return hex.EncodeToString(r.Hash) }

// fileName is the name of the file that holds key.
func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// tempFile is a file that is not an object yet. Either commit or discard ends it.
type tempFile struct{ *os.File }

func newTemp(dir string) (*tempFile, error) {
	f, err := os.CreateTemp(dir, "put-")
	if err != nil {
		return nil, err
	}
	return &tempFile{f}, nil
}

// finish writes r behind the bytes, and closes the file.
func (t *tempFile) finish(r *record) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(r); err != nil {
		return err
	}
	b.Write(binary.BigEndian.AppendUint64(nil, uint64(b.Len())))
	b.WriteString(fileMagic)
	if _, err := t.WriteAt(b.Bytes(), r.Size); err != nil {
		return err
	}
	return t.Close()
}

// discard closes and removes the file. After a commit it does nothing, so that it can
// be deferred; what it can't remove, the next start sweeps away.
func (t *tempFile) discard() {
	_ = t.Close()
	_ = os.Remove(t.Name())
}

// readRecord reads the record of the object in the file at path.
func readRecord(path string) (*record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	tail := make([]byte, tailSize)
	if _, err := f.ReadAt(tail, fi.Size()-int64(tailSize)); err != nil {
		return nil, errors.Join(errDamaged, err)
	}
	n := binary.BigEndian.Uint64(tail)
	if string(tail[8:]) != fileMagic || n > maxRecord || int64(n) > fi.Size()-int64(tailSize) {
		return nil, errDamaged
	}
	start := fi.Size() - int64(tailSize) - int64(n)
	r := new(record)
	if err := gob.NewDecoder(io.NewSectionReader(f, start, int64(n))).Decode(r); err != nil {
		return nil, errors.Join(errDamaged, err)
	}
	if r.Size != start || fileName(r.Key) != filepath.Base(path) {
		return nil, fmt.Errorf("%w: it says it is %q of %d bytes", errDamaged, r.Key, r.Size)
	}
	return r, nil
}

var errDamaged = errors.New("not a whole object")

// opened is the bytes [off, off+n) of an object's file. It is a plain limited file, so
// that net/http can hand it to the kernel.
type opened struct {
	io.LimitedReader
	file *os.File
}

func openRange(path string, off, n int64) (*opened, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &opened{io.LimitedReader{R: f, N: n}, f}, nil
}

// WriteTo lets io.Copy see the limited file itself, which it knows how to send.
func (o *opened) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, &o.LimitedReader) }

func (o *opened) Close() error { return o.file.Close() }
