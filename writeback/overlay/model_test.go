package overlay

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

var (
	seed   = flag.Uint64("seed", 0, "run this seed only")
	runs   = flag.Int("runs", 150, "how many seeds to run")
	during = flag.Duration("for", 0, "run seeds for that long instead")
)

// TestModel does random operations, compares what the Overlay shows with a simple reference
// at each step, crashes at random moments, with a loss of what was not synced, and compares
// what the store has at the end.
func TestModel(t *testing.T) {
	if *seed != 0 {
		runModel(t, *seed)
		return
	}
	began := time.Now()
	for s := uint64(1); s <= uint64(*runs) || time.Since(began) < *during; s++ {
		// A test of its own, so that its folders go before the next one begins.
		if !t.Run(strconv.FormatUint(s, 10), func(t *testing.T) { runModel(t, s) }) {
			t.Fatalf("seed %d", s)
		}
	}
}

// world is an Overlay on a store that obeys the test, and what both should show.
type world struct {
	t     *testing.T
	rnd   *rand.Rand
	seed  uint64
	dir   string
	store *memStore
	gate  *gate
	disk  *budget.Disk
	o     *Overlay
	send  *writeback.Queue
	edits *writeback.Queue

	want map[string]want
	// soft are the references before each change that may get lost with the machine's power,
	// as nothing was synced since.
	soft  []map[string]want
	count int
	// alarms is what was said to be lost.
	alarms atomic.Pointer[string]
}

type want struct {
	data []byte
	meta object.Meta
	id   object.ID
}

// scratch makes a folder in memory where there is one: these tests sync much.
func scratch(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "overlay-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (w *world) fatal(format string, args ...any) {
	w.t.Helper()
	if text := w.alarms.Load(); text != nil {
		format += "\n" + strings.ReplaceAll(*text, "%", "%%")
	}
	w.t.Fatalf("seed %d: "+format, append([]any{w.seed}, args...)...)
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.fatal("%v", err)
	}
}

// start opens the journal in w.dir.
func (w *world) start() {
	w.gate = &gate{rnd: rand.New(rand.NewPCG(w.seed, uint64(w.count)))}
	w.gate.changed = sync.NewCond(&w.gate.mu)
	w.disk = budget.NewDisk(1 << 30)
	held := heldStore{w.store, w.gate}
	var err error
	w.send, err = writeback.NewQueue(writeback.Options{Dir: w.dir + "/sending", Uploader: held, Disk: w.disk, MultipartOver: 600, PartSize: 256})
	w.check(err)
	w.check(w.send.Recover(context.Background()))
	w.o, err = Open(Options{Dir: w.dir + "/journal", Store: held, Sender: w.send, Disk: w.disk,
		Quiet: time.Millisecond, Retry: 100 * time.Microsecond, Settle: 100 * time.Microsecond, Small: 200, SegmentSize: 32 << 10, Log: slog.New(alarm{slog.DiscardHandler, w})})
	w.check(err)
	w.o.depth = 2
	w.edits, err = writeback.NewQueue(writeback.Options{Dir: w.dir + "/staging", Uploader: held, Promiser: w.o, Disk: w.disk})
	w.check(err)
	w.o.Start()
}

func runModel(t *testing.T, seed uint64) {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), seed: seed, dir: scratch(t), store: newMemStore(), want: map[string]want{}}
	defer os.RemoveAll(w.dir)
	w.store.page = 3
	for range w.rnd.IntN(8) {
		key, data := w.key(), w.bytes()
		meta := w.meta()
		w.store.mu.Lock()
		info := w.store.putLocked(key, data, meta, "")
		w.store.mu.Unlock()
		w.want[key] = want{data, meta, info.ID()}
	}
	w.start()
	for range 60 {
		w.step()
		if w.alarms.Load() != nil {
			w.fatal("given up\n%s", w.pending())
		}
	}
	w.gate.mu.Lock()
	w.gate.open = true
	w.gate.changed.Broadcast()
	w.gate.mu.Unlock()
	w.compare()
	w.end()
}

// end sends all, and looks at what is left.
func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := w.o.Flush(ctx)
	if err != nil { // what was under way when the gate opened may have been refused before
		err = w.o.Flush(ctx)
	}
	if err != nil {
		w.fatal("flush: %v\n%s", err, w.pending())
	}
	got, all := w.store.content(), map[string]string{}
	for key, e := range w.want {
		all[key] = describe(e.data, e.meta)
	}
	if !maps.Equal(got, all) {
		w.fatal("the store has\n%v\nwant\n%v", got, all)
	}
	w.compare()
	w.check(w.edits.Close(ctx))
	if n := len(w.o.mu.versions); n > 0 || !w.o.log.Empty() {
		w.fatal("%d versions are left, the journal is empty: %t", n, w.o.log.Empty())
	}
	w.check(w.o.Close())
	w.check(w.send.Close(ctx))
	if used, _ := w.disk.Usage(); used != 0 {
		w.fatal("%d bytes of the disk are in use", used)
	}
	if left, _ := os.ReadDir(w.dir + "/journal/data"); len(left) > 0 {
		w.fatal("left: %v", left)
	}
	if n := len(w.store.uploads); n > 0 {
		w.fatal("%d uploads are left", n)
	}
}

func (w *world) pending() string {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	var b strings.Builder
	for _, p := range w.o.mu.ops {
		fmt.Fprintf(&b, "%d/%d %s %s running %t tries %d err %v cond %+v", p.seq, p.order, opNames[p.kind], p.key, p.running, p.tries, p.err, p.cond)
		if p.after != nil {
			fmt.Fprintf(&b, " after %s stands %t pending %t", p.after.info.ETag, p.after.stands, p.after.op != nil)
		}
		for v := p.v; v != nil; v = v.base {
			fmt.Fprintf(&b, " [%s %s own %+v end %d base %v stands %t pending %t]", v.info.Key, v.info.ETag, v.own, v.baseEnd, v.baseID, v.stands, v.op != nil)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// alarm notes what is logged of versions that were given up: nobody else writes here.
type alarm struct {
	slog.Handler
	w *world
}

func (a alarm) Enabled(context.Context, slog.Level) bool { return true }

func (a alarm) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "somebody else") || strings.Contains(r.Message, "lost") {
		text := r.Message
		r.Attrs(func(at slog.Attr) bool {
			text += fmt.Sprintf(" %s=%v", at.Key, at.Value)
			return true
		})
		a.w.alarms.Store(&text)
	}
	return nil
}

// compare compares everything.
func (w *world) compare() {
	for _, key := range []string{"a", "b", "c", "d/", "d/a", "d/b", "d/e/", "d/e/f", "d/e/g", "x/y/z", "x/y/w", "~"} {
		w.look(key)
	}
	for range 4 {
		w.list()
	}
}
