package vfs

import (
	"errors"
	"fmt"
	"sync"
)

// UnsentError is a file that could not be uploaded when nobody was left to be told by an
// errno.
type UnsentError struct {
	Key  string
	Kept string // the local file that holds its content now; empty: it could not be kept
	Err  error  // why it could not be uploaded
	Keep error  // why it could not be kept
}

func (e *UnsentError) Error() string {
	if e.Kept == "" {
		return fmt.Sprintf("%q is lost: %v; keeping it locally: %v", e.Key, e.Err, e.Keep)
	}
	return fmt.Sprintf("%q is kept in %s: %v", e.Key, e.Kept, e.Err)
}

func (e *UnsentError) Unwrap() error { return e.Err }

// maxUnsent bounds how many files are named at the end; the log names all.
const maxUnsent = 20

// unsentFiles collects what could not be uploaded while the file system is mounted.
type unsentFiles struct {
	mu    sync.Mutex // guards what follows
	first []error
	count int
}

func (u *unsentFiles) add(e *UnsentError) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count++
	if len(u.first) < maxUnsent {
		u.first = append(u.first, e)
	}
}

// all joins what was added.
func (u *unsentFiles) all() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	err := errors.Join(u.first...)
	if more := u.count - len(u.first); more > 0 {
		err = errors.Join(err, fmt.Errorf("and %d more, which the log names", more))
	}
	return err
}
