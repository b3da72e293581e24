package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The null file system, the same in both libraries: a directory of many small files,
// a large file that reads as zeros, a file that forgets what is written to it, and,
// in go-fuse alone, two names of a real file.
const (
	dirName   = "many"   // directory of entries
	zerosName = "zeros"  // reads as zeros
	sinkName  = "sink"   // takes writes
	passName  = "pass"   // the backing file, opened with passthrough
	relayName = "relay"  // the backing file, by READ and WRITE requests
	entrySize = 4 << 10  // bytes, of each entry in the directory
	maxIO     = 1 << 20  // bytes, the largest request that go-fuse offers
	zerosSize = 64 << 30 // bytes; more than any run reads
)

// Inode numbers of the null file system; entry i of the directory is firstEntry + i.
const (
	rootIno = iota + 1
	dirIno
	zerosIno
	sinkIno
	passIno
	relayIno
	firstEntry = 100
)

// nullFS is what both implementations serve.
type nullFS struct {
	entries int
	backing *os.File // of pass and relay
	zeros   []byte
}

func newNullFS(entries int, backing *os.File) *nullFS {
	return &nullFS{entries: entries, backing: backing, zeros: make([]byte, maxIO)}
}

func entryName(i int) string { return fmt.Sprintf("entry-%06d", i) }

// entryIndex is the opposite of entryName.
func (n *nullFS) entryIndex(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "entry-")
	if !ok || len(digits) != 6 {
		return 0, false
	}
	i, err := strconv.Atoi(digits)
	return i, err == nil && i >= 0 && i < n.entries
}

var rootNames = map[string]uint64{dirName: dirIno, zerosName: zerosIno, sinkName: sinkIno, passName: passIno, relayName: relayIno}

func isDir(ino uint64) bool { return ino == rootIno || ino == dirIno }

// size is the size of a file in bytes.
func (n *nullFS) size(ino uint64) uint64 {
	switch {
	case ino >= firstEntry:
		return entrySize
	case ino == zerosIno:
		return zerosSize
	case ino == passIno || ino == relayIno:
		if fi, err := n.backing.Stat(); err == nil {
			return uint64(fi.Size())
		}
	}
	return 0
}

// lookup finds a name in a directory.
func (n *nullFS) lookup(dir uint64, name string) (uint64, bool) {
	if dir == rootIno {
		ino, ok := rootNames[name]
		return ino, ok
	}
	i, ok := n.entryIndex(name)
	return firstEntry + uint64(i), ok && dir == dirIno
}
