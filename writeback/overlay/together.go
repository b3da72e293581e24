package overlay

import (
	"fmt"
	"time"

	"github.com/s3mount/s3mount/object"
)

// together is operations that are promised by one record of the journal, so that a crash finds
// all of them or none.
type together struct {
	ops []*op
	rec *shared
}

// promiseTogetherLocked numbers operations, and journals and adds them in their order. If it
// fails, nothing has changed.
func (o *Overlay) promiseTogetherLocked(ops []*op) (*together, error) {
	x := &together{ops: ops}
	for i, p := range ops {
		p.seq = o.mu.lastSeq + uint64(i) + 1
		p.order = p.seq
		if p.v != nil {
			p.v.info.ETag = object.LocalETag(fmt.Sprintf("%s-%d", o.instance, p.seq))
		}
	}
	// The first record is what the promise stands on. What it makes unneeded is known only
	// while its operations are taken in, and is in a second one.
	rec, err := o.log.Append(encode(x.intent(nil)), nil)
	if err != nil {
		return nil, err
	}
	x.rec = &shared{rec: rec, uses: len(ops) + 1}
	defer o.releaseSharedLocked(x.rec)
	o.mu.lastSeq = ops[len(ops)-1].seq
	replaced := o.takeInLocked(x)
	if len(replaced) == 0 {
		return x, nil
	}
	if rec, err = o.log.Append(encode(x.intent(replaced)), nil); err == nil { // else more is sent after a crash than is needed
		o.releaseRecord(x.rec.rec)
		x.rec.rec = rec
	}
	return x, nil
}

// replacing is what an operation replaces, and in whose place it runs.
type replacing struct {
	seqs  []uint64
	order uint64
}

// takeInLocked adds the operations, and tells which of them replace others.
func (o *Overlay) takeInLocked(x *together) map[*op]replacing {
	all := map[*op]replacing{}
	var needless []uint64
	for _, p := range x.ops {
		if seqs, order := o.inheritLocked(p); len(seqs) > 0 {
			all[p] = replacing{seqs, order}
			if p.meant != "" {
				p.meant = p.leftLocked()
			}
		}
		if p.kind == opDelete {
			p.rec = x.rec
		} else {
			p.v.rec = x.rec
		}
		if !o.addLocked(p) {
			needless = append(needless, p.seq)
		}
	}
	if err := o.needlessLocked(x.rec, needless); err != nil {
		o.Log.Warn("deletes of nothing may be repeated at the next mount", "op", "rename", "key", x.ops[0].key, "err", err)
	}
	return all
}

// intent is the record. Deletes that follow one another are one item.
func (x *together) intent(replaced map[*op]replacing) intent {
	in := intent{Op: opTogether, Seq: x.ops[0].seq, Time: x.ops[0].since}
	for i, p := range x.ops {
		if last := len(in.Items) - 1; p.kind == opDelete && i > 0 && x.ops[i-1].kind == opDelete {
			in.Items[last].Keys = append(in.Items[last].Keys, []byte(p.key))
			in.Items[last].Meant = append(in.Items[last].Meant, p.meant)
			in.Items[last].Replaces = append(in.Items[last].Replaces, replaced[p].seqs...)
			continue
		}
		item := intent{Op: opNames[p.kind], Seq: p.seq, Keys: [][]byte{[]byte(p.key)}, Meant: []string{p.meant}}
		if p.kind != opDelete {
			item = intentOf(p)
			if item.Time.Equal(in.Time) {
				item.Time = time.Time{} // the record's
			}
		}
		item.Replaces, item.Order = replaced[p].seqs, replaced[p].order
		in.Items = append(in.Items, item)
	}
	return in
}
