package s3remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/s3mount/s3mount/object"
)

// stageError is a time limit of Timeouts that was passed.
type stageError struct {
	stage string
	limit time.Duration
}

func (e *stageError) Error() string { return fmt.Sprintf("%s within %v", e.stage, e.limit) }
func (e *stageError) Timeout() bool { return true }

// localError is a failure on this side: the body to be sent could not be read.
type localError struct{ err error }

func (e *localError) Error() string { return "read what is to be sent: " + e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// credentialsError is a failure to find out the keys to sign with.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "find credentials: " + e.err.Error() }
func (e *credentialsError) Unwrap() error { return e.err }

// passing reports whether the source may just be out of reach for now: temporary keys
// run out in the middle of a long upload, and their source may be busy then.
func (e *credentialsError) passing() bool {
	var answer *smithyhttp.ResponseError
	if errors.As(e.err, &answer) {
		status := answer.HTTPStatusCode()
		return status >= 500 || status == http.StatusTooManyRequests
	}
	var nerr net.Error
	return errors.As(e.err, &nerr) || errors.Is(e.err, io.EOF) || errors.Is(e.err, io.ErrUnexpectedEOF)
}

// oddAnswerError is a success that does not say what it must.
type oddAnswerError struct{ problem string }

func (e *oddAnswerError) Error() string { return "odd answer: " + e.problem }

// verdict is what a failed try comes down to.
type verdict struct {
	err   *object.Error
	retry retry
	after time.Duration // the least pause before the next try
	// region is the right one after KindWrongRegion, if the store told it.
	region string
	// refused says that the store looked at the request and turned it down, so that
	// it had no effect. It is false where nobody can tell.
	refused bool
}

// judge makes of a failed try's error what the caller gets, and whether to go on.
// region is the one that was signed.
func judge(op, key, region string, err error) verdict {
	e := &object.Error{Op: op, Key: key, Err: err}
	v := verdict{err: e}
	var answer *answerError
	var known *object.Error
	var local *localError
	var credentials *credentialsError
	var odd *oddAnswerError
	var badXML *smithy.DeserializationError
	switch {
	case errors.As(err, &answer):
		v.answered(answer, region)
	case errors.As(err, &known): // of a request within the request
		v.err = known
	case errors.As(err, &local):
		e.Kind, e.Err = object.KindOf(local.err), local
	case errors.As(err, &credentials):
		e.Kind, e.Err, v.refused = object.KindCredentials, credentials, true // nothing was sent
		if credentials.passing() {
			v.retry = always
		}
	case errors.As(err, &odd):
		e.Err, v.retry = odd, few
	case errors.As(err, &badXML):
		e.Err, v.retry = fmt.Errorf("odd answer: %w", badXML.Err), few
	default:
		v.broken(err)
	}
	return v
}

// answered judges an answer of the store.
func (v *verdict) answered(a *answerError, region string) {
	m := meaningOf(a.status, a.code)
	e := v.err
	e.Kind, e.Code, e.RequestID, e.Err = m.kind, a.code, a.requestID, a
	v.retry, v.after = m.retry, a.after
	v.refused = a.status >= 400 && a.status < 500 && m.retry == never
	// HEAD is told the right region in a header only, under several statuses.
	if a.code == "" && a.region != "" && a.region != region && (a.status == http.StatusBadRequest || a.status == http.StatusForbidden) {
		e.Kind = object.KindWrongRegion
	}
	switch e.Kind {
	case object.KindWrongRegion:
		v.region = a.region
		hint := ""
		if a.region != "" && a.region != region {
			hint = fmt.Sprintf("; it is in '%s': set region = %s", a.region, a.region)
		}
		e.Err = fmt.Errorf("incorrect region, the bucket is not in '%s' region%s: %w", region, hint, a)
	case object.KindArchived:
		if a.about != "" {
			e.Key = a.about
		}
		e.Err = &archivedError{class: cmp.Or(a.class, "GLACIER"), key: e.Key, err: a}
	case object.KindClockSkew:
		if !a.date.IsZero() {
			e.Err = fmt.Errorf("this machine's clock is %s: %w", skew(a.date), a)
		}
	}
}

// skew says how far this machine's clock is from the store's.
func skew(date time.Time) string {
	d := time.Since(date).Round(time.Second)
	if d < 0 {
		return fmt.Sprintf("%v behind the store's", -d)
	}
	return fmt.Sprintf("%v ahead of the store's", d)
}

// broken judges a failure without an answer.
func (v *verdict) broken(err error) {
	e := v.err
	e.Kind, e.Err, v.retry = object.KindUnavailable, rootCause(err), always
	var stage *stageError
	var nerr net.Error
	var badCert *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var canceled *smithy.CanceledError
	var badParams smithy.InvalidParamsError
	var badInput *smithy.SerializationError
	var header textproto.ProtocolError
	switch {
	case errors.As(err, &stage):
		e.Kind, e.Err = object.KindTimeout, stage
	case errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &noTLS):
		e.Err, v.retry = fmt.Errorf("the endpoint does not speak TLS; if that is meant, write it as http://…: %w", err), never
	case errors.As(err, &badCert):
		v.retry = never
	case errors.As(err, &canceled):
		// The caller's context: the loop sees to it.
	case errors.As(err, &badParams), errors.As(err, &badInput):
		e.Kind, v.retry, v.refused = object.KindInvalid, never, true
	case errors.As(err, &header): // metadata with a NUL, say, which come again with each answer
		e.Kind, e.Err, v.retry = object.KindOther, fmt.Errorf("odd answer: %w", header), few
	case errors.As(err, &nerr):
		if nerr.Timeout() {
			e.Kind = object.KindTimeout
		}
	case isTransport(err):
	default:
		e.Kind, v.retry = object.KindOther, never
	}
}

// isTransport reports whether err comes from below HTTP's meaning: a connection
// that broke, or an answer that ended early or was none.
func isTransport(err error) bool {
	var syntax *xml.SyntaxError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errBroken) || errors.As(err, &syntax)
}

// errBroken marks what net/http reports of a connection with texts of its own.
var errBroken = errors.New("connection broken")

// rootCause takes off the SDK's layers, which repeat what an object.Error says.
func rootCause(err error) error {
	var broken *brokenError
	if errors.As(err, &broken) {
		return broken.err
	}
	return err
}

// brokenError is an error of the HTTP transport: no answer came.
type brokenError struct{ err error }

func (e *brokenError) Error() string        { return e.err.Error() }
func (e *brokenError) Unwrap() error        { return e.err }
func (e *brokenError) Is(target error) bool { return target == errBroken }

// callerGone makes the error of a call whose context ended. cause is what the last
// try said; it may be nil.
func callerGone(ctx context.Context, op, key string, cause error) *object.Error {
	err := context.Cause(ctx)
	e := &object.Error{Op: op, Key: key, Kind: object.KindCanceled, Err: err}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Kind = object.KindTimeout
		var last *object.Error
		if errors.As(cause, &last) {
			e.Code, e.RequestID = last.Code, last.RequestID
			e.Err = fmt.Errorf("%w; the last try: %w", err, last.Err)
		}
	}
	return e
}
