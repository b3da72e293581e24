package objcache

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// floorEvery is how often the cache looks whether others have filled its disk.
const floorEvery = 3 * time.Second

// freeSpace returns what is free for this process on the disk of dir; false: not known.
func freeSpace(dir string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * st.Frsize, true
}

// shortage is how many bytes the disk has less free than it should have after n more
// are written.
func (d *diskCache) shortage(n int64) int64 {
	if d.minFree == 0 {
		return 0
	}
	free, known := d.free(d.dir)
	if !known {
		return 0
	}
	return max(d.minFree-(free-n), 0)
}

// leaveFree makes room for n bytes on the disk itself, if need be by evicting others
// than keep; false: there is none. It evicts no more than is short, since a file
// system may tell late of what was freed.
func (d *diskCache) leaveFree(n int64, keep *entry) bool {
	short := d.shortage(n)
	if short == 0 {
		return true
	}
	for freed := int64(0); freed < short; {
		f, ok := d.evictOldest(keep)
		if !ok {
			break
		}
		freed += f
	}
	return d.shortage(n) == 0
}

// watchFloor shrinks the cache when others fill its disk, until ctx ends.
func (d *diskCache) watchFloor(ctx context.Context) {
	t := time.NewTicker(floorEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			d.leaveFree(0, nil)
		}
	}
}
