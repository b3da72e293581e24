package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
	"github.com/s3mount/s3mount/writeback/journal"
)

const (
	// lazily is how soon deletes and changes of metadata are durable: a lost one loses no data.
	lazily = 10 * time.Millisecond
	// maxDeletes is how many keys a record of deletes has at most.
	maxDeletes = 1000
)

// Put promises a small object.
func (o *Overlay) Put(ctx context.Context, key string, body *io.SectionReader, opts object.PutOptions) (object.Info, error) {
	if body.Size() > o.Small {
		return object.Info{}, object.Errorf(object.KindTooLarge, "put", key, "%d bytes are not promised by Put", body.Size())
	}
	data, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	if err != nil {
		return object.Info{}, localError("put", key, err)
	}
	e := writeback.Edit{Size: int64(len(data)), Content: bytes.NewReader(data)}
	if len(data) > 0 {
		e.Ranges = []object.Range{{Len: int64(len(data))}}
	}
	info, _, err := o.Promise(ctx, key, opts, e)
	return info, err
}

// Promise promises a version that an edit makes. took says that the file of the edit, and
// what it has reserved, belong to the Overlay now, and must not change any more.
func (o *Overlay) Promise(ctx context.Context, key string, opts object.PutOptions, e writeback.Edit) (info object.Info, took bool, err error) {
	if err := o.admit(ctx, key, 1); err != nil {
		return object.Info{}, false, err
	}
	f, err := o.flatten(ctx, e)
	if err != nil {
		o.end(f, false)
		return object.Info{}, false, writeback.LocalError("put", key, err)
	}
	info, took, err = o.promiseEdit(key, opts, f)
	o.end(f, took)
	if errors.Is(err, errMoved) {
		return o.promiseEdit(key, opts, flat{Edit: e})
	}
	return info, took && f.path == "", err
}

// errMoved says that an edit can't take the place of a version that it has taken in.
var errMoved = errors.New("the version beneath was sent")

func (o *Overlay) promiseEdit(key string, opts object.PutOptions, f flat) (info object.Info, took bool, err error) {
	e := f.Edit
	own, data, took, err := o.keep(key, e)
	if err != nil {
		return object.Info{}, false, err
	}
	p := &op{kind: opPut, key: key, since: o.Clock()}
	v := &version{own: own, baseEnd: min(e.BaseEnd, e.Size), baseSize: e.BaseSize}
	v.info = object.Info{Key: key, Size: e.Size, Meta: opts.Meta.Clone(), ContentType: opts.ContentType, LastModified: p.since}
	p.v = v
	rec, err := o.promise(p, e.Base, opts.Condition, data, f.instead)
	if err == nil {
		err = localError("put", key, o.log.Sync(rec))
		return v.info, took, err
	}
	switch {
	case took: // the file and its space are still the edit's
		os.Remove(own.path)
	case own != nil:
		o.Disk.Release(own.reserved)
	}
	return object.Info{}, false, err
}

// keep makes the bytes of an edit durable: as data for the record, or in a file of their own.
func (o *Overlay) keep(key string, e writeback.Edit) (own *layer, data []byte, took bool, err error) {
	own = &layer{ranges: e.Ranges}
	n := own.bytes()
	switch {
	case n == 0:
		return nil, nil, false, nil
	case n <= o.Small:
		own.reserved = inBlocks(n)
		if err := o.Disk.Reserve(own.reserved); err != nil {
			return nil, nil, false, err
		}
		data = make([]byte, 0, n)
		for _, r := range e.Ranges {
			at := len(data)
			data = data[:at+int(r.Len)]
			if k, err := e.Content.ReadAt(data[at:], r.Off); k < int(r.Len) {
				o.Disk.Release(own.reserved)
				return nil, nil, false, localError("put", key, err)
			}
		}
		return own, data, false, nil
	}
	own.path = filepath.Join(o.layerDir(), o.newName())
	own.reserved = e.Reserved
	if err := e.HandOver(own.path); err != nil {
		return nil, nil, false, localError("put", key, err)
	}
	return own, nil, true, nil
}

func (o *Overlay) newName() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.names++
	return fmt.Sprintf("%s-%d", o.instance, o.mu.names)
}

// promise completes a put or copy and journals it. under is the version beneath.
func (o *Overlay) promise(p *op, under object.ID, c object.Condition, data []byte, instead *version) (*journal.Record, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := p.v
	if v.baseEnd > 0 || v.copied {
		if err := o.restOnLocked(v, under); err != nil {
			return nil, err
		}
	}
	if err := o.conditionLocked(p, c); err != nil {
		if v.base != nil {
			o.unrefLocked(v.base)
		}
		return nil, err
	}
	o.mu.lastSeq++
	p.seq, p.order = o.mu.lastSeq, o.mu.lastSeq
	replaced, order := o.inheritLocked(p)
	if !insteadLocked(instead, replaced) {
		if v.base != nil {
			o.unrefLocked(v.base)
		}
		return nil, errMoved
	}
	v.info.ETag = object.LocalETag(fmt.Sprintf("%s-%d", o.instance, p.seq))
	in := intentOf(p)
	in.Replaces, in.Order = replaced, order
	rec, err := o.log.Append(encode(in), data)
	if err != nil {
		if v.base != nil {
			o.unrefLocked(v.base)
		}
		return nil, localError(opNames[p.kind], p.key, err)
	}
	v.rec = &shared{rec: rec, uses: 1}
	if data != nil {
		v.own.rec = rec
	}
	o.addLocked(p)
	return rec, nil
}

// restOnLocked puts a version on top of another one.
func (o *Overlay) restOnLocked(v *version, under object.ID) error {
	v.baseID = under
	if !under.Local() {
		return nil
	}
	if b := o.mu.versions[under.ETag]; b != nil {
		if v.copied {
			b = b.originalLocked()
		}
		b.refs++
		v.base, v.baseID = b, object.ID{}
		v.depth = b.depth + 1
		return nil
	}
	info, ok := o.mu.aliases.Get(under.ETag)
	if !ok {
		return object.Errorf(object.KindStale, "put", v.info.Key, "the version beneath is no longer known")
	}
	v.baseID, v.baseSize = info.ID(), info.Size
	return nil
}

// originalLocked is the version whose copies of copies v is, as long as all of it is local: a
// name that changes again and again must not keep one version more each time.
func (v *version) originalLocked() *version {
	for v.copied && v.base != nil && !v.stands && v.info.Meta != nil && v.localLocked() && v.base.info.Size == v.info.Size {
		v = v.base
	}
	return v
}

// conditionLocked checks a condition against what is pending, and makes of it one for the
// store.
func (o *Overlay) conditionLocked(p *op, c object.Condition) error {
	e := o.mu.entries[p.key]
	fail := func() error {
		kind := object.KindConflict
		if p.kind == opCopy {
			kind = object.KindExists
		}
		return object.Errorf(kind, opNames[p.kind], p.key, "")
	}
	switch {
	case c.IfAbsent && e != nil && e.info != nil:
		return fail()
	case c.IfAbsent || c.IfMatch == "":
		p.cond.IfAbsent = c.IfAbsent
	case e != nil && e.info != nil && o.isLocked(e.info.ETag, c.IfMatch):
		p.after = o.mu.versions[e.info.ETag]
	case e != nil:
		return fail()
	case object.ID{ETag: c.IfMatch}.Local():
		info, ok := o.mu.aliases.Get(c.IfMatch)
		if !ok {
			return fail()
		}
		p.cond.IfMatch = info.ETag
	default:
		p.cond.IfMatch = c.IfMatch
	}
	return nil
}

// Copy promises that dst will be what src is. Its version must be known. A copy onto itself is
// durable a moment after it returned, or with the next promise.
func (o *Overlay) Copy(ctx context.Context, src object.ID, dst string, c object.CopyOptions) (object.Info, error) {
	if err := o.admit(ctx, dst, 1); err != nil {
		return object.Info{}, err
	}
	p := o.copying(dst, c)
	v := p.v
	if c.Meta == nil {
		o.mu.Lock()
		o.describeLocked(v, src)
		o.mu.Unlock()
	}
	rec, err := o.promise(p, src, object.Condition{IfAbsent: c.IfAbsent, IfMatch: c.IfMatch}, nil, nil)
	if err != nil {
		return object.Info{}, err
	}
	if src.Key == dst { // nothing but metadata changes
		o.log.SyncSoon(lazily)
		return v.info, nil
	}
	return v.info, localError("copy", dst, o.log.Sync(rec))
}

// copying is a copy that is to be promised.
func (o *Overlay) copying(dst string, c object.CopyOptions) *op {
	now := o.Clock()
	info := object.Info{Key: dst, Size: c.Size, LastModified: now, Meta: c.Meta, ContentType: c.ContentType}
	return &op{kind: opCopy, key: dst, since: now, v: &version{info: info, baseEnd: c.Size, copied: true}}
}

// describeLocked gives a copy the metadata of its source, where that is pending.
func (o *Overlay) describeLocked(v *version, src object.ID) {
	if b := o.mu.versions[src.ETag]; b != nil {
		v.info.Meta, v.info.ContentType = b.info.Meta, b.info.ContentType
	}
}

// Delete promises that a key will go, whatever is under it.
func (o *Overlay) Delete(ctx context.Context, key string) error {
	return o.DeleteVersions(ctx, []object.ID{{Key: key}})
}

// DeleteVersion promises that a version will go: what somebody else stores under the key
// before that is sent stays, and shows again.
func (o *Overlay) DeleteVersion(ctx context.Context, id object.ID) error {
	return o.DeleteVersions(ctx, []object.ID{id})
}

// DeleteMany promises that keys will go, whatever is under them.
func (o *Overlay) DeleteMany(ctx context.Context, keys []string) error {
	ids := make([]object.ID, len(keys))
	for i, key := range keys {
		ids[i].Key = key
	}
	return o.DeleteVersions(ctx, ids)
}

// DeleteVersions is DeleteVersion for several, or Delete where there is no ETag. They are
// durable a moment after it returned, or with the next promise.
func (o *Overlay) DeleteVersions(ctx context.Context, ids []object.ID) error {
	for some := range slices.Chunk(ids, maxDeletes) {
		if err := o.deleteSome(ctx, some); err != nil {
			return err
		}
	}
	o.log.SyncSoon(lazily)
	return nil
}

func (o *Overlay) deleteSome(ctx context.Context, ids []object.ID) error {
	if err := o.admit(ctx, ids[0].Key, len(ids)); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	in := intent{Op: opNames[opDelete], Seq: o.mu.lastSeq + 1, Time: o.Clock()}
	gone := map[*op]bool{} // the record must name all that the deletes take out, one after the other
	for i, id := range ids {
		seq, meant := in.Seq+uint64(i), o.meantLocked(id)
		replaced, _ := o.replacedLocked(&op{kind: opDelete, seq: seq, order: seq, key: id.Key}, gone)
		for _, q := range replaced {
			in.Replaces = append(in.Replaces, q.seq)
			gone[q] = true
		}
		if len(replaced) > 0 && id.ETag != "" {
			meant = leftByLocked(replaced)
		}
		in.Keys, in.Meant = append(in.Keys, []byte(id.Key)), append(in.Meant, meant)
	}
	rec, err := o.log.Append(encode(in), nil)
	if err != nil {
		return localError("delete", ids[0].Key, err)
	}
	return o.deleteLocked(in, rec)
}

func (o *Overlay) deleteLocked(in intent, rec *journal.Record) error {
	r := &shared{rec: rec, uses: len(in.Keys) + 1}
	defer o.releaseSharedLocked(r)
	var needless []uint64
	for i, key := range in.Keys {
		p := &op{kind: opDelete, seq: in.Seq + uint64(i), key: string(key), meant: in.Meant[i], rec: r, since: in.Time}
		p.order, o.mu.lastSeq = p.seq, p.seq
		if !o.addLocked(p) {
			needless = append(needless, p.seq)
		}
	}
	return localError("delete", string(in.Keys[0]), o.needlessLocked(r, needless))
}

// needlessLocked notes that operations of a record need not be sent.
func (o *Overlay) needlessLocked(r *shared, seqs []uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	done, err := o.log.Append(encode(doneRecord{Op: "done", Seqs: seqs}), nil)
	if err == nil {
		r.noteLocked(&shared{rec: done})
	}
	return err
}

// admit waits until n more operations may be pending.
func (o *Overlay) admit(ctx context.Context, key string, n int) error {
	var late <-chan time.Time
	for {
		o.mu.Lock()
		pending, changed, closing := len(o.mu.ops), o.mu.changed, o.mu.closing
		o.mu.Unlock()
		if closing {
			return object.Errorf(object.KindCanceled, "promise", key, "the mount is ending")
		}
		if pending+n <= max(o.MaxOps, n) {
			return nil
		}
		if late == nil {
			t := time.NewTimer(o.Patience)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return object.Errorf(object.KindOf(ctx.Err()), "promise", key, "%d changes wait for the store: %w", pending, ctx.Err())
		case <-late:
			return object.Errorf(object.KindNoSpace, "promise", key, "%d changes wait for the store", pending)
		}
	}
}

// isLocked reports whether an ETag is that of a pending version, or what that has just become
// in the store.
func (o *Overlay) isLocked(local, etag string) bool {
	if local == etag {
		return true
	}
	v := o.mu.versions[local]
	return v != nil && v.stands && v.remote.ETag == etag
}
