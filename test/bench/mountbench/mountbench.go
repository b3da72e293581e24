// Package mountbench measures mounts of a simulated S3 store: s3mount as this tree builds
// it, every other mount that is found on the machine, and a plain HTTP client that moves
// the same bytes and throws them away, which is the limit.
//
// Each run of a workload has a mount of its own, an empty cache folder (unless a remount
// is what is measured) and dropped kernel caches. Contenders run in turns, so that a slow
// spell of the machine meets all of them. What is read is compared byte by byte, and what
// is written is compared in the store: a wrong result has no time.
//
// The store is a process of its own. Beside the seconds stand those until all was in S3,
// the CPU time and peak memory of the mount's process, and the requests and bytes that the
// store saw. CPU time that neither the mount, the store nor the benchmark used is told
// too: figures from a machine that did something else are worth little.
package mountbench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// options are the benchmark's flags.
type options struct {
	network
	runs, peerRuns int
	run, only      pattern
	binary, rclone string
	flags          string // more flags of s3mount's
	list           bool
	drop           bool
	limit          time.Duration // of one run
	tiny           bool
	md, json, svg  string // files; empty: none
	profile        string
	trace          string
	others         float64
	earlier        earlier
}

// pattern is a regular expression as a flag.
type pattern struct{ *regexp.Regexp }

func (p *pattern) Set(s string) (err error) {
	p.Regexp, err = regexp.Compile(s)
	return err
}

func (p *pattern) String() string {
	if p.Regexp == nil {
		return ""
	}
	return p.Regexp.String()
}

func parse(args []string, out io.Writer) (*options, error) {
	all := pattern{regexp.MustCompile("")}
	o := &options{run: all, only: all, earlier: earlier{}}
	f := flag.NewFlagSet("mount", flag.ContinueOnError)
	f.SetOutput(out)
	o.addFlags(f)
	f.IntVar(&o.runs, "runs", 3, "runs of each workload with s3mount and for the limit; the table shows the median")
	f.IntVar(&o.peerRuns, "peer-runs", 1, "the same for the others")
	f.Var(&o.run, "run", "`REGEXP` of the workloads")
	f.Var(&o.only, "only", "`REGEXP` of the contenders: limit, s3mount, s3mount --writeback, rclone, s3fs, goofys, geesefs, tigrisfs")
	f.BoolVar(&o.list, "names", false, "print the names of the workloads")
	f.StringVar(&o.binary, "binary", "", "an s3mount that is built already")
	f.StringVar(&o.rclone, "rclone", "", "path of rclone (default: that of make tools, or PATH's)")
	f.StringVar(&o.flags, "flags", "", "more flags for s3mount mount")
	f.BoolVar(&o.drop, "drop", true, "empty the kernel's caches before each run, as root")
	f.DurationVar(&o.limit, "limit", 5*time.Minute, "the longest that a run may take")
	f.BoolVar(&o.tiny, "tiny", false, "little of everything: a test of the benchmark")
	f.StringVar(&o.md, "md", "", "write the table to `FILE`, too")
	f.StringVar(&o.json, "json", "", "write the raw figures to `FILE`")
	f.StringVar(&o.svg, "svg", "", "write a plot to `FILE`")
	f.StringVar(&o.profile, "profile", "", "let s3mount write CPU and heap profiles into `DIR`")
	f.StringVar(&o.trace, "trace", "", "write s3mount's requests, in the order in which they came, into `DIR`")
	f.Var(o.earlier, "from", "take what is not measured now from `FILE`, which -json wrote; can be given again")
	f.Float64Var(&o.others, "quiet", 0, "repeat a run, up to 5 times, while others use more than this many CPUs; 0 does not look")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.runs < 1 || o.peerRuns < 0 || o.limit <= 0 || o.megabytes < 0 {
		return nil, errors.New("a flag is out of range")
	}
	return o, nil
}

// bench is a run of the benchmark.
type bench struct {
	*options
	out   io.Writer
	tmp   string
	store *store
	sizes sizes
}

// Run is the benchmark. Whatever happens, nothing stays mounted, and no process and no
// file is left.
func Run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	b := &bench{options: o, out: out, sizes: full}
	if o.tiny {
		b.sizes = tiny
	}
	if o.list {
		for _, w := range b.workloads() {
			fmt.Fprintf(out, "%-16s %s\n", w.name, w.title)
		}
		return nil
	}
	if b.tmp, err = os.MkdirTemp("", "s3mount-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.tmp)) }()
	all, err := b.prepare(ctx)
	if err != nil {
		return err
	}
	if b.store, err = startStore(o.network); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.store.close()) }()
	if err := configure(b.tmp, b.store.url); err != nil {
		return err
	}
	return b.measureAll(ctx, all)
}

// prepare finds the contenders, and builds ours.
func (b *bench) prepare(ctx context.Context) ([]contender, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	if b.rclone == "" {
		b.rclone = findRclone(root)
	}
	for _, dir := range []*string{&b.profile, &b.trace} {
		if *dir == "" {
			continue
		}
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(*dir, 0o755); err != nil {
			return nil, err
		}
	}
	binary := b.binary
	if binary == "" {
		binary = filepath.Join(b.tmp, "s3mount")
		if err := build(ctx, root, binary); err != nil {
			return nil, err
		}
	}
	return b.contenders(binary, hasWriteback(ctx, binary)), nil
}

// measureAll runs all workloads, and reports after each one, so that an interrupted
// benchmark has told what it knows.
func (b *bench) measureAll(ctx context.Context, all []contender) error {
	r := newReport(b, all)
	var failed []error
	for _, w := range b.workloads() {
		if !b.run.MatchString(w.name) {
			if b.earlier[w.name] != nil {
				r.add(b.earlier.complete(row{workload: w}))
			}
			continue
		}
		row, err := b.measure(ctx, w, all)
		if ctx.Err() != nil {
			failed = append(failed, ctx.Err())
			break
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", w.name, err))
		}
		r.add(b.earlier.complete(row))
	}
	return errors.Join(append(failed, r.finish())...)
}
