package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/transfer"
)

// jobFlags are what all commands on files take.
type jobFlags struct {
	verbosity
	filter   filterFlags
	checkers count
	fastList bool
	bwlimit  rate
	retryFor time.Duration
	// copyLinks follows symbolic links in local folders.
	copyLinks bool
}

// The defaults are more than rclone's 4 transfers and 8 checkers: most of the time of a
// request goes by in waiting.
const (
	defaultTransfers = 16
	defaultCheckers  = 32
)

func (o *jobFlags) addFlags(g *globals, f *pflag.FlagSet) {
	o.checkers, o.retryFor = defaultCheckers, time.Minute
	f.CountVarP(&o.verbose, "verbose", "v", "tell each file; -vv tells each retry, too")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "tell errors only")
	f.Var(&o.checkers, "checkers", "how many listings, comparisons and deletions go on at a time; rclone has 8")
	f.BoolVar(&o.fastList, "fast-list", false, "list a bucket in one sequence of requests: fewer of them, one after another")
	f.Var(&o.bwlimit, "bwlimit", "send and receive at most `RATE` per second, in KiB or with a unit as in 10M")
	f.DurationVar(&o.retryFor, "retry-for", o.retryFor, "how long a request is repeated while the store fails")
	g.addS3Flags(f)
}

// addFilterFlags adds the flags that choose files, for the commands that have a choice.
func (o *jobFlags) addFilterFlags(f *pflag.FlagSet) { o.filter.addFlags(f) }

// job is one run of a command on files: the way to print, and the remotes it uses.
type job struct {
	*globals
	flags   *jobFlags
	out     *bufio.Writer // standard output
	screen  *screen       // standard error
	log     *slog.Logger
	limiter *transfer.Limiter
	remotes map[string]remote
	mu      struct {
		sync.Mutex
		sides []error // why places could not be listed
	}
}

// onFiles makes the RunE of a command on files. run gets a context that ends with the
// first signal; a second one ends the process without waiting for run.
func (g *globals) onFiles(o *jobFlags, run func(ctx context.Context, j *job, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if o.retryFor <= 0 {
			return usageError{fmt.Errorf("--retry-for %v: it must be more than 0", o.retryFor)}
		}
		if o.quiet && o.verbose > 0 {
			return usageError{errors.New("--quiet and --verbose contradict each other")}
		}
		j := &job{
			globals: g, flags: o, out: bufio.NewWriterSize(g.stdout, 32<<10),
			screen: newScreen(g.stderr, g.getenv), remotes: map[string]remote{},
		}
		log, closeLog, err := g.commandLog(o.verbosity, c.Flags().Changed("log-level"), j.screen)
		if err != nil {
			return err
		}
		defer closeLog()
		j.log = log
		if o.bwlimit.set {
			j.limiter = transfer.NewLimiter(o.bwlimit.bytes)
		}
		return withCode(g.interruptible(c.Context(), func(ctx context.Context) error {
			defer j.close()
			return errors.Join(run(ctx, j, args), outputError(j.out.Flush()))
		}))
	}
}

// close ends what the job has opened.
func (j *job) close() {
	for _, r := range j.remotes {
		r.client.Close()
	}
}

// outputError is a failure to write to standard output.
func outputError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("standard output: %w", err)
}

// interruptible runs f with a context that the first signal ends; f should leave
// nothing half done then. A second signal does not wait for it: the process ends.
func (g *globals) interruptible(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	result := make(chan error, 1)
	go func() { result <- f(ctx) }()
	select {
	case err := <-result:
		return err
	case s := <-g.signals:
		why := &interruptedError{s}
		cancel(why)
		select {
		case <-result:
		case <-g.signals:
		}
		return why
	}
}
