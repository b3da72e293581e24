package vfs

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// promiser is a memStore that promises what it stores, and takes the files of that.
type promiser struct {
	*memStore
	dir string
}

func (p *promiser) Now(info object.Info) object.Info { return info }
func (p *promiser) State(string) string              { return "stored" }
func (p *promiser) TakeFailure(string) error         { return nil }
func (p *promiser) Sync(context.Context) error       { return nil }

func (p *promiser) Exchange(_ context.Context, a, _ object.Info, _ string) (nowA, nowB object.Info, err error) {
	return nowA, nowB, object.Errorf(object.KindNoSpace, "exchange", a.Key, "")
}

func (p *promiser) Promise(ctx context.Context, key string, o object.PutOptions, e writeback.Edit) (object.Info, bool, error) {
	data := make([]byte, e.Size)
	base, _ := p.get(e.Base.Key)
	copy(data[:e.BaseEnd], base)
	for _, r := range e.Ranges {
		if n, err := e.Content.ReadAt(data[r.Off:r.End()], r.Off); n < int(r.Len) {
			return object.Info{}, false, err
		}
	}
	info, err := p.Put(ctx, key, io.NewSectionReader(bytes.NewReader(data), 0, e.Size), o)
	if err != nil {
		return info, false, err
	}
	return info, true, e.HandOver(filepath.Join(p.dir, info.ETag))
}

// promisingWorld is a world with promises.
func promisingWorld(t *testing.T) (*world, *promiser) {
	m := newMemStore()
	p := &promiser{memStore: m, dir: t.TempDir()}
	w := newWorld(t, m, func(o *Options) { o.Store, o.Promises = p, p })
	w.queue.Promiser = p
	return w, p
}

// TestRegressionAFileGoesOnAfterARenameThatFailed: its content was promised for that, and must
// not change any more; what is written next goes over it.
func TestRegressionAFileGoesOnAfterARenameThatFailed(t *testing.T) {
	for name, do := range map[string]func(w *world) error{
		"rename": func(w *world) error { return w.rename("f", "g") },
		"exchange": func(w *world) error {
			w.write("g", "other")
			return w.fs.Exchange(w.ctx(), RootID, "f", RootID, "g")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := promisingWorld(t)
			h := w.create("f")
			w.writeAt(h, "first", 0)
			w.m.fail = func(op, key string) error {
				if op == "Copy" {
					return object.Errorf(object.KindNoSpace, op, key, "")
				}
				return nil
			}
			w.want(do(w), object.KindNoSpace)
			w.m.fail = nil
			w.must(h.Zero(w.ctx(), 0, 2, true))
			w.writeAt(h, "!", 5)
			w.stored("f", "first")
			info, err := w.m.Head(w.ctx(), "f")
			w.must(err)
			if got, err := os.ReadFile(filepath.Join(p.dir, info.ETag)); err != nil || string(got) != "first" {
				t.Errorf("what was promised is %q by now, %v", got, err)
			}
			w.closeFile(h)
			w.stored("f", "\x00\x00rst!")
		})
	}
}
