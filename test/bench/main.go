// Command bench measures what docs/ and the design rest on, so that anybody can measure
// it again. It is a module of its own: what it compares with is no dependency of s3mount.
//
//	go run . fuse
//	go run . commands
//	go run . mount
//
// README.md tells about each benchmark.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/bench/mountbench"
)

// command is a benchmark. A hidden one is run by the program itself.
type command struct {
	name, about string
	hidden      bool
	run         func(ctx context.Context, args []string, out io.Writer) error
}

func commands() []command {
	return []command{
		{name: "fuse", about: "go-fuse against bazil.org/fuse, with the same null file system", run: runFuse},
		{name: "commands", about: "s3mount's commands against rclone's, on the S3 stand-in", run: runCommands},
		{name: "mount", about: "s3mount and every other mount that is here, on a simulated store", run: mountbench.Run},
		{name: mountbench.StoreName, hidden: true, run: mountbench.RunStore},
		{name: serveName, hidden: true, run: runServe},
	}
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errs io.Writer) int {
	// also when nobody reads its output any more, a benchmark ends in order
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGPIPE)
	defer stop()
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name != args[0] {
				continue
			}
			err := c.run(ctx, args[1:], out)
			if err != nil && !errors.Is(err, flag.ErrHelp) {
				fmt.Fprintf(errs, "bench %s: %v\n", c.name, err)
				return 1
			}
			return 0
		}
	}
	fmt.Fprintln(errs, "usage: go run . BENCHMARK [FLAGS]")
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(errs, "  %-8s %s\n", c.name, c.about)
		}
	}
	return 2
}
