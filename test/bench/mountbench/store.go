package mountbench

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/s3fake"
)

// StoreName is the hidden benchmark that runs the store. It is a process of its own, so
// that its CPU time and memory are nobody else's.
const StoreName = "serve-store"

// question is a line of JSON that the store reads on its standard input, and reply the
// line with which it answers.
type question struct {
	Op       string // plant, clear, compare, sums, stats, idle, reset, trace
	Bucket   string
	Planting planting
}

type reply struct {
	Error string            `json:",omitempty"`
	URL   string            `json:",omitempty"` // in the first reply
	Stats *s3fake.Stats     `json:",omitempty"`
	Sums  map[string]string `json:",omitempty"` // SHA-256 by key
	Trace []string          `json:",omitempty"` // requests since the last reset
}

// network is what the store takes for its answers.
type network struct {
	firstByte, listing, put time.Duration
	megabytes               int64 // per second of a connection; 0 is unbounded
}

func (n *network) addFlags(f *flag.FlagSet) {
	f.DurationVar(&n.firstByte, "first-byte", 20*time.Millisecond, "the store's time until the first byte of an object, and of a HEAD")
	f.DurationVar(&n.listing, "list", 40*time.Millisecond, "the store's time for a listing")
	f.DurationVar(&n.put, "put", 30*time.Millisecond, "the store's time for a write, copy or delete")
	f.Int64Var(&n.megabytes, "bandwidth", 90, "MB/s of a connection; 0 is unbounded")
}

func (n *network) args() []string {
	return []string{
		"-first-byte", n.firstByte.String(), "-list", n.listing.String(), "-put", n.put.String(),
		"-bandwidth", fmt.Sprint(n.megabytes),
	}
}

func (n *network) options() s3fake.Options {
	return s3fake.Options{
		FastETag: true, Bandwidth: n.megabytes * 1e6,
		Latency: s3fake.Latency{
			FirstByte: n.firstByte, Head: n.firstByte, List: n.listing, Other: n.listing,
			Put: n.put, Part: n.put, Create: n.put, Complete: n.put, Copy: n.put, Delete: n.put,
		},
	}
}

// RunStore is the process: it answers questions until its standard input ends.
func RunStore(_ context.Context, args []string, out io.Writer) error {
	signal.Ignore(os.Interrupt, unix.SIGTERM) // ctrl-C reaches the benchmark, which ends this process
	var n network
	flags := flag.NewFlagSet(StoreName, flag.ContinueOnError)
	n.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	// What is planted was stored an hour ago: what was stored this second may change unseen,
	// so that s3mount keeps nothing of it. What a mount stores is stored now.
	var planting atomic.Bool
	o := n.options()
	o.Now = func() time.Time {
		if planting.Load() {
			return time.Now().Add(-time.Hour)
		}
		return time.Now()
	}
	s, err := s3fake.New(o)
	if err != nil {
		return err
	}
	defer s.Close()
	say, ask := json.NewEncoder(out), json.NewDecoder(os.Stdin)
	if err := say.Encode(reply{URL: s.URL()}); err != nil {
		return err
	}
	for {
		var q question
		if err := ask.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		planting.Store(q.Op == "plant")
		if err := say.Encode(answer(s, q)); err != nil {
			return err
		}
	}
}

func answer(s *s3fake.Server, q question) (r reply) {
	b := s.Bucket(q.Bucket)
	switch q.Op {
	case "plant":
		q.Planting.bucket(b)
	case "clear":
		for _, k := range b.Keys("") {
			b.Delete(k)
		}
		debug.FreeOSMemory()
	case "compare":
		if err := q.Planting.compare(b); err != nil {
			r.Error = err.Error()
		}
	case "sums":
		r.Sums = map[string]string{}
		for _, k := range b.Keys("") {
			data, _ := b.Get(k)
			sum := sha256.Sum256(data)
			r.Sums[k] = hex.EncodeToString(sum[:])
		}
	case "stats":
		st := s.Stats()
		r.Stats = &st
	case "idle":
		idle(s)
	case "reset":
		idle(s)
		s.ResetStats()
		s.StartTrace()
	case "trace":
		r.Trace = s.Trace()
	default:
		r.Error = "no such question: " + q.Op
	}
	return r
}

// idle waits until requests that somebody gave up are over, so that their bytes count
// where they belong. One that hangs is not waited for.
func idle(s *s3fake.Server) {
	const most = 2 * time.Second
	for end := time.Now().Add(most); s.Stats().Active > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// store is the running process.
type store struct {
	url   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
	errs  strings.Builder
	mu    sync.Mutex // one question at a time
}

// startStore starts the process. The caller calls close.
func startStore(n network) (*store, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &store{cmd: exec.Command(self, append([]string{StoreName}, n.args()...)...)}
	s.cmd.Stderr = &s.errs
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.lines = bufio.NewReader(stdout)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	first, err := s.read()
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.url = first.URL
	return s, nil
}

func (s *store) read() (r reply, err error) {
	line, err := s.lines.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("the store has ended: %w", err)
	}
	return r, json.Unmarshal(line, &r)
}

// ask asks a question. What the store answers as an error is errStore.
func (s *store) ask(q question) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.NewEncoder(s.stdin).Encode(q); err != nil {
		return reply{}, err
	}
	r, err := s.read()
	if err == nil && r.Error != "" {
		err = fmt.Errorf("the store: %s", r.Error)
	}
	return r, err
}

// do asks questions that have no answer but success.
func (s *store) do(questions ...question) error {
	for _, q := range questions {
		if _, err := s.ask(q); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) close() error {
	_ = s.stdin.Close() // closed once; the process ends by it
	kill := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("the store: %w: %s", err, strings.TrimSpace(s.errs.String()))
	}
	return nil
}
