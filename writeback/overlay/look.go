package overlay

import (
	"context"
	"io"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// Head tells about a key as it was promised.
func (o *Overlay) Head(ctx context.Context, key string) (object.Info, error) {
	for {
		info, src, ok, err := o.promised(key)
		if !ok {
			if info, err = o.Store.Head(ctx, key); err != nil && !object.Is(err, object.KindNotFound) {
				return info, err
			}
			if now, src, ok, gone := o.promised(key); ok { // promised meanwhile
				info, err = now, gone
				if src.Key != "" {
					continue
				}
			}
			return info, err
		}
		if src.Key == "" || err != nil {
			return info, err
		}
		// A copy of something whose metadata only the store knows.
		from, err := o.Store.Head(ctx, src.Key)
		if now, at, ok, _ := o.promised(key); !ok || now.ETag != info.ETag || at != src {
			continue // what is copied may be elsewhere by now, and gone from there
		}
		if err == nil && from.ETag != src.ETag {
			err = object.Errorf(object.KindStale, "head", key, "the source of a copy that is not made yet was replaced")
		}
		info.Meta, info.ContentType, info.StorageClass = from.Meta, from.ContentType, from.StorageClass
		return info, err
	}
}

// promised returns what is pending for a key; ok is false where nothing is. src is the
// remote version that has the metadata, if they are not in info.
func (o *Overlay) promised(key string) (info object.Info, src object.ID, ok bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.mu.entries[key]
	if e == nil {
		return info, src, false, nil
	}
	if e.info == nil {
		return info, src, true, object.Errorf(object.KindNotFound, "head", key, "")
	}
	info = *e.info
	v := o.mu.versions[info.ETag]
	if info.Meta != nil || v == nil {
		info.Meta = info.Meta.Clone()
		return info, src, true, nil
	}
	for v.base != nil && (!v.stands || v.kept) {
		v = v.base
		if v.info.Meta != nil {
			info.Meta, info.ContentType = v.info.Meta.Clone(), v.info.ContentType
			return info, src, true, nil
		}
	}
	if v.stands && !v.kept {
		return info, v.remote.ID(), true, nil
	}
	return info, v.baseID, true, nil
}

// Get reads a range of a version, also of a local one.
func (o *Overlay) Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	if !id.Local() {
		return o.Store.Get(ctx, id, r)
	}
	o.mu.Lock()
	v := o.mu.versions[id.ETag]
	now, ok := o.mu.aliases.Get(id.ETag)
	if v != nil && v.stands && !v.kept {
		now, ok, v = v.remote, true, nil
	}
	o.mu.Unlock()
	switch {
	case v != nil:
		return io.NopCloser(io.NewSectionReader(readerAt{ctx, reader{o, v}}, r.Off, min(r.Len, v.info.Size-r.Off))), nil
	case ok: // the cache may have it by now
		return &baseBody{Base: o.base(now.ID(), now.Size), ctx: ctx, off: r.Off, end: min(r.End(), now.Size)}, nil
	}
	return nil, object.Errorf(object.KindStale, "get", id.Key, "the version is no longer known")
}

// State tells how far a key's content is on its way to the store.
func (o *Overlay) State(key string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.mu.entries[key]
	if e == nil {
		return "stored"
	}
	state := "pending"
	for _, p := range e.ops {
		if p.err != nil {
			return "failing"
		}
		if p.running {
			state = "uploading"
		}
	}
	return state
}

// TakeFailure returns, once, how an operation on a key failed since it was last asked.
func (o *Overlay) TakeFailure(key string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.mu.failures[key]
	delete(o.mu.failures, key)
	return err
}

// Now returns what a local version is in the store by now, else info itself.
func (o *Overlay) Now(info object.Info) object.Info {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now, ok := o.mu.aliases.Get(info.ETag); ok {
		if now.Meta == nil {
			now.Meta, now.ContentType = info.Meta, info.ContentType
		}
		return now
	}
	return info
}

// baseBody reads a range of a version that is in the store by now.
type baseBody struct {
	writeback.Base
	ctx      context.Context
	off, end int64
}

func (b *baseBody) Read(p []byte) (int, error) {
	if b.off >= b.end {
		return 0, io.EOF
	}
	n, err := b.ReadAt(b.ctx, p[:min(int64(len(p)), b.end-b.off)], b.off)
	b.off += int64(n)
	if n > 0 {
		err = nil // it comes again
	}
	return n, err
}

func (b *baseBody) Close() error {
	b.Base.Close()
	return nil
}
