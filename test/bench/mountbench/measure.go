package mountbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/s3mount/s3mount/test/s3fake"
)

// limitName is the plain HTTP client among the contenders' names.
const limitName = "limit"

// figure is what one run took.
type figure struct {
	Seconds  float64             // until the workload had returned
	Settled  float64             // until the store had everything; 0 where nothing is written
	CPU      float64             // seconds of the mount's process
	StoreCPU float64             // of the store's
	HereCPU  float64             // of the benchmark and the programs that it ran
	Others   float64             // CPUs that something else on the machine used meanwhile
	Peak     int64               // bytes of memory of the mount's process
	Requests map[s3fake.Op]int64 // as the store counted
	In, Out  int64               // bytes of bodies that the store got and gave
	Note     string              `json:",omitempty"` // what was wrong with the answers, if that is no failure
	Failed   string              `json:",omitempty"`
}

// all is the number of requests.
func (f figure) all() int64 {
	var n int64
	for _, v := range f.Requests {
		n += v
	}
	return n
}

// row is all runs of a workload.
type row struct {
	workload workload
	runs     map[string][]figure // by contender
}

// median returns the run with the median time of a contender, and whether it has one.
func (r row) median(name string) (figure, bool) {
	var good []figure
	for _, f := range r.runs[name] {
		if f.Failed == "" {
			good = append(good, f)
		}
	}
	if len(good) == 0 {
		if all := r.runs[name]; len(all) > 0 {
			return all[0], true
		}
		return figure{}, false
	}
	slices.SortFunc(good, func(x, y figure) int { return int((x.Seconds - y.Seconds) * 1e9) })
	return good[len(good)/2], true
}

// measure runs a workload with all contenders in turns. The error is ours alone: what a
// peer can't do stands in its figures.
func (b *bench) measure(ctx context.Context, w workload, all []contender) (row, error) {
	r := row{workload: w, runs: map[string][]figure{}}
	if err := b.plant(w); err != nil {
		return r, err
	}
	var failed error
	for i := range b.runs {
		if w.limit != nil && b.only.MatchString(limitName) {
			f, err := b.quietly(ctx, func() (figure, error) { return b.limitOnce(ctx, w) })
			if err != nil {
				return r, fmt.Errorf("the limit: %w", err)
			}
			r.runs[limitName] = append(r.runs[limitName], f)
		}
		for _, c := range all {
			if !c.takes(w) || !isOurs(c.name) && (i >= b.peerRuns || lastFailed(r.runs[c.name])) {
				continue
			}
			f, err := b.quietly(ctx, func() (figure, error) { return b.once(ctx, w, c) })
			if err != nil {
				f.Failed = err.Error()
				if isOurs(c.name) {
					failed = err
				}
			}
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			r.runs[c.name] = append(r.runs[c.name], f)
		}
	}
	return r, failed
}

func lastFailed(runs []figure) bool { return len(runs) > 0 && runs[len(runs)-1].Failed != "" }

// quietly repeats a run that something else on the machine has disturbed, and returns the
// least disturbed.
func (b *bench) quietly(ctx context.Context, once func() (figure, error)) (best figure, err error) {
	for try := range 5 {
		f, err := once()
		if err != nil {
			return f, err
		}
		if try == 0 || f.Others < best.Others {
			best = f
		}
		if b.others == 0 || best.Others <= b.others || ctx.Err() != nil {
			break
		}
	}
	return best, nil
}

// plant makes what a workload reads.
func (b *bench) plant(w workload) error {
	if err := b.store.do(question{Op: "clear", Bucket: bucketName}); err != nil {
		return err
	}
	if w.tree.Files == 0 {
		return nil
	}
	return b.store.do(question{Op: "plant", Bucket: bucketName, Planting: w.tree})
}

// limitOnce is one run of the plain client.
func (b *bench) limitOnce(ctx context.Context, w workload) (figure, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	if w.writes {
		if err := b.plant(w); err != nil {
			return figure{}, err
		}
	}
	if w.beforeLimit != nil {
		if err := w.beforeLimit(ctx); err != nil {
			return figure{}, err
		}
	}
	client := newClient(b.store.url)
	defer client.close()
	watch, err := b.start(os.Getpid())
	if err != nil {
		return figure{}, err
	}
	if err := w.limit(ctx, client); err != nil {
		return figure{}, err
	}
	f, err := watch.stop()
	if err == nil {
		err = errors.Join(b.store.do(question{Op: "idle", Bucket: bucketName}), b.recount(&f))
	}
	f.CPU, f.Peak, f.Settled = f.HereCPU, 0, 0
	return f, err
}

// session is one run of a workload on a mount.
type session struct {
	b       *bench
	m       *mounted
	dir     string // where the bucket is mounted
	scratch string // a directory on the local disk
	note    string
	shown   map[string]string // sums of the files that the mount shows, once they are made
}

// once is one run of a workload with a contender.
func (b *bench) once(ctx context.Context, w workload, c contender) (f figure, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.limit, fmt.Errorf("over %v", b.limit))
	defer cancel()
	if w.writes {
		if err := b.plant(w); err != nil {
			return f, err
		}
	}
	p := place{bucket: bucketName, home: b.tmp, url: b.store.url}
	if b.profile != "" {
		p.profile = filepath.Join(b.profile, w.fileName(c))
	}
	s := &session{b: b}
	for dir, name := range map[*string]string{&p.dir: "mnt", &p.cache: "cache", &s.scratch: "scratch"} {
		if *dir, err = freshDir(b.tmp, name); err != nil {
			return f, err
		}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.cache), os.RemoveAll(s.scratch)) }()
	s.dir = p.dir
	if err := s.ready(ctx, w, c, p); err != nil {
		return f, errors.Join(context.Cause(ctx), err)
	}
	defer func() {
		err = errors.Join(err, s.m.unmount())
		if err == nil && !w.writes {
			err = errors.Join(b.store.do(question{Op: "idle", Bucket: bucketName}), b.recount(&f))
		}
		if b.trace != "" && isOurs(c.name) {
			err = errors.Join(err, b.writeTrace(w.fileName(c)))
		}
	}()
	if f, err = s.timed(ctx, w); err != nil {
		return f, errors.Join(context.Cause(ctx), fmt.Errorf("%w; %s said: %s", err, c.name, &s.m.said))
	}
	f.Note = s.note
	if s.note != "" && isOurs(c.name) {
		return f, errors.New(s.note)
	}
	return f, nil
}

// ready mounts, and remounts where the workload says so. Without an error the caller
// unmounts.
func (s *session) ready(ctx context.Context, w workload, c contender, p place) (err error) {
	s.drop(false)
	if s.m, err = mount(ctx, c, p); err != nil {
		return err
	}
	if w.before == nil {
		return nil
	}
	if err = w.before(ctx, s); err == nil && w.remount {
		if err = s.m.unmount(); err != nil {
			return err
		}
		s.drop(true)
		s.m, err = mount(ctx, c, p)
		return err
	}
	if err != nil {
		err = errors.Join(err, s.m.unmount())
	}
	return err
}

// drop empties the kernel's caches.
func (s *session) drop(sync bool) {
	if s.b.drop {
		dropCaches(sync)
	}
}

// timed is the measured part of a run.
func (s *session) timed(ctx context.Context, w workload) (figure, error) {
	watch, err := s.b.start(s.m.cmd.Process.Pid)
	if err != nil {
		return figure{}, err
	}
	if err := w.run(ctx, s); err != nil {
		return figure{}, err
	}
	watch.returned()
	if w.shown {
		// What is read of the mount from now on, to compare it, is not the workload's.
		if err := s.b.store.calm(ctx); err != nil {
			return figure{}, err
		}
		if err := watch.count(); err != nil {
			return figure{}, err
		}
	}
	if w.settled != nil {
		if err := s.settle(ctx, w); err != nil {
			return figure{}, err
		}
	}
	f, err := watch.stop()
	if w.settled == nil {
		f.Settled = 0
	}
	if err == nil && w.after != nil {
		err = w.after(ctx, s)
	}
	return f, err
}

// settle waits until the store has what the workload wrote.
func (s *session) settle(ctx context.Context, w workload) error {
	for {
		err := w.settled(ctx, s)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("never came to be in the store: %w", err)
		}
	}
}

// watch is a measurement in progress.
type watch struct {
	b                       *bench
	pid                     int
	began                   time.Time
	cpu, store, here, total time.Duration
	f                       figure
}

func (b *bench) start(pid int) (*watch, error) {
	if err := b.store.do(question{Op: "reset", Bucket: bucketName}); err != nil {
		return nil, err
	}
	w := &watch{b: b, pid: pid, cpu: cpuOf(pid), store: cpuOf(b.store.cmd.Process.Pid), here: cpuHere(), total: busy()}
	w.began = time.Now()
	return w, nil
}

// returned notes that the workload has returned.
func (w *watch) returned() { w.f.Seconds = time.Since(w.began).Seconds() }

// calm waits until nothing has changed in the store for a while.
func (s *store) calm(ctx context.Context) error {
	const while = time.Second
	for {
		r, err := s.ask(question{Op: "stats", Bucket: bucketName})
		if err != nil {
			return err
		}
		wait := while - time.Since(r.Stats.Changed)
		if wait <= 0 && r.Stats.Active == 0 {
			return nil
		}
		select {
		case <-time.After(max(wait, 20*time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop ends the measurement. What the store has, it has since its last change.
func (w *watch) stop() (figure, error) {
	if w.f.Seconds == 0 {
		w.returned()
	}
	r, err := w.b.store.ask(question{Op: "stats", Bucket: bucketName})
	if err != nil {
		return w.f, err
	}
	w.f.Settled = max(w.f.Seconds, r.Stats.Changed.Sub(w.began).Seconds())
	if w.f.Requests == nil {
		return w.f, w.count()
	}
	for op, n := range r.Stats.Requests {
		if op.Writes() { // some came after the calm
			w.f.Requests[op] = n
		}
	}
	w.f.In = r.Stats.BytesIn
	return w.f, nil
}

// count notes what was used up to now.
func (w *watch) count() error {
	took := time.Since(w.began).Seconds()
	w.f.CPU = (cpuOf(w.pid) - w.cpu).Seconds()
	w.f.StoreCPU = (cpuOf(w.b.store.cmd.Process.Pid) - w.store).Seconds()
	w.f.HereCPU = (cpuHere() - w.here).Seconds()
	known := w.f.StoreCPU + w.f.HereCPU
	if w.pid != os.Getpid() {
		known += w.f.CPU
	}
	w.f.Others = max(0, ((busy()-w.total).Seconds()-known)/took)
	w.f.Peak = peakOf(w.pid)
	return w.b.recount(&w.f)
}

// recount counts the requests and bytes again when the mount has ended: the store adds
// the bytes of a request when it is over, and some may have read ahead.
func (b *bench) recount(f *figure) error {
	r, err := b.store.ask(question{Op: "stats", Bucket: bucketName})
	if err == nil {
		f.Requests, f.In, f.Out = r.Stats.Requests, r.Stats.BytesIn, r.Stats.BytesOut
	}
	return err
}

// writeTrace writes down what the store was asked in a run.
func (b *bench) writeTrace(name string) error {
	r, err := b.store.ask(question{Op: "trace", Bucket: bucketName})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.trace, name), []byte(strings.Join(r.Trace, "\n")+"\n"), 0o644)
}

// fileName is what files about a contender's run are called.
func (w workload) fileName(c contender) string {
	if c.name == oursBack {
		return w.name + "-writeback"
	}
	return w.name
}

// command runs a program that the workload consists of.
func (s *session) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"HOME=" + s.b.tmp, "PATH=" + os.Getenv("PATH"), "LC_ALL=C",
		"GIT_AUTHOR_NAME=n", "GIT_AUTHOR_EMAIL=e@example.org", "GIT_COMMITTER_NAME=n", "GIT_COMMITTER_EMAIL=e@example.org", "GIT_CONFIG_NOSYSTEM=1"}
	cmd.WaitDelay = patience
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(errs.String()))
	}
	return out, nil
}
