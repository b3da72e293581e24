package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/transfer"
)

type checkOptions struct {
	transferFlags
	oneWay, download bool
	lists            checkLists
}

// checkLists are the files that get the names of what check found; "-" is standard output.
type checkLists struct{ combined, missingOnSrc, missingOnDst, match, differ, failed string }

func (l *checkLists) addFlags(f *pflag.FlagSet) {
	f.StringVar(&l.combined, "combined", "", "write all files to `FILE`, marked = same, - or + in one side only, * different, ! failed; - is standard output")
	f.StringVar(&l.missingOnSrc, "missing-on-src", "", "write what the source does not have to `FILE`")
	f.StringVar(&l.missingOnDst, "missing-on-dst", "", "write what the destination does not have to `FILE`")
	f.StringVar(&l.match, "match", "", "write what is the same to `FILE`")
	f.StringVar(&l.differ, "differ", "", "write what differs to `FILE`")
	f.StringVar(&l.failed, "error", "", "write what could not be compared to `FILE`")
}

func newCheckCmd(g *globals) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check SOURCE DESTINATION",
		Short: "Compare two sides, and change nothing",
		Long: `Check compares the sizes and MD5 sums of the files of both sides, and names those that
differ or are missing. Where a side has no sum, as an object that was uploaded in parts
by others, only the sizes count, and it says so; --download compares every byte.

It exits with 0 if both sides are the same, else with 1.` + pathHelp,
		Args: arguments(0, "SOURCE", "DESTINATION"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.check(ctx, args[0], args[1], &o)
		}),
	}
	f := c.Flags()
	f.BoolVar(&o.oneWay, "one-way", false, "what only the destination has is no difference")
	f.BoolVar(&o.download, "download", false, "compare every byte instead of sums")
	f.BoolVar(&o.sizeOnly, "size-only", false, "compare sizes only")
	o.lists.addFlags(f)
	o.transfers, o.retries, o.stats = defaultTransfers, 1, time.Minute
	f.BoolVarP(&o.progress, "progress", "P", false, "show the progress: on a terminal all the time, else as a line each --stats")
	f.DurationVar(&o.stats, "stats", o.stats, "how often -P or -v write a line with the progress; 0 is never")
	o.addFlags(g, f)
	o.addFilterFlags(f)
	return c
}

func (j *job) check(ctx context.Context, from, to string, o *checkOptions) (err error) {
	if o.download && o.sizeOnly {
		return usageError{errors.New("--download and --size-only contradict each other")}
	}
	if err := o.validate(); err != nil {
		return err
	}
	src, err := j.open(ctx, from, wantAny)
	if err != nil {
		return err
	}
	dst, err := j.open(ctx, to, wantFolder)
	if err != nil {
		return err
	}
	t, err := j.options(ctx, &o.transferFlags, &src, &dst)
	if err != nil {
		return err
	}
	if src.file != "" {
		t.Filter.Files(src.file)
	}
	r, err := j.newCheckReport(&o.lists)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	t.Checksum, t.Download, t.Report = true, o.download, func(a transfer.Action) {
		if !j.sideFailed(a, []*place{&src, &dst}) {
			r.add(a)
		}
	}
	p := j.showProgress(&o.transferFlags, t.Stats)
	s, err := transfer.Check(ctx, src.root, dst.root, o.oneWay, t)
	p.stop()
	return r.verdict(&src, &dst, s, err)
}

// checkReport writes down what check finds.
type checkReport struct {
	j  *job
	mu struct {
		sync.Mutex
		lists map[transfer.Op][]io.Writer // the names alone
		all   io.Writer                   // nil: no combined list
		err   error                       // the first failure to write
	}
	closers []func() error
}

func (j *job) newCheckReport(l *checkLists) (*checkReport, error) {
	r := &checkReport{j: j}
	r.mu.lists = map[transfer.Op][]io.Writer{}
	var err error
	if r.mu.all, err = r.open("combined", l.combined); err != nil {
		return nil, errors.Join(err, r.close())
	}
	for _, list := range []struct {
		flag, path string
		ops        []transfer.Op
	}{
		{"missing-on-src", l.missingOnSrc, []transfer.Op{transfer.OpExtra}},
		{"missing-on-dst", l.missingOnDst, []transfer.Op{transfer.OpMissing}},
		{"match", l.match, []transfer.Op{transfer.OpSame, transfer.OpUncertain}},
		{"differ", l.differ, []transfer.Op{transfer.OpDiffer}},
		{"error", l.failed, []transfer.Op{transfer.OpFailed}},
	} {
		w, err := r.open(list.flag, list.path)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		for _, op := range list.ops {
			if w != nil {
				r.mu.lists[op] = append(r.mu.lists[op], w)
			}
		}
	}
	return r, nil
}

// open makes a file of a list; nil without a path.
func (r *checkReport) open(flag, path string) (io.Writer, error) {
	switch path {
	case "":
		return nil, nil
	case "-":
		return r.j.out, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	w := bufio.NewWriter(f)
	r.closers = append(r.closers, func() error { return errors.Join(w.Flush(), f.Close()) })
	return w, nil
}

func (r *checkReport) close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(append(errs, r.mu.err)...)
}

// add takes in what was found about one file.
func (r *checkReport) add(a transfer.Action) {
	r.tell(a)
	r.mu.Lock()
	defer r.mu.Unlock()
	write := func(w io.Writer, format string, args ...any) {
		if _, err := fmt.Fprintf(w, format, args...); err != nil && r.mu.err == nil {
			r.mu.err = err
		}
	}
	if r.mu.all != nil {
		write(r.mu.all, "%c %s\n", a.Op.Sign(), a.Path)
	}
	for _, w := range r.mu.lists[a.Op] {
		write(w, "%s\n", a.Path)
	}
}

// tell says it to the user.
func (r *checkReport) tell(a transfer.Action) {
	log := r.j.log
	switch a.Op {
	case transfer.OpMissing:
		log.Error(fmt.Sprintf("%q is missing in the destination", a.Path))
	case transfer.OpExtra:
		log.Error(fmt.Sprintf("%q is missing in the source", a.Path))
	case transfer.OpDiffer:
		log.Error(fmt.Sprintf("%q differs: %s", a.Path, reason(a)))
	case transfer.OpFailed:
		text := reason(a)
		if a.Err != nil {
			text = withHint(brief(a.Err)).Error()
		}
		log.Error(fmt.Sprintf("%q could not be compared: %s", a.Path, text))
	case transfer.OpUncertain:
		log.Info(fmt.Sprintf("%q has the same size, and no sum to compare", a.Path))
	case transfer.OpSame:
		log.Info(fmt.Sprintf("%q is the same", a.Path))
	}
}

// verdict is the end of a check: a line on what was found, or the error.
func (r *checkReport) verdict(src, dst *place, s transfer.Summary, err error) error {
	var found []string
	for _, n := range []struct {
		n    int64
		what string
	}{
		{s.Missing, "missing in the destination"}, {s.Extra, "missing in the source"}, {s.Differ, "different"},
		{s.Errors, "not compared"}, {s.Same, "the same"}, {s.Uncertain, "of them by size alone (--download compares all)"},
	} {
		if n.n > 0 {
			found = append(found, fmt.Sprintf("%d %s", n.n, n.what))
		}
	}
	if found == nil {
		found = []string{"no files on either side"}
	}
	var differ *transfer.Differences
	switch {
	case errors.As(err, &differ):
		return fmt.Errorf("%s and %s differ: %s", src, dst, strings.Join(found, ", "))
	case err != nil:
		return r.j.ended(err)
	}
	r.j.notice("%s and %s are the same: %s", src, dst, strings.Join(found, ", "))
	return nil
}
