package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// screen is standard error with a block of lines at its end that is drawn anew: the
// progress. Lines written meanwhile appear above the block.
type screen struct {
	w    io.Writer
	live bool // w is a terminal that moves its cursor
	mu   struct {
		sync.Mutex // held while something is written
		shown      []string
	}
}

func newScreen(w io.Writer, getenv func(string) string) *screen {
	return &screen{w: w, live: isTerminal(w) && getenv("TERM") != "dumb" && getenv("TERM") != "" && getenv("NO_COLOR") == ""}
}

// isTerminal reports whether w is one.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is how many columns there are.
func (s *screen) width() int {
	if f, ok := s.w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 20 {
			return columns
		}
	}
	return 80
}

// Write writes whole lines, above the block.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.eraseLocked(&b)
	b.Write(p)
	s.drawLocked(&b)
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// show replaces the block; without lines it disappears. The lines must fit the width.
func (s *screen) show(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.eraseLocked(&b)
	s.mu.shown = lines
	s.drawLocked(&b)
	s.w.Write(b.Bytes()) // a terminal that is gone needs no progress
}

// eraseLocked moves to the block's first line and clears from there on.
func (s *screen) eraseLocked(b *bytes.Buffer) {
	if n := len(s.mu.shown); n > 0 {
		fmt.Fprintf(b, "\r\x1b[%dA\x1b[J", n)
	}
}

func (s *screen) drawLocked(b *bytes.Buffer) {
	for _, line := range s.mu.shown {
		b.WriteString(line)
		b.WriteByte('\n')
	}
}

// fit cuts a line to a width in columns; each rune counts as one, wide ones as two.
func fit(line string, width int) string {
	used := 0
	for i, r := range line {
		n := 1
		if r >= 0x1100 { // roughly where wide characters begin
			n = 2
		}
		if used+n > width-1 {
			return line[:i] + "…"
		}
		used += n
	}
	return line
}
