package config

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// Passwords tells where the password of an encrypted file comes from: the first of
// Command, the environment (S3MOUNT_CONFIG_PASS, RCLONE_CONFIG_PASS) and Prompt. A nil
// *Passwords has none.
type Passwords struct {
	// Getenv looks up the environment. Nil: it is empty.
	Getenv func(string) string
	// Command is a program and its arguments, that prints the password. Blanks part
	// them; one with blanks stands in double quotes, the quote itself doubled. No
	// shell runs it. Empty: S3MOUNT_PASSWORD_COMMAND, RCLONE_PASSWORD_COMMAND.
	Command string
	// Prompt asks a person. Nil, or the error ErrNobody: there is nobody to ask.
	Prompt func(ctx context.Context, question string) (secret.String, error)
	// Tell shows a line to the person who is asked. May be nil.
	Tell func(line string)
}

const (
	// promptTries is how often a person may mistype.
	promptTries = 3
	// commandPatience is how long the command may take: it may itself ask somebody.
	commandPatience = 5 * time.Minute
)

// ErrNobody is what Prompt returns if it finds that there is nobody to ask.
var ErrNobody = errors.New("there is nobody to ask")

// noPassword is the error for a file whose password nobody gives.
func noPassword(path string) error {
	return object.Errorf(object.KindCredentials, "read config", path,
		"the file is encrypted, and there is no terminal to ask for the password: set S3MOUNT_CONFIG_PASS or give --password-command")
}

func (p *Passwords) getenv(names ...string) string {
	if p.Getenv == nil {
		return ""
	}
	for _, name := range names {
		if v := p.Getenv(name); v != "" {
			return v
		}
	}
	return ""
}

// open decrypts a box, and returns the password that did it.
func (p *Passwords) open(ctx context.Context, path string, box []byte) ([]byte, secret.String, error) {
	if p == nil {
		return nil, secret.String{}, noPassword(path)
	}
	wrong := func(source string) error {
		return object.Errorf(object.KindCredentials, "read config", path, "the file is encrypted, and the password %s is wrong", source)
	}
	password, source, err := p.given(ctx, false)
	if err != nil {
		return nil, password, &object.Error{Op: "read config", Key: path, Kind: object.KindCredentials, Err: err}
	}
	if source != "" {
		if text, ok := openBox(box, password); ok {
			return text, password, nil
		}
		return nil, password, wrong(source)
	}
	if p.Prompt == nil {
		return nil, password, noPassword(path)
	}
	for range promptTries {
		password, err = p.Prompt(ctx, "Password of "+path+": ")
		if errors.Is(err, ErrNobody) {
			return nil, password, noPassword(path)
		}
		if err != nil {
			return nil, password, &object.Error{Op: "read config", Key: path, Kind: object.KindCredentials, Err: err}
		}
		if text, ok := openBox(box, password); ok {
			return text, password, nil
		}
		p.tell("That is not the password.")
	}
	return nil, password, wrong("that was typed")
}

func (p *Passwords) tell(line string) {
	if p.Tell != nil {
		p.Tell(line)
	}
}

// Given reports whether a password comes without asking anybody.
func (p *Passwords) Given() bool {
	return p.Command != "" || p.getenv("S3MOUNT_PASSWORD_COMMAND", "RCLONE_PASSWORD_COMMAND", "S3MOUNT_CONFIG_PASS", "RCLONE_CONFIG_PASS") != ""
}

// given returns the password that the command or the environment gives, and says
// which; an empty source means neither. For a change only the command is asked: the
// variable holds the old one.
func (p *Passwords) given(ctx context.Context, change bool) (password secret.String, source string, err error) {
	command := p.Command
	if command == "" {
		command = p.getenv("S3MOUNT_PASSWORD_COMMAND", "RCLONE_PASSWORD_COMMAND")
	}
	if command != "" {
		password, err = runPasswordCommand(ctx, command, change)
		return password, "from --password-command", err
	}
	for _, name := range []string{"S3MOUNT_CONFIG_PASS", "RCLONE_CONFIG_PASS"} {
		if v := p.getenv(name); v != "" && !change {
			return secret.New(v), "in " + name, nil
		}
	}
	return secret.String{}, "", nil
}

// New returns a new password for a file: from the command, which then has
// RCLONE_PASSWORD_CHANGE=1 in its environment, or typed twice.
func (p *Passwords) New(ctx context.Context) (secret.String, error) {
	password, source, err := p.given(ctx, true)
	if err != nil {
		return password, err
	}
	if source != "" {
		return password, checkPassword(password)
	}
	if p.Prompt == nil {
		return password, errors.New("there is no terminal to ask for the new password: give --password-command")
	}
	for range promptTries {
		if password, err = p.Prompt(ctx, "New configuration password: "); err != nil {
			return password, err
		}
		if err := checkPassword(password); err != nil {
			p.tell("This can't be a password: " + err.Error() + ".")
			continue
		}
		again, err := p.Prompt(ctx, "The same once more: ")
		if err != nil {
			return password, err
		}
		if again.Reveal() == password.Reveal() {
			return password, nil
		}
		p.tell("The two differ.")
	}
	return secret.String{}, errors.New("no new password was typed twice alike")
}

// runPasswordCommand runs a command and returns its first line of output. Errors have
// what it wrote on standard error, which is for people.
func runPasswordCommand(ctx context.Context, command string, change bool) (secret.String, error) {
	args, err := splitCommand(command)
	if err != nil {
		return secret.String{}, fmt.Errorf("--password-command: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.WaitDelay = time.Second
	c.Stdin = os.Stdin
	c.Env = os.Environ()
	if change {
		c.Env = append(c.Env, "RCLONE_PASSWORD_CHANGE=1", "S3MOUNT_PASSWORD_CHANGE=1")
	}
	var stdout, stderr bounded
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		if said := strings.Join(strings.Fields(string(stderr)), " "); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return secret.String{}, fmt.Errorf("--password-command failed: %w", err)
	}
	text := strings.Trim(string(stdout), "\r\n")
	if text == "" {
		return secret.String{}, errors.New("--password-command printed nothing")
	}
	return secret.New(text), nil
}

// splitCommand parts a command as rclone does.
func splitCommand(command string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(command))
	r.Comma = ' '
	args, err := r.Read()
	if err != nil || len(args) == 0 || args[0] == "" {
		return nil, errors.New(`it must be a program and its arguments, parted by single blanks, those with blanks in "double quotes"`)
	}
	return args, nil
}

// bounded keeps the beginning of what is written to it.
type bounded []byte

func (b *bounded) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), 64<<10-len(*b))]...)
	return len(p), nil
}
