package vfs

import "hash/maphash"

// changes counts what this mount has changed, by key, so that an answer that was on its
// way meanwhile is not kept as news. Keys share counters: one counted too often costs a
// request later, and the memory stays the same.
type changes struct {
	seed  maphash.Seed
	count [1024]uint32
}

func (c *changes) of(key string) *uint32 {
	return &c.count[maphash.String(c.seed, key)%uint64(len(c.count))]
}

// changedLocked forgets what is known of a key that this mount has just changed.
func (fs *FS) changedLocked(key string) {
	*fs.tree.changes.of(key)++
	fs.heads.Forget(key)
	fs.o.Meta.Remove(key)
}

// asking notes the state of a key that the store is about to be asked for; the function
// it returns tells under the tree's lock whether the answer can be kept.
func (fs *FS) asking(key string) (currentLocked func() bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return fs.askingLocked(key)
}

func (fs *FS) askingLocked(key string) (currentLocked func() bool) {
	c := fs.tree.changes.of(key)
	at := *c
	return func() bool { return *c == at }
}
