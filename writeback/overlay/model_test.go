package overlay

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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
		if runModel(t, s); t.Failed() {
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

// gate holds the writes of the store until the test lets them go, and decides how they end.
type gate struct {
	mu      sync.Mutex
	changed *sync.Cond
	open    bool // all go, and work
	dead    bool // none goes, ever: the process is dead
	tokens  int
	waiting int
	rnd     *rand.Rand
}

func (g *gate) pass(op, key string) outcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	for !g.open && !g.dead && g.tokens == 0 {
		g.changed.Wait()
	}
	g.waiting--
	if g.dead {
		return lost
	}
	if g.open {
		return works
	}
	g.tokens--
	switch n := g.rnd.IntN(20); {
	case n < 2:
		return unanswered
	case n < 4:
		return lost
	case n < 5:
		return denied
	}
	return works
}

// heldStore is a memStore whose writes go through a gate of one process.
type heldStore struct {
	*memStore
	g *gate
}

func (h heldStore) held(op, key string, do func() error) error {
	how := h.g.pass(op, key)
	if how == lost {
		return object.Errorf(object.KindUnavailable, op, key, "")
	}
	if how == denied {
		return object.Errorf(object.KindPermission, op, key, "")
	}
	err := do()
	if err == nil && how == unanswered {
		h.g.mu.Lock()
		h.g.waiting++
		for !h.g.open && !h.g.dead && h.g.tokens == 0 { // a crash finds it done, and not noted
			h.g.changed.Wait()
		}
		h.g.waiting--
		h.g.mu.Unlock()
		return object.Errorf(object.KindUnavailable, op, key, "")
	}
	return err
}

func (h heldStore) Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (info object.Info, err error) {
	err = h.held("put", key, func() (err error) {
		info, err = h.memStore.Put(ctx, key, body, o)
		return err
	})
	return info, err
}

func (h heldStore) CreateUpload(ctx context.Context, key string, o object.PutOptions) (string, error) {
	h.g.mu.Lock()
	defer h.g.mu.Unlock()
	if h.g.dead {
		return "", object.Errorf(object.KindUnavailable, "create", key, "")
	}
	return h.memStore.CreateUpload(ctx, key, o)
}

func (h heldStore) CompleteUpload(ctx context.Context, key, id string, parts []object.Part, c object.Condition) (info object.Info, err error) {
	err = h.held("complete", key, func() (err error) {
		info, err = h.memStore.CompleteUpload(ctx, key, id, parts, c)
		return err
	})
	return info, err
}

func (h heldStore) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (info object.Info, err error) {
	err = h.held("copy", dst, func() (err error) {
		info, err = h.memStore.Copy(ctx, src, dst, o)
		return err
	})
	return info, err
}

func (h heldStore) DeleteMany(ctx context.Context, keys []string) error {
	var errs []error
	for _, key := range keys {
		errs = append(errs, h.held("delete", key, func() error { return h.memStore.DeleteMany(ctx, []string{key}) }))
	}
	return joined(errs)
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
	if err := w.o.Flush(ctx); err != nil {
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

func (w *world) key() string {
	return []string{"a", "b", "c", "d/", "d/a", "d/b", "d/e/", "d/e/f", "d/e/g", "x/y/z", "x/y/w", "~"}[w.rnd.IntN(12)]
}

func (w *world) bytes() []byte {
	n := w.rnd.IntN(40)
	if w.rnd.IntN(4) == 0 {
		n = w.rnd.IntN(1500)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + w.rnd.IntN(26))
	}
	return b
}

// meta is different each time, as the time of a change is.
func (w *world) meta() object.Meta {
	w.count++
	return object.Meta{"mtime": fmt.Sprint(w.count)}
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

// synced notes that everything so far is durable.
func (w *world) synced() { w.soft = nil }

func (w *world) existing() (string, bool) {
	keys := slices.Sorted(maps.Keys(w.want))
	if len(keys) == 0 {
		return "", false
	}
	return keys[w.rnd.IntN(len(keys))], true
}

func (w *world) step() {
	ctx := context.Background()
	switch n := w.rnd.IntN(100); {
	case n < 25:
		key, data, meta := w.key(), w.bytes(), w.meta()
		var c object.Condition
		if old, ok := w.want[key]; w.rnd.IntN(2) == 0 {
			c.IfAbsent = !ok
			if ok {
				c.IfMatch = old.id.ETag
			}
		}
		if len(data) > 200 {
			w.edit(key, want{}, data, meta, c)
			return
		}
		info, err := w.o.Put(ctx, key, io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), object.PutOptions{Meta: meta, Condition: c})
		w.check(err)
		w.want[key] = want{data, meta, info.ID()}
		w.synced()
	case n < 45:
		if key, ok := w.existing(); ok {
			old := w.want[key]
			w.edit(key, old, w.changed(old.data), w.meta(), object.Condition{IfMatch: old.id.ETag})
		}
	case n < 60:
		w.rename()
	case n < 70:
		var keys []string
		for range 1 + w.rnd.IntN(3) {
			keys = append(keys, w.key())
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		w.soft = append(w.soft, maps.Clone(w.want))
		w.check(w.o.DeleteMany(ctx, keys))
		for _, key := range keys {
			delete(w.want, key)
		}
	case n < 75:
		w.check(w.o.Sync(ctx))
		w.synced()
	case n < 80:
		w.list()
	case n < 85:
		if key, ok := w.existing(); ok {
			w.look(key)
		}
	case n < 97:
		w.gate.mu.Lock()
		w.gate.tokens += 1 + w.rnd.IntN(4)
		w.gate.changed.Broadcast()
		w.gate.mu.Unlock()
		time.Sleep(time.Duration(w.rnd.IntN(3)) * time.Millisecond)
	default:
		w.crash()
	}
}

// changed makes another content of one: some bytes differ, and perhaps the size.
func (w *world) changed(data []byte) []byte {
	data = bytes.Clone(data)
	if w.rnd.IntN(3) == 0 {
		data = data[:w.rnd.IntN(len(data)+1)]
	}
	if w.rnd.IntN(3) == 0 {
		data = append(data, make([]byte, w.rnd.IntN(300))...)
	}
	for range 1 + w.rnd.IntN(3) {
		if len(data) > 0 {
			at := w.rnd.IntN(len(data))
			copy(data[at:min(len(data), at+30)], bytes.Repeat([]byte{byte('A' + w.rnd.IntN(26))}, 30))
		}
	}
	return data
}

// idBase reads a version by the Overlay.
type idBase struct {
	*plainBase
}

func (b idBase) ID() object.ID { return b.id }

// edit makes data of old by the queue of staged files.
func (w *world) edit(key string, old want, data []byte, meta object.Meta, c object.Condition) {
	ctx := context.Background()
	var s *writeback.Staged
	var err error
	if old.id.ETag == "" {
		s, err = w.edits.Stage()
	} else {
		s, err = w.edits.StageOver(old.id, int64(len(old.data)), func(id object.ID, size int64) writeback.Base {
			return idBase{&plainBase{w.o, id, size}}
		})
	}
	w.check(err)
	defer s.Discard()
	w.check(s.Truncate(ctx, int64(min(len(data), len(old.data)))))
	w.check(s.Truncate(ctx, int64(len(data))))
	for i := 0; i < len(data); i++ {
		if i < len(old.data) && data[i] == old.data[i] || i >= len(old.data) && data[i] == 0 {
			continue
		}
		end := i + 1
		for end < len(data) && (end >= len(old.data) || data[end] != old.data[end]) {
			end++
		}
		_, err := s.WriteAt(ctx, data[i:end], int64(i))
		w.check(err)
		i = end
	}
	info, err := s.Upload(key, object.PutOptions{Meta: meta, Condition: c}).Wait(ctx)
	w.check(err)
	w.want[key] = want{data, meta, info.ID()}
	w.synced()
}

func (w *world) rename() {
	ctx := context.Background()
	src, ok := w.existing()
	if !ok {
		return
	}
	from, dst := w.want[src], w.key()
	c := object.CopyOptions{Size: int64(len(from.data))}
	meta := from.meta
	if dst == src || w.rnd.IntN(3) == 0 { // a copy onto itself is for that only
		meta = w.meta()
		c.Meta = meta
	}
	before := maps.Clone(w.want)
	info, err := w.o.Copy(ctx, from.id, dst, c)
	w.check(err)
	w.want[dst] = want{from.data, meta, info.ID()}
	if dst == src {
		w.soft = append(w.soft, before)
		return
	}
	w.synced()
	if w.rnd.IntN(4) > 0 {
		w.soft = append(w.soft, maps.Clone(w.want))
		w.check(w.o.Delete(ctx, src))
		delete(w.want, src)
	}
}

// look compares one key.
func (w *world) look(key string) {
	ctx := context.Background()
	e, ok := w.want[key]
	info, err := w.o.Head(ctx, key)
	if !ok {
		if !object.Is(err, object.KindNotFound) {
			w.fatal("%s is there: %v", key, err)
		}
		return
	}
	if err != nil {
		w.fatal("head %s: %v\n%s", key, err, w.pending())
	}
	if info.Size != int64(len(e.data)) || !maps.Equal(info.Meta, e.meta) {
		w.fatal("%s is %d bytes, %v; want %d, %v", key, info.Size, info.Meta, len(e.data), e.meta)
	}
	for _, id := range []object.ID{info.ID(), e.id} {
		if len(e.data) == 0 {
			continue
		}
		off := w.rnd.IntN(len(e.data))
		n := 1 + w.rnd.IntN(len(e.data)-off)
		var got []byte
		var err error
		for try := 0; try == 0 || try < 20 && object.Is(err, object.KindStale) && !w.unsure(id); try++ {
			time.Sleep(time.Duration(try) * 100 * time.Microsecond) // it may have come to stand just now
			var body io.ReadCloser
			if body, err = w.o.Get(ctx, id, object.Range{Off: int64(off), Len: int64(n)}); err == nil {
				got, err = io.ReadAll(body)
			}
		}
		if object.Is(err, object.KindStale) && w.unsure(id) {
			continue // only an answer that the gate holds back tells what is there
		}
		if err != nil || !bytes.Equal(got, e.data[off:off+n]) {
			w.fatal("%s %s: %d bytes from %d: %q, %v; want %q\n%s", key, id.ETag, n, off, got, err, e.data[off:off+n], w.pending())
		}
	}
}

// unsure reports whether what a version rests on may have been replaced by a write whose
// answer is not there.
func (w *world) unsure(id object.ID) bool {
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	v := w.o.mu.versions[id.ETag]
	if v == nil {
		return false
	}
	e := w.o.mu.entries[v.rootLocked().Key]
	return e != nil && e.ops[0].sentLocked()
}

// list compares a listing, page by page.
func (w *world) list() {
	q := object.Query{Prefix: []string{"", "d/", "d", "x/", "d/e/"}[w.rnd.IntN(5)], Max: w.rnd.IntN(4)}
	if w.rnd.IntN(2) == 0 {
		q.Delimiter = "/"
	}
	if w.rnd.IntN(3) == 0 {
		q.After = q.Prefix + []string{"", "a", "d", "e/"}[w.rnd.IntN(4)]
	}
	var got, all []string
	first := q
	for {
		p, err := w.o.List(context.Background(), q)
		w.check(err)
		var page []string
		for _, info := range p.Objects {
			page = append(page, fmt.Sprint(info.Key, " ", info.Size))
		}
		page = append(page, p.Prefixes...)
		if len(page) == 0 && p.Next != "" {
			w.fatal("an empty page that is not the last")
		}
		slices.Sort(page)
		got = append(got, page...)
		if p.Next == "" {
			break
		}
		q.Token = p.Next
	}
	for key, e := range w.want {
		name, folder := shownAs(key, first)
		if !strings.HasPrefix(key, first.Prefix) || name <= first.After {
			continue
		}
		if !folder {
			name = fmt.Sprint(key, " ", len(e.data))
		}
		all = append(all, name)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if !slices.Equal(got, all) {
		w.fatal("%+v lists\n%q\nwant\n%q\n%s", first, got, all, w.pending())
	}
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

// crash ends the process at once, perhaps with the loss of what was not synced, and goes on
// with what the disk has.
func (w *world) crash() {
	g, o := w.gate, w.o
	for { // until nothing moves: all that is under way waits in the store
		o.mu.Lock()
		moving := o.mu.running
		if o.mu.deleting {
			moving++
		}
		o.mu.Unlock()
		g.mu.Lock()
		still := g.waiting == moving && g.tokens == 0
		if g.tokens > 0 && g.waiting == 0 {
			g.tokens = 0
		}
		g.mu.Unlock()
		if still {
			break
		}
		time.Sleep(50 * time.Microsecond)
	}
	power := w.rnd.IntN(2) == 0
	to := scratch(w.t)
	for _, dir := range []string{"journal", "sending/uploads"} { // what is staged there counts for nothing
		w.check(os.CopyFS(filepath.Join(to, dir), os.DirFS(filepath.Join(w.dir, dir))))
	}
	if power {
		w.loseUnsynced(to)
	}
	g.mu.Lock()
	g.dead = true
	g.changed.Broadcast()
	g.mu.Unlock()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	w.edits.Close(ended)
	w.o.Close()
	w.send.Close(ended)
	os.RemoveAll(w.dir)
	w.dir = to
	w.count++
	w.start()
	w.settleReference(power)
	w.compare()
}

// loseUnsynced cuts the journal's last segment somewhere behind what was synced.
func (w *world) loseUnsynced(dir string) {
	last, synced, end := w.o.log.Extent()
	if end == synced {
		return
	}
	path := filepath.Join(dir, "journal", "log", filepath.Base(last))
	b, err := os.ReadFile(path)
	w.check(err)
	cut := synced + w.rnd.Int64N(end-synced+1)
	clear(b[cut:])
	w.check(os.WriteFile(path, b, 0o600))
}

// settleReference finds out which of the last deletes got lost.
func (w *world) settleReference(power bool) {
	versions := append(slices.Clone(w.soft), w.want)
	if !power {
		versions = versions[len(versions)-1:]
	}
	got := map[string]string{}
	page, err := w.o.List(context.Background(), object.Query{Max: 1000})
	w.check(err)
	for _, info := range page.Objects {
		head, err := w.o.Head(context.Background(), info.Key)
		w.check(err)
		got[info.Key] = fmt.Sprint(info.Size, head.Meta)
	}
	for _, v := range slices.Backward(versions) {
		same := len(v) == len(got)
		for key, e := range v {
			same = same && got[key] == fmt.Sprint(len(e.data), e.meta)
		}
		if same {
			w.want = maps.Clone(v)
			w.soft = nil
			w.relearn()
			return
		}
	}
	w.fatal("after a crash there are %v, promised was %v (power loss %t)\n%s", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(w.want)), power, w.pending())
}

// relearn takes the versions' names anew: a mount knows no others.
func (w *world) relearn() {
	for key, e := range w.want {
		info, err := w.o.Head(context.Background(), key)
		if err != nil {
			w.fatal("head %s after a crash: %v\n%s", key, err, w.pending())
		}
		e.id = info.ID()
		w.want[key] = e
	}
}
