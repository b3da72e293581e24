package overlay

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/durable"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// maxDepth is how many local versions may lie upon one another before a new one takes in those
// beneath it. A file that is synced again and again, while nothing can be sent, would keep
// them all.
const maxDepth = 8

// flat is an edit that has taken in the versions beneath it, in a file of its own.
type flat struct {
	writeback.Edit
	path     string // empty: the edit is as it was
	reserved int64
	held     *version // what the edit rests on now, if that is local
	// instead is a version that the edit has taken in, and that must never be stored: what the
	// edit rests on would be gone then.
	instead *version
}

// flatten makes an edit one of a version further down, if there are too many in between. It
// takes in versions as long as they are not much larger than what is above them: so the
// number of versions stays small, and a large one is not copied at each small edit.
func (o *Overlay) flatten(ctx context.Context, e writeback.Edit) (f flat, err error) {
	f.Edit = e
	top, in := o.takeIn(&f)
	if top == nil {
		return f, nil
	}
	defer o.letGo(top)
	most := own(e.Ranges)
	for l := range in {
		most += l.bytes()
	}
	most = inBlocks(min(most, e.Size))
	if err := o.Disk.Reserve(most); err != nil {
		return f, err
	}
	f.reserved = most
	f.path = filepath.Join(o.layerDir(), o.newName())
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return f, err
	}
	defer file.Close()
	runs := slices.Clone(e.Ranges)
	if err = file.Truncate(e.Size); err == nil {
		err = o.copyRuns(ctx, file, top, in, e.BaseEnd, &runs)
	}
	for _, r := range e.Ranges { // over what was there
		if err == nil {
			err = copyRange(file, e.Content, r)
		}
	}
	if err == nil {
		f.Ranges = joinRanges(runs)
		f.reserved = inBlocks(own(f.Ranges))
		o.Disk.Release(most - f.reserved)
	}
	if err != nil {
		return f, err
	}
	path := f.path
	f.Content = opened{path}
	f.HandOver = func(to string) error {
		g, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer g.Close()
		return errors.Join(unix.Fdatasync(int(g.Fd())), os.Link(path, to), durable.SyncDir(filepath.Dir(to)))
	}
	f.Reserved = f.reserved
	return f, nil
}

// inBlocks is how much of the disk budget n bytes take.
func inBlocks(n int64) int64 { return (n + 4095) &^ 4095 }

// end gives back what a flat edit has; took: but for its space.
func (o *Overlay) end(f flat, took bool) {
	if f.held != nil {
		o.letGo(f.held)
	}
	if f.path == "" {
		return
	}
	os.Remove(f.path) // it may never have been made
	if !took {
		o.Disk.Release(f.reserved)
	}
}

// takeIn decides which versions beneath an edit it takes in, makes it rest on the next one, and
// holds both that and the first.
func (o *Overlay) takeIn(f *flat) (top *version, in map[*layer]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	top = o.mu.versions[f.Base.ETag]
	if top == nil || !f.Base.Local() || top.depth < o.depth {
		return nil, nil
	}
	in = map[*layer]bool{}
	sum, v, local := own(f.Ranges), top, top.localLocked()
	// One that is to be stored first is taken in only if nothing remote is beneath, or if the
	// new version takes its place.
	free := func(v *version) bool {
		return local || !v.stands && (v.op == nil || v == top && !v.op.running && v.op.tries == 0)
	}
	for v != nil && free(v) && (!v.stands || v.kept) && v.own.bytes() <= max(2*sum, o.Small) {
		if v.own != nil {
			in[v.own] = true
		}
		sum += v.own.bytes()
		f.BaseEnd = min(f.BaseEnd, v.baseEnd)
		f.Base, f.BaseSize = v.baseID, v.baseSize
		if v = v.base; v != nil {
			f.Base = v.info.ID()
		}
	}
	if v == top {
		return nil, nil
	}
	if !local {
		f.instead = top
	}
	top.refs++
	if v != nil {
		v.refs++
		f.held = v
	}
	return top, in
}

// insteadLocked reports whether a version that an edit has taken in will not be stored, now
// that p comes and replaces others.
func insteadLocked(v *version, replaced []uint64) bool {
	return v == nil || !v.stands && (v.op == nil || slices.Contains(replaced, v.op.seq))
}

func (o *Overlay) letGo(v *version) {
	o.mu.Lock()
	o.unrefLocked(v)
	o.mu.Unlock()
	o.empty()
}

// copyRuns copies what some layers have of a version up to end, and notes where.
func (o *Overlay) copyRuns(ctx context.Context, to *os.File, v *version, in map[*layer]bool, end int64, runs *[]object.Range) error {
	buf := make([]byte, 256<<10)
	for off := int64(0); off < min(end, v.info.Size); {
		o.mu.Lock()
		s := v.sourceLocked(off)
		o.mu.Unlock()
		until := min(s.until, end)
		if s.layer == nil || !in[s.layer] {
			off = until
			continue
		}
		n := min(int64(len(buf)), until-off)
		if _, err := o.readLayer(s.key, s.layer, buf[:n], s.at); err != nil {
			return err
		}
		if _, err := to.WriteAt(buf[:n], off); err != nil {
			return err
		}
		*runs = append(*runs, object.Range{Off: off, Len: n})
		off += n
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func copyRange(to *os.File, from interface {
	ReadAt(p []byte, off int64) (int, error)
}, r object.Range) error {
	buf := make([]byte, min(256<<10, r.Len))
	for off := r.Off; off < r.End(); {
		b := buf[:min(int64(len(buf)), r.End()-off)]
		n, err := from.ReadAt(b, off)
		if n < len(b) {
			return err
		}
		if _, err := to.WriteAt(b, off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// joinRanges sorts ranges, and makes one of those that touch.
func joinRanges(list []object.Range) (out []object.Range) {
	slices.SortFunc(list, func(a, b object.Range) int { return compare(uint64(a.Off), uint64(b.Off)) })
	for _, r := range list {
		if n := len(out); n > 0 && r.Off <= out[n-1].End() {
			out[n-1].Len = max(out[n-1].End(), r.End()) - out[n-1].Off
			continue
		}
		out = append(out, r)
	}
	return out
}

func own(ranges []object.Range) int64 { return (&layer{ranges: ranges}).bytes() }

// opened reads a file by its name.
type opened struct{ path string }

func (f opened) ReadAt(p []byte, off int64) (int, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.ReadAt(p, off)
}
