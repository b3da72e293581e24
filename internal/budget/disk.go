// Package budget holds the limits that parts of the process share: one for the
// bytes it may keep on the local disk.
package budget

import (
	"sync"
	"time"

	"github.com/s3mount/s3mount/object"
)

// Disk is the one budget for local disk space: the block cache and the staged files
// of the writer draw on it together. Staged data must have its place, cached data
// can go: a Reserve that does not fit asks the reclaimers to give space back first.
type Disk struct {
	mu struct {
		sync.Mutex
		used  int64
		limit int64
		freed chan struct{} // closed by the next Release; nil: nobody waits
	}
	reclaim  func(need int64) (freed int64)
	patience time.Duration
}

// NewDisk makes a budget of limit bytes.
func NewDisk(limit int64) *Disk {
	d := &Disk{}
	d.mu.limit = limit
	return d
}

// OnPressure names the function that gives cached space back: it frees about need
// bytes by evicting, calls Release for what it freed, and returns how much that was.
// It is called without a lock held, and must not call Reserve. Set once, before use.
func (d *Disk) OnPressure(f func(need int64) (freed int64)) { d.reclaim = f }

// TryReserve takes n bytes if they fit at once.
func (d *Disk) TryReserve(n int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.used+n > d.mu.limit {
		return false
	}
	d.mu.used += n
	return true
}

// SetPatience makes Reserve wait up to d for others to release space, before it fails:
// the kernel tells of a file's last close a moment after the program that closed it goes
// on, and what it wrote next would find the disk full. Set once, before use.
func (d *Disk) SetPatience(t time.Duration) { d.patience = t }

// Reserve takes n bytes, after reclaiming cached space where it must. It fails with
// KindNoSpace if even then, and after waiting as SetPatience says, they do not fit.
func (d *Disk) Reserve(n int64) error {
	if d.TryReserve(n) {
		return nil
	}
	timer := time.NewTimer(d.patience)
	defer timer.Stop()
	for {
		freed := d.nextRelease()
		if d.TryReserve(n) {
			return nil
		}
		used, limit := d.Usage()
		if d.reclaim != nil && d.reclaim(used+n-limit) > 0 {
			continue
		}
		if n <= limit && d.patience > 0 {
			select {
			case <-freed:
				continue
			case <-timer.C:
			}
		}
		return object.Errorf(object.KindNoSpace, "reserve disk", "",
			"%d bytes do not fit: %d of --cache-size %d are in use", n, used, limit)
	}
}

// nextRelease returns a channel that the next Release closes.
func (d *Disk) nextRelease() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.freed == nil {
		d.mu.freed = make(chan struct{})
	}
	return d.mu.freed
}

// Release gives n bytes back. Whoever reserves releases exactly as much: the tests of
// each user check that Usage is zero at the end.
func (d *Disk) Release(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.used -= n
	if d.mu.freed != nil && n > 0 {
		close(d.mu.freed)
		d.mu.freed = nil
	}
}

// Usage returns the bytes in use and the limit.
func (d *Disk) Usage() (used, limit int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.used, d.mu.limit
}
