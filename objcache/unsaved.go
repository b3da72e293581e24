package objcache

// unsaved are the whole blocks that the disk does not have as yet. They are not pinned,
// but evicted after what can be had from the disk again. Cache.mu guards it.
type unsaved struct {
	queue *blockList // all of them, the one first that has waited longest
	read  *blockList // those that would be warm or cold, in the order of their use
	bytes int64      // of their buffers
}

func newUnsaved() unsaved { return unsaved{queue: newBlockList(), read: newBlockList()} }

// offerLocked queues a whole block for the writer.
func (c *Cache) offerLocked(b *block) {
	u, d := &c.mu.unsaved, c.disk
	if b.unsaved || b.gone || d.off.Load() {
		return
	}
	before := u.bytes
	u.bytes += int64(cap(b.buf))
	u.queue.Add(b, struct{}{})
	b.unsaved = true
	if b.list == c.mu.warm || b.list == c.mu.cold {
		c.listLocked(b, b.list)
	}
	if before == 0 || before < d.patient && u.bytes >= d.patient {
		d.rouse()
	}
}

// savedLocked ends that b waits for the writer.
func (c *Cache) savedLocked(b *block) {
	if !b.unsaved {
		return
	}
	u := &c.mu.unsaved
	u.queue.Remove(b)
	u.bytes -= int64(cap(b.buf))
	b.unsaved = false
	if b.list == u.read {
		c.listLocked(b, c.mu.warm)
	}
}

// take returns the block that has waited longest, and adjacent ones that wait too: n at
// most in all. They are pinned; the caller lets go of them.
func (c *Cache) take(n int) []*block {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, _, ok := c.mu.unsaved.queue.GetOldest()
	if !ok {
		return nil
	}
	run := make([]*block, 0, n)
	for b != nil && b.unsaved && len(run) < n {
		c.savedLocked(b)
		b.refs++
		run = append(run, b)
		b = b.v.blocks[b.index+1]
	}
	return run
}

// waiting returns how many bytes wait for the writer.
func (c *Cache) waiting() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.unsaved.bytes
}

// busy reports whether GETs are under way.
func (c *Cache) busy() bool { return len(c.slots) > 0 }

// letGo ends the pins of take.
func (c *Cache) letGo(run []*block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range run {
		c.unpinLocked(b)
	}
}
