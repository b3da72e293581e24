package writeback

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/s3mount/s3mount/internal/durable"
)

// record is the durable note that a multipart upload may exist at the store. It is
// written before the upload is created, amended with the id, and removed after the
// upload is completed or aborted, so that no crash leaves an upload without a record.
type record struct {
	path string

	Instance string    `json:"instance"` // the process that wrote it
	Key      []byte    `json:"key"`      // bytes, since keys need not be UTF-8
	Time     time.Time `json:"time"`     // before CreateMultipartUpload
	UploadID string    `json:"upload_id,omitempty"`
}

const recordSuffix = ".json"

// write makes the record durable.
func (r *record) write() error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record of an upload: %w", err)
	}
	return durable.WriteFile(r.path, data)
}

// remove deletes the record. Its deletion need not be durable: a record that comes
// back leads to an abort of what is gone already.
func (r *record) remove() error {
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func readRecord(path string) (*record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("the record of an upload is damaged; look for incomplete uploads, then delete %s: %w", path, err)
	}
	r.path = path
	return r, nil
}

// recordPaths lists the records in a directory.
func recordPaths(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if filepath.Ext(path) == recordSuffix {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
