package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A frame is
//
//	0  length of the head, uint32; never 0
//	4  length of the data, uint32
//	8  the segment's salt
//	16 up to where the segment was synced when the frame was made, uint32
//	20 CRC32C of the bytes before, the head and the data
//	24 the head, the data, zeros up to a multiple of frameAlign
const (
	frameHeader = 24
	frameAlign  = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameSize is how many bytes a record takes.
func frameSize(head, data int) int64 {
	n := int64(frameHeader) + int64(head) + int64(data)
	return (n + frameAlign - 1) &^ (frameAlign - 1)
}

func makeFrame(salt uint64, synced int64, head, data []byte) []byte {
	b := make([]byte, frameSize(len(head), len(data)))
	binary.LittleEndian.PutUint32(b[0:], uint32(len(head)))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(data)))
	binary.LittleEndian.PutUint64(b[8:], salt)
	binary.LittleEndian.PutUint32(b[16:], uint32(synced))
	copy(b[frameHeader:], head)
	copy(b[frameHeader+len(head):], data)
	binary.LittleEndian.PutUint32(b[20:], frameSum(b, len(head)+len(data)))
	return b
}

func frameSum(b []byte, content int) uint32 {
	sum := crc32.Update(0, castagnoli, b[:20])
	return crc32.Update(sum, castagnoli, b[frameHeader:frameHeader+content])
}

// frame is one that was read.
type frame struct {
	head, data []byte
	synced     int64
	size       int64
}

type frameState uint8

const (
	frameWhole frameState = iota
	frameNone             // the log ends here: zeros, or the end of the file
	frameTorn             // something is here, and it is no frame
)

// parseFrame reads the frame at the beginning of b, which goes on to the segment's end.
func parseFrame(b []byte, salt uint64) (f frame, s frameState) {
	if len(b) < frameHeader {
		return f, frameNone
	}
	head, data := int64(binary.LittleEndian.Uint32(b[0:])), int64(binary.LittleEndian.Uint32(b[4:]))
	if head == 0 {
		for _, c := range b[:frameHeader] {
			if c != 0 {
				return f, frameTorn
			}
		}
		return f, frameNone
	}
	content := int64(frameHeader) + head + data
	if content > int64(len(b)) || binary.LittleEndian.Uint64(b[8:]) != salt ||
		binary.LittleEndian.Uint32(b[20:]) != frameSum(b, int(head+data)) {
		return f, frameTorn
	}
	f = frame{head: b[frameHeader : frameHeader+head], data: b[frameHeader+head : content],
		synced: int64(binary.LittleEndian.Uint32(b[16:])), size: frameSize(int(head), int(data))}
	return f, frameWhole
}

// promised reports whether a whole frame behind b[at:] says that this place was synced.
func promised(b []byte, at int64, salt uint64) bool {
	for off := at + frameAlign; off+frameHeader <= int64(len(b)); off += frameAlign {
		if binary.LittleEndian.Uint64(b[off+8:]) != salt {
			continue
		}
		if f, s := parseFrame(b[off:], salt); s == frameWhole && f.synced > at {
			return true
		}
	}
	return false
}
