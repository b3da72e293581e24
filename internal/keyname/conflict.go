package keyname

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxHost bounds the part of a machine's name that a conflict's name has, in bytes.
const maxHost = 64

// Conflict makes the name under which a version is kept that lost the race for a name:
// NAME.conflict-HOST-TIME, with a number behind it from the second try on. room is how many
// bytes it may have; too long a name loses its end. It is empty if there is no room.
func Conflict(name, host string, at time.Time, try, room int) string {
	mark := fmt.Sprintf(".conflict-%s-%s", plainHost(host), at.UTC().Format("20060102T150405Z"))
	if try > 1 {
		mark += fmt.Sprintf("-%d", try)
	}
	return marked(name, mark, room)
}

// Exchange makes the name under which what NAME stands for is kept while NAME changes its
// place with another: NAME.exchange-RANDOM. room is as for Conflict.
func Exchange(name, random string, room int) string {
	return marked(name, ".exchange-"+random, room)
}

// marked puts a mark behind a name, which loses its end where there is no room for both. It is
// empty if there is none for the mark.
func marked(name, mark string, room int) string {
	room = min(room, MaxName) - len(mark)
	if room < 0 {
		return ""
	}
	if len(name) > room {
		for room > 0 && !utf8.RuneStart(name[room]) {
			room--
		}
		name = name[:room]
	}
	return name + mark
}

// plainHost replaces what is odd in a file's name.
func plainHost(host string) string {
	if host == "" {
		host = "unknown"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '-', r == '.':
			return r
		}
		return '_'
	}, host[:min(len(host), maxHost)])
}
