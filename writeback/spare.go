package writeback

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxSpare is how many empty files are kept to be used again.
	maxSpare = 8
	// spareTime is how long they are kept when none is left to be.
	spareTime = 2 * time.Second
)

// spareFile is an empty file that nobody uses.
type spareFile struct {
	path string
	file *os.File
}

// newFile opens an empty file for a new Staged: one that another has left, or a new one.
// Making and deleting a file for each small one that is written costs as much time as all
// else that is done with it.
func (q *Queue) newFile() (path string, file *os.File, err error) {
	if f, ok := q.takeSpare(); ok {
		return f.path, f.file, nil
	}
	path = q.newPath()
	file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	return path, file, err
}

func (q *Queue) takeSpare() (f spareFile, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := len(q.mu.spare) - 1
	if last < 0 {
		return f, false
	}
	f = q.mu.spare[last]
	q.mu.spare = q.mu.spare[:last]
	return f, true
}

// leaveSpare keeps the file of a Staged that is over for another one. False: it can't be, or
// need not be; the caller deletes it. Only where versions are promised: what the store was to
// get of a canceled request may still be read.
func (q *Queue) leaveSpare(f spareFile) bool {
	if q.Promiser == nil || !q.wantsSpare() {
		return false
	}
	var st unix.Stat_t
	if unix.Fstat(int(f.file.Fd()), &st) != nil || st.Nlink != 1 || st.Size > 0 && f.file.Truncate(0) != nil {
		return false // it is somebody else's, too
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closing || len(q.mu.spare) >= maxSpare {
		return false
	}
	q.mu.spare = append(q.mu.spare, f)
	if q.mu.spareEnd == nil {
		q.mu.spareEnd = time.AfterFunc(spareTime, func() { q.spawn(false, q.dropSpare) })
	} else {
		q.mu.spareEnd.Reset(spareTime)
	}
	return true
}

func (q *Queue) wantsSpare() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.mu.closing && len(q.mu.spare) < maxSpare
}

// dropSpare deletes the files that are kept.
func (q *Queue) dropSpare() {
	q.mu.Lock()
	all := q.mu.spare
	q.mu.spare = nil
	q.mu.Unlock()
	for _, f := range all {
		q.remove(f.path)
		f.file.Close() // it holds nothing
	}
}

// remove deletes a file that nobody needs.
func (q *Queue) remove(path string) {
	if err := os.Remove(path); err != nil {
		q.Log.Warn("cannot delete a staged file", "file", path, "err", err)
	}
}
