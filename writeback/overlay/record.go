package overlay

import (
	"encoding/json"
	"time"

	"github.com/s3mount/s3mount/object"
)

// intent is the head of a journal record: something that was promised.
type intent struct {
	Op  string `json:"op"` // put, copy, delete, together, gone or done
	Seq uint64 `json:"seq,omitempty"`
	// Time is when it was promised.
	Time time.Time `json:"time,omitzero"`

	Key     []byte      `json:"key,omitempty"` // bytes, since keys need not be UTF-8
	ETag    string      `json:"etag,omitempty"`
	Size    int64       `json:"size,omitempty"`
	Meta    object.Meta `json:"meta,omitempty"`
	NoMeta  bool        `json:"no_meta,omitempty"` // it is the source's, and not known
	Type    string      `json:"type,omitempty"`
	File    string      `json:"file,omitempty"` // that holds Ranges; empty: the record's data does
	Ranges  [][2]int64  `json:"ranges,omitempty"`
	Base    *place      `json:"base,omitempty"`
	BaseEnd int64       `json:"base_end,omitempty"`
	// BaseSize is the size in bytes of Base, if it is remote and goes on behind BaseEnd.
	BaseSize int64 `json:"base_size,omitempty"`

	// The condition, resolved: nothing under the key, that ETag, or that local version.
	IfAbsent bool   `json:"if_absent,omitempty"`
	IfMatch  string `json:"if_match,omitempty"`
	IfLocal  string `json:"if_local,omitempty"`

	// Order is the number of an operation whose place this one takes; 0: of none.
	Order uint64 `json:"order,omitempty"`
	// Replaces are operations that will never be sent, because of this one.
	Replaces []uint64 `json:"replaces,omitempty"`

	// Maybe are versions that an earlier process may have stored in the place of this one.
	Maybe []sent `json:"maybe,omitempty"`

	// Keys of a delete have the numbers from Seq on. Meant are the ETags of what is to go.
	Keys  [][]byte `json:"keys,omitempty"`
	Meant []string `json:"meant,omitempty"`

	// Items are promised together. Without a time of its own, one has that of the record.
	Items []intent `json:"items,omitempty"`
}

// opTogether is the record of operations that a crash finds all or none of.
const opTogether = "together"

// sent is what tells a version of ours in the store.
type sent struct {
	Size int64       `json:"size"`
	Meta object.Meta `json:"meta"`
}

type place struct {
	Key  []byte `json:"key"`
	ETag string `json:"etag"`
}

// doneRecord says that the store has executed operations.
type doneRecord struct {
	Op   string   `json:"op"`
	Seqs []uint64 `json:"seqs"`
	// The version that came to stand, if it was one.
	Key          []byte    `json:"key,omitempty"`
	ETag         string    `json:"etag,omitempty"`
	Size         int64     `json:"size,omitempty"`
	LastModified time.Time `json:"last_modified,omitzero"`

	note *shared // of the record, while a journal is replayed
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // no value of these types fails
	}
	return b
}

// intentOf describes a put or copy.
func intentOf(p *op) intent {
	v := p.v
	in := intent{Op: opNames[p.kind], Seq: p.seq, Time: p.since, Key: []byte(p.key), ETag: v.info.ETag, Size: v.info.Size,
		Meta: v.info.Meta, NoMeta: v.info.Meta == nil, Type: v.info.ContentType, BaseEnd: v.baseEnd,
		IfAbsent: p.cond.IfAbsent, IfMatch: p.cond.IfMatch}
	for _, m := range p.maybe {
		if m.Meta != nil {
			in.Maybe = append(in.Maybe, sent{m.Size, m.Meta})
		}
	}
	if p.after != nil {
		in.IfLocal = p.after.info.ETag
	}
	switch {
	case v.base != nil:
		in.Base = &place{[]byte(v.base.info.Key), v.base.info.ETag}
	case v.baseEnd > 0 || v.copied:
		in.Base = &place{[]byte(v.baseID.Key), v.baseID.ETag}
		in.BaseSize = v.baseSize
	}
	if v.own != nil {
		in.File = baseName(v.own.path)
		for _, r := range v.own.ranges {
			in.Ranges = append(in.Ranges, [2]int64{r.Off, r.Len})
		}
	}
	return in
}
