package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/diskimage"
	"github.com/s3mount/s3mount/test/semantics"
)

const small = 4096 // bytes of a segment in these tests

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open reads a journal and returns the heads that it has.
func open(t testing.TB, dir string) (*Journal, []string, error) {
	t.Helper()
	var heads []string
	j, err := Open(Options{Dir: dir, SegmentSize: small, Keep: 4}, func(_ *Record, head []byte) { heads = append(heads, string(head)) })
	var damage *DamageError
	if err != nil && !errors.As(err, &damage) {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, heads, err
}

// add appends n records, each with its number as head and as much data, and returns them.
func add(t testing.TB, j *Journal, from, n int) (records []*Record) {
	t.Helper()
	for i := from; i < from+n; i++ {
		r, err := j.Append(headOf(i), dataOf(i))
		check(t, err)
		records = append(records, r)
	}
	return records
}

func headOf(i int) []byte { return fmt.Appendf(nil, "record %d", i) }
func dataOf(i int) []byte { return bytes.Repeat([]byte{byte(i)}, i%50) }

func copyDir(t testing.TB, from string) (to string) {
	t.Helper()
	to = filepath.Join(t.TempDir(), "image")
	check(t, diskimage.Copy(to, from))
	return to
}

// logs lists the segments.
func logs(t testing.TB, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	check(t, err)
	return all
}

func TestRecordsComeBackInOrder(t *testing.T) {
	dir := t.TempDir()
	j, heads, err := open(t, dir)
	check(t, err)
	if len(heads) > 0 {
		t.Fatalf("a new journal has %q", heads)
	}
	records := add(t, j, 1, 300) // several segments
	check(t, j.Sync(records[299]))
	for i, r := range records {
		got := make([]byte, r.DataSize())
		if n, err := j.Read(r, got, 0); n != len(got) || err != nil && err != io.EOF || !bytes.Equal(got, dataOf(i+1)) {
			t.Fatalf("record %d: %d bytes, %v", i+1, n, err)
		}
	}
	check(t, j.Close())
	j, heads, err = open(t, dir)
	check(t, err)
	for i, h := range heads {
		if h != string(headOf(i+1)) {
			t.Fatalf("record %d is %q", i+1, h)
		}
	}
	if len(heads) != 300 {
		t.Fatalf("%d records came back", len(heads))
	}
	check(t, j.Close())
}

func TestReleasedSegmentsGo(t *testing.T) {
	dir := t.TempDir()
	j, _, err := open(t, dir)
	check(t, err)
	records := add(t, j, 1, 200)
	if n := len(logs(t, dir)); n < 3 {
		t.Fatalf("%d segments prove nothing", n)
	}
	for _, r := range slices.Backward(records) {
		j.Release(r)
	}
	if !j.Empty() {
		t.Error("it has live records")
	}
	check(t, j.Close())
	if left := logs(t, dir); len(left) > 0 {
		t.Errorf("an empty journal leaves %v", left)
	}
}

// TestOldRecordsAreWrittenAgain keeps one record while many others come and go.
func TestOldRecordsAreWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	j, _, err := open(t, dir)
	check(t, err)
	kept := add(t, j, 1, 3)
	for i := range 2000 {
		for _, r := range add(t, j, 10+i, 1) {
			j.Release(r)
		}
		if n := len(logs(t, dir)); n > 8 {
			t.Fatalf("%d segments after %d records", n, i)
		}
	}
	for i, r := range kept {
		got := make([]byte, r.DataSize())
		if _, err := j.Read(r, got, 0); err != nil && err != io.EOF || !bytes.Equal(got, dataOf(i+1)) {
			t.Fatalf("record %d: %v", i+1, err)
		}
	}
	check(t, j.SyncAll())
	_, heads, err := open(t, copyDir(t, dir))
	check(t, err)
	for i := range kept {
		if !slices.Contains(heads, string(headOf(i+1))) {
			t.Errorf("record %d is lost", i+1)
		}
	}
}

// TestTornTail cuts the log at each byte of what was not synced: what was synced is there,
// nothing is invented, and the journal goes on.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	j, _, err := open(t, dir)
	check(t, err)
	check(t, j.Sync(add(t, j, 1, 5)[4]))
	s := j.mu.segments[0]
	synced := s.end
	add(t, j, 6, 5)
	whole, err := os.ReadFile(s.path)
	check(t, err)
	for cut := synced; cut <= s.end; cut++ {
		// the file ends there, zeros follow, or nonsense does
		for _, rest := range [][]byte{nil, make([]byte, int64(len(whole))-cut), bytes.Repeat([]byte{0xff}, 64)}[cut%3:][:1] {
			to := t.TempDir()
			check(t, os.WriteFile(filepath.Join(to, filepath.Base(s.path)), append(bytes.Clone(whole[:cut]), rest...), 0o600))
			if cut%2 == 0 { // the next segment was made ahead, and is not used yet
				ahead, err := newSegment(to, s.number+1, small)
				check(t, err)
				check(t, ahead.file.Close())
			}
			j, heads, err := open(t, to)
			check(t, err)
			if len(heads) < 5 || len(heads) > 10 {
				t.Fatalf("cut at %d: %q", cut, heads)
			}
			for i, h := range heads {
				if h != string(headOf(i+1)) {
					t.Fatalf("cut at %d: record %d is %q", cut, i+1, h)
				}
			}
			r := add(t, j, 100, 1)[0]
			check(t, j.Sync(r))
			check(t, j.Close())
			j, again, err := open(t, to)
			check(t, err)
			if want := append(heads, string(headOf(100))); !slices.Equal(again, want) {
				t.Fatalf("cut at %d, then: %q, want %q", cut, again, want)
			}
			check(t, j.Close())
		}
	}
}

// TestDamage flips each bit of what was promised: what is before is used, the rest is kept
// aside and said.
func TestDamage(t *testing.T) {
	semantics.Claim(t, "A damaged journal is used up to the damage; the damaged file is kept beside it, and one line in the log names it.")
	dir := t.TempDir()
	j, _, err := open(t, dir)
	check(t, err)
	var starts []int64
	for i := range 6 { // each is synced before the next
		starts = append(starts, j.mu.segments[0].end)
		check(t, j.Sync(add(t, j, 1+i, 1)[0]))
	}
	path, end := j.mu.segments[0].path, starts[5] // nothing tells that the last one was synced
	whole, err := os.ReadFile(path)
	check(t, err)
	for at := int64(segmentHeader); at < end; at += 3 {
		i, _ := slices.BinarySearch(starts, at+1)
		i-- // of the record at this byte
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << (at % 8)
		used := starts[i] + frameHeader + int64(len(headOf(i+1))+len(dataOf(i+1)))
		if at >= used {
			continue // fills up to the next frame
		}
		to := t.TempDir()
		check(t, os.WriteFile(filepath.Join(to, filepath.Base(path)), bad, 0o600))
		j, heads, err := open(t, to)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Offset != starts[i] || len(damage.Aside) != 1 {
			t.Fatalf("a bit of byte %d, in record %d: %q, %v", at, i+1, heads, err)
		}
		if kept, err := os.ReadFile(damage.Aside[0]); err != nil || !bytes.Equal(kept, bad) {
			t.Fatalf("the damaged file is not kept: %v", err)
		}
		if len(heads) != i {
			t.Fatalf("a bit of byte %d, in record %d: %q", at, i+1, heads)
		}
		check(t, j.Close())
		j, again, err := open(t, to) // it is said once
		check(t, err)
		if !slices.Equal(again, heads) {
			t.Fatalf("then %q, before %q", again, heads)
		}
		check(t, j.Close())
	}
}

func TestLostHeaderIsDamage(t *testing.T) {
	dir := t.TempDir()
	j, _, err := open(t, dir)
	check(t, err)
	check(t, j.Sync(add(t, j, 1, 200)[199]))
	paths := logs(t, dir)
	check(t, j.Close())
	check(t, os.WriteFile(paths[1], make([]byte, small), 0o600))
	_, heads, err := open(t, dir)
	var damage *DamageError
	if !errors.As(err, &damage) || len(damage.Aside) < 2 || !strings.Contains(err.Error(), damage.Aside[0]) {
		t.Fatalf("%d records, %v", len(heads), err)
	}
	if len(heads) == 0 || len(heads) == 200 {
		t.Errorf("%d records", len(heads))
	}
}

func TestConcurrentSyncs(t *testing.T) {
	j, _, err := open(t, t.TempDir())
	check(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 100 {
				r, err := j.Append(headOf(i), dataOf(k))
				if err != nil || j.Sync(r) != nil {
					t.Error("append or sync fails", err)
				}
				if k%2 == 0 {
					j.Release(r)
				}
			}
		})
	}
	wg.Wait()
	check(t, j.Close())
}

func TestLazySync(t *testing.T) {
	j, _, err := open(t, t.TempDir())
	check(t, err)
	add(t, j, 1, 1)
	j.SyncSoon(time.Millisecond)
	check(t, j.Close()) // waits for it
	if j.mu.synced != j.mu.appended {
		t.Error("it was not synced")
	}
}

func TestTooLarge(t *testing.T) {
	j, _, err := open(t, t.TempDir())
	check(t, err)
	if _, err := j.Append([]byte("x"), make([]byte, small)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	add(t, j, 1, 1)
}

// TestFailedSyncIsFinal closes the file under the journal.
func TestFailedSyncIsFinal(t *testing.T) {
	j, _, err := open(t, t.TempDir())
	check(t, err)
	r := add(t, j, 1, 1)[0]
	j.mu.segments[0].file.Close()
	if err := j.Sync(r); err == nil {
		t.Error("a sync of a closed file works")
	}
	if _, err := j.Append([]byte("x"), nil); err == nil {
		t.Error("it takes more")
	}
}

// TestReleaseWaitsForTheSync: what says that a record is not needed is not durable yet, so
// that a crash of the machine must find the record.
func TestReleaseWaitsForTheSync(t *testing.T) {
	dir := t.TempDir()
	j, _, err := open(t, dir)
	check(t, err)
	first := add(t, j, 1, 1)[0]
	begun, _, _ := j.Extent()
	for i, path := 2, begun; path == begun; i++ { // the file of the next segment is there before it is used
		j.Release(add(t, j, i, 1)[0])
		path, _, _ = j.Extent()
	}
	check(t, j.SyncAll())
	add(t, j, 1000, 1) // says that the first is not needed
	j.Release(first)
	_, heads, err := open(t, copyDir(t, dir))
	check(t, err)
	if !slices.Contains(heads, string(headOf(1))) {
		t.Error("the record went before the sync")
	}
	check(t, j.SyncAll())
	_, heads, err = open(t, copyDir(t, dir))
	check(t, err)
	if slices.Contains(heads, string(headOf(1))) {
		t.Error("the record stays after the sync")
	}
}

// TestRegressionANoteDoesNotGoFirst notes what has become of a record, which is written again
// behind that: as long as the record comes back, the note does as well.
func TestRegressionANoteDoesNotGoFirst(t *testing.T) {
	dir := t.TempDir()
	j, _, err := open(t, dir)
	check(t, err)
	old := add(t, j, 1, 1)[0]
	next := 3
	for old.seg == j.lastLocked() {
		j.Release(add(t, j, next, 1)[0])
		next++
	}
	note := add(t, j, 2, 1)[0]
	for old.seg.number <= note.seg.number {
		j.Release(add(t, j, next, 1)[0])
		next++
	}
	j.Release(old, note)
	j.Release(note)
	check(t, j.SyncAll())
	for seen := true; seen; next++ {
		_, heads, err := open(t, copyDir(t, dir))
		check(t, err)
		if seen = slices.Contains(heads, string(headOf(1))); seen && !slices.Contains(heads, string(headOf(2))) {
			t.Fatal("the record comes back without its note")
		}
		j.Release(add(t, j, next, 1)[0])
	}
	if !j.Empty() {
		t.Error("it has live records")
	}
}

// TestLookChangesNothing looks into a journal of a killed process, sound and damaged.
func TestLookChangesNothing(t *testing.T) {
	for _, flipped := range []bool{false, true} {
		dir := t.TempDir()
		j, _, err := open(t, dir)
		check(t, err)
		for _, r := range add(t, j, 1, 200) {
			check(t, j.Sync(r))
		}
		dir = copyDir(t, dir)
		check(t, os.WriteFile(dir+"/0000000000000099.log.tmp", nil, 0o600))
		if flipped {
			path := logs(t, dir)[0]
			b, err := os.ReadFile(path)
			check(t, err)
			b[len(b)/2] ^= 1
			check(t, os.WriteFile(path, b, 0o600))
		}
		before := copyDir(t, dir)
		n := 0
		look, err := Open(Options{Dir: dir, SegmentSize: small, Look: true}, func(*Record, []byte) { n++ })
		if damage := errors.As(err, new(*DamageError)); damage != flipped || !flipped && (err != nil || n != 200) || flipped && (n == 0 || n == 200) {
			t.Fatalf("%d records, %v", n, err)
		}
		if _, err := look.Append([]byte("x"), nil); !errors.Is(err, os.ErrClosed) {
			t.Errorf("it takes records: %v", err)
		}
		check(t, look.Close())
		entries, err := os.ReadDir(dir)
		check(t, err)
		was, err := os.ReadDir(before)
		check(t, err)
		if len(entries) != len(was) {
			t.Errorf("there are %v, before there were %v", entries, was)
		}
		for _, e := range was {
			old, err := os.ReadFile(before + "/" + e.Name())
			check(t, err)
			if now, err := os.ReadFile(dir + "/" + e.Name()); err != nil || !bytes.Equal(now, old) {
				t.Errorf("%s is another one: %v", e.Name(), err)
			}
		}
	}
}
