package mtime

import (
	"testing"
	"time"
)

func TestTimeForms(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Time
		ok   bool
	}{
		{"1511424000.123456789", time.Unix(1511424000, 123456789), true},
		{"1511424000", time.Unix(1511424000, 0), true},
		{"1511424000.5", time.Unix(1511424000, 500_000_000), true},
		{"1511424000.1234567891", time.Unix(1511424000, 123456789), true},
		{"-1.25", time.Unix(-2, 750_000_000), true},
		{"0.000000001", time.Unix(0, 1), true},
		{"", time.Time{}, false},
		{"yesterday", time.Time{}, false},
		{"99999999999999999999", time.Time{}, false},
		{"9223372036854775807", time.Time{}, false},
		{"1.x", time.Time{}, false},
		{"--1", time.Time{}, false},
	} {
		got, ok := Parse(c.text)
		if ok != c.ok || !got.Equal(c.want) {
			t.Errorf("Parse(%q) = %v, %v, want %v, %v", c.text, got, ok, c.want, c.ok)
		}
	}
	for _, want := range []time.Time{time.Unix(0, 0), time.Unix(1, 2), time.Unix(-1, 0), time.Unix(-2, 750_000_000), time.Unix(-1, 1), time.Unix(1<<34, 999_999_999)} {
		if got, ok := Parse(Format(want)); !ok || !got.Equal(want) {
			t.Errorf("%v is written as %q and read as %v", want, Format(want), got)
		}
	}
}
