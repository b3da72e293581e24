// Command s3mount mounts S3 buckets as directories.
//
// main calls run and nothing else; each command is an options struct, its flags and a
// function, in a file of its own. assemble.go is the one place that puts the packages
// together.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes, the same as rclone's where it has them.
const (
	exitOK    = 0
	exitError = 1 // the operation failed
	exitUsage = 2 // the command line is wrong; nothing was tried
)

// version is set by the linker.
var version = "dev"

// env is what a command has from outside: tests give their own.
type env struct {
	stdin          *os.File // nil: nothing to read
	stdout, stderr io.Writer
	getenv         func(string) string
	lookupEnv      func(string) (string, bool) // for the options of remotes; nil: none is set
	signals        chan os.Signal              // interrupts, terminations and hangups
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], processEnv()))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, e env) int {
	root := newRoot(e)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(e.stderr, "s3mount: %v\n", err)
	return exitCode(err)
}

func newRoot(e env) *cobra.Command {
	g := &globals{env: e}
	root := &cobra.Command{
		Use:           "s3mount",
		Short:         "Mount S3 buckets as directories",
		Long:          "s3mount mounts an S3 bucket as a directory, and never loses a byte of it.\nIt also lists, copies and syncs what is in buckets.\n\nThe first steps: s3mount demo\n\nExit codes: 0 done, 1 failed, 2 wrong command line; of the commands on files also 3 not\nthere, 5 store not available, 7 refused, 9 nothing to copy (--error-on-no-transfer).",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		// Without a command: help. With a wrong one: an error that names it.
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q: see s3mount --help", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(flagError)
	g.addFlags(root.PersistentFlags())
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { return flagsFromEnv(c, e.getenv) }
	root.AddCommand(newMountCmd(g), newUmountCmd(g), newStatusCmd(g), newFlushCmd(g), newRecoverCmd(g), newDemoCmd(g), newConfigCmd(g))
	root.AddCommand(fileCommands(g)...)
	root.SetHelpCommand(newHelpCmd(root))
	return root
}

// newHelpCmd is cobra's own, but that it refuses what is no command.
func newHelpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{fmt.Errorf("unknown command %q: see s3mount --help", strings.Join(args, " "))}
			}
			return c.Help()
		},
	}
}

// arguments refuses a wrong number of arguments: it names those that must be there, and
// takes up to optional more.
func arguments(optional int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		most := len(names) + optional
		switch {
		case len(args) < len(names):
			return usageError{fmt.Errorf("%s is missing: usage: %s", names[len(args)], c.UseLine())}
		case len(args) > most:
			return usageError{fmt.Errorf("one argument too many, %q: usage: %s", args[most], c.UseLine())}
		}
		return nil
	}
}
