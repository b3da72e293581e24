package writeback

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/object"
)

// editParts plans an upload in which the store copies what has not changed; nil: there is
// no version to copy from, or nothing that is worth it.
//
// Parts of the layout that went up early stay as they are, so that the others have to keep
// to the layout as well. Else the parts are cut where the changes are.
func (s *Staged) editParts(key string) []partRange {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.source.ETag == "" || s.mu.size <= s.q.CopyOver {
		return nil
	}
	if m := s.mu.multipart; m != nil && m.key == key && m.hasLayout() {
		return s.alignedLocked()
	}
	changed := make([]parts.Span, len(s.mu.dirty.list))
	for i, e := range s.mu.dirty.list {
		changed[i] = parts.Span{Off: e.off, End: e.end}
	}
	var plan []partRange
	for i, p := range parts.Edit(s.mu.size, s.mu.kept, changed, parts.Limits{Min: s.q.MinPart, Send: s.q.PartSize}) {
		plan = append(plan, partRange{number: i + 1, off: p.Off, size: p.Size})
		if p.Copy {
			plan[i].from = s.mu.source
		}
	}
	return plan
}

// alignedLocked is a plan of whole parts of the layout; runs of them are copied as one.
func (s *Staged) alignedLocked() (plan []partRange) {
	copies := false
	for _, p := range s.q.layout.parts(s.mu.size) {
		if p.end() > s.mu.kept || s.mu.dirty.covered(p.off, p.end()) > 0 {
			plan = append(plan, p)
			continue
		}
		copies = true
		if n := len(plan); n > 0 && plan[n-1].from != (object.ID{}) && plan[n-1].size+p.size <= parts.MaxSize {
			plan[n-1].size += p.size
			continue
		}
		p.from = s.mu.source
		plan = append(plan, p)
	}
	if !copies {
		return nil
	}
	return plan
}

// hydrateParts makes local what is to be sent. Gate held.
func (s *Staged) hydrateParts(ctx context.Context, plan []partRange) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(hydrateParallel)
	for _, p := range plan {
		if p.from != (object.ID{}) {
			continue
		}
		for off, end := p.off, int64(0); off < p.end() && ctx.Err() == nil; off = end {
			end = min((off+hydrateEdit)&^(hydrateAlign-1), p.end())
			g.Go(func() error { return s.hydrateOnly(ctx, off, end) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.checkLocal(plan)
}

// checkLocal makes sure that no hole is sent for bytes that the version beneath has.
func (s *Staged) checkLocal(plan []partRange) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range plan {
		end := min(p.end(), s.mu.baseEnd)
		if p.from == (object.ID{}) && s.mu.base != nil && s.mu.present.missing(p.off, end) > 0 {
			return object.Errorf(object.KindCorrupt, "upload", s.mu.name, "part %d at %d is not local as a whole", p.number, p.off)
		}
	}
	return nil
}
