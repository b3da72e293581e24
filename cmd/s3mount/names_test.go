package main

import (
	"bytes"
	"testing"
)

func TestNamesOnATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"a b": "a b", "ü 🎉": "ü 🎉", "a\nb\t": `a\nb\t`, "\x1b[2J": `\x1b[2J`, "\x7f": `\x7f`, "\u009b1m": `\u009b1m`, "a\xffb": `a\xffb`, "\uFFFD": "\uFFFD", `a\b`: `a\b`,
	} {
		if got := escaped(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	j := &job{globals: &globals{env: env{stdout: &bytes.Buffer{}}}}
	if got := j.shown("\x1b[2J\xff\n"); got != "\x1b[2J\xff\n" {
		t.Errorf("in a pipe: %q", got)
	}
}
