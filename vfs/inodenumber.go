package vfs

import (
	"hash/fnv"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// A file's inode number is made from its key, so that it is the same at each mount. A file
// that was renamed keeps the number that it had, and one that takes the name of a file which
// is still open gets another one. Both keep theirs when the kernel forgets them: git and tar
// take a file with another number for another file.

// maxInoNumbers bounds the numbers that are remembered of files that the kernel has
// forgotten. Beyond, a file gets the number of its key again.
const maxInoNumbers = 8192

// inoOf makes a key's inode number.
func inoOf(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key)) // never fails
	return h.Sum64()>>1 | 1<<32
}

// inoNumbers are the numbers of forgotten files that are not those of their keys, by key.
// Guarded by FS.tree.
type inoNumbers struct {
	byKey *simplelru.LRU[string, uint64]
	taken map[uint64]struct{} // these numbers
}

// of returns the number that a file with a key has, or is to get if it is free.
func (o *inoNumbers) of(key string) uint64 {
	if o.byKey != nil {
		if ino, ok := o.byKey.Get(key); ok {
			return ino
		}
	}
	return inoOf(key)
}

// keep remembers the number of a file that is about to be forgotten.
func (o *inoNumbers) keep(key string, ino uint64) {
	o.drop(key)
	if ino == inoOf(key) {
		return
	}
	if o.byKey == nil {
		o.taken = map[uint64]struct{}{}
		// It fails for sizes below 1 only.
		o.byKey, _ = simplelru.NewLRU(maxInoNumbers, func(_ string, ino uint64) { delete(o.taken, ino) })
	}
	o.byKey.Add(key, ino)
	o.taken[ino] = struct{}{}
}

// drop forgets the number of a key, whose file is known again, has another name now, or none.
func (o *inoNumbers) drop(key string) {
	if o.byKey != nil {
		o.byKey.Remove(key)
	}
}
