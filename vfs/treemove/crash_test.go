package treemove

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// moves is how many moves die in the test; each dies up to three times.
var moves = flag.Uint64("moves", 10_000, "renames of folders that TestCrashesOfAMove lets die")

// trial is one move that dies, and what must come of it.
type trial struct {
	t    *testing.T
	rnd  *rand.Rand
	b    *bucket
	dir  string
	seed uint64

	from, to string
	before   map[string]string // the tree as it was
	doubtful map[string]bool   // new keys of copies that can't be told from what others put there
	theirs   map[string]string // what others put there
	puts     int               // how often
	hadMark  bool
}

// A process that dies at any step of a folder's rename, and again in the recovery, leaves
// each file whole under at least one of its names; after the recovery the folder is under
// its old name or under its new one, and what others have put there stays.
func TestCrashesOfAMove(t *testing.T) {
	dir := recordDir(t)
	seed := rand.Uint64()
	for i := range *moves {
		tr := newTrial(t, seed+i, dir)
		if tr.run(); t.Failed() {
			t.Fatalf("seed %d", tr.seed)
		}
	}
}

func newTrial(t *testing.T, seed uint64, dir string) *trial {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 0))
	tr := &trial{t: t, rnd: rnd, b: newBucket(rnd), dir: dir, seed: seed, from: "p/old/", to: "q/new/",
		doubtful: map[string]bool{}, theirs: map[string]string{}}
	if rnd.IntN(2) == 0 {
		tr.to = "p/new/"
	}
	tr.b.page = 1 + rnd.IntN(4)
	for i := range rnd.IntN(9) {
		var meta object.Meta
		if rnd.IntN(2) == 0 {
			meta = object.Meta{"mtime": fmt.Sprint(i)}
		}
		parts := rnd.IntN(4) == 0
		name := []string{"f%d", "sub/f%d", "é%d", "sub/", ""}[rnd.IntN(5)]
		body := fmt.Sprintf("body %d", rnd.IntN(3))
		if strings.Contains(name, "%") {
			name = fmt.Sprintf(name, i)
		} else {
			body, parts = "", false
		}
		tr.b.put(tr.from+name, body, meta, parts)
		if parts && meta == nil {
			tr.doubtful[tr.to+name] = true
		}
	}
	if tr.hadMark = rnd.IntN(3) == 0; tr.hadMark {
		tr.b.put(tr.to, "", object.Meta{"mtime": "theirs"}, false)
	}
	tr.b.put("p/oldest", "neighbour", nil, false)
	tr.before = tr.b.bodies()
	return tr
}

func (tr *trial) mover() *Mover {
	m := New(Options{Store: tr.b, Dir: tr.dir, Parallel: 1 + tr.rnd.IntN(4), Keep: 1 + tr.rnd.IntN(8), Now: tr.b.now})
	m.step = tr.b.recordStep(tr.dir)
	return m
}

// run dies, and recovers.
func (tr *trial) run() {
	ctx := context.Background()
	tr.b.crashAfter(tr.rnd.IntN(30))
	if tr.rnd.IntN(5) == 0 {
		tr.b.refuse = tr.to + "f3" // the move fails, and may die while it is undone
	}
	v := tr.mover().Begin(tr.from, tr.to)
	if tr.hadMark {
		v.KeepMarker()
	}
	if tr.rnd.IntN(2) == 0 && v.Look(ctx) != nil {
		return // it died before it began
	}
	if v.Copy(ctx) == nil {
		_ = v.Delete(ctx) // both fail by the crash, and nothing else is to be told
	}
	for range tr.rnd.IntN(3) {
		tr.wholeSomewhere()
		tr.others()
		tr.b.crashAfter(tr.rnd.IntN(15))
		_ = tr.mover().Recover(ctx)
	}
	tr.wholeSomewhere()
	tr.others()
	tr.b.crashAfter(-1)
	if err := tr.mover().Recover(ctx); err != nil {
		tr.t.Errorf("recover: %v", err)
	}
	tr.wholeSomewhere()
	tr.oldOrNew()
	if left, err := os.ReadDir(tr.dir); err != nil || len(left) > 0 {
		tr.t.Errorf("records left: %v, %v", left, err)
	}
}

// others put something under one of the prefixes.
func (tr *trial) others() {
	if tr.rnd.IntN(4) > 0 {
		return
	}
	prefix := []string{tr.from, tr.to}[tr.rnd.IntN(2)]
	key := prefix + []string{"f1", "f2", "sub/f3", "theirs"}[tr.rnd.IntN(4)]
	body := fmt.Sprintf([]string{"bode %d", "another size %d"}[tr.rnd.IntN(2)], tr.puts)
	tr.puts++
	tr.b.put(key, body, nil, false)
	tr.theirs[key] = body
}

// wholeSomewhere checks that no file is gone, and nothing of others.
func (tr *trial) wholeSomewhere() {
	now := tr.b.bodies()
	for key, body := range tr.before {
		twin := tr.to + strings.TrimPrefix(key, tr.from)
		if !strings.HasPrefix(key, tr.from) {
			twin = key
		}
		if _, theirs := tr.theirs[key]; theirs || tr.theirs[twin] != "" {
			continue // replaced by somebody
		}
		if got, ok := now[key]; ok && got == body {
			continue
		}
		if got, ok := now[twin]; !ok || got != body {
			tr.t.Errorf("%q is whole neither under its old nor its new name: %q", key, now)
		}
	}
	for key, body := range tr.theirs {
		if now[key] != body {
			tr.t.Errorf("%q of somebody else is %q", key, now[key])
		}
	}
}

// oldOrNew checks that all is under one prefix.
func (tr *trial) oldOrNew() {
	now := tr.b.bodies()
	moved := map[string]string{}
	for key, body := range tr.before {
		if rest, ok := strings.CutPrefix(key, tr.from); ok {
			key = tr.to + rest
		}
		moved[key] = body
	}
	if !tr.like(now, tr.before) && !tr.like(now, moved) {
		tr.t.Errorf("neither the old tree nor the new one:\n%q\nold %q\ntheirs %q, doubtful %v", now, tr.before, tr.theirs, tr.doubtful)
	}
}

// like compares, but for what others have put somewhere, and what has to stay because of
// that or of doubt.
func (tr *trial) like(now, want map[string]string) bool {
	got := maps.Clone(now)
	want = maps.Clone(want)
	for key := range tr.theirs {
		rest := strings.TrimPrefix(strings.TrimPrefix(key, tr.from), tr.to)
		for _, prefix := range []string{tr.from, tr.to} {
			delete(got, prefix+rest)
			delete(want, prefix+rest)
		}
	}
	for key := range tr.doubtful {
		if _, ok := want[key]; !ok {
			delete(got, key)
		}
	}
	return maps.Equal(got, want)
}
