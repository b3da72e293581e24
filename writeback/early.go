package writeback

import (
	"maps"

	"github.com/s3mount/s3mount/object"
)

// SetTarget tells where the next version will go, and with what metadata as far as it is
// known, so that full parts may go up while the file is still being written. Another key
// than before aborts the parts that went up for that one; the key "" does so too, and
// stops early parts. A running upload is not affected.
func (s *Staged) SetTarget(key string, o object.PutOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.target = target{told: true, key: key, opts: cloneOptions(o)}
	s.mu.name = key
	if !s.mu.uploading {
		s.followTargetLocked()
	}
}

// followTargetLocked aborts the parts that went up for another key, and passes metadata
// on to an upload that is not created yet.
func (s *Staged) followTargetLocked() {
	m := s.mu.multipart
	switch {
	case m == nil || !s.mu.target.told:
	case m.key == s.mu.target.key:
		m.setOptions(s.mu.target.opts)
	default:
		s.dropMultipartLocked()
	}
}

// dropMultipartLocked aborts the multipart upload, if there is one, in the background.
func (s *Staged) dropMultipartLocked() {
	if s.mu.multipart != nil {
		s.mu.multipart.abandon()
	}
	s.mu.multipart, s.mu.scanned = nil, false
}

// offerPartsLocked sends the parts up that the write of [off, end) has completed: those
// that were written from end to end and that the farthest write has passed. Gate held.
func (s *Staged) offerPartsLocked(off, end int64) {
	if s.q.Promiser != nil || s.mu.target.key == "" || s.mu.size <= s.q.MultipartOver || s.mu.fate != fateOpen {
		return
	}
	if !s.mu.scanned {
		off, end, s.mu.scanned = 0, s.mu.high, true
	}
	for p := s.q.layout.at(off); p.off < end && p.end() <= s.mu.high; p = s.q.layout.part(p.number + 1) {
		if s.mu.dirty.contains(p.off, p.end()) {
			s.multipartLocked(s.mu.target.key, s.mu.target.opts).offer(p)
		}
		if p.number == maxParts {
			return
		}
	}
}

// multipartLocked returns the multipart upload to a key, after aborting one to another
// key, and made if there is none yet. The file is not finished.
func (s *Staged) multipartLocked(key string, o object.PutOptions) *multipart {
	if s.mu.multipart != nil && s.mu.multipart.key != key {
		s.dropMultipartLocked()
	}
	if s.mu.multipart == nil {
		s.mu.multipart = newMultipartLocked(s, key, o)
	}
	return s.mu.multipart
}

func cloneOptions(o object.PutOptions) object.PutOptions {
	o.Meta = o.Meta.Clone()
	return o
}

// sameDescription reports whether two versions of the same bytes would look the same.
func sameDescription(a, b object.PutOptions) bool {
	return maps.Equal(a.Meta, b.Meta) && contentType(a) == contentType(b)
}

func contentType(o object.PutOptions) string {
	if o.ContentType == "" {
		return "application/octet-stream"
	}
	return o.ContentType
}
