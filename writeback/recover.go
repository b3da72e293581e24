package writeback

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/s3mount/s3mount/object"
)

// clockLead is how much earlier than the record's time an upload may have been created
// by the store's clock and still be the recorded one.
const clockLead = 5 * time.Second

// Recover cleans up after processes that died: it aborts the multipart uploads that their
// records name, and deletes their staged files. An upload whose id is not in the record
// is looked for by its key and time. It may run beside everything else, leaves what this
// process does alone, and may be repeated; what it could not abort stays recorded, and
// is in the error.
func (q *Queue) Recover(ctx context.Context) error {
	var errs []error
	errs = append(errs, q.removeStale(q.stagedDir(), func(string) bool { return true }))
	errs = append(errs, q.removeStale(q.recordDir(), func(name string) bool {
		return strings.HasSuffix(name, tempSuffix)
	}))
	paths, err := recordPaths(q.recordDir())
	errs = append(errs, localError("recover", "", err))
	for _, path := range paths {
		if ctx.Err() != nil {
			return errors.Join(append(errs, wrap("recover", "", ctx.Err()))...)
		}
		errs = append(errs, q.recoverRecord(ctx, path))
	}
	return errors.Join(errs...)
}

// removeStale deletes the files of other instances that match. No other instance is
// alive: this one has the lock.
func (q *Queue) removeStale(dir string, match func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return localError("recover", "", err)
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), q.instance) || !match(e.Name()) {
			continue
		}
		q.Log.Info("a file of an ended process is deleted", "file", filepath.Join(dir, e.Name()))
		errs = append(errs, localError("recover", "", os.Remove(filepath.Join(dir, e.Name()))))
	}
	return errors.Join(errs...)
}

func (q *Queue) recoverRecord(ctx context.Context, path string) error {
	if strings.HasPrefix(filepath.Base(path), q.instance) {
		return nil
	}
	rec, err := readRecord(path)
	if err != nil {
		return localError("recover", path, err)
	}
	return q.abortRecorded(ctx, rec)
}

// abortRecorded aborts what a record stands for, and removes the record.
func (q *Queue) abortRecorded(ctx context.Context, rec *record) error {
	key := string(rec.Key)
	ids := []string{rec.UploadID}
	if rec.UploadID == "" {
		var err error
		if ids, err = q.findUploads(ctx, key, rec.Time); err != nil {
			return wrap("abort upload", key, err)
		}
	}
	for _, id := range ids {
		err := q.request(ctx, &q.idle, 0, func(ctx context.Context) error {
			return q.Uploader.AbortUpload(ctx, key, id)
		})
		if err != nil {
			return wrap("abort upload", key, err)
		}
	}
	return localError("abort upload", key, rec.remove())
}

// findUploads lists the uploads to exactly this key that began since a time. It fails
// with KindBusy while this process creates one to the same key, which could not be told
// from those.
func (q *Queue) findUploads(ctx context.Context, key string, since time.Time) (ids []string, err error) {
	var found []object.Upload
	err = q.request(ctx, &q.idle, 0, func(ctx context.Context) error {
		found, err = q.Uploader.ListUploads(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	own, unsure := q.ownUploads(key)
	if unsure {
		return nil, object.Errorf(object.KindBusy, "list uploads", key, "another upload to the key just begins")
	}
	for _, u := range found {
		if u.Key == key && !own[u.ID] && !u.Initiated.Before(since.Add(-clockLead)) {
			ids = append(ids, u.ID)
		}
	}
	return ids, nil
}

// ownUploads returns the ids of this process's uploads to a key; unsure: one of them is
// being created.
func (q *Queue) ownUploads(key string) (ids map[string]bool, unsure bool) {
	ids = map[string]bool{}
	for _, m := range q.uploads() {
		if m.key != key {
			continue
		}
		id, creating := m.identity()
		ids[id] = true
		unsure = unsure || creating
	}
	return ids, unsure
}

func (q *Queue) uploads() []*multipart {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]*multipart, 0, len(q.mu.multiparts))
	for m := range q.mu.multiparts {
		list = append(list, m)
	}
	return list
}

func (m *multipart) identity() (id string, creating bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.id, m.mu.created && m.mu.id == ""
}
