package object

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind says in which way an operation failed. The set is closed: s3remote maps the
// store's codes to it in one table, and fusefs maps it to errnos in one table.
type Kind uint8

// The kinds of failure.
const (
	KindOther        Kind = iota // nothing better is known: an I/O error
	KindNotFound                 // no such key, upload or attribute's owner
	KindNoBucket                 // the bucket does not exist
	KindExists                   // the name is taken
	KindConflict                 // a condition did not hold: somebody else wrote
	KindStale                    // the version that was asked for is gone
	KindPermission               // the store says no
	KindCredentials              // the keys are wrong, unknown or expired
	KindClockSkew                // the machine's clock is too far off for the store
	KindWrongRegion              // the bucket is elsewhere
	KindArchived                 // restore the object first
	KindInvalid                  // the request or an argument is not legal
	KindNotUTF8                  // a name that no key can have: S3's keys are UTF-8
	KindNameTooLong              // a name or key is over its limit
	KindTooLarge                 // over the store's or the file system's size limit
	KindNoSpace                  // the local disk budget or disk is full
	KindQuota                    // the store's quota is reached
	KindUnsupported              // the store or the file system cannot do it
	KindUnavailable              // not reachable, or failing, until the deadline
	KindTimeout                  // the deadline passed
	KindCanceled                 // the caller gave up
	KindCorrupt                  // bytes differ from their checksum
	KindReadOnly                 // mounted read-only
	KindNotDir                   // a directory is needed
	KindIsDir                    // a directory stands where a file is needed
	KindNotEmpty                 // the directory is not empty
	KindBusy                     // in use in a way that forbids it
	KindNoAttr                   // no such extended attribute
	KindRange                    // the caller's buffer is too small
	KindBadHandle                // the handle was not opened for this
	KindLoop                     // a directory would become its own child
	KindNoLinks                  // there are no hard links here
	KindTooManyLinks             // a file or the mount has as many hard links as it may
	KindAttrTooLarge             // an attribute is larger than any can be
	KindAttrSpace                // no room is left for attributes
	kindEnd
)

var kindNames = [kindEnd]string{
	"I/O error", "not found", "no such bucket", "already exists", "changed by somebody else",
	"version is gone", "access denied", "credentials refused", "clock skew", "wrong region",
	"archived", "invalid", "not UTF-8", "name too long", "too large", "no space on the local disk",
	"quota reached", "not supported", "store not available", "timed out", "canceled",
	"corrupt data", "read-only", "not a directory", "is a directory", "directory not empty",
	"busy", "no such attribute", "buffer too small", "bad file handle", "directory loop", "no hard links", "too many links",
	"attribute too large", "no room for attributes",
}

func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Error is a failed operation on a key. Every error that crosses a package boundary
// of s3mount is one, or wraps one.
type Error struct {
	Op        string // the operation, e.g. "GetObject" or "rename"
	Key       string // the key or path it was about; may be empty
	Kind      Kind
	Code      string // the store's own code, e.g. "SlowDown"; empty for local failures
	RequestID string // the store's request id, for its support; may be empty
	Err       error  // the cause; may be nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Key != "" {
		fmt.Fprintf(&b, " %q", e.Key)
	}
	b.WriteString(": ")
	b.WriteString(e.Kind.String())
	if e.Code != "" {
		fmt.Fprintf(&b, " (%s)", e.Code)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " [request %s]", e.RequestID)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind with a cause; format may be empty.
func Errorf(kind Kind, op, key, format string, args ...any) *Error {
	e := &Error{Op: op, Key: key, Kind: kind}
	if format != "" {
		e.Err = fmt.Errorf(format, args...)
	}
	return e
}

// KindOf finds the kind of err: that of the outermost Error in its chain, else
// KindCanceled or KindTimeout for a context's errors, else KindOther.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	}
	return KindOther
}

// Is reports whether err is of the kind k. It is false for a nil error.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
