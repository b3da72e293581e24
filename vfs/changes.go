package vfs

import (
	"hash/maphash"
	"strings"
)

// changes counts what this mount has changed, by key and by folder, so that an answer that
// was on its way meanwhile is not kept as news. Keys share counters: one counted too often
// costs a request later, and the memory stays the same.
type changes struct {
	seed    maphash.Seed
	keys    changeCounts
	folders changeCounts // by prefix: of names in the folder, and of its marker
}

type changeCounts [1024]uint32

func (c *changes) place(key string) int {
	return int(maphash.String(c.seed, key) % uint64(len(c.keys)))
}

// changedLocked forgets what is known of a key that this mount has just changed.
func (fs *FS) changedLocked(key string) {
	c := &fs.tree.changes
	c.keys[c.place(key)]++
	fs.heads.Forget(key)
	fs.o.Meta.Remove(key)
	fs.folderChangedLocked(folderOf(key))
	if marker, ok := strings.CutSuffix(key, "/"); ok {
		fs.folderChangedLocked(folderOf(marker))
	}
}

// all counts a change of every key and every folder.
func (c *changes) all() {
	for _, counts := range []*changeCounts{&c.keys, &c.folders} {
		for i := range counts {
			counts[i]++
		}
	}
}

// folderOf returns the prefix of the folder that a key is in; a marker is in its own.
func folderOf(key string) string { return key[:strings.LastIndexByte(key, '/')+1] }

// folderChangedLocked makes listings that run ahead of no use for a folder.
func (fs *FS) folderChangedLocked(prefix string) {
	c := &fs.tree.changes
	c.folders[c.place(prefix)]++
	fs.tree.foreseen.drop(fs, prefix)
}

// asking notes the state of a key that the store is about to be asked for; the function
// it returns tells under the tree's lock whether the answer can be kept.
func (fs *FS) asking(key string) (currentLocked func() bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return fs.askingLocked(key)
}

func (fs *FS) askingLocked(key string) (currentLocked func() bool) {
	c := &fs.tree.changes.keys[fs.tree.changes.place(key)]
	at := *c
	return func() bool { return *c == at }
}
