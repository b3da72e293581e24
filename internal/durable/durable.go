// Package durable writes small files so that a crash at any moment leaves all of them or
// what was there before.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// TempSuffix ends the names of files that WriteFile has not finished: what a crash left.
const TempSuffix = ".tmp"

// WriteFile puts data into path so that, after a crash at any moment, path holds either
// what it held before or all of data; when it returns nil, it holds data.
func WriteFile(path string, data []byte) error {
	temp := path + TempSuffix
	if err := writeSynced(temp, data); err != nil {
		_ = os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return SyncDir(filepath.Dir(path))
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

// SyncDir makes the names in a directory durable.
func SyncDir(path string) (err error) {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}
