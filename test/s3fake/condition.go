package s3fake

import (
	"net/http"
	"strings"
)

// condition is what a write demands of the version that it replaces.
type condition struct{ ifMatch, ifNoneMatch string }

func (c *call) condition() (condition, error) {
	w := condition{c.r.Header.Get("If-Match"), c.r.Header.Get("If-None-Match")}
	q := c.s.opts.Quirks
	switch {
	case w == condition{}:
		return w, nil
	case q.RefuseConditions, w.ifNoneMatch != "" && w.ifNoneMatch != "*":
		return w, fail("NotImplemented", "The condition is not supported.")
	case q.IgnoreConditions, q.IgnoreCompleteConditions && c.op == CompleteUpload:
		return condition{}, nil
	}
	return w, nil
}

func (w condition) check(old *entry) error {
	switch {
	case w.ifMatch != "" && old == nil:
		return errNoKey
	case w.ifMatch != "" && !sameTag(w.ifMatch, old), w.ifNoneMatch != "" && old != nil:
		return errPrecondition
	}
	return nil
}

func sameTag(header string, e *entry) bool {
	return header == "*" || strings.Trim(header, `"`) == e.etag
}

// checkRead checks the conditions of a read; prefix is that of their header's names.
func checkRead(e *entry, h http.Header, prefix string) error {
	if v := h.Get(prefix + "If-Match"); v != "" && !sameTag(v, e) {
		return errPrecondition
	}
	if v := h.Get(prefix + "If-None-Match"); v != "" && sameTag(v, e) {
		if prefix != "" {
			return errPrecondition
		}
		return errNotModified
	}
	if v := h.Get(prefix + "If-Unmodified-Since"); v != "" {
		if t, err := http.ParseTime(v); err == nil && e.modified.After(t) {
			return errPrecondition
		}
	}
	return nil
}
