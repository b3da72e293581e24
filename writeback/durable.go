package writeback

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/s3mount/s3mount/internal/durable"
	"github.com/s3mount/s3mount/object"
)

// tempSuffix ends the names of files that durable.WriteFile has not finished.
const tempSuffix = durable.TempSuffix

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
