package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/internal/secret"
)

// globals are the flags that every command has.
type globals struct {
	env
	config   string
	logLevel string
	logFile  string

	s3 map[string]*s3Value // the --s3-* flags by their options; see addS3Flags

	passwordCommand string
	childPassword   secret.String // what the background half of a mount is given
}

func (g *globals) addFlags(f *pflag.FlagSet) {
	f.StringVar(&g.config, "config", "", "config `FILE` with the remotes (default: S3MOUNT_CONFIG, s3mount.conf or rclone.conf in their usual places)")
	f.StringVar(&g.passwordCommand, "password-command", "", "`COMMAND` that prints the password of an encrypted config file (default: S3MOUNT_PASSWORD_COMMAND, RCLONE_PASSWORD_COMMAND)")
	f.StringVar(&g.logLevel, "log-level", "info", "log `LEVEL`: debug, info, warn or error")
	f.StringVar(&g.logFile, "log-file", "", "append the log to `FILE` instead of standard error")
}

// processEnv is the environment of the real process.
func processEnv() env {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it, and means that
		signal.Notify(signals, syscall.SIGHUP) // the terminal went away
	}
	return env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, lookupEnv: os.LookupEnv, signals: signals}
}

// logger opens the log. close ends it.
func (g *globals) logger() (log *slog.Logger, close func(), err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(g.logLevel))); err != nil {
		return nil, nil, usageError{fmt.Errorf("--log-level %q is wrong: it is debug, info, warn or error", g.logLevel)}
	}
	var w io.Writer = g.stderr
	close = func() {}
	if g.logFile != "" {
		f, err := openLog(g.logFile)
		if err != nil {
			return nil, nil, err
		}
		w, close = f, func() { f.Close() }
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), close, nil
}

// openLog opens a log file to append to.
func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--log-file: %w: choose another file", err)
	}
	return f, nil
}
