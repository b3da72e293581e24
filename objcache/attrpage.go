package objcache

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"github.com/s3mount/s3mount/object"
)

// The form of the attribute store's file. It is pages of 4 KiB; the first one is a
// header, the others hold records. A key's record is in the page that its hash names,
// and nowhere else. Each page has a checksum, so that one that was torn by a crash, or
// damaged, is as good as empty, and takes nothing else with it.
//
//	page:   crc32c of the rest, bytes used, then records, the oldest first
//	record: hash of the key, length of the rest, hash of ETag and size, LastModified
//	        in seconds and how much later it may be, content type, metadata
const (
	attrPageSize   = 4096
	attrPageHead   = 4 + 2
	attrRecordHead = attrKeyLen + 2
	attrFixed      = 8 + 8 + 1 // what a record has before its texts
	attrKeyLen     = 16
	attrMagic      = "s3mount attributes, form 1\n"
)

// attrKey is a key's hash.
type attrKey [attrKeyLen]byte

func attrKeyOf(key string) (k attrKey) {
	sum := sha256.Sum256([]byte(key))
	copy(k[:], sum[:])
	return k
}

// page is the one of n pages, a power of two, that has the key's record.
func (k attrKey) page(n uint32) uint32 { return binary.LittleEndian.Uint32(k[:]) & (n - 1) }

// attrVersion is the version that a record is of.
type attrVersion struct {
	bytes [8]byte // hash of ETag and size
	// from is the time of LastModified in seconds, or the earliest that it may be, for
	// an object that this mount stored and was not told the time of.
	from int64
	span uint8 // seconds by which it may be later
}

// Bounds of the store's time of an upload against this machine's time of its answer.
const (
	uploadBefore = 3 // seconds
	uploadAfter  = 2
)

func attrVersionOf(i object.Info, now time.Time) (v attrVersion) {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64([]byte(i.ETag), uint64(i.Size)))
	copy(v.bytes[:], sum[:])
	if i.LastModified.IsZero() {
		v.from, v.span = now.Unix()-uploadBefore, uploadBefore+uploadAfter
	} else {
		v.from = i.LastModified.Unix()
	}
	return v
}

// is reports whether a record of v tells the attributes of the version i, of which a
// listing told.
func (v attrVersion) is(i object.Info) bool {
	if i.LastModified.IsZero() {
		return false
	}
	at := attrVersionOf(i, time.Time{})
	return v.bytes == at.bytes && v.from <= at.from && at.from <= v.from+int64(v.span)
}

// attrNames are the names of metadata that a record has as a number.
var attrNames = []string{"", "mtime", "mode", "uid", "gid", "atime", "ctime"}

// encodeAttr makes the part of a record behind its head; nil where it is too large.
func encodeAttr(i object.Info, now time.Time) []byte {
	v := attrVersionOf(i, now)
	b := make([]byte, 0, 96)
	b = append(b, v.bytes[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(v.from))
	b = append(b, v.span)
	b = appendText(b, i.ContentType)
	for k, text := range i.Meta {
		n := max(0, slices.Index(attrNames, k))
		b = append(b, byte(n))
		if n == 0 {
			b = appendText(b, k)
		}
		b = appendText(b, text)
		if len(b) > attrPageSize {
			return nil
		}
	}
	if len(b) > attrPageSize-attrPageHead-attrRecordHead {
		return nil
	}
	return b
}

// appendText appends a text of less than 64 KiB; longer ones make the record too large.
func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint16(b, uint16(min(len(s), 1<<16-1))), s...)
}

// decodeAttr reads what encodeAttr made. ok is false for anything else.
func decodeAttr(b []byte) (v attrVersion, contentType string, meta object.Meta, ok bool) {
	if len(b) < attrFixed {
		return v, "", nil, false
	}
	copy(v.bytes[:], b)
	v.from, v.span = int64(binary.LittleEndian.Uint64(b[8:])), b[16]
	b = b[attrFixed:]
	if contentType, b, ok = cutText(b); !ok {
		return v, "", nil, false
	}
	meta = object.Meta{}
	for len(b) > 0 {
		n := int(b[0])
		b = b[1:]
		if n >= len(attrNames) {
			return v, "", nil, false
		}
		name := attrNames[n]
		if n == 0 {
			if name, b, ok = cutText(b); !ok {
				return v, "", nil, false
			}
		}
		if meta[name], b, ok = cutText(b); !ok {
			return v, "", nil, false
		}
	}
	return v, contentType, meta, true
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	if len(b) < 2+n {
		return "", nil, false
	}
	return string(b[2 : 2+n]), b[2+n:], true
}

// attrPage is a page in memory.
type attrPage []byte

// readAttrPage checks a page; a damaged one, and one that was never written, is empty.
func readAttrPage(b []byte) attrPage {
	p := attrPage(b)
	used := int(binary.LittleEndian.Uint16(p[4:]))
	if used < attrPageHead || used > attrPageSize || crc32.Checksum(p[4:], castagnoli) != binary.LittleEndian.Uint32(p) {
		clear(p)
		p.setUsed(attrPageHead)
	}
	return p
}

func (p attrPage) used() int     { return int(binary.LittleEndian.Uint16(p[4:])) }
func (p attrPage) setUsed(n int) { binary.LittleEndian.PutUint16(p[4:], uint16(n)) }

// seal makes the page ready to be written.
func (p attrPage) seal() {
	clear(p[p.used():])
	binary.LittleEndian.PutUint32(p, crc32.Checksum(p[4:], castagnoli))
}

// next returns the record at an offset and the offset behind it; end is 0 behind the last.
func (p attrPage) next(at int) (id, value []byte, end int) {
	used := p.used()
	if at+attrRecordHead > used {
		return nil, nil, 0
	}
	end = at + attrRecordHead + int(binary.LittleEndian.Uint16(p[at+attrKeyLen:]))
	if end > used {
		return nil, nil, 0
	}
	return p[at : at+attrKeyLen], p[at+attrRecordHead : end], end
}

// find returns a key's record, and whether it is among the next to go.
func (p attrPage) find(k attrKey) (value []byte, old bool) {
	for at := attrPageHead; ; {
		id, value, end := p.next(at)
		if end == 0 {
			return nil, false
		}
		if string(id) == string(k[:]) {
			return value, end < attrPageSize/4 && p.used() > attrPageSize*3/4
		}
		at = end
	}
}

// room reports whether a page takes a record without another's going.
func (p attrPage) room(k attrKey, value []byte) bool {
	if have, _ := p.find(k); have != nil {
		return p.used()-len(have)+len(value) <= attrPageSize
	}
	return p.used()+attrRecordHead+len(value) <= attrPageSize
}

// put makes value the newest record; the oldest go where the page is full.
func (p attrPage) put(k attrKey, value []byte) {
	p.remove(k)
	need := attrRecordHead + len(value)
	for p.used()+need > attrPageSize {
		_, _, end := p.next(attrPageHead)
		p.cut(attrPageHead, max(end, attrPageHead+1))
	}
	at := p.used()
	copy(p[at:], k[:])
	binary.LittleEndian.PutUint16(p[at+attrKeyLen:], uint16(len(value)))
	copy(p[at+attrRecordHead:], value)
	p.setUsed(at + need)
}

// cut takes out the bytes from one offset to another.
func (p attrPage) cut(from, to int) {
	used := p.used()
	copy(p[from:], p[to:used])
	p.setUsed(used - (to - from))
}

// remove takes a key's record out, if there is one.
func (p attrPage) remove(k attrKey) {
	for at := attrPageHead; ; {
		id, _, end := p.next(at)
		if end == 0 {
			return
		}
		if string(id) == string(k[:]) {
			p.cut(at, end)
			return
		}
		at = end
	}
}
