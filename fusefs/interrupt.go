package fusefs

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// begin makes the context of a request; end frees it. The context ends when the kernel
// says that the caller was interrupted, and the signal is one that ends the caller.
//
// Most interrupts are not: Go's runtime preempts its own threads with SIGURG, timers
// and child exits send signals all the time, and many programs take EINTR from a file
// for a broken disk. A caller with a handler for its signal waits for its answer, as it
// would on a disk; each answer has a deadline. The kernel tells of the first signal only,
// so whoever was interrupted once is looked at again until the answer is there.
func (s *server) begin(cancel <-chan struct{}, h *fuse.InHeader) (ctx context.Context, end func()) {
	r := &request{Context: s.ctx, cancel: cancel, tid: h.Pid} // h is another request's once this one is answered
	return r, r.end
}

// request is the context of a request. Most are answered without waiting for anything: a
// goroutine looks for interrupts only once somebody asks when the context ends.
type request struct {
	context.Context // the mount's, until watch
	cancel          <-chan struct{}
	tid             uint32

	mu       sync.Mutex // guards what follows
	watched  context.Context
	stop     context.CancelFunc
	finished chan struct{}
	ended    bool
}

// watch begins to look for an interrupt, and returns the context that tells of it.
func (r *request) watch() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watched != nil {
		return r.watched
	}
	r.watched, r.stop = context.WithCancel(r.Context)
	if r.ended {
		r.stop()
		return r.watched
	}
	finished, stop := make(chan struct{}), r.stop
	r.finished = finished
	go func() {
		select {
		case <-finished:
		case <-r.cancel:
			stopWhenFatal(r.tid, finished, stop)
		}
	}()
	return r.watched
}

// end is the end of the request.
func (r *request) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.finished != nil {
		close(r.finished)
		r.stop()
	}
}

// Done is of context.Context.
func (r *request) Done() <-chan struct{} { return r.watch().Done() }

// Err is of context.Context. Whoever asks again and again learns of an interrupt, too.
func (r *request) Err() error {
	r.mu.Lock()
	watched, ended := r.watched, r.ended
	r.mu.Unlock()
	switch {
	case watched != nil:
		return watched.Err()
	case ended:
		return context.Canceled
	}
	select {
	case <-r.cancel:
		return r.watch().Err()
	default:
		return r.Context.Err()
	}
}

// Value is of context.Context. Contexts that are made from this one end with the watched one.
func (r *request) Value(key any) any {
	r.mu.Lock()
	ctx := r.watched
	r.mu.Unlock()
	if ctx == nil {
		ctx = r.Context
	}
	return ctx.Value(key)
}

// lookAgain is the pause between looks at a caller that was interrupted.
const lookAgain = 250 * time.Millisecond

// stopWhenFatal calls stop once a signal is about to end the caller. It returns then, or
// when finished is closed.
func stopWhenFatal(tid uint32, finished <-chan struct{}, stop func()) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for !fatalPending(tid) {
		select {
		case <-finished:
			return
		case <-tick.C:
		}
	}
	stop()
}

// fatalPending reports whether a signal waits for the thread that no handler takes, so
// that it will end the process. It says yes for a thread that is gone. The kernel sends 0
// for a caller that this process can't see, in another container: it waits.
func fatalPending(tid uint32) bool {
	if tid == 0 {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return true
	}
	masks := map[string]uint64{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.HasPrefix(name, "Sig") || strings.HasPrefix(name, "Shd") {
			masks[name], _ = strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		}
	}
	pending := (masks["SigPnd"] | masks["ShdPnd"]) &^ masks["SigBlk"] &^ masks["SigIgn"] &^ masks["SigCgt"]
	return pending&^harmless != 0
}

// harmless are the signals whose default action does not end a process.
var harmless = mask(unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGCONT, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)

func mask(signals ...unix.Signal) (m uint64) {
	for _, s := range signals {
		m |= 1 << (s - 1)
	}
	return m
}
