package treemove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func fixed() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// dying is a move that dies after so many steps, on a bucket with p/old/1 to 3.
func dying(t *testing.T, steps int) (b *bucket, dir string) {
	t.Helper()
	b, dir = newBucket(fixed()), recordDir(t)
	for i := range 3 {
		b.put(fmt.Sprintf("p/old/%d", i), fmt.Sprint("body ", i), nil, false)
	}
	m := New(Options{Store: b, Dir: dir, Parallel: 1, Now: b.now})
	m.step = b.recordStep(dir)
	b.crashAfter(steps)
	v := m.Begin("p/old/", "p/new/")
	if err := v.Copy(t.Context()); err == nil {
		if v.Delete(t.Context()) == nil {
			t.Fatalf("it lived for more than %d steps", steps)
		}
	}
	b.crashAfter(-1)
	return b, dir
}

// The steps of dying: the record, LIST, three copies, the record, the deletion.
const (
	inCopying  = 4
	inDeleting = 6
)

func recovered(t *testing.T, b *bucket, dir string) (log string) {
	t.Helper()
	var out bytes.Buffer
	m := New(Options{Store: b, Dir: dir, Now: b.now, Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err := m.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (b *bucket) want(t *testing.T, keys ...string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(b.bodies())); !slices.Equal(got, keys) {
		t.Errorf("keys %q, want %q", got, keys)
	}
}

func TestRecoveryUndoesAndFinishes(t *testing.T) {
	b, dir := dying(t, inCopying)
	if log := recovered(t, b, dir); !strings.Contains(log, "is undone") || !strings.Contains(log, "from=p/old/") {
		t.Errorf("the log says %q", log)
	}
	b.want(t, "p/old/0", "p/old/1", "p/old/2")

	b, dir = dying(t, inDeleting)
	if log := recovered(t, b, dir); !strings.Contains(log, "is finished") {
		t.Errorf("the log says %q", log)
	}
	b.want(t, "p/new/0", "p/new/1", "p/new/2")
	if log := recovered(t, b, dir); log != "" {
		t.Errorf("a second time: %q", log)
	}
}

// Who copies the folder back after a rename that died has a copy of his own.
func TestWhatIsCopiedBackStays(t *testing.T) {
	b, dir := dying(t, inDeleting)
	b.put("p/old/1", "body 1", nil, false)
	if log := recovered(t, b, dir); !strings.Contains(log, "objects=1") {
		t.Errorf("the log says %q", log)
	}
	b.want(t, "p/new/0", "p/new/1", "p/new/2", "p/old/1")
}

// A copy that is made after a rename had failed is none of the rename's, though it is like
// its own.
func TestCopyAfterAFailedUndoStays(t *testing.T) {
	b, dir := newBucket(fixed()), recordDir(t)
	for i := range 3 {
		b.put(fmt.Sprintf("d/%d", i), "body", nil, false)
	}
	m := New(Options{Store: refusing{b}, Dir: dir, Now: b.now})
	b.refuse = "n/1"
	err := m.Begin("d/", "n/").Copy(t.Context())
	if !object.Is(err, object.KindPermission) || !strings.Contains(err.Error(), "the next mount tries again") {
		t.Errorf("the error is %v", err)
	}
	b.refuse = ""
	b.mu.Lock()
	b.clock = b.clock.Add(time.Hour)
	b.mu.Unlock()
	b.put("n/2", "body", nil, false) // by the user
	recovered(t, b, dir)
	b.want(t, "d/0", "d/1", "d/2", "n/2")
}

// refusing deletes nothing.
type refusing struct{ *bucket }

func (refusing) DeleteMany(_ context.Context, keys []string) error {
	return object.Errorf(object.KindPermission, "DeleteObjects", "", "%d keys", len(keys))
}

// A folder's own marker, with its attributes, takes the place of the empty target's.
func TestMarkerReplacesTheTargets(t *testing.T) {
	for steps := range 12 {
		b, dir := newBucket(fixed()), recordDir(t)
		b.put("d/", "", object.Meta{"mode": "mine"}, false)
		b.put("d/f", "body", nil, false)
		b.put("n/", "", object.Meta{"mode": "theirs"}, false)
		m := New(Options{Store: b, Dir: dir, Parallel: 1, Now: b.now})
		m.step = b.recordStep(dir)
		b.crashAfter(steps)
		v := m.Begin("d/", "n/")
		v.KeepMarker()
		if v.Copy(t.Context()) == nil && v.Delete(t.Context()) == nil && steps < 8 {
			t.Errorf("%d steps were all", steps)
		}
		b.crashAfter(-1)
		recovered(t, b, dir)
		want, meta := []string{"n/", "n/f"}, "mine"
		if b.bodies()["d/f"] != "" {
			want, meta = []string{"d/", "d/f", "n/"}, "theirs"
		}
		b.want(t, want...)
		if info, err := b.Head(t.Context(), "n/"); err != nil || info.Meta["mode"] != meta {
			t.Errorf("after %d steps the marker is %v, %v", steps, info.Meta, err)
		}
	}
}

func TestDamagedRecordIsToldAndKept(t *testing.T) {
	b, dir := dying(t, inCopying)
	paths, err := recordPaths(dir)
	if err != nil || len(paths) != 1 {
		t.Fatalf("records %v, %v", paths, err)
	}
	good, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, []byte("{}"), bytes.Replace(good, []byte("copying"), []byte("deleting"), 1)} {
		if err := os.WriteFile(paths[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		err := New(Options{Store: b, Dir: dir}).Recover(t.Context())
		if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), paths[0]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if n := len(b.bodies()); n != 5 && n != 6 {
		t.Errorf("%d objects: something was done", n)
	}
}

// Where the record can't be written nothing is begun.
func TestMoveWithoutARecordIsRefused(t *testing.T) {
	b, dir := newBucket(fixed()), recordDir(t)
	b.put("d/f", "body", nil, false)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(Options{Store: b, Dir: filepath.Join(file, "renames")}).Begin("d/", "n/").Copy(t.Context()); err == nil {
		t.Error("it was begun")
	}
	b.want(t, "d/f")
}

// The decision that can't be noted is none: the copies are removed.
func TestMoveThatCantBeDecidedIsUndone(t *testing.T) {
	b, dir := newBucket(fixed()), recordDir(t)
	b.put("d/f", "body", nil, false)
	m := New(Options{Store: b, Dir: dir})
	writes := 0
	m.step = func(what string) error {
		if writes++; writes == 2 && what == "write record" {
			return os.ErrPermission
		}
		return nil
	}
	if err := m.Begin("d/", "n/").Copy(t.Context()); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
	b.want(t, "d/f")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("records left: %v, %v", left, err)
	}
}

// What somebody else stores beneath the old prefix while a folder is moved stays there.
func TestRegressionMoveLeavesWhatOthersStoreMeanwhile(t *testing.T) {
	b, dir := newBucket(fixed()), recordDir(t)
	for i := range 3 {
		b.put(fmt.Sprintf("p/old/%d", i), fmt.Sprint("body ", i), nil, false)
	}
	var log bytes.Buffer
	m := New(Options{Store: b, Dir: dir, Now: b.now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	v := m.Begin("p/old/", "p/new/")
	if err := v.Copy(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.put("p/old/1", "theirs", nil, false)
	b.put("p/old/3", "theirs, too", nil, false)
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.want(t, "p/new/0", "p/new/1", "p/new/2", "p/old/1", "p/old/3")
	if got := b.bodies(); got["p/new/1"] != "body 1" || got["p/old/1"] != "theirs" {
		t.Errorf("%q", got)
	}
	if v.Stayed() != 2 || !strings.Contains(log.String(), "objects=2") {
		t.Errorf("%d stayed, the log says %q", v.Stayed(), &log)
	}
	if log := recovered(t, b, dir); log != "" {
		t.Errorf("a move is left over: %q", log)
	}
}

// A store that deletes later is told which versions to delete: of a folder of any size.
func TestDeletesThatComeLaterNameTheirVersions(t *testing.T) {
	for name, keep := range map[string]int{"a folder whose keys are held": 0, "one that is too large for that": 2} {
		t.Run(name, func(t *testing.T) {
			b, dir := newBucket(fixed()), recordDir(t)
			var want []object.ID
			for i := range 5 {
				key := fmt.Sprintf("p/old/%d", i)
				b.put(key, fmt.Sprint("body ", i), nil, false)
				info, err := b.Head(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, object.ID{Key: key, ETag: info.ETag})
			}
			later := &laterBucket{bucket: b}
			v := New(Options{Store: later, Dir: dir, Now: b.now, Keep: keep}).Begin("p/old/", "p/new/")
			if err := v.Copy(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := v.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(later.told, func(a, b object.ID) int { return strings.Compare(a.Key, b.Key) })
			if !slices.Equal(later.told, want) {
				t.Errorf("it is to delete %v, not %v", later.told, want)
			}
		})
	}
}

// laterBucket is a bucket that notes which versions it is to delete.
type laterBucket struct {
	*bucket
	told []object.ID
}

func (l *laterBucket) DeleteVersions(_ context.Context, ids []object.ID) error {
	l.told = append(l.told, ids...)
	return nil
}
