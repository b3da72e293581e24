package vfs

import (
	"context"
	"fmt"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// earlyPromiser has stored what it promised before it tells so: answers are of the store's
// version, and Stored is still to come.
type earlyPromiser struct {
	*promiser
	now map[string]object.Info // by local ETag
}

func (p *earlyPromiser) Promise(ctx context.Context, key string, o object.PutOptions, e writeback.Edit) (object.Info, bool, error) {
	info, took, err := p.promiser.Promise(ctx, key, o, e)
	local := info
	local.ETag = object.LocalETag(fmt.Sprint(len(p.now)))
	p.now[local.ETag] = info
	return local, took, err
}

func (p *earlyPromiser) Now(info object.Info) object.Info {
	if now, ok := p.now[info.ETag]; ok {
		return now
	}
	return info
}

// An answer that tells of the upload of an open file before Stored does is not taken for
// somebody else's version, which would take the name from the handle.
func TestRegressionAnUploadIsNoOtherVersion(t *testing.T) {
	for name, look := range map[string]func(w *world, h *Handle) error{
		"lookup": func(w *world, _ *Handle) error { _, err := w.lookup("f"); return err },
		"open": func(w *world, h *Handle) error {
			o, _, err := w.fs.Open(w.ctx(), h.n.id, false)
			if err == nil {
				o.Release()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemStore()
			p := &earlyPromiser{&promiser{memStore: m, dir: t.TempDir()}, map[string]object.Info{}}
			w := newWorld(t, m, func(o *Options) { o.Store, o.Promises, o.DirCacheTime = p, p, 0 })
			w.queue.Promiser = p
			h := w.create("f")
			w.writeAt(h, "first", 0)
			w.must(h.Flush(w.ctx()))
			local := w.fs.content(h.n).id
			if !local.Local() {
				t.Fatalf("the version is %v", local)
			}
			w.must(look(w, h))
			w.writeAt(h, "!", 5)
			w.fs.Stored(local, p.now[local.ETag])
			if e, err := w.lookup("f"); err != nil || e.Node != h.n.id {
				t.Errorf("the name is another file's: %v, %v", e, err)
			}
			if got, err := w.readHandle(h); err != nil || got != "first!" {
				t.Errorf("reads %q, %v", got, err)
			}
		})
	}
}
