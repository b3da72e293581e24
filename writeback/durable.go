package writeback

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/s3mount/s3mount/object"
)

// tempSuffix ends the names of files that writeDurably has not finished.
const tempSuffix = ".tmp"

// writeDurably puts data into path so that, after a crash at any moment, path holds
// either what it held before or all of data; when it returns nil, it holds data.
func writeDurably(path string, data []byte) error {
	temp := path + tempSuffix
	if err := writeSynced(temp, data); err != nil {
		_ = os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes the names in a directory durable.
func syncDir(path string) (err error) {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}

// localError gives a failure of the local file system its kind.
func localError(op, key string, err error) error {
	if err == nil {
		return nil
	}
	kind := object.KindOther
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = object.KindNoSpace
	case errors.Is(err, syscall.EFBIG):
		kind = object.KindTooLarge
	case errors.Is(err, fs.ErrPermission):
		kind = object.KindPermission
	case errors.Is(err, fs.ErrNotExist):
		kind = object.KindNotFound
	}
	return &object.Error{Op: op, Key: key, Kind: kind, Err: err}
}

// wrap adds the operation and the key to an error and keeps its kind.
func wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return &object.Error{Op: op, Key: key, Kind: object.KindOf(err), Err: err}
}
