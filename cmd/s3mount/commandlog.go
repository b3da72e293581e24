package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"github.com/s3mount/s3mount/object"
)

// levelNotice is what a user should read although nothing is wrong: what a dry run would
// do. It is shown without -v.
const levelNotice = slog.Level(2)

// verbosity is how much a command on files tells.
type verbosity struct {
	verbose int
	quiet   bool
}

// level is the least level that is shown.
func (v verbosity) level() slog.Level {
	switch {
	case v.quiet:
		return slog.LevelError
	case v.verbose == 1:
		return slog.LevelInfo
	case v.verbose > 1:
		return slog.LevelDebug
	}
	return levelNotice
}

// commandLog opens the log of a command on files: plain lines on w, or the log file.
// given says that --log-level was, which goes before -v and -q.
func (g *globals) commandLog(v verbosity, given bool, w io.Writer) (log *slog.Logger, close func(), err error) {
	level := v.level()
	if given {
		if level, err = parseLevel(g.logLevel); err != nil {
			return nil, nil, err
		}
	}
	if g.logFile == "" {
		return slog.New(&lineHandler{w: w, level: level, mu: &sync.Mutex{}}), func() {}, nil
	}
	f, err := openLog(g.logFile)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: level})), func() { f.Close() }, nil
}

// parseLevel reads --log-level. Notice is rclone's word for what is always shown.
func parseLevel(text string) (level slog.Level, err error) {
	if strings.EqualFold(text, "notice") {
		return levelNotice, nil
	}
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return 0, usageError{fmt.Errorf("--log-level %q is wrong: it is debug, info, warn or error", text)}
	}
	return level, nil
}

// lineHandler writes records for people: one line each, without time and level.
type lineHandler struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
	mu    *sync.Mutex // held while a line is written
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &c
}

// WithGroup is not needed here: nobody groups.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b bytes.Buffer
	b.WriteString("s3mount: ")
	b.WriteString(printable(r.Message))
	add := func(a slog.Attr) bool {
		text := a.Value.String()
		if strings.ContainsAny(text, " \t\n\"") && a.Key != "err" {
			text = fmt.Sprintf("%q", text)
		}
		fmt.Fprintf(&b, " %s=%s", a.Key, printable(text))
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(b.Bytes())
	return err
}

// printable keeps a line a line, and a terminal from being told what to do by a name.
func printable(s string) string {
	clean := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' || r >= 0x80 && r < 0xa0 }) < 0
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString("; ")
		case r < ' ' || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// brief is an error as a line about a file that is named already: without the operation
// and the key.
func brief(err error) error {
	e, ok := err.(*object.Error)
	if !ok || e.Op == "" {
		return err
	}
	return &briefError{e}
}

type briefError struct{ e *object.Error }

func (b *briefError) Unwrap() error { return b.e }

func (b *briefError) Error() string {
	if errno, ok := b.e.Err.(syscall.Errno); ok { // of the local disk: the kind says the same
		return errno.Error()
	}
	short := *b.e
	short.Op, short.Key = "", ""
	return strings.TrimPrefix(short.Error(), ": ")
}
