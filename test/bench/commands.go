package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/s3mount/s3mount/test/s3fake"
)

// contender is a program with the flags that it runs with.
type contender struct {
	name, path string
	flags      []string
}

// cost is what a run took. The CPU's seconds are the program's own, and depend less on what
// else the machine does.
type cost struct {
	seconds, cpu float64
	requests     int64
}

// commandBench compares s3mount's commands with rclone's on the S3 stand-in.
type commandBench struct {
	files, big, keys, runs int
	latency                s3fake.Latency
	bandwidth              int64 // bytes per second of a connection; 0: unbounded
	rclone                 string
	only                   *regexp.Regexp // names of scenarios

	dir        string // of the trees, the config file and the binary
	fake       *s3fake.Server
	holds      string // the tree that is in the bucket "work", if that is known
	contenders []contender
	out        io.Writer
}

// scenario is one measurement. prepare makes the state that run begins with, and is not
// measured.
type scenario struct {
	name    string
	prepare func(ctx context.Context) error
	args    []string
}

func runCommands(ctx context.Context, args []string, out io.Writer) (err error) {
	b := &commandBench{out: out}
	flags := flag.NewFlagSet("commands", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&b.files, "files", 2000, "how many small files")
	flags.IntVar(&b.big, "big", 2048, "size of the large file in MiB")
	flags.IntVar(&b.keys, "keys", 100_000, "how many keys to list")
	flags.IntVar(&b.runs, "runs", 3, "runs of each measurement, in turns; the table shows the median")
	latency := flags.Duration("latency", 20*time.Millisecond, "how long the store takes until it answers; twice that for a listing, and half more for what it stores")
	bandwidth := flags.Int64("bandwidth", 90, "MB per second of each connection and direction; 0 is unbounded")
	only := flags.String("only", "", "measure only what is called like this `REGEXP`")
	flags.StringVar(&b.rclone, "rclone", "rclone", "path of rclone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	b.latency = s3fake.Uniform(*latency)
	b.latency.List, b.latency.Put, b.latency.Part = *latency*2, *latency*3/2, *latency*3/2
	b.bandwidth = *bandwidth * 1e6
	if b.rclone, err = exec.LookPath(b.rclone); err != nil {
		return fmt.Errorf("%w: name one with -rclone (make tools installs it)", err)
	}
	if b.dir, err = os.MkdirTemp("", "s3mount-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.setUp(ctx); err != nil {
		return err
	}
	defer b.fake.Close()
	return b.table(ctx)
}

func (b *commandBench) setUp(ctx context.Context) (err error) {
	binary := filepath.Join(b.dir, "s3mount")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/s3mount")
	build.Dir = filepath.Join("..", "..")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, said)
	}
	theirs := []string{"--transfers", "4", "--checkers", "8"}
	ours := []string{"--transfers", "16", "--checkers", "32"}
	b.contenders = []contender{
		{"s3mount", binary, nil}, {"rclone", b.rclone, nil},
		{"s3mount -4-8", binary, theirs}, {"rclone -16-32", b.rclone, ours},
	}
	if b.fake, err = s3fake.New(s3fake.Options{Latency: b.latency, Bandwidth: b.bandwidth, RecallSums: true}); err != nil {
		return err
	}
	many := b.fake.Bucket("many")
	const folder = 1000
	for i := range b.keys {
		many.Put(fmt.Sprintf("%04d/%04d", i/folder, i%folder), []byte("x"), nil)
	}
	config := fmt.Sprintf("[fake]\ntype = s3\nprovider = Minio\nendpoint = %s\nregion = us-east-1\naccess_key_id = key\nsecret_access_key = secret\n", b.fake.URL())
	return errors.Join(os.WriteFile(b.at("conf"), []byte(config), 0o600), b.plant())
}

func (b *commandBench) at(name string) string { return filepath.Join(b.dir, name) }

// plant makes the two trees: many small files, and one large one.
func (b *commandBench) plant() error {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 4<<10)
	for i := range b.files {
		path := b.at(fmt.Sprintf("small/%02d/%04d", i%20, i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		random.Read(data)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(b.at("large"), 0o755); err != nil {
		return err
	}
	f, err := os.Create(b.at("large/file"))
	if err != nil {
		return err
	}
	// The stand-in keeps equal chunks once: its memory is not what is measured.
	chunk := make([]byte, 1<<20)
	random.Read(chunk)
	for range b.big {
		if _, err := f.Write(chunk); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// empty is the state before a copy: nothing in the bucket, and no local copy.
func (b *commandBench) empty(context.Context) error {
	b.holds = ""
	for _, k := range b.fake.Bucket("work").Keys("") {
		b.fake.Bucket("work").Delete(k)
	}
	return os.RemoveAll(b.at("down"))
}

// filled returns what makes the state in which a tree is in the bucket, and no local copy.
// It is the same for all: s3mount brings the tree there, at once and unmeasured.
func (b *commandBench) filled(tree string) func(context.Context) error {
	return func(ctx context.Context) error {
		if b.holds == tree {
			return os.RemoveAll(b.at("down"))
		}
		if err := b.empty(ctx); err != nil {
			return err
		}
		b.fake.SetLatency(s3fake.Latency{})
		b.fake.SetBandwidth(0)
		defer b.fake.SetLatency(b.latency)
		defer b.fake.SetBandwidth(b.bandwidth)
		_, err := b.once(ctx, b.contenders[0], "copy", b.at(tree), "fake:work")
		b.holds = tree
		return err
	}
}

func (b *commandBench) scenarios() []scenario {
	none := func(context.Context) error { return nil }
	list := fmt.Sprintf("list %d keys", b.keys)
	return slices.DeleteFunc([]scenario{
		{fmt.Sprintf("%d small files up", b.files), b.empty, []string{"copy", b.at("small"), "fake:work"}},
		{"small files, unchanged", b.filled("small"), []string{"copy", b.at("small"), "fake:work"}},
		{"small files down", b.filled("small"), []string{"copy", "fake:work", b.at("down")}},
		{fmt.Sprintf("%d MiB in one file up", b.big), b.empty, []string{"copy", b.at("large"), "fake:work"}},
		{"one large file down", b.filled("large"), []string{"copy", "fake:work", b.at("down")}},
		{list, none, []string{"ls", "fake:many"}},
		{list + ", --fast-list", none, []string{"ls", "--fast-list", "fake:many"}},
	}, func(s scenario) bool { return !b.only.MatchString(s.name) })
}

// table measures all scenarios and prints them.
func (b *commandBench) table(ctx context.Context) error {
	fmt.Fprintf(b.out, "%d CPUs, %s; a store on the same machine that answers after %v (listings %v, writes %v), with %d MB/s a connection;\n"+
		"medians of %d runs in turns: seconds, CPU seconds of the program, requests\n\n",
		runtime.NumCPU(), runtime.Version(), b.latency.FirstByte, b.latency.List, b.latency.Put, b.bandwidth/1e6, b.runs)
	fmt.Fprint(b.out, "| | ratio of the defaults | ratio with rclone's 4 and 8 |")
	for _, c := range b.contenders {
		fmt.Fprintf(b.out, " %s |", c.name)
	}
	fmt.Fprintf(b.out, "\n|%s\n", strings.Repeat("---|", 3+len(b.contenders)))
	for _, s := range b.scenarios() {
		got, err := b.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(b.out, "| %s | %.1f× | %.1f× |", s.name, got[1].seconds/got[0].seconds, got[1].seconds/got[2].seconds)
		for _, c := range got {
			fmt.Fprintf(b.out, " %.2f s, %.2f s, %d |", c.seconds, c.cpu, c.requests)
		}
		fmt.Fprintln(b.out)
	}
	return nil
}

// measure runs a scenario with all contenders in turns, and returns the medians.
func (b *commandBench) measure(ctx context.Context, s scenario) ([]cost, error) {
	all := make([][]cost, len(b.contenders))
	for range b.runs {
		for i, c := range b.contenders {
			if err := s.prepare(ctx); err != nil {
				return nil, err
			}
			got, err := b.once(ctx, c, s.args...)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], got)
		}
	}
	medians := make([]cost, len(all))
	for i, costs := range all {
		slices.SortFunc(costs, func(x, y cost) int { return int((x.seconds - y.seconds) * 1e9) })
		medians[i] = costs[len(costs)/2]
	}
	return medians, nil
}

// once runs a command once.
func (b *commandBench) once(ctx context.Context, c contender, args ...string) (cost, error) {
	b.fake.Bucket("work") // is there, so that nobody makes it
	b.fake.ResetStats()
	flags := c.flags
	if args[0] == "ls" && len(flags) > 0 {
		flags = flags[2:] // nothing is transferred
	}
	run := exec.CommandContext(ctx, c.path, slices.Concat(args, flags, []string{"--config", b.at("conf")})...)
	run.Env = []string{"HOME=" + b.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + b.dir}
	var problems strings.Builder
	run.Stderr = &problems
	began := time.Now()
	if err := run.Run(); err != nil {
		return cost{}, fmt.Errorf("%s %s: %w\n%s", c.name, strings.Join(args, " "), err, &problems)
	}
	used := run.ProcessState
	return cost{time.Since(began).Seconds(), (used.UserTime() + used.SystemTime()).Seconds(), b.fake.Stats().Total()}, nil
}
