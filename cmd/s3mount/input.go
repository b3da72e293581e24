package main

import (
	"io"
	"strings"
)

// input is standard input; nil if there is none.
func (j *job) input() io.Reader {
	if j.stdin == nil {
		return nil
	}
	return j.stdin
}

// trimAnswer is the answer in a line that was typed.
func trimAnswer(line string) string { return strings.ToLower(strings.TrimSpace(line)) }
