package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// passwords tells where the password of an encrypted config file comes from.
func (g *globals) passwords() *config.Passwords {
	p := &config.Passwords{
		Getenv:  g.getenv,
		Command: g.passwordCommand,
		Tell:    func(line string) { fmt.Fprintln(g.stderr, line) },
	}
	switch {
	case g.isChild():
		p.Prompt = g.parentPassword
	case g.isTerminal():
		p.Prompt = g.typedPassword
	}
	return p
}

// typedPassword asks on the terminal. Questions go to standard error: standard output may
// be a file.
func (g *globals) typedPassword(ctx context.Context, question string) (secret.String, error) {
	c, err := g.openConsole(ctx, g.stderr)
	if err != nil {
		return secret.String{}, err
	}
	defer c.Close()
	text, err := c.secret(question)
	if errors.Is(err, io.EOF) {
		err = errors.New("no password was typed")
	}
	g.childPassword = secret.New(text)
	return g.childPassword, err
}

// parentPassword reads the password that the parent process asked for: it is the one line
// of standard input.
func (g *globals) parentPassword(context.Context, string) (secret.String, error) {
	if g.stdin == nil {
		return secret.String{}, config.ErrNobody
	}
	text, err := bufio.NewReader(g.stdin).ReadString('\n')
	if err != nil {
		return secret.String{}, config.ErrNobody
	}
	return secret.New(strings.TrimSuffix(text, "\n")), nil
}

// askForChild opens the config file once before a process in the background does, which
// has nobody to ask.
func (g *globals) askForChild(ctx context.Context, place string) error {
	p, err := parsePlace(place)
	if err != nil || !g.isTerminal() || g.passwords().Given() {
		return nil // the other process says what is wrong
	}
	ctx, done := g.untilSignal(ctx)
	defer done()
	_, err = g.openConfig(ctx, p)
	if interrupted(ctx) == nil && !object.Is(err, object.KindCredentials) {
		return nil
	}
	return err
}

// childInput is the standard input of the background process: the password, if one was
// typed. The environment would show it for as long as the process lives.
func (g *globals) childInput() (*os.File, error) {
	if g.childPassword.Empty() {
		return nil, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	// A typed line is far smaller than a pipe's buffer: this doesn't wait.
	if _, err := io.WriteString(w, g.childPassword.Reveal()+"\n"); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}
