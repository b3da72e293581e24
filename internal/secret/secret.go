// Package secret holds a string that does not print.
//
// A key or a token that sits in an options struct is one %+v away from a log file.
// A secret.String shows as "[secret]" through fmt, slog, encoding/json and text
// encoders; the one way to the value is Reveal, which is easy to find in a review.
// The value sits behind a pointer, so that fmt does not show it either where it
// reaches the String through an unexported field and can call no methods.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// mask is what a String shows as.
const mask = "[secret]"

// String is a secret string. The zero value is the empty string.
//
// Two Strings are not to be compared with ==, which compares pointers.
type String struct{ p *string }

// New makes a String of s.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{p: &s}
}

// Reveal returns the value.
func (s String) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// Empty reports whether the value is the empty string.
func (s String) Empty() bool { return s.p == nil || *s.p == "" }

// String returns "[secret]".
func (String) String() string { return mask }

// GoString returns "[secret]".
func (String) GoString() string { return mask }

// Format writes "[secret]" for every verb.
func (String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// MarshalText returns "[secret]".
func (String) MarshalText() ([]byte, error) { return []byte(mask), nil }

// MarshalJSON returns "[secret]" as a JSON string.
func (String) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }

// LogValue returns "[secret]".
func (String) LogValue() slog.Value { return slog.StringValue(mask) }
