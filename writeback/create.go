package writeback

import (
	"context"
	"path/filepath"

	"github.com/s3mount/s3mount/object"
)

// create creates the upload at the store if that was not done yet. Only the one sender
// that runs before there is an id calls it. The record is durable before the request
// is sent. The request is not canceled when the upload is abandoned, since then nobody
// would know its id.
func (m *multipart) create() error {
	rec, opts, todo := m.beginCreate()
	if !todo {
		return nil
	}
	if err := rec.write(); err != nil {
		m.notRecorded(rec)
		return localError("record an upload", m.key, err)
	}
	var id string
	err := m.q.request(m.q.ctx, &m.urgent, 0, func(ctx context.Context) error {
		var err error
		id, err = m.q.Uploader.CreateUpload(ctx, m.key, opts)
		if err == nil && id == "" {
			err = object.Errorf(object.KindCorrupt, "create upload", m.key, "the store gave no upload id")
		}
		return err
	})
	if err != nil {
		m.mayExist(rec, err)
		return err
	}
	rec.UploadID = id
	if err := rec.write(); err != nil { // the record without an id serves too
		m.q.Log.Warn("cannot record the id of an upload", "key", m.key, "err", err)
	}
	m.endCreate(rec)
	return nil
}

// notRecorded ends a try to create that never reached the store.
func (m *multipart) notRecorded(rec *record) {
	m.q.removeRecord(rec)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.created = false
}

// beginCreate returns the record to write, a new one for each try.
func (m *multipart) beginCreate() (rec *record, opts object.PutOptions, todo bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.id != "" {
		return nil, opts, false
	}
	m.mu.created = true
	opts = cloneOptions(m.mu.opts)
	opts.Summed = m.summed
	return m.q.newRecord(m.key), opts, true
}

// endCreate ends a try to create that succeeded; the other senders may begin.
func (m *multipart) endCreate(rec *record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.id, m.mu.record = rec.UploadID, rec
	m.startLocked()
}

// mayExist ends a try to create that failed. Unless the failure proves that nothing was
// created, its record stays as the one of a stray upload. One such record is enough:
// it stands for all uploads to the key since its time, but those of known id.
func (m *multipart) mayExist(rec *record, err error) {
	if surelyNotCreated(err) || !m.keepStray(rec) {
		m.q.removeRecord(rec)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.created = false
}

func (m *multipart) keepStray(rec *record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.stray != nil {
		return false
	}
	m.mu.stray = rec
	return true
}

// surelyNotCreated reports whether a failed request to create certainly left nothing.
func surelyNotCreated(err error) bool {
	switch object.KindOf(err) {
	case object.KindPermission, object.KindCredentials, object.KindNoBucket, object.KindInvalid,
		object.KindClockSkew, object.KindWrongRegion, object.KindUnsupported, object.KindNameTooLong:
		return true
	}
	return false
}

// abandon gives the upload up: what flies is canceled, and the store is told in the
// background. Abandoning what is ended does nothing.
func (m *multipart) abandon() {
	if !m.end() {
		return
	}
	if !m.q.spawn(false, m.abort) {
		m.q.untrack(m) // the record stays for the next process
	}
}

// abort runs after the senders have left, so that no part arrives behind it.
func (m *multipart) abort() {
	<-m.quiet
	m.q.untrack(m) // it no longer counts as in use
	own, stray := m.records()
	m.q.abortLogged(own)
	m.q.abortLogged(stray)
}

// completed cleans up behind an upload that became an object.
func (m *multipart) completed() {
	m.q.untrack(m)
	own, stray := m.records()
	m.q.removeRecord(own)
	if stray != nil {
		m.q.spawn(false, func() { m.q.abortLogged(stray) })
	}
}

func (m *multipart) records() (own, stray *record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.record, m.mu.stray
}

// abortLogged aborts what a record stands for, if there is one; if that fails, the
// record stays for the next process.
func (q *Queue) abortLogged(rec *record) {
	if rec == nil {
		return
	}
	if err := q.abortRecorded(q.ctx, rec); err != nil {
		q.Log.Warn("cannot abort an upload, the next start tries again", "key", string(rec.Key), "err", err)
	}
}

func (q *Queue) newRecord(key string) *record {
	return &record{
		path:     filepath.Join(q.recordDir(), q.newName()+recordSuffix),
		Instance: q.instance,
		Key:      []byte(key),
		Time:     q.Clock(),
	}
}

func (q *Queue) removeRecord(rec *record) {
	if rec == nil {
		return
	}
	if err := rec.remove(); err != nil {
		q.Log.Warn("cannot remove the record of an upload", "file", rec.path, "err", err)
	}
}

func (q *Queue) track(m *multipart) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.multiparts[m] = struct{}{}
}

func (q *Queue) untrack(m *multipart) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.mu.multiparts, m)
}
