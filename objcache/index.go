package objcache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"

	"github.com/s3mount/s3mount/object"
)

// The index beside a data file is a header of 64 bytes, then 8 bytes per block:
//
//	 0  8  "s3mblock"        record of block i, at 64 + 8·i:
//	 8  4  format, 1          0  4  CRC32C of the block's bytes
//	12  4  block size         4  4  check: CRC32C of (i, the CRC), inverted
//	16  8  object size       or 8 zero bytes: the block is not there
//	24 32  name
//	56  4  zero
//	60  4  CRC32C of bytes 0 to 59
//
// All numbers are little-endian. A record is written after its block, by one write of
// 8 bytes; one that is torn fails its own check, and one that came to the disk without
// its block fails the block's.
const (
	headerSize  = 64
	recordSize  = 8
	indexMagic  = "s3mblock"
	indexFormat = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// name is what the files of a version are called.
type name [sha256.Size]byte

// nameOf hashes key and ETag; the length in front of the key keeps pairs apart that
// run together to the same text.
func nameOf(id object.ID) name {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(id.Key)))
	b = append(b, id.Key...)
	b = append(b, id.ETag...)
	return sha256.Sum256(b)
}

func (n name) String() string { return hex.EncodeToString(n[:]) }

// parseName reads what String wrote.
func parseName(s string) (n name, ok bool) {
	if len(s) != hex.EncodedLen(len(n)) {
		return n, false
	}
	_, err := hex.Decode(n[:], []byte(s))
	return n, err == nil
}

// encodeHeader returns the header of the index of an object of size bytes.
func encodeHeader(n name, blockSize, size int64) []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, indexMagic...)
	b = binary.LittleEndian.AppendUint32(b, indexFormat)
	b = binary.LittleEndian.AppendUint32(b, uint32(blockSize))
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	b = append(b, n[:]...)
	b = append(b, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readHeader returns the object's size if the header is whole and that of name n in
// this block size.
func readHeader(f io.ReaderAt, n name, blockSize int64) (size int64, ok bool) {
	var b [headerSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return 0, false
	}
	size = int64(binary.LittleEndian.Uint64(b[16:]))
	return size, size > 0 && string(encodeHeader(n, blockSize, size)) == string(b[:])
}

// record is the entry of one block in an index.
type record [recordSize]byte

func makeRecord(index int64, crc uint32) record {
	var r record
	binary.LittleEndian.PutUint32(r[:], crc)
	binary.LittleEndian.PutUint32(r[4:], recordCheck(index, crc))
	return r
}

func recordCheck(index int64, crc uint32) uint32 {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], uint64(index))
	binary.LittleEndian.PutUint32(b[8:], crc)
	return ^crc32.Checksum(b[:], castagnoli)
}

// crc returns the checksum of the block with that index; false if the block is absent
// or the record torn.
func (r record) crc(index int64) (uint32, bool) {
	crc := binary.LittleEndian.Uint32(r[:])
	return crc, r != record{} && binary.LittleEndian.Uint32(r[4:]) == recordCheck(index, crc)
}

func recordOffset(index int64) int64 { return headerSize + recordSize*index }

// What files cost of the disk budget, in bytes: whole pages.
const page = 4 << 10

func pages(n int64) int64 { return (n + page - 1) &^ (page - 1) }

// indexCost returns the cost of the index of an object of size bytes.
func indexCost(size, blockSize int64) int64 {
	return pages(recordOffset(ceilDiv(size, blockSize)))
}
