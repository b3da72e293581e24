package writeback

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"
	"maps"

	"github.com/s3mount/s3mount/object"
)

// claim is a version that may be at the store: it was sent, and nobody knows how that
// ended. A later upload that finds its condition broken by it is not in conflict with
// anybody else.
type claim struct {
	gen  uint64
	size int64
	etag string // empty: not known
	opts object.PutOptions
}

// maxClaims bounds what is remembered of uploads that failed in a row; the last matter.
const maxClaims = 4

// mayHaveWorked reports whether a write that failed with err may have had its effect all
// the same, with only the answer lost.
func mayHaveWorked(err error) bool {
	switch object.KindOf(err) {
	case object.KindUnavailable, object.KindTimeout, object.KindCanceled, object.KindOther:
		return err != nil
	}
	return false
}

// claim notes that the content as it is may be at the store, with these metadata.
func (s *Staged) claim(etag string, o object.PutOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.claims = append(s.mu.claims, claim{gen: s.mu.gen, size: s.mu.size, etag: etag, opts: o})
	if over := len(s.mu.claims) - maxClaims; over > 0 {
		s.mu.claims = append([]claim(nil), s.mu.claims[over:]...)
	}
}

// MayBeStored reports whether the store may have a version of which no ticket has told: one
// whose upload got no answer, or that could not be given its metadata.
func (s *Staged) MayBeStored() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.mu.claims) > 0 || s.mu.stored != nil
}

// sum is the ETag that most stores give to the content sent in one request; empty if the
// file cannot be read. Gate held.
func (s *Staged) sum(size int64) string {
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(s.file, 0, size)); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// recognise reports whether what stands in the way of an upload that failed with err is
// a version that this file has sent itself; it is the one that is stored then.
func (s *Staged) recognise(ctx context.Context, key string, err error) bool {
	switch object.KindOf(err) {
	case object.KindConflict, object.KindStale, object.KindCorrupt:
	default:
		return false
	}
	s.mu.RLock()
	none := len(s.mu.claims) == 0
	s.mu.RUnlock()
	if none {
		return false
	}
	var found object.Info
	err = s.q.request(ctx, &s.q.urgent, 0, func(ctx context.Context) (err error) {
		found, err = s.q.Uploader.Head(ctx, key)
		return err
	})
	if err != nil {
		return false
	}
	found.Key = key
	if !s.take(found) {
		return false
	}
	s.reopen(found.ID(), found.Size)
	return true
}

// take makes a version the stored one if it is one of the claims.
func (s *Staged) take(found object.Info) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.claims {
		if !c.fits(found) {
			continue
		}
		s.mu.stored = &stored{gen: c.gen, info: described(found, c.opts), opts: c.opts}
		if s.mu.source.ETag != "" {
			s.mu.source, s.mu.sourceSize = found.ID(), found.Size // what is dirty now covers what differs from either
		}
		return true
	}
	return false
}

// fits reports whether a version is the one that was sent. Its metadata tell: they have
// the time of the last change to the nanosecond. Its ETag does as well, if it is of the
// same form.
func (c claim) fits(found object.Info) bool {
	if found.Size != c.size || !maps.Equal(found.Meta, c.opts.Meta) {
		return false
	}
	if c.etag == "" || found.OtherETag || len(c.etag) != len(found.ETag) {
		return len(c.opts.Meta) > 0
	}
	return found.ETag == c.etag
}
