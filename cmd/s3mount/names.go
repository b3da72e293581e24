package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// shown is a name as a listing prints it. Into a file or a pipe that is its bytes as they
// are; on a terminal, what could move the cursor or rewrite the screen is escaped.
func (j *job) shown(name string) string {
	if !isTerminal(j.stdout) {
		return name
	}
	return escaped(name)
}

// escaped writes control characters and what is not UTF-8 as \n or \x1b.
func escaped(name string) string {
	var b strings.Builder
	for i, size := 0, 0; i < len(name); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(name[i:])
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, name[i])
		case r >= 0x80 && r < 0xa0:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(name[i : i+size])
		}
	}
	return b.String()
}
