package main

import (
	"errors"
	"os"
	"syscall"

	"github.com/s3mount/s3mount/object"
)

// The exit codes of the commands on files beyond those that every command has. They are
// rclone's; its 4 (a file that is not there: 3 here), 6 (an error that repeating does not cure)
// and 8 (a limit of transferred bytes) have no cause here.
const (
	exitNoDir      = 3 // a folder or bucket is not there
	exitTemporary  = 5 // the store was not available, also after retries
	exitFatal      = 7 // nothing was tried, or all was given up, for a reason that stays
	exitNothing    = 9 // --error-on-no-transfer: nothing had to be done
	exitSignalBase = 128
)

// codedError is an error that ends the process with a code of its own.
type codedError struct {
	err  error
	code int
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func coded(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{err: err, code: code}
}

// fileCodes are the exit codes of the commands on files, by kind of failure.
var fileCodes = map[object.Kind]int{
	object.KindNotFound:    exitNoDir,
	object.KindNoBucket:    exitNoDir,
	object.KindUnavailable: exitTemporary,
	object.KindTimeout:     exitTemporary,
}

// withCode gives an error of a command on files its exit code: it keeps one that it has.
func withCode(err error) error {
	var c *codedError
	var u usageError
	var i *interruptedError
	switch {
	case err == nil, errors.As(err, &c), errors.As(err, &u):
		return err
	case errors.As(err, &i):
		return coded(signalCode(i.signal), err)
	}
	if code, ok := fileCodes[object.KindOf(err)]; ok {
		return coded(code, err)
	}
	return err
}

// signalCode is what shells tell of a process that a signal ended.
func signalCode(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return exitSignalBase + int(n)
	}
	return exitError
}
