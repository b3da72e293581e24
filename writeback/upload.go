package writeback

import (
	"context"
	"io"
	"maps"
	"slices"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/object"
)

// Ticket is an upload that was asked for.
type Ticket struct {
	key    string
	opts   object.PutOptions
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	info   object.Info // valid once done is closed
	err    error       // likewise
}

// Done closes when the store has confirmed the version, or the upload has failed.
func (t *Ticket) Done() <-chan struct{} { return t.done }

// Wait waits for the upload and returns what was stored: Key, ETag, Size, Meta and
// ContentType, and LastModified where the store told it. When ctx ends first, its error
// is returned, and the upload goes on.
func (t *Ticket) Wait(ctx context.Context) (object.Info, error) {
	select {
	case <-t.done:
	default:
		select {
		case <-t.done:
		case <-ctx.Done():
			return object.Info{}, wrap("wait for upload", t.key, ctx.Err())
		}
	}
	if t.err != nil {
		return object.Info{}, t.err
	}
	info := t.info
	info.Meta = maps.Clone(info.Meta)
	return info, nil
}

func (t *Ticket) end(info object.Info, err error) {
	t.cancel()
	t.info, t.err = info, wrap("upload", t.key, err)
	close(t.done)
}

// Upload stores the content, as it is when the upload takes hold of the file, under key.
// Writes that returned before Upload was called are in it; writers wait until it is done,
// readers do not. What is missing locally is fetched from the base first.
//
// It does no more than it must: nothing when this very version is stored under the key
// already, a server-side copy when only the metadata differs. An upload of the same
// version that has not ended is shared. It runs to its end whether or not somebody waits.
func (s *Staged) Upload(key string, o object.PutOptions) *Ticket {
	t, isNew := s.addTicket(key, cloneOptions(o))
	if isNew && !s.q.spawn(true, func() { s.runTicket(t) }) {
		s.removeTicket(t, errClosed("upload", key))
		t.end(object.Info{}, errClosed("upload", key))
	}
	return t
}

func (s *Staged) addTicket(key string, o object.PutOptions) (t *Ticket, isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.mu.tickets); n > 0 {
		last := s.mu.tickets[n-1]
		if last.key == key && sameDescription(last.opts, o) && last.opts.Condition == o.Condition {
			return last, false
		}
	}
	t = &Ticket{key: key, opts: o, done: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancel(s.q.ctx)
	s.mu.tickets = append(s.mu.tickets, t)
	s.mu.name = key
	return t, true
}

func (s *Staged) removeTicket(t *Ticket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.tickets = slices.DeleteFunc(s.mu.tickets, func(o *Ticket) bool { return o == t })
	s.mu.lastErr = err
}

// runTicket is the goroutine of a ticket.
func (s *Staged) runTicket(t *Ticket) {
	info, err := s.holdAndStore(t)
	t.end(info, err)
}

func (s *Staged) holdAndStore(t *Ticket) (info object.Info, err error) {
	if err := s.enter(t.ctx, "upload"); err != nil {
		s.removeTicket(t, err)
		return object.Info{}, err
	}
	defer s.leave()
	s.beginUpload()
	// Before writers get in: nobody may join a ticket that does not hold their writes.
	defer func() { s.endUpload(t, err) }()
	if t.key == "" {
		return object.Info{}, object.Errorf(object.KindInvalid, "upload", "", "no key")
	}
	if s.q.Promiser != nil {
		return s.promise(t.ctx, t.key, t.opts)
	}
	return s.store(t.ctx, t.key, t.opts)
}

func (s *Staged) beginUpload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.uploading = true
}

func (s *Staged) endUpload(t *Ticket, err error) {
	s.removeTicket(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.uploading = false
	s.followTargetLocked()
}

// store brings the content under the key, by as little as that takes. Gate held, so
// nothing changes meanwhile.
func (s *Staged) store(ctx context.Context, key string, o object.PutOptions) (object.Info, error) {
	for try := 1; ; try++ {
		last, err := s.storeContent(ctx, key, s.onStored(key, o))
		described := err == nil && sameDescription(last.opts, o)
		if err == nil && !described {
			last, err = s.describe(ctx, last, o)
			described = err == nil
		}
		switch {
		case described:
			s.bequeath(last.info)
			s.commit(last)
			s.reopen(last.info.ID(), last.info.Size)
			return last.info, nil
		case try < 3 && s.recognise(ctx, key, err):
		case last == nil || try >= 2 || !s.mustSendAgain():
			return object.Info{}, err
		}
	}
}

// onStored makes a condition one on the version that this file has stored itself since the
// caller looked.
func (s *Staged) onStored(key string, o object.PutOptions) object.PutOptions {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if v := s.mu.stored; v != nil && v.info.Key == key && v.info.ETag != "" && o.Condition != (object.Condition{}) {
		o.Condition = object.Condition{IfMatch: v.info.ETag}
	}
	return o
}

// mustSendAgain reports whether content that nobody was told to be stored is at the
// store no more: something else is, be it what an earlier describe stored without an
// answer. Content that was told to be stored is somebody else's to replace.
func (s *Staged) mustSendAgain() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.stored == nil && !(s.mu.saved && s.mu.savedGen == s.mu.gen)
}

// storeContent uploads the content unless it is under the key already, perhaps with
// other metadata.
func (s *Staged) storeContent(ctx context.Context, key string, o object.PutOptions) (*stored, error) {
	gen, size, last := s.snapshot()
	if last != nil && last.gen == gen && last.info.Key == key {
		return last, nil
	}
	plan := s.editParts(key)
	info, opts, err := s.sendPlan(ctx, key, o, size, plan)
	if plan != nil && (object.Is(err, object.KindUnsupported) || object.Is(err, object.KindStale) && o.Condition.IfMatch == "") {
		info, opts, err = s.sendPlan(ctx, key, o, size, nil)
	}
	if object.Is(err, object.KindStale) && o.Condition.IfMatch != "" {
		return nil, object.Errorf(object.KindConflict, "upload", key, "the version that was edited is gone: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if info, err = s.checkStored(ctx, key, info, size); err != nil {
		return nil, err
	}
	return s.setStored(&stored{gen: gen, info: described(info, opts), opts: opts}), nil
}

// sendPlan uploads by the plan of an edit, or all of the content where that is nil.
func (s *Staged) sendPlan(ctx context.Context, key string, o object.PutOptions, size int64, plan []partRange) (info object.Info, opts object.PutOptions, err error) {
	if plan != nil {
		err = s.hydrateParts(ctx, plan)
	} else {
		err = s.hydrateHeld(ctx, 0, size)
	}
	switch {
	case object.Is(err, object.KindNotFound):
		err = object.Errorf(object.KindStale, "hydrate", key, "%w", err)
		fallthrough
	case err != nil:
		return info, opts, err
	case plan != nil:
		return s.sendParts(ctx, key, o, plan)
	}
	return s.send(ctx, key, o, size)
}

func (s *Staged) snapshot() (gen uint64, size int64, last *stored) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.gen, s.mu.size, s.mu.stored
}

func (s *Staged) setStored(v *stored) *stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.stored = v
	return v
}

// commit makes the stored version the one that modifications are counted from.
func (s *Staged) commit(v *stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.saved, s.mu.savedGen = true, v.gen
	s.mu.dirty.clear()
	s.mu.high, s.mu.scanned = 0, false
	s.mu.stored, s.mu.claims = v, nil
	s.mu.source, s.mu.sourceSize, s.mu.kept = v.info.ID(), s.mu.size, s.mu.size
}

// described completes what the store told by what was sent.
func described(info object.Info, o object.PutOptions) object.Info {
	info.Meta = o.Meta.Clone()
	info.ContentType = contentType(o)
	return info
}

// send uploads the whole content, and returns what it was stored with: the metadata of
// a multipart upload was fixed when it was created.
func (s *Staged) send(ctx context.Context, key string, o object.PutOptions, size int64) (object.Info, object.PutOptions, error) {
	if size > s.q.MultipartOver {
		return s.sendParts(ctx, key, o, s.q.layout.parts(size))
	}
	s.dropMultipart()
	var info object.Info
	err := s.q.request(ctx, &s.q.urgent, size, func(ctx context.Context) error {
		var err error
		info, err = s.q.Uploader.Put(ctx, key, io.NewSectionReader(s.file, 0, size), o)
		return err
	})
	if mayHaveWorked(err) {
		s.claim(s.sum(size), o)
	}
	return info, o, err
}

func (s *Staged) dropMultipart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropMultipartLocked()
}

// sendParts uploads by parts, those that are not there yet. Should the store have lost
// the upload, it is begun once more.
func (s *Staged) sendParts(ctx context.Context, key string, o object.PutOptions, want []partRange) (object.Info, object.PutOptions, error) {
	for try := 1; ; try++ {
		m, err := s.takeMultipart(key, o)
		if err != nil {
			return object.Info{}, o, err
		}
		info, err := s.finishParts(ctx, m, want, o.Condition)
		if err == nil {
			return info, m.options(), nil
		}
		if try == 2 || !object.Is(err, object.KindNotFound) {
			return object.Info{}, o, err
		}
	}
}

// finishParts sends and completes one multipart upload. When it fails, what is at the
// store is kept for the next try, where that has a chance.
func (s *Staged) finishParts(ctx context.Context, m *multipart, want []partRange, c object.Condition) (info object.Info, err error) {
	list, err := m.finish(ctx, want)
	lost := object.Is(err, object.KindNotFound) || object.Is(err, object.KindUnsupported)
	if err == nil {
		info, err = m.complete(ctx, list, c)
		lost = !worthCompletingAgain(err)
		if mayHaveWorked(err) {
			etag, _ := parts.ETag(list)
			s.claim(etag, m.options())
		}
	}
	if err == nil || lost {
		s.dropMultipart() // aborts nothing that is completed
	}
	return info, err
}

func (s *Staged) takeMultipart(key string, o object.PutOptions) (*multipart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.fate != fateOpen {
		return nil, s.errFinishedLocked("upload")
	}
	m := s.multipartLocked(key, o)
	m.setOptions(o)
	return m, nil
}

// worthCompletingAgain tells failures that say nothing about the parts from those after
// which the upload can only be given up.
func worthCompletingAgain(err error) bool {
	switch object.KindOf(err) {
	case object.KindUnavailable, object.KindTimeout, object.KindCanceled, object.KindPermission,
		object.KindCredentials, object.KindClockSkew, object.KindQuota:
		return true
	}
	return false
}

// checkStored completes and checks what the store told about a new version. Where it
// told no ETag, it is asked.
func (s *Staged) checkStored(ctx context.Context, key string, info object.Info, size int64) (object.Info, error) {
	told := false // for sure; a zero may mean that the size was not told
	if info.ETag == "" {
		err := s.q.request(ctx, &s.q.urgent, 0, func(ctx context.Context) (err error) {
			info, err = s.q.Uploader.Head(ctx, key)
			return err
		})
		if err != nil {
			return info, err
		}
		told = true
	}
	if info.Size != size && (told || info.Size != 0) {
		return info, object.Errorf(object.KindCorrupt, "upload", key,
			"%d bytes were sent, the store has %d", size, info.Size)
	}
	info.Key, info.Size = key, size
	return info, nil
}

// describe gives a version that is at the store other metadata, by a copy onto itself on
// the condition that it is still there.
func (s *Staged) describe(ctx context.Context, v *stored, o object.PutOptions) (*stored, error) {
	key := v.info.Key
	var info object.Info
	err := s.q.request(ctx, &s.q.urgent, v.info.Size, func(ctx context.Context) (err error) {
		info, err = s.q.Uploader.Copy(ctx, v.info.ID(), key, object.CopyOptions{
			Meta: o.Meta.Clone(), ContentType: contentType(o), Size: v.info.Size, Ours: true,
		})
		return err
	})
	if mayHaveWorked(err) {
		s.claim("", o)
	}
	if err == nil {
		info, err = s.checkStored(ctx, key, info, v.info.Size)
	}
	if err != nil {
		return nil, s.describeFailed(key, err)
	}
	return s.setStored(&stored{gen: v.gen, info: described(info, o), opts: o}), nil
}

func (s *Staged) describeFailed(key string, err error) error {
	switch object.KindOf(err) {
	case object.KindStale, object.KindNotFound, object.KindConflict, object.KindCorrupt:
		s.setStored(nil) // our bytes are no longer there: the next upload sends them again
		return object.Errorf(object.KindOf(err), "set metadata", key,
			"the data was stored, but something else is there now: %w", err)
	}
	return object.Errorf(object.KindOf(err), "set metadata", key,
		"the data is stored, its metadata is not: %w", err)
}
