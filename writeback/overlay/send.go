package overlay

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// maxWhole is the greatest version in bytes that is sent from where it lies, by one Put.
const maxWhole = 16 << 20

// run brings a put or copy to the store.
func (o *Overlay) run(p *op) {
	// What p replaces may be what an operation has read that is over: a crash must not make
	// that one needed again.
	err := o.Sync(o.ctx)
	var info object.Info
	if err == nil {
		info, err = o.send(o.ctx, p)
	}
	if err != nil && o.ctx.Err() != nil {
		return // at the end; it stays pending
	}
	if object.Is(err, object.KindConflict) || object.Is(err, object.KindExists) || object.Is(err, object.KindStale) || object.Is(err, object.KindNotFound) {
		info, err = o.already(o.ctx, p, err)
	}
	if err != nil {
		o.failed(err, p)
	} else {
		o.stored(p, info)
		p.dropStaged()
	}
	o.empty()
	o.mu.Lock()
	o.mu.running--
	o.mu.Unlock()
	o.rouse()
}

// dropStaged gives up what a try has left, of an operation that is over.
func (p *op) dropStaged() {
	if p.staged != nil {
		p.staged.Discard()
		p.staged = nil
	}
}

// plan is how an operation is sent.
type plan struct {
	copyOf object.ID // by a copy of that; the zero ID: by its bytes
	local  bool      // all of which are here
	opts   object.PutOptions
}

func (o *Overlay) plan(p *op) plan {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := p.v
	pl := plan{local: v.localLocked(), opts: object.PutOptions{Meta: v.info.Meta, ContentType: v.info.ContentType, Condition: p.cond}}
	if p.after != nil {
		pl.opts.Condition = object.Condition{IfMatch: p.after.remote.ETag}
	}
	for v.copied && v.base != nil && !v.stands {
		v = v.base // a copy of a copy
	}
	switch {
	case v.stands:
		pl.copyOf = v.remote.ID()
	case v.copied:
		pl.copyOf = v.baseID
	}
	return pl
}

func (o *Overlay) send(ctx context.Context, p *op) (object.Info, error) {
	pl, v := o.plan(p), p.v
	if pl.copyOf.Key != "" {
		info, err := o.Store.Copy(ctx, pl.copyOf, p.key, object.CopyOptions{Meta: v.info.Meta, ContentType: v.info.ContentType, Size: v.info.Size,
			IfAbsent: pl.opts.Condition.IfAbsent, IfMatch: pl.opts.Condition.IfMatch})
		if err == nil {
			o.bequeath(pl.copyOf, p, info)
		}
		if gone := object.Is(err, object.KindStale) || object.Is(err, object.KindNotFound); !gone || !pl.local {
			return info, err
		}
	}
	if pl.local && v.info.Size <= maxWhole {
		body := io.NewSectionReader(readerAt{ctx, reader{o, v}}, 0, v.info.Size)
		return o.Store.Put(ctx, p.key, body, pl.opts)
	}
	s := p.staged
	if s == nil {
		var err error
		if s, err = o.stage(ctx, v); err != nil {
			return object.Info{}, err
		}
	}
	info, err := s.Upload(p.key, pl.opts).Wait(ctx)
	if err != nil && ctx.Err() == nil && !object.Is(err, object.KindConflict) {
		p.staged = s // the parts that went up are of use
		return info, err
	}
	p.staged = nil
	if err == nil && !v.own.whole(v.info.Size) { // else adopt has all of it
		info.Key, info.Size = p.key, v.info.Size
		s.Offer(info)
	}
	s.Discard()
	return info, err
}

// bequeath tells the cache that a copy takes the place of what it was made from: under the
// same key, or by a rename.
func (o *Overlay) bequeath(src object.ID, p *op, info object.Info) {
	o.mu.Lock()
	e := o.mu.entries[src.Key]
	gone := src.Key == p.key || e != nil && e.info == nil
	o.mu.Unlock()
	if gone && o.cache != nil {
		size := p.v.info.Size
		o.cache.Inherit(object.Info{Key: src.Key, ETag: src.ETag, Size: size}, object.Info{Key: p.key, ETag: info.ETag, Size: size}, nil, nil)
	}
}

// stage makes an edit of a version, for the queue that uploads large and partial ones.
func (o *Overlay) stage(ctx context.Context, v *version) (*writeback.Staged, error) {
	if v.own != nil && v.own.path != "" && v.own.whole(v.info.Size) {
		return o.Sender.StageFile(object.ID{}, v.info.Size, func(path string) (int64, error) { return 0, os.Link(v.own.path, path) })
	}
	root, size, end := o.rootOf(v)
	s, err := o.Sender.Stage()
	if size > 0 {
		if s != nil {
			s.Discard()
		}
		if s, err = o.Sender.StageOver(root, size, o.base); err == nil {
			err = s.Truncate(ctx, end)
		}
	}
	if err == nil {
		err = s.Truncate(ctx, v.info.Size)
	}
	if err == nil {
		err = o.fill(ctx, s, v)
	}
	if err != nil && s != nil {
		s.Discard()
		s = nil
	}
	return s, err
}

// rootOf returns the remote version beneath all local ones, its size, and where bytes of it
// end.
func (o *Overlay) rootOf(v *version) (root object.ID, size, end int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	end = v.info.Size
	for {
		if v.stands && !v.kept {
			return v.remote.ID(), v.remote.Size, min(end, v.remote.Size)
		}
		end = min(end, v.baseEnd)
		if v.base == nil {
			return v.baseID, v.wholeBase(), end
		}
		v = v.base
	}
}

// fill copies what is local of a version.
func (o *Overlay) fill(ctx context.Context, s *writeback.Staged, v *version) error {
	buf := make([]byte, min(1<<20, v.info.Size))
	for off := int64(0); off < v.info.Size; {
		o.mu.Lock()
		src := v.sourceLocked(off)
		o.mu.Unlock()
		if src.layer == nil {
			off = src.until
			continue
		}
		b := buf[:min(int64(len(buf)), src.until-off)]
		n, err := o.readLayer(src.key, src.layer, b, src.at)
		if err == nil {
			n, err = s.WriteAt(ctx, b[:n], off)
		}
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// already finds out whether a write that the store refused, because something else is there,
// or what it reads is not, has happened before: it was sent, and the answer was lost, or an
// earlier process had no time to note it. Otherwise it returns the refusal.
func (o *Overlay) already(ctx context.Context, p *op, refusal error) (object.Info, error) {
	o.mu.Lock()
	first := p.tries == 0 && len(p.maybe) == 0
	o.mu.Unlock()
	if first { // whatever is there looks like ours by chance
		return object.Info{}, refusal
	}
	found, err := o.Store.Head(ctx, p.key)
	if err != nil {
		return found, refusal
	}
	want := append([]object.Info{p.v.info}, p.maybe...)
	if src := o.plan(p).copyOf; src.Key != "" && want[0].Meta == nil { // only the store knows the metadata
		from, err := o.Store.Head(ctx, src.Key)
		switch {
		case err != nil || from.ETag != src.ETag:
		case found.ETag == src.ETag && len(found.Meta)+len(from.Meta) == 0:
			return found, nil
		default:
			want[0].Meta = from.Meta
		}
	}
	for i, w := range want {
		if w.Meta == nil || found.Size != w.Size || !sameMeta(found.Meta, w.Meta) {
			continue
		}
		if i == 0 {
			if !o.sameBytes(ctx, p.v, found) {
				continue
			}
			return found, nil
		}
		// What the store has is ours, and older: it may be replaced.
		o.mu.Lock()
		p.cond, p.maybe = object.Condition{IfMatch: found.ETag}, nil
		if p.after != nil {
			o.unrefLocked(p.after)
			p.after = nil
		}
		o.mu.Unlock()
		return o.send(ctx, p)
	}
	return found, refusal
}

// sameBytes reports whether an object has the bytes of a version, as far as that can be found
// out here: programs set times, so that another one may have the same.
func (o *Overlay) sameBytes(ctx context.Context, v *version, found object.Info) bool {
	o.mu.Lock()
	local := v.localLocked()
	o.mu.Unlock()
	want, known := found.MD5()
	if !known || !local || v.info.Size > maxWhole {
		return true
	}
	h := md5.New()
	if _, err := io.Copy(h, io.NewSectionReader(readerAt{ctx, reader{o, v}}, 0, v.info.Size)); err != nil {
		return true
	}
	return hex.EncodeToString(h.Sum(nil)) == want
}

func sameMeta(a, b object.Meta) bool {
	if len(a) != len(b) || len(a) == 0 { // without any, nothing tells it from another's
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// stored notes that a version stands, and hands what the disk has of it to the cache.
func (o *Overlay) stored(p *op, info object.Info) {
	v := p.v
	info.Key, info.Size = p.key, v.info.Size
	if v.info.Meta != nil {
		info.Meta, info.ContentType = v.info.Meta.Clone(), v.info.ContentType
	} else {
		info.Meta = nil
	}
	rec, err := o.log.Append(encode(doneRecord{Op: "done", Seqs: []uint64{p.seq}, Key: []byte(p.key),
		ETag: info.ETag, Size: info.Size, LastModified: info.LastModified}), nil)
	if err != nil {
		o.Log.Error("an upload can't be noted; it may be repeated at the next mount", "op", "done", "key", p.key, "err", err)
	}
	o.adopt(v, info.ID())
	o.mu.Lock()
	v.kept = v.refs > 1 && v.localLocked() // where that is known must not depend on when it is sent
	v.stands, v.remote, v.noted = true, info, &shared{rec: rec, uses: 1}
	if !v.kept {
		o.shedLocked(v)
	}
	o.mu.aliases.Add(v.info.ETag, info)
	o.mu.lastDone = o.Clock()
	delete(o.mu.failures, p.key)
	if e := o.mu.entries[p.key]; e != nil {
		e.becameLocked(v.info.ETag, info.ETag)
		if len(e.ops) == 1 && e.ops[0] == p {
			shown := info
			e.info = &shown
			o.removeLocked(e, p)
			o.dropEntryLocked(e)
		} else {
			o.removeLocked(e, p)
		}
	}
	o.mu.Unlock()
	if o.listener != nil {
		o.listener.Stored(object.ID{Key: v.info.Key, ETag: v.info.ETag}, info)
	}
}

// shedLocked gives back what the disk has of a version that the store has.
func (o *Overlay) shedLocked(v *version) {
	o.dropLayerLocked(v.own)
	o.mu.bytes -= v.own.bytes()
	base := v.base
	v.own, v.base = nil, nil
	o.unrefLocked(base)
}

// adopt gives the cache what it would have to download otherwise.
func (o *Overlay) adopt(v *version, id object.ID) {
	size := v.info.Size
	if o.cache == nil || id.ETag == "" || size == 0 || v.own == nil || !v.own.whole(size) {
		return
	}
	path := filepath.Join(o.layerDir(), o.newName()) + adoptSuffix
	var reserved int64
	var err error
	if v.own.path != "" {
		err = os.Link(v.own.path, path)
	} else {
		data := make([]byte, size)
		if _, err = o.readLayer(v.info.Key, v.own, data, 0); err == nil {
			reserved = inBlocks(size)
			if !o.Disk.TryReserve(reserved) {
				return // it can be downloaded
			}
			err = os.WriteFile(path, data, 0o600)
		}
	}
	if err == nil {
		if v.own.path != "" {
			reserved, v.own.reserved = v.own.reserved, 0
		}
		err = o.cache.Adopt(id, size, path, reserved)
	}
	if err != nil {
		o.Log.Warn("a stored file is not cached, reading it will download it", "key", id.Key, "err", err)
		os.Remove(path)
		o.Disk.Release(reserved)
	}
}

const adoptSuffix = ".adopt"

// failed notes that operations did not work, and when they are tried again.
func (o *Overlay) failed(err error, ops ...*op) {
	refused := refusal(object.KindOf(err))
	if refused && len(ops) == 1 && o.giveUp(o.ctx, ops[0], err) {
		ops[0].dropStaged()
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range ops {
		first := p.err == nil || object.KindOf(p.err) != object.KindOf(err)
		p.running = false
		p.tries++
		p.err, p.refused = err, refused
		p.unsure = p.unsure || !surelyRefused(object.KindOf(err)) || p.staged != nil && p.staged.MayBeStored()
		p.next = o.Clock().Add(o.Retry << min(p.tries-1, 6))
		if first {
			o.tellLocked(p, err)
		}
	}
	close(o.mu.changed)
	o.mu.changed = make(chan struct{})
}

// tellLocked logs a failure, and keeps it for who next syncs or closes the file.
func (o *Overlay) tellLocked(p *op, err error) {
	o.failLocked(p.key, err)
	o.Log.Error("a change is kept in the journal, since the store does not take it; it is tried again: s3mount status shows it",
		"op", opNames[p.kind], "key", p.key, "since", p.since.Format(time.RFC3339),
		"do", object.KindOf(err).Advice(), "err", err)
}

// refusal reports whether a failure is about the one operation.
func refusal(k object.Kind) bool {
	switch k {
	case object.KindUnavailable, object.KindTimeout, object.KindCanceled, object.KindCredentials,
		object.KindClockSkew, object.KindNoBucket, object.KindWrongRegion, object.KindNoSpace:
		return false
	}
	return true
}

// surelyRefused reports whether a failure says that the store has not done what it was asked.
func surelyRefused(k object.Kind) bool {
	switch k {
	case object.KindPermission, object.KindCredentials, object.KindClockSkew, object.KindNoBucket, object.KindWrongRegion,
		object.KindInvalid, object.KindQuota, object.KindTooLarge, object.KindNameTooLong, object.KindNotUTF8, object.KindUnsupported:
		return true
	}
	return false
}

// runDeletes sends deletes together.
func (o *Overlay) runDeletes(ops []*op) {
	defer func() {
		o.empty()
		o.mu.Lock()
		o.mu.deleting = false
		o.mu.Unlock()
		o.rouse()
	}()
	var send, late, needless []*op
	err := o.Sync(o.ctx) // as in run
	if err == nil {
		send, late, needless, err = o.sortDeletes(o.ctx, ops)
	}
	if err != nil {
		if o.ctx.Err() == nil {
			o.failed(err, ops...)
		}
		return
	}
	if len(send) > 0 {
		ctx, cancel := context.WithTimeout(o.ctx, foundHolds)
		err = o.Store.DeleteMany(ctx, keysOf(send))
		cancel()
	}
	if err != nil && o.ctx.Err() != nil {
		return
	}
	why := errorsByKey(err)
	done := needless
	for _, p := range send {
		switch {
		case err == nil, len(why) > 0 && why[p.key] == nil && why[""] == nil:
			done = append(done, p)
		case why[p.key] != nil:
			o.failed(why[p.key], p)
		default:
			o.failed(err, p)
		}
	}
	o.deleted(done, false)
	o.deleted(late, true)
	o.tellLate(late)
}

func keysOf(ops []*op) []string {
	keys := make([]string, len(ops))
	for i, p := range ops {
		keys[i] = p.key
	}
	return keys
}

// tellLate says that deletes found what somebody else has stored.
func (o *Overlay) tellLate(late []*op) {
	if len(late) == 0 {
		return
	}
	o.Log.Warn("somebody else stored objects under names that were removed here: they stay, and show again",
		"op", opNames[opDelete], "key", late[0].key, "keys", len(late), "removed", late[0].since.Format(time.RFC3339))
	for _, p := range late {
		if o.listener != nil {
			o.listener.Lost(object.ID{Key: p.key})
		}
	}
}

// errorsByKey takes the error of a DeleteMany apart. Under the empty key is one that is not
// about a key: then nobody knows of which keys it is.
func errorsByKey(err error) map[string]error {
	by := map[string]error{}
	var walk func(error)
	walk = func(err error) {
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range several.Unwrap() {
				walk(e)
			}
			return
		}
		key := ""
		if e := (*object.Error)(nil); errors.As(err, &e) {
			key = e.Key
		}
		by[key] = err
	}
	if err != nil {
		walk(err)
	}
	return by
}

// deleted notes that deletes have ended; late ones leave something under their keys.
func (o *Overlay) deleted(ops []*op, late bool) {
	if len(ops) == 0 {
		return
	}
	d := doneRecord{Op: "done"}
	for _, p := range ops {
		d.Seqs = append(d.Seqs, p.seq)
	}
	rec, err := o.log.Append(encode(d), nil)
	if err != nil {
		o.Log.Error("deletes can't be noted; they may be repeated at the next mount", "op", "done", "key", ops[0].key, "err", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	done := &shared{rec: rec, uses: 1}
	defer o.releaseSharedLocked(done)
	o.mu.lastDone = o.Clock()
	for _, p := range ops {
		p.rec.noteLocked(done)
		delete(o.mu.failures, p.key)
		e := o.mu.entries[p.key]
		o.removeLocked(e, p)
		if len(e.ops) == 0 {
			e.lost = late
			o.dropEntryLocked(e)
		}
	}
}
