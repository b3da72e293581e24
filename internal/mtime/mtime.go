// Package mtime is the form in which a modification time is kept in the user metadata of
// an object, "mtime": decimal seconds since 1970 with nine digits behind the point, as
// rclone and s3fs have it.
package mtime

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Key is the name of the metadata.
const Key = "mtime"

// Format writes a time: decimal seconds with nine digits behind the point.
func Format(t time.Time) string {
	sec, nsec := t.Unix(), int64(t.Nanosecond())
	if sec < 0 && nsec > 0 { // -1.25 s is -2 s + 0.75 s in Unix's split
		return fmt.Sprintf("-%d.%09d", -(sec + 1), 1e9-nsec)
	}
	return fmt.Sprintf("%d.%09d", sec, nsec)
}

// Parse reads Format's form and its relatives: whole seconds, fewer or more digits.
// Numbers that no file system could hold are refused.
func Parse(s string) (time.Time, bool) {
	s, neg := strings.CutPrefix(strings.TrimSpace(s), "-")
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || sec > math.MaxInt64/4 {
		return time.Time{}, false
	}
	frac = (frac + "000000000")[:9]
	nsec, err := strconv.ParseUint(frac, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	if neg {
		return time.Unix(-int64(sec), -int64(nsec)), true
	}
	return time.Unix(int64(sec), int64(nsec)), true
}
