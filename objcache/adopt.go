package objcache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/s3mount/s3mount/object"
)

// adopt is Cache.Adopt.
func (d *diskCache) adopt(id object.ID, size int64, path string, reserved int64) error {
	if err := adoptable(id, size, path, reserved); err != nil {
		return err
	}
	d.mu.Lock()
	closed := d.mu.closed
	d.mu.Unlock()
	if closed {
		return object.Errorf(object.KindCanceled, "adopt", id.Key, "%w", errClosed)
	}
	n := nameOf(id)
	e := d.claim(n)
	at, err := d.moveIn(path, n)
	if err != nil {
		d.mu.Lock()
		delete(d.mu.entries, n)
		close(e.settled)
		d.mu.Unlock()
		return object.Errorf(object.KindOther, "adopt", id.Key, "%w", err)
	}
	d.mu.Lock()
	e.size, e.reserved, e.whole = size, reserved, true
	if at.size == size && size >= minWhole {
		e.proof.begin(at)
		e.proof.addAll(ceilDiv(size, d.blockSize))
		d.askKeeperLocked(e)
	}
	d.settleLocked(e, true, time.Now())
	d.mu.unsummed = append(d.mu.unsummed, e)
	d.mu.Unlock()
	d.makeRoom()
	d.rouse()
	return nil
}

// adoptable returns an error unless path is a file of size bytes.
func adoptable(id object.ID, size int64, path string, reserved int64) error {
	if reserved < 0 {
		return object.Errorf(object.KindInvalid, "adopt", id.Key, "%d bytes reserved", reserved)
	}
	st, err := os.Lstat(path)
	if err != nil {
		return object.Errorf(object.KindOther, "adopt", id.Key, "%w", err)
	}
	if !st.Mode().IsRegular() || st.Size() != size {
		return object.Errorf(object.KindInvalid, "adopt", id.Key,
			"%s has %d bytes (%s), the object has %d", path, st.Size(), st.Mode().Type(), size)
	}
	return nil
}

// moveIn makes path the data file of name n, without an index, and returns its stamp.
func (d *diskCache) moveIn(path string, n name) (at stamp, err error) {
	to := d.path(n, dataSuffix)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return at, err
	}
	if err := os.Remove(d.path(n, indexSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return at, err
	}
	if err := os.Rename(path, to); err != nil {
		return at, err
	}
	if f, err := os.Open(to); err == nil {
		at = stampOf(f)
		f.Close() // it was only looked at
	}
	return at, nil
}
