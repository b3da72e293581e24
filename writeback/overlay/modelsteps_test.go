package overlay

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

func (w *world) key() string {
	return []string{"a", "b", "c", "d/", "d/a", "d/b", "d/e/", "d/e/f", "d/e/g", "x/y/z", "x/y/w", "~"}[w.rnd.IntN(12)]
}

func (w *world) bytes() []byte {
	n := w.rnd.IntN(40)
	if w.rnd.IntN(4) == 0 {
		n = w.rnd.IntN(1500)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + w.rnd.IntN(26))
	}
	return b
}

// meta is different each time, as the time of a change is.
func (w *world) meta() object.Meta {
	w.count++
	return object.Meta{"mtime": fmt.Sprint(w.count)}
}

// synced notes that everything so far is durable.
func (w *world) synced() { w.soft = nil }

func (w *world) existing() (string, bool) {
	keys := slices.Sorted(maps.Keys(w.want))
	if len(keys) == 0 {
		return "", false
	}
	return keys[w.rnd.IntN(len(keys))], true
}

func (w *world) step() {
	ctx := context.Background()
	switch n := w.rnd.IntN(100); {
	case n < 25:
		key, data, meta := w.key(), w.bytes(), w.meta()
		var c object.Condition
		if old, ok := w.want[key]; w.rnd.IntN(2) == 0 {
			c.IfAbsent = !ok
			if ok {
				c.IfMatch = old.id.ETag
			}
		}
		if len(data) > 200 {
			w.edit(key, want{}, data, meta, c)
			return
		}
		info, err := w.o.Put(ctx, key, io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), object.PutOptions{Meta: meta, Condition: c})
		w.check(err)
		w.want[key] = want{data, meta, info.ID()}
		w.synced()
	case n < 45:
		if key, ok := w.existing(); ok {
			old := w.want[key]
			w.edit(key, old, w.changed(old.data), w.meta(), object.Condition{IfMatch: old.id.ETag})
		}
	case n < 52:
		w.rename()
	case n < 56:
		w.moveMany()
	case n < 60:
		w.exchange()
	case n < 70:
		var keys []string
		for range 1 + w.rnd.IntN(3) {
			keys = append(keys, w.key())
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		w.delete(keys)
	case n < 75:
		w.check(w.o.Sync(ctx))
		w.synced()
	case n < 80:
		w.list()
	case n < 85:
		if key, ok := w.existing(); ok {
			w.look(key)
		}
	case n < 97:
		w.gate.mu.Lock()
		w.gate.tokens += 1 + w.rnd.IntN(4)
		w.gate.changed.Broadcast()
		w.gate.mu.Unlock()
		time.Sleep(time.Duration(w.rnd.IntN(3)) * time.Millisecond) // the sending goes on beside it, as far as it comes
	default:
		w.crash()
	}
}

// changed makes another content of one: some bytes differ, and perhaps the size.
func (w *world) changed(data []byte) []byte {
	data = bytes.Clone(data)
	if w.rnd.IntN(3) == 0 {
		data = data[:w.rnd.IntN(len(data)+1)]
	}
	if w.rnd.IntN(3) == 0 {
		data = append(data, make([]byte, w.rnd.IntN(300))...)
	}
	for range 1 + w.rnd.IntN(3) {
		if len(data) > 0 {
			at := w.rnd.IntN(len(data))
			copy(data[at:min(len(data), at+30)], bytes.Repeat([]byte{byte('A' + w.rnd.IntN(26))}, 30))
		}
	}
	return data
}

// idBase reads a version by the Overlay.
type idBase struct {
	*plainBase
}

func (b idBase) ID() object.ID { return b.id }

// edit makes data of old by the queue of staged files.
func (w *world) edit(key string, old want, data []byte, meta object.Meta, c object.Condition) {
	ctx := context.Background()
	var s *writeback.Staged
	var err error
	if old.id.ETag == "" {
		s, err = w.edits.Stage()
	} else {
		s, err = w.edits.StageOver(old.id, int64(len(old.data)), func(id object.ID, size int64) writeback.Base {
			return idBase{&plainBase{w.o, id, size}}
		})
	}
	w.check(err)
	defer s.Discard()
	w.check(s.Truncate(ctx, int64(min(len(data), len(old.data)))))
	w.check(s.Truncate(ctx, int64(len(data))))
	for i := 0; i < len(data); i++ {
		if i < len(old.data) && data[i] == old.data[i] || i >= len(old.data) && data[i] == 0 {
			continue
		}
		end := i + 1
		for end < len(data) && (end >= len(old.data) || data[end] != old.data[end]) {
			end++
		}
		_, err := s.WriteAt(ctx, data[i:end], int64(i))
		w.check(err)
		i = end
	}
	info, err := s.Upload(key, object.PutOptions{Meta: meta, Condition: c}).Wait(ctx)
	w.check(err)
	w.want[key] = want{data, meta, info.ID()}
	w.synced()
}

func (w *world) rename() {
	ctx := context.Background()
	src, ok := w.existing()
	if !ok {
		return
	}
	from, dst := w.want[src], w.key()
	c := object.CopyOptions{Size: int64(len(from.data))}
	meta := from.meta
	if dst == src || w.rnd.IntN(3) == 0 { // a copy onto itself is for that only
		meta = w.meta()
		c.Meta = meta
	}
	before := maps.Clone(w.want)
	info, err := w.o.Copy(ctx, from.id, dst, c)
	w.check(err)
	w.want[dst] = want{from.data, meta, info.ID()}
	if dst == src {
		w.soft = append(w.soft, before)
		return
	}
	w.synced()
	if w.rnd.IntN(4) > 0 {
		w.soft = append(w.soft, maps.Clone(w.want))
		w.check(w.o.DeleteVersion(ctx, from.id))
		delete(w.want, src)
	}
}

// delete removes keys whatever is under them, or, as often, what is known to be.
func (w *world) delete(keys []string) {
	ctx := context.Background()
	if w.count%2 == 0 {
		w.soft = append(w.soft, maps.Clone(w.want))
		w.check(w.o.DeleteMany(ctx, keys))
		for _, key := range keys {
			delete(w.want, key)
		}
		return
	}
	for _, key := range keys {
		w.soft = append(w.soft, maps.Clone(w.want))
		w.check(w.o.DeleteVersion(ctx, object.ID{Key: key, ETag: w.want[key].id.ETag}))
		delete(w.want, key)
	}
}

// moveMany moves several keys at once: a crash finds all of it or nothing.
func (w *world) moveMany() {
	var from []object.Info
	var to []string
	used := map[string]bool{}
	for range 1 + w.rnd.IntN(4) {
		src, ok := w.existing()
		dst := w.key()
		_, taken := w.want[dst]
		if !ok || used[src] || used[dst] || taken {
			continue
		}
		used[src], used[dst] = true, true
		v := w.want[src]
		from = append(from, object.Info{Key: v.id.Key, ETag: v.id.ETag, Size: int64(len(v.data))})
		to = append(to, dst)
	}
	now, err := w.o.MoveMany(context.Background(), from, to)
	w.check(err)
	for i, info := range from {
		v := w.want[info.Key]
		delete(w.want, info.Key)
		w.want[to[i]] = want{v.data, v.meta, now[i].ID()}
	}
	if len(from) > 0 {
		w.synced()
	}
}

// exchange lets two keys change their versions: a crash finds all of it or nothing.
func (w *world) exchange() {
	a, _ := w.existing()
	b, _ := w.existing()
	if a == b {
		return
	}
	w.count++
	va, vb := w.want[a], w.want[b]
	info := func(v want) object.Info {
		return object.Info{Key: v.id.Key, ETag: v.id.ETag, Size: int64(len(v.data))}
	}
	nowA, nowB, err := w.o.Exchange(context.Background(), info(va), info(vb), fmt.Sprint("exchange", w.count))
	w.check(err)
	w.want[a], w.want[b] = want{vb.data, vb.meta, nowA.ID()}, want{va.data, va.meta, nowB.ID()}
	w.synced()
}

// look compares one key.
func (w *world) look(key string) {
	ctx := context.Background()
	e, ok := w.want[key]
	info, err := w.o.Head(ctx, key)
	if !ok {
		if !object.Is(err, object.KindNotFound) {
			w.fatal("%s is there: %v", key, err)
		}
		return
	}
	if err != nil {
		w.fatal("head %s: %v\n%s", key, err, w.pending())
	}
	if info.Size != int64(len(e.data)) || !maps.Equal(info.Meta, e.meta) {
		w.fatal("%s is %d bytes, %v; want %d, %v", key, info.Size, info.Meta, len(e.data), e.meta)
	}
	for _, id := range []object.ID{info.ID(), e.id} {
		if len(e.data) == 0 {
			continue
		}
		off := w.rnd.IntN(len(e.data))
		n := 1 + w.rnd.IntN(len(e.data)-off)
		var got []byte
		var err error
		for try := 0; try == 0 || try < 20 && object.Is(err, object.KindStale) && !w.unsure(id); try++ {
			time.Sleep(time.Duration(try) * 100 * time.Microsecond) // it may have come to stand just now
			var body io.ReadCloser
			if body, err = w.o.Get(ctx, id, object.Range{Off: int64(off), Len: int64(n)}); err == nil {
				got, err = io.ReadAll(body)
			}
		}
		if object.Is(err, object.KindStale) && w.unsure(id) {
			continue // only an answer that the gate holds back tells what is there
		}
		if err != nil || !bytes.Equal(got, e.data[off:off+n]) {
			w.fatal("%s %s: %d bytes from %d: %q, %v; want %q\n%s", key, id.ETag, n, off, got, err, e.data[off:off+n], w.pending())
		}
	}
}

// unsure reports whether what a version rests on may have been replaced by a write whose
// answer is not there.
func (w *world) unsure(id object.ID) bool {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	v := w.o.mu.versions[id.ETag]
	if v == nil {
		return false
	}
	e := w.o.mu.entries[v.rootLocked().Key]
	return e != nil && e.ops[0].sentLocked()
}

// list compares a listing, page by page.
func (w *world) list() {
	q := object.Query{Prefix: []string{"", "d/", "d", "x/", "d/e/"}[w.rnd.IntN(5)], Max: w.rnd.IntN(4)}
	if w.rnd.IntN(2) == 0 {
		q.Delimiter = "/"
	}
	if w.rnd.IntN(3) == 0 {
		q.After = q.Prefix + []string{"", "a", "d", "e/"}[w.rnd.IntN(4)]
	}
	var got, all []string
	first := q
	for {
		p, err := w.o.List(context.Background(), q)
		w.check(err)
		var page []string
		for _, info := range p.Objects {
			page = append(page, fmt.Sprint(info.Key, " ", info.Size))
		}
		page = append(page, p.Prefixes...)
		if len(page) == 0 && p.Next != "" {
			w.fatal("an empty page that is not the last")
		}
		slices.Sort(page)
		got = append(got, page...)
		if p.Next == "" {
			break
		}
		q.Token = p.Next
	}
	for key, e := range w.want {
		name, folder := shownAs(key, first)
		if !strings.HasPrefix(key, first.Prefix) || name <= first.After {
			continue
		}
		if !folder {
			name = fmt.Sprint(key, " ", len(e.data))
		}
		all = append(all, name)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if !slices.Equal(got, all) {
		w.fatal("%+v lists\n%q\nwant\n%q\n%s", first, got, all, w.pending())
	}
}
