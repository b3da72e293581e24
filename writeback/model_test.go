package writeback

import (
	"bytes"
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

var (
	modelSeed  = flag.Int("seed", -1, "run the model test with this seed only")
	modelSeeds = flag.Int("seeds", 40, "how many seeds the model test runs")
)

// model drives one Staged by random operations and compares it with plain bytes.
type model struct {
	*env
	rnd  *rand.Rand
	s    *Staged
	base *fakeBase
	want []byte
	key  string
	etag string       // of the version that is edited; empty: it may replace anything
	calm *atomic.Bool // no faults any more
	mtim int
}

func TestModel(t *testing.T) {
	for seed := range uint64(*modelSeeds) {
		if *modelSeed >= 0 {
			seed = uint64(*modelSeed)
		}
		inQueue(t, func(t *testing.T, e *env) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			})
			rnd := rand.New(rand.NewPCG(seed, 7))
			e.q.extentLimit = 8 + rnd.IntN(30)
			var faults sync.Mutex
			var calm atomic.Bool
			faultRnd := rand.New(rand.NewPCG(seed, 8))
			before := []object.Kind{object.KindUnavailable, object.KindPermission, object.KindNotFound, object.KindInvalid}
			// A request that had its effect cannot fail with a kind that denies it.
			behind := []object.Kind{object.KindUnavailable, object.KindTimeout, object.KindOther}
			fault := func(op, key string, kinds []object.Kind, permille int) error {
				faults.Lock()
				defer faults.Unlock()
				if calm.Load() {
					return nil
				}
				if faultRnd.IntN(1000) < permille {
					return object.Errorf(kinds[faultRnd.IntN(len(kinds))], op, key, "injected")
				}
				return nil
			}
			e.store.hook = func(ctx context.Context, op, key string, _ int) error {
				faults.Lock()
				d := time.Duration(faultRnd.IntN(20)) * time.Millisecond
				faults.Unlock()
				select {
				case <-time.After(d):
				case <-ctx.Done():
					return ctx.Err()
				}
				return fault(op, key, before, 60)
			}
			e.store.after = func(op, key string) error { return fault(op, key, behind, 30) }
			m := &model{env: e, rnd: rnd, key: "a", calm: &calm}
			m.begin()
			for range 120 {
				m.step()
			}
			calm.Store(true)
			m.upload()
			m.finish()
			synctest.Wait()
			// What only the next process would find: uploads that two failures hid.
			if err := e.q.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.checkEmpty()
			e.open()
			if err := e.q.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, func(o *Options) { o.Parallel = 3 })
	}
}

// begin makes a new Staged: empty, or over what is at the store.
func (m *model) begin() {
	m.Helper()
	m.want, m.base = nil, nil
	if m.etag != "" {
		m.etag, m.key = "", "a"
	}
	switch m.rnd.IntN(4) {
	case 0:
		m.s = m.stage()
	case 1, 2:
		m.want = pattern(m.rnd.IntN(30*testPart), byte(m.rnd.Uint32()))
		var info object.Info
		m.s, info, _ = m.edit("e", m.want)
		m.key, m.etag = "e", info.ETag
	default:
		m.want = pattern(m.rnd.IntN(6*testPart), byte(m.rnd.Uint32()))
		m.s, m.base = m.stageOver(bytes.Clone(m.want))
	}
	if m.rnd.IntN(4) > 0 {
		m.s.SetTarget(m.key, meta("early"))
	}
}

// finish ends a Staged in one of the ways.
func (m *model) finish() {
	m.Helper()
	path, reserved, err := m.s.Detach()
	if err == nil {
		m.disk.Release(reserved)
		removeFile(m.T, path)
	} else {
		m.s.Discard()
	}
	synctest.Wait()
	if m.base != nil && m.base.closedTimes() != 1 {
		m.Fatalf("the base was closed %d times", m.base.closedTimes())
	}
}

func (m *model) step() {
	m.Helper()
	switch n := m.rnd.IntN(100); {
	case n < 35:
		m.randomWrite()
	case n < 50:
		m.append()
	case n < 57:
		m.randomTruncate()
	case n < 60:
		m.zero()
	case n < 80:
		m.read()
	case n < 84:
		_ = m.s.Hydrate(m.Context())
	case m.etag != "" && n < 92:
		m.outsider()
	case n < 88:
		m.key = string(rune('a' + m.rnd.IntN(3)))
		m.s.SetTarget(m.key, meta("early"))
	case n < 90:
		m.s.SetTarget("", object.PutOptions{})
	case n < 92:
		m.finish()
		m.begin()
	case n < 95:
		synctest.Wait()
	default:
		m.upload()
	}
	m.compare()
}

func (m *model) put(p []byte, off int) {
	m.Helper()
	m.write(m.s, p, int64(off))
	if grow := off + len(p) - len(m.want); grow > 0 {
		m.want = append(m.want, make([]byte, grow)...)
	}
	copy(m.want[off:], p)
}

func (m *model) randomWrite() {
	m.Helper()
	m.put(pattern(1+m.rnd.IntN(9000), byte(m.rnd.Uint32())), m.rnd.IntN(len(m.want)+5000))
}

func (m *model) append() {
	m.Helper()
	m.put(pattern(1+m.rnd.IntN(2*testPart), byte(m.rnd.Uint32())), len(m.want))
}

func (m *model) randomTruncate() {
	m.Helper()
	size := m.rnd.IntN(len(m.want) + testPart)
	if m.rnd.IntN(4) == 0 {
		size = 0
	}
	m.truncate(m.s, int64(size))
	if size < len(m.want) {
		m.want = m.want[:size]
	}
	m.want = append(m.want, make([]byte, size-len(m.want))...)
}

func (m *model) zero() {
	m.Helper()
	off := m.rnd.IntN(len(m.want) + 5000)
	end := off + m.rnd.IntN(2*testPart)
	if err := m.s.Zero(m.Context(), int64(off), int64(end)); err != nil {
		m.Fatalf("Zero(%d, %d): %v", off, end, err)
	}
	if off == end {
		return
	}
	if grow := end - len(m.want); grow > 0 {
		m.want = append(m.want, make([]byte, grow)...)
	}
	clear(m.want[off:end])
}

func (m *model) read() {
	m.Helper()
	off := m.rnd.IntN(len(m.want) + 10)
	p := make([]byte, m.rnd.IntN(3*testPart))
	n, err := m.s.ReadAt(m.Context(), p, int64(off))
	if object.Is(err, object.KindStale) && m.etag != "" {
		if obj, _ := m.store.object(m.key); obj.etag != m.etag {
			return // an upload worked, and its answer was lost
		}
	}
	want := m.want[min(off, len(m.want)):]
	want = want[:min(len(want), len(p))]
	if !bytes.Equal(p[:n], want) || (n < len(p)) != (err == io.EOF) {
		m.Fatalf("ReadAt(%d, %d) = %d, %v, want %d; first difference at %d", len(p), off, n, err, len(want), differAt(p[:n], want))
	}
}

func (m *model) upload() {
	m.Helper()
	m.mtim++
	o := meta(string(rune('0' + m.mtim%10)))
	o.Condition.IfMatch = m.etag
	info, err := m.s.Upload(m.key, o).Wait(m.Context())
	if err != nil {
		if m.calm.Load() {
			m.Fatalf("upload without a fault: %v", err)
		}
		return
	}
	m.wantObject(m.key, m.want)
	if m.etag != "" {
		m.etag = info.ETag
	}
	obj, _ := m.store.object(m.key)
	if m.s.Modified() || info.ETag != obj.etag || info.Size != int64(len(m.want)) || obj.opts.Meta["mtime"] != o.Meta["mtime"] {
		m.Fatalf("modified %v, info %+v, stored %s %v", m.s.Modified(), info, obj.etag, obj.opts)
	}
}

// outsider replaces or deletes what is edited: the edit may not be stored over that.
func (m *model) outsider() {
	m.Helper()
	m.put([]byte("an edit"), m.rnd.IntN(len(m.want)+1))
	theirs := pattern(1+m.rnd.IntN(3*testPart), byte(m.rnd.Uint32()))
	gone := m.rnd.IntN(4) == 0
	m.store.seed("e", theirs)
	if gone {
		m.store.remove("e")
	}
	for range 2 {
		o := meta("late")
		o.Condition.IfMatch = m.etag
		_, err := m.s.Upload("e", o).Wait(m.Context())
		if err == nil || m.calm.Load() && !object.Is(err, object.KindConflict) {
			m.Fatalf("upload over somebody else's version: %v", err)
		}
	}
	if !gone {
		m.wantObject("e", theirs)
	} else if _, there := m.store.object("e"); there {
		m.Fatal("what somebody deleted is back")
	}
	m.finish()
	m.begin()
}

// compare checks the invariants while the senders run.
func (m *model) compare() {
	m.Helper()
	m.s.mu.RLock()
	defer m.s.mu.RUnlock()
	m.checkInvariants(m.s)
	if m.s.mu.size != int64(len(m.want)) {
		m.Fatalf("size %d, want %d", m.s.mu.size, len(m.want))
	}
}

// Many goroutines on one file: no race, no deadlock, and each writer's own range is in
// the object that is uploaded last.
func TestConcurrentUse(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		const writers, each = 4, 2 * testPart
		s, _ := e.stageOver(pattern(writers*each+1000, 9))
		s.SetTarget("a", meta("0"))
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(w), 3))
				for range 60 {
					off := int64(w*each + rnd.IntN(each-4096))
					_, _ = s.WriteAt(t.Context(), pattern(4096, byte(rnd.Uint32())), off)
				}
				e.write(s, pattern(each, byte(w)), int64(w*each))
			})
		}
		for r := range 3 {
			group.Go(func() {
				p := make([]byte, 3*testPart)
				for range 50 {
					_, _ = s.ReadAt(t.Context(), p, int64(r*1000))
					s.Upload("a", meta("0"))
					_, _ = s.Size(), s.Modified()
					_, _ = s.MissingBytes(), e.q.Pending()
					if r == 0 {
						_ = s.Truncate(t.Context(), s.Size()+1)
						s.SetTarget("a", meta("1"))
						_ = s.Hydrate(t.Context())
					}
				}
			})
		}
		group.Wait()
		e.upload(s, "a", meta("0"))
		obj, _ := e.store.object("a")
		for w := range writers {
			if !bytes.Equal(obj.data[w*each:(w+1)*each], pattern(each, byte(w))) {
				t.Fatalf("the range of writer %d differs", w)
			}
		}
		e.wantContent(s, obj.data)
	})
}

// Discard may come at any moment.
func TestDiscardBesideEverything(t *testing.T) {
	for seed := range uint64(20) {
		inQueue(t, func(t *testing.T, e *env) {
			s, base := e.stageOver(pattern(6*testPart, 9))
			s.SetTarget("a", meta("0"))
			rnd := rand.New(rand.NewPCG(seed, 1))
			var group sync.WaitGroup
			for _, f := range []func(){
				func() { _, _ = s.WriteAt(t.Context(), pattern(4*testPart, 1), 0) },
				func() { _, _ = s.Upload("a", meta("0")).Wait(t.Context()) },
				func() { _ = s.Hydrate(t.Context()) },
				func() { _ = s.Truncate(t.Context(), 7*testPart) },
				func() {
					p := make([]byte, 6*testPart)
					n, err := s.ReadAt(t.Context(), p, 4*testPart)
					if err == nil && n > 0 && !bytes.Equal(p[:min(n, 2*testPart)], pattern(6*testPart, 9)[4*testPart:]) {
						t.Error("read something that was never there")
					}
				},
				s.Discard,
			} {
				spins := rnd.IntN(2000)
				group.Go(func() {
					for range spins {
						_ = s.Size()
					}
					f()
				})
			}
			group.Wait()
			if base.closedTimes() != 1 {
				t.Fatalf("the base was closed %d times", base.closedTimes())
			}
		})
	}
}
