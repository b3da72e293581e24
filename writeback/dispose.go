package writeback

import "os"

// Dispose deletes a file that Detach gave away and nobody wants, and gives its space
// back to the budget.
func (q *Queue) Dispose(path string, reserved int64) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		q.Log.Warn("cannot delete a staged file", "file", path, "err", err)
	}
	q.Disk.Release(reserved)
}
