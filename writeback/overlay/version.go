package overlay

import (
	"context"
	"errors"
	"io"
	"os"
	"sort"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
	"github.com/s3mount/s3mount/writeback/journal"
)

// version is the content and description of one promised version. Its fields but those
// named below never change.
type version struct {
	info object.Info // with the local ETag; Meta is nil if it is its source's, and not known
	own  *layer      // nil: nothing but what is beneath
	// What is not in own and below baseEnd is in base, or else in the remote version baseID.
	base    *version
	baseID  object.ID
	baseEnd int64
	// baseSize is the size of baseID; 0: it ends at baseEnd.
	baseSize int64
	copied   bool // a copy of what is beneath: the store may make it itself

	rec *shared // that says so

	// Guarded by Overlay.mu.
	refs   int         // of operations, and of versions on top
	op     *op         // that brings it to the store; nil: none does any more
	stands bool        // it is in the store, as
	remote object.Info //
	kept   bool        // it stands, and is wholly here all the same, for those on top of it
	noted  *shared     // that it is, or never will be, as long as somebody needs to know; nil: not noted
	depth  int         // of local layers
}

// layer is bytes of a version on the local disk: in the record of the version, one range
// behind another, or at their places in a file.
type layer struct {
	rec      *journal.Record // nil: in the file
	path     string
	ranges   []object.Range // sorted, apart from each other
	reserved int64          // of the disk budget, in bytes
}

// run tells whether off is in the layer, and up to where that is so, limit at most. at is
// where the byte is in the record or file.
func (l *layer) run(off, limit int64) (in bool, until, at int64) {
	if l == nil {
		return false, limit, 0
	}
	i := sort.Search(len(l.ranges), func(i int) bool { return l.ranges[i].End() > off })
	switch {
	case i == len(l.ranges):
		return false, limit, 0
	case l.ranges[i].Off > off:
		return false, min(limit, l.ranges[i].Off), 0
	}
	at = off
	if l.rec != nil {
		at = off - l.ranges[i].Off
		for _, r := range l.ranges[:i] {
			at += r.Len
		}
	}
	return true, min(limit, l.ranges[i].End()), at
}

func (l *layer) whole(size int64) bool {
	return size == 0 || l != nil && len(l.ranges) == 1 && l.ranges[0].Off == 0 && l.ranges[0].Len >= size
}

// source is where bytes of a version are.
type source struct {
	key    string    // of the version that has the layer
	layer  *layer    // nil: not on the disk
	at     int64     // in the layer
	remote object.ID // if there is no layer; the zero ID: they are zeros
	size   int64     // of the remote version
	until  int64     // where another source begins
}

// sourceLocked finds where the byte at off is.
func (v *version) sourceLocked(off int64) source {
	limit := v.info.Size
	for {
		in, until, at := v.own.run(off, limit)
		limit = until
		if in {
			return source{key: v.info.Key, layer: v.own, at: at, until: until}
		}
		if v.stands && !v.kept {
			return source{remote: v.remote.ID(), size: v.remote.Size, until: limit}
		}
		if off >= v.baseEnd {
			return source{until: limit}
		}
		limit = min(limit, v.baseEnd)
		if v.base == nil {
			return source{remote: v.baseID, size: v.wholeBase(), until: limit}
		}
		v = v.base
	}
}

// wholeBase is the size of the remote version baseID, which is cached by that.
func (v *version) wholeBase() int64 { return max(v.baseSize, v.baseEnd) }

// rootLocked is the remote version of which a version's bytes are read; the zero ID: none.
func (v *version) rootLocked() object.ID {
	for {
		switch {
		case v.stands && !v.kept:
			return v.remote.ID()
		case v.baseEnd == 0 && !v.namelessLocked() || v.baseEnd > 0 && v.own.whole(v.baseEnd):
			return object.ID{}
		case v.base == nil:
			return v.baseID
		}
		v = v.base
	}
}

// namelessLocked reports whether only what a version was copied from tells its metadata.
func (v *version) namelessLocked() bool { return v.copied && v.info.Meta == nil }

// smallLocked reports whether no bytes of a version lie in a file of their own.
func (v *version) smallLocked() bool { return v.own == nil || v.own.path == "" }

// localLocked reports whether all bytes of a version are on the disk.
func (v *version) localLocked() bool { return v.rootLocked() == object.ID{} }

// reader reads a version, as io.ReaderAt does with a context.
type reader struct {
	o *Overlay
	v *version
}

func (r reader) readAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	for n < len(p) && off+int64(n) < r.v.info.Size {
		m, err := r.o.readRun(ctx, r.v, p[n:], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readRun reads from off as far as one source goes.
func (o *Overlay) readRun(ctx context.Context, v *version, p []byte, off int64) (int, error) {
	var late <-chan time.Time
	for {
		o.mu.Lock()
		s := v.sourceLocked(off)
		changed := o.mu.changed
		o.mu.Unlock()
		q := p[:min(int64(len(p)), s.until-off)]
		n, err := o.readSource(ctx, s, q, off)
		if err == nil || ctx.Err() != nil || n > 0 {
			return n, err
		}
		// It may have moved to the store, or be about to.
		o.mu.Lock()
		moved := v.sourceLocked(off) != s
		replaced := o.replacedByLocked(s.remote.Key)
		o.mu.Unlock()
		if moved {
			continue
		}
		if !replaced {
			return n, err
		}
		if late == nil {
			t := time.NewTimer(o.Settle)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-changed:
		case <-late:
			return n, err
		case <-ctx.Done():
			return n, err
		}
	}
}

// replacedByLocked reports whether a version of ours may be in the store under a key without
// our knowing, and sees to it that it will be known soon.
func (o *Overlay) replacedByLocked(key string) bool {
	e := o.mu.entries[key]
	if e == nil || key == "" || !e.ops[0].sentLocked() {
		return false
	}
	e.ops[0].next = time.Time{}
	o.rouse()
	return true
}

func (o *Overlay) readSource(ctx context.Context, s source, p []byte, off int64) (int, error) {
	switch {
	case s.layer != nil:
		return o.readLayer(s.key, s.layer, p, s.at)
	case s.remote != object.ID{}:
		b := o.base(s.remote, s.size)
		defer b.Close()
		n, err := b.ReadAt(ctx, p, off)
		if errors.Is(err, io.EOF) {
			err = nil
			if n < len(p) {
				err = object.Errorf(object.KindCorrupt, "read", s.remote.Key, "the version beneath ends before its size")
			}
		}
		return n, err
	}
	clear(p)
	return len(p), nil
}

// readLayer reads bytes of a layer; key is for the error.
func (o *Overlay) readLayer(key string, l *layer, p []byte, at int64) (int, error) {
	if l.rec != nil {
		n, err := o.log.Read(l.rec, p, at)
		if errors.Is(err, io.EOF) && n == len(p) {
			err = nil
		}
		return n, localError("read journal", key, err)
	}
	f, err := os.Open(l.path)
	if err != nil {
		return 0, localError("read", key, err)
	}
	defer f.Close()
	n, err := f.ReadAt(p, at)
	if n == len(p) {
		err = nil
	}
	return n, localError("read", key, err)
}

// readerAt is a reader with one context, for a body.
type readerAt struct {
	ctx context.Context
	reader
}

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r.readAt(r.ctx, p, off) }

// plainBase reads a remote version without a cache.
func (o *Overlay) plainBase(id object.ID, size int64) writeback.Base {
	return &plainBase{o.Store, id, size}
}

type plainBase struct {
	store Store
	id    object.ID
	size  int64
}

func (b *plainBase) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off >= b.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), b.size-off)
	body, err := b.store.Get(ctx, b.id, object.Range{Off: off, Len: n})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	k, err := io.ReadFull(body, p[:n])
	if err == nil && k < len(p) {
		err = io.EOF
	}
	return k, err
}

// ReadOnly is ReadAt, which reads nothing ahead.
func (b *plainBase) ReadOnly(ctx context.Context, p []byte, off int64) (int, error) {
	return b.ReadAt(ctx, p, off)
}

func (b *plainBase) Close() {}

// unrefLocked ends a use of a version; the last one gives back what it holds.
func (o *Overlay) unrefLocked(v *version) {
	for v != nil {
		if v.refs--; v.refs > 0 {
			return
		}
		delete(o.mu.versions, v.info.ETag)
		if v.noted != nil {
			if v.rec != nil { // until the record can't come again
				v.rec.noteLocked(v.noted)
			}
			o.releaseSharedLocked(v.noted)
		}
		o.releaseSharedLocked(v.rec)
		o.mu.bytes -= v.own.bytes()
		o.dropLayerLocked(v.own)
		v = v.base // it stays: who still reads v gets an error, not zeros
	}
}

// dropLayerLocked gives back the space of a layer: of a file once that may go.
func (o *Overlay) dropLayerLocked(l *layer) {
	switch {
	case l == nil:
	case l.rec != nil:
		o.Disk.Release(l.reserved)
	default:
		o.mu.trash = append(o.mu.trash, l)
	}
}

func (o *Overlay) releaseRecord(r *journal.Record, notes ...*journal.Record) {
	if r != nil {
		o.log.Release(r, notes...)
	}
}

func (l *layer) bytes() (n int64) {
	if l == nil {
		return 0
	}
	for _, r := range l.ranges {
		n += r.Len
	}
	return n
}

// empty deletes the files of versions that nobody needs, once no crash can make them needed.
func (o *Overlay) empty() {
	o.mu.Lock()
	trash := o.mu.trash
	o.mu.trash = nil
	o.mu.Unlock()
	if len(trash) == 0 || o.Look {
		return
	}
	if err := o.log.SyncAll(); err != nil {
		return // they are needed as long as the disk says that they are
	}
	for _, l := range trash {
		if l.path != "" { // else somebody has taken it
			if err := os.Remove(l.path); err != nil {
				o.Log.Warn("a file of a stored version can't be deleted", "file", l.path, "err", err)
			}
			o.Disk.Release(l.reserved)
		}
	}
}
