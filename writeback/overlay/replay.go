package overlay

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"maps"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback/journal"
)

// replay brings an Overlay to the state that a journal tells of.
type replay struct {
	o    *Overlay
	ops  map[uint64]*replayed
	done map[uint64]*doneRecord
	bad  int // records of a form that is not known
	// again are records that came twice.
	again []*journal.Record
	held  []*version
	left  []*version         // of these, what is never sent
	gone  map[uint64]bool    // operations that others took the place of
	notes map[uint64]*shared // that say so
	seqs  map[string]uint64  // by ETag
	// marks are the records that tell what has become of others. One use of each is the replay's.
	marks []*shared
}

type replayed struct {
	in  intent
	rec *shared // of which one use is the replay's
}

// read takes one record in.
func (r *replay) read(rec *journal.Record, head []byte) {
	var in intent
	if err := json.Unmarshal(head, &in); err != nil {
		r.bad++
		return
	}
	if in.Op == opGone {
		mark := r.mark(rec)
		for _, seq := range in.Replaces {
			r.gone[seq] = true
			r.notes[seq] = mark
		}
		return
	}
	if in.Op != "done" {
		r.promised(rec, in)
		return
	}
	d := &doneRecord{}
	if err := json.Unmarshal(head, d); err != nil {
		r.bad++
		return
	}
	d.note = r.mark(rec)
	for _, seq := range d.Seqs {
		r.done[seq] = d
	}
}

// mark keeps a record that tells what has become of others until the replay has ended.
func (r *replay) mark(rec *journal.Record) *shared {
	s := &shared{rec: rec, uses: 1}
	r.marks = append(r.marks, s)
	return s
}

// promised takes the record of one or several operations in.
func (r *replay) promised(rec *journal.Record, in intent) {
	if in.Op != opTogether {
		in.Items = []intent{in}
	}
	if len(in.Items) == 0 {
		r.bad++
		return
	}
	if old := r.ops[in.Items[0].Seq]; old != nil {
		// The second record of several tells more than the first.
		r.again = append(r.again, old.rec.rec)
		old.rec.rec = rec
	}
	s := &shared{rec: rec}
	for _, item := range in.Items {
		if item.Time.IsZero() {
			item.Time = in.Time
		}
		if old := r.ops[item.Seq]; old != nil {
			s = old.rec
		} else {
			s.uses++
		}
		r.ops[item.Seq] = &replayed{item, s}
		if item.ETag != "" {
			r.seqs[item.ETag] = item.Seq
		}
	}
}

// apply promises again what was promised, in the old order.
func (r *replay) apply() error {
	o := r.o
	if r.bad > 0 {
		return object.Errorf(object.KindCorrupt, "open journal", "",
			"%s has %d records of another version of s3mount: use that one to upload what is pending", o.Dir, r.bad)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for seq := range r.done { // also of operations whose records are gone
		o.mu.lastSeq = max(o.mu.lastSeq, seq)
	}
	for _, e := range r.ops {
		for _, seq := range e.in.Replaces {
			r.gone[seq] = true
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(r.ops)) {
		e := r.ops[seq]
		o.mu.lastSeq = max(o.mu.lastSeq, seq)
		if e.in.Op == opNames[opDelete] {
			r.deleteLocked(e)
		} else {
			r.putLocked(e)
		}
	}
	for _, e := range r.ops {
		o.releaseSharedLocked(e.rec)
	}
	for _, v := range r.left {
		if v.refs > 1 || v.rec.uses > 1 { // somebody rests on it or is in its record, and not only this
			o.noteGoneLocked(v, r.seqs[v.info.ETag])
		}
	}
	for _, v := range r.held {
		o.unrefLocked(v)
	}
	for _, rec := range r.again {
		o.log.Release(rec)
	}
	for _, s := range r.marks {
		o.releaseSharedLocked(s)
	}
	return nil
}

func (r *replay) deleteLocked(e *replayed) {
	for i, key := range e.in.Keys {
		seq := e.in.Seq + uint64(i)
		r.o.mu.lastSeq = max(r.o.mu.lastSeq, seq)
		if r.gone[seq] {
			if note := r.notes[seq]; note != nil {
				e.rec.noteLocked(note)
			}
			continue
		}
		if d := r.done[seq]; d != nil {
			r.passLocked(string(key))
			e.rec.noteLocked(d.note)
			continue
		}
		e.rec.uses++
		p := &op{kind: opDelete, seq: seq, order: seq, key: string(key), rec: e.rec, since: e.in.Time}
		if i < len(e.in.Meant) { // an older journal does not say
			p.meant = r.meantLocked(e.in.Meant[i])
		}
		r.o.putInLocked(p)
	}
}

// meantLocked returns what a delete means by the ETag in its record: what has become of a
// local one since.
func (r *replay) meantLocked(etag string) string {
	for (object.ID{ETag: etag}).Local() {
		seq, ok := r.seqs[etag]
		switch d := r.done[seq]; {
		case !ok:
			return "" // it is stored, and its record is gone
		case d != nil:
			return d.ETag
		case !r.gone[seq]:
			return etag // it is about to be stored
		}
		switch in := r.ops[seq].in; {
		case len(in.Maybe) > 0:
			return ""
		case in.IfLocal != "":
			etag = in.IfLocal
		case in.IfAbsent:
			return nothing
		default:
			return in.IfMatch
		}
	}
	return etag
}

// passLocked takes out what came before an operation that was executed: it was executed as
// well, or needless.
func (r *replay) passLocked(key string) {
	e := r.o.mu.entries[key]
	if e == nil {
		return
	}
	for len(e.ops) > 0 {
		r.o.removeLocked(e, e.ops[0])
	}
	r.o.dropEntryLocked(e)
}

func (r *replay) putLocked(e *replayed) {
	o, in := r.o, e.in
	e.rec.uses++
	v := &version{rec: e.rec, baseEnd: in.BaseEnd, baseSize: in.BaseSize, copied: in.Op == opNames[opCopy]}
	v.info = infoOf(in)
	if in.Base != nil {
		v.baseID = object.ID{Key: string(in.Base.Key), ETag: in.Base.ETag}
		if b := o.mu.versions[in.Base.ETag]; b != nil {
			b.refs++
			v.base, v.baseID, v.depth = b, object.ID{}, b.depth+1
		}
	}
	v.refs++
	r.held = append(r.held, v)
	o.mu.versions[in.ETag] = v
	d := r.done[in.Seq]
	if d != nil {
		v.stands, v.remote = true, object.Info{Key: v.info.Key, ETag: d.ETag, Size: d.Size, LastModified: d.LastModified, Meta: v.info.Meta, ContentType: v.info.ContentType}
		v.noted = d.note
		d.note.uses++
		v.kept = true // as far as the disk has it
		v.kept = r.layerLocked(v, in, false) && !v.baseID.Local() && v.localLocked()
		if !v.kept {
			o.shedLocked(v)
		}
		o.mu.versions[in.ETag] = v
		o.mu.aliases.Add(in.ETag, v.remote)
		r.passLocked(v.info.Key)
		return
	}
	p := &op{kind: opPut, seq: in.Seq, order: in.Seq, key: v.info.Key, v: v, since: in.Time}
	if v.copied {
		p.kind = opCopy
	}
	if r.gone[in.Seq] {
		if v.noted = r.notes[in.Seq]; v.noted != nil {
			v.noted.uses++
		}
		r.left = append(r.left, v)
		r.layerLocked(v, in, false) // others may rest on it
		return
	}
	if v.baseID.Local() {
		r.o.Log.Error("what was written to a file is lost: the journal no longer has what it rests on; the store keeps the version before",
			"op", "recover", "key", v.info.Key)
		return
	}
	if !r.layerLocked(v, in, true) {
		return
	}
	p.cond, p.after = r.conditionLocked(in)
	p.maybe = []object.Info{v.info}
	for _, m := range in.Maybe {
		p.maybe = append(p.maybe, object.Info{Size: m.Size, Meta: m.Meta})
	}
	if in.Order != 0 {
		p.order = in.Order
	}
	o.putInLocked(p)
}

// conditionLocked returns the condition of a put. That it replaces a version which others took
// the place of meanwhile is that version's own condition.
func (r *replay) conditionLocked(in intent) (c object.Condition, after *version) {
	for in.IfLocal != "" {
		seq, ok := r.seqs[in.IfLocal]
		if !ok || !r.gone[seq] {
			return c, r.o.mu.versions[in.IfLocal]
		}
		in = r.ops[seq].in
	}
	return object.Condition{IfAbsent: in.IfAbsent, IfMatch: in.IfMatch}, nil
}

func infoOf(in intent) object.Info {
	info := object.Info{Key: string(in.Key), ETag: in.ETag, Size: in.Size, ContentType: in.Type, LastModified: in.Time, Meta: in.Meta}
	if info.Meta == nil && !in.NoMeta {
		info.Meta = object.Meta{}
	}
	return info
}

// layerLocked finds the bytes of a version that is not stored. False: they are lost, which
// is worth a word if they are needed.
func (r *replay) layerLocked(v *version, in intent, needed bool) bool {
	if len(in.Ranges) == 0 {
		return true
	}
	v.own = &layer{}
	for _, x := range in.Ranges {
		v.own.ranges = append(v.own.ranges, object.Range{Off: x[0], Len: x[1]})
	}
	if n := inBlocks(v.own.bytes()); r.o.Disk.TryReserve(n) {
		v.own.reserved = n
	}
	if in.File == "" {
		v.own.rec = v.rec.rec
		return true
	}
	v.own.path = filepath.Join(r.o.layerDir(), filepath.Base(in.File))
	st, err := os.Stat(v.own.path)
	if err == nil && st.Size() < v.own.ranges[len(v.own.ranges)-1].End() {
		err = object.Errorf(object.KindCorrupt, "open journal", v.info.Key, "%s has %d bytes", v.own.path, st.Size())
	}
	if err != nil {
		r.o.Disk.Release(v.own.reserved)
	}
	if err != nil && !needed {
		delete(r.o.mu.versions, v.info.ETag)
		v.own = nil
		return false
	}
	if err != nil {
		r.o.Log.Error("what was written to a file is lost: the disk of --cache-dir no longer has it; the store keeps the version before",
			"op", "recover", "key", v.info.Key, "file", v.own.path, "err", err)
		v.own = nil
		return false
	}
	return true
}

// removeStrays deletes the files that no record names: their promise was never made. After
// a damage they are kept.
func (o *Overlay) removeStrays(damaged bool) error {
	if o.Look {
		return nil
	}
	used := map[string]bool{}
	for _, v := range o.mu.versions {
		if v.own != nil && v.own.path != "" {
			used[filepath.Base(v.own.path)] = true
		}
	}
	entries, err := os.ReadDir(o.layerDir())
	if err != nil {
		return localError("open journal", "", err)
	}
	for _, e := range entries {
		path := filepath.Join(o.layerDir(), e.Name())
		if used[e.Name()] || strings.HasSuffix(e.Name(), keptSuffix) {
			continue
		}
		if damaged {
			err = os.Rename(path, path+keptSuffix)
		} else {
			err = os.Remove(path)
		}
		if err != nil {
			return localError("open journal", "", err)
		}
	}
	return nil
}

// keptSuffix ends the names of files whose records are damaged.
const keptSuffix = ".damaged"
