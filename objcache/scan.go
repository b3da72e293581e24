package objcache

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// scan counts what an earlier process left, evicts what is over the limit, oldest
// first, and removes what is no version. Files in the folders that the cache did not
// name are left alone. A version that a reader asks for meanwhile is inspected at once
// by that reader.
func (d *diskCache) scan(ctx context.Context) {
	for i := range 256 {
		dir := filepath.Join(d.dir, fmt.Sprintf("%x", i>>4), fmt.Sprintf("%x", i&15))
		if !d.scanDir(ctx, dir) {
			return
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.scanned = true
}

// scanDir returns false if ctx ended.
func (d *diskCache) scanDir(ctx context.Context, dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return ctx.Err() == nil
	}
	defer f.Close()
	for {
		files, err := f.ReadDir(256)
		for _, file := range files {
			if ctx.Err() != nil {
				return false
			}
			if n, ok := cacheFile(file); ok && filepath.Dir(d.path(n, "")) == dir {
				d.discover(n)
			}
		}
		if err != nil {
			return true // io.EOF, or the folder can't be read
		}
	}
}

// cacheFile returns the version that a file belongs to.
func cacheFile(file fs.DirEntry) (n name, ok bool) {
	base, isData := strings.CutSuffix(file.Name(), dataSuffix)
	base, isIndex := strings.CutSuffix(base, indexSuffix)
	if isData == isIndex || !file.Type().IsRegular() {
		return n, false
	}
	return parseName(base)
}

// discover makes an entry of a name that is found on disk, unless it has one.
func (d *diskCache) discover(n name) {
	d.mu.Lock()
	if d.mu.entries[n] != nil {
		d.mu.Unlock()
		return
	}
	e := d.claimLocked(n)
	d.mu.Unlock()
	d.inspect(e, false)
	d.makeRoom()
}

// inspect looks at the files of an entry in state making. If they hold blocks, and the
// budget has room, the entry becomes live and inspect returns true; else they are
// removed. Room is made by evicting others: for a hot entry any, else older ones only.
func (d *diskCache) inspect(e *entry, hot bool) bool {
	size, cost, used, ok := d.measure(e.name)
	if !ok || !d.reserveFound(cost, used, hot) {
		d.remove(e)
		return false
	}
	if hot {
		used = time.Time{} // its time on disk is to be renewed
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e.size, e.reserved = size, cost
	d.settleLocked(e, hot, used)
	return true
}

// reserveFound takes the space of files that are there, as inspect tells.
func (d *diskCache) reserveFound(cost int64, used time.Time, hot bool) bool {
	if _, limit := d.budget.Usage(); cost > limit {
		return false
	}
	for !d.budget.TryReserve(cost) {
		if !hot {
			d.mu.Lock()
			oldest := len(d.mu.old) == 0 || used.Before(d.mu.old[0].used)
			d.mu.Unlock()
			if oldest {
				return false
			}
		}
		if _, ok := d.evictOldest(nil); !ok {
			return false
		}
	}
	return true
}

// measure reads the index of a version: the object's size, what the files take of the
// disk, and when they were used last. It returns false if there is no valid block.
func (d *diskCache) measure(n name) (size, cost int64, used time.Time, ok bool) {
	index, err := os.Open(d.path(n, indexSuffix))
	if err != nil {
		return 0, 0, used, false
	}
	defer index.Close()
	st, err := index.Stat()
	if err != nil {
		return 0, 0, used, false
	}
	data, err := os.Lstat(d.path(n, dataSuffix))
	if err != nil || !data.Mode().IsRegular() {
		return 0, 0, used, false
	}
	if size, ok = readHeader(index, n, d.blockSize); !ok {
		return 0, 0, used, false
	}
	cost = d.recorded(index, size)
	if cost == 0 {
		return 0, 0, used, false
	}
	// Blocks without a record, of a write that a crash cut off, take their space, too.
	if sys, isUnix := data.Sys().(*syscall.Stat_t); isUnix {
		cost = max(cost, sys.Blocks*512)
	}
	return size, cost + indexCost(size, d.blockSize), st.ModTime(), true
}

// recorded returns the cost of the blocks that have a record.
func (d *diskCache) recorded(index io.ReaderAt, size int64) (cost int64) {
	blocks := ceilDiv(size, d.blockSize)
	buf := make([]byte, 4096*recordSize)
	for first := int64(0); first < blocks; first += 4096 {
		got, err := index.ReadAt(buf, recordOffset(first))
		for i := range got / recordSize {
			at := first + int64(i)
			if _, ok := record(buf[i*recordSize:][:recordSize]).crc(at); ok && at < blocks {
				cost += pages(min(d.blockSize, size-at*d.blockSize))
			}
		}
		if err != nil {
			break
		}
	}
	return cost
}
