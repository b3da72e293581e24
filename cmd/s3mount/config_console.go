package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// console asks a person, or whatever writes to standard input, line by line.
//
// On a terminal that can move its cursor the line can be edited, and the terminal is in
// raw mode until Close. On a dumb one the kernel's own editing is used, and echo is off
// for secrets only. A pipe or file is just read.
//
// The end of the input, and ctrl-C on a terminal in raw mode, is io.EOF. The end of the
// context, which a signal causes, ends a read that waits; the error is its cause.
type console struct {
	out     io.Writer
	in      *cancelReader
	lines   *bufio.Reader  // without line editing
	editor  *term.Terminal // with it
	fd      int
	tty     bool
	restore func()
}

// isTerminal reports whether a person can be asked.
func (g *globals) isTerminal() bool {
	return g.stdin != nil && term.IsTerminal(int(g.stdin.Fd()))
}

// openConsole begins to ask, on standard input, with questions on out. The caller closes
// it, and writes nothing to the terminal but by it meanwhile.
func (g *globals) openConsole(ctx context.Context, out io.Writer) (*console, error) {
	if g.stdin == nil {
		return nil, fmt.Errorf("standard input is closed")
	}
	in, err := newCancelReader(ctx, g.stdin)
	if err != nil {
		return nil, err
	}
	c := &console{out: out, in: in, fd: int(g.stdin.Fd()), tty: g.isTerminal(), restore: func() {}}
	f, isFile := out.(*os.File)
	name := g.getenv("TERM")
	if !c.tty || !isFile || !term.IsTerminal(int(f.Fd())) || name == "" || name == "dumb" {
		c.lines = bufio.NewReader(in)
		return c, nil
	}
	state, err := term.MakeRaw(c.fd)
	if err != nil {
		in.Close()
		return nil, err
	}
	c.restore = func() { term.Restore(c.fd, state) }
	c.editor = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "")
	if width, height, err := term.GetSize(c.fd); err == nil && width > 0 {
		c.editor.SetSize(width, height)
	}
	return c, nil
}

// Close gives the terminal back.
func (c *console) Close() {
	c.restore()
	c.in.Close()
}

// Write shows text.
func (c *console) Write(p []byte) (int, error) {
	if c.editor != nil {
		return c.editor.Write(p)
	}
	return c.out.Write(p)
}

// printf shows text.
func (c *console) printf(format string, args ...any) { fmt.Fprintf(c, format, args...) }

// line reads a line, without its end and the blanks around it.
func (c *console) line(prompt string) (string, error) {
	if c.editor == nil {
		return c.plain(prompt)
	}
	c.editor.SetPrompt(prompt)
	text, err := c.editor.ReadLine()
	if err != nil && err != term.ErrPasteIndicator {
		return "", c.in.why(err)
	}
	return strings.TrimSpace(text), nil
}

// secret reads a line that is not shown.
func (c *console) secret(prompt string) (string, error) {
	if c.editor != nil {
		text, err := c.editor.ReadPassword(prompt)
		if err != nil && err != term.ErrPasteIndicator {
			return "", c.in.why(err)
		}
		return strings.TrimSpace(text), nil
	}
	if !c.tty {
		return c.plain(prompt)
	}
	old, err := unix.IoctlGetTermios(c.fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	silent := *old
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(c.fd, unix.TCSETS, &silent); err != nil {
		return "", err
	}
	defer unix.IoctlSetTermios(c.fd, unix.TCSETS, old)
	text, err := c.plain(prompt)
	fmt.Fprintln(c.out)
	return text, err
}

// plain reads a line without editing it. A last line without an end counts.
func (c *console) plain(prompt string) (string, error) {
	fmt.Fprint(c.out, prompt)
	text, err := c.lines.ReadString('\n')
	if !c.tty {
		fmt.Fprintln(c.out) // what was read is not seen; the next question begins a line
	}
	if err != nil && (err != io.EOF || text == "") {
		return "", c.in.why(err)
	}
	return strings.TrimSpace(text), nil
}

// cancelReader reads a file until a context ends.
type cancelReader struct {
	f     *os.File
	ctx   context.Context
	wakeR *os.File
	wakeW *os.File
	stop  func() bool
	woken chan struct{}
}

// newCancelReader returns a reader of f. The caller closes it, not f.
func newCancelReader(ctx context.Context, f *os.File) (*cancelReader, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &cancelReader{f: f, ctx: ctx, wakeR: r, wakeW: w, woken: make(chan struct{})}
	c.stop = context.AfterFunc(ctx, func() {
		defer close(c.woken)
		w.Write([]byte{0})
	})
	return c, nil
}

// Close ends the wait for the context. The file stays open.
func (c *cancelReader) Close() error {
	if !c.stop() {
		<-c.woken
	}
	c.wakeW.Close()
	return c.wakeR.Close()
}

// Read waits for the file to have something, or for the context to end.
func (c *cancelReader) Read(p []byte) (int, error) {
	fds := []unix.PollFd{
		{Fd: int32(c.f.Fd()), Events: unix.POLLIN},
		{Fd: int32(c.wakeR.Fd()), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case fds[1].Revents != 0:
			return 0, context.Cause(c.ctx)
		default:
			return c.f.Read(p)
		}
	}
}

// why returns the cause of the context's end, if that is why a read failed.
func (c *cancelReader) why(err error) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return err
}
