package writeback

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

func TestShrinkThenGrowShowsZerosNotTheBase(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		data := pattern(20_000, 1)
		s, base := e.stageOver(bytes.Clone(data))
		e.truncate(s, 5000)
		e.truncate(s, 20_000)
		clear(data[5000:])
		e.wantContent(s, data)
		if s.MissingBytes() != 5000 || !s.Modified() || s.Generation() != 2 {
			t.Fatalf("missing %d, modified %v, generation %d", s.MissingBytes(), s.Modified(), s.Generation())
		}
		e.upload(s, "a", meta("0"))
		e.wantObject("a", data)
		if base.closedTimes() != 1 {
			t.Fatal("the base is open")
		}
	})
}

func TestTruncateToZeroClosesTheBase(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s, base := e.stageOver(pattern(20_000, 1))
		e.truncate(s, 0)
		if base.closedTimes() != 1 {
			t.Fatal("the base is open")
		}
		e.wantContent(s, nil)
	})
}

func TestOverwritingEverythingClosesTheBase(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s, base := e.stageOver(pattern(100, 1))
		e.write(s, pattern(60, 2), 40)
		e.write(s, pattern(40, 3), 0)
		if base.closedTimes() != 1 || base.mu.reads != 0 {
			t.Fatalf("closed %d times after %d reads", base.closedTimes(), base.mu.reads)
		}
	})
}

func TestSameSizeTruncateIsNoModification(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s, _ := e.stageOver(pattern(100, 1))
		e.truncate(s, 100)
		e.write(s, nil, 50)
		if s.Modified() || s.Generation() != 0 {
			t.Fatal("modified")
		}
	})
}

func TestSparseFileTakesNoSpace(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		e.write(s, []byte("x"), 1<<36)
		if used, _ := e.disk.Usage(); used != blockSize {
			t.Fatalf("%d bytes in use", used)
		}
		e.write(s, []byte("y"), 1<<36+1)
		e.write(s, []byte("yz"), 4095)
		if used, _ := e.disk.Usage(); used != 3*blockSize {
			t.Fatalf("%d bytes in use", used)
		}
		e.truncate(s, 4096)
		if used, _ := e.disk.Usage(); used != blockSize {
			t.Fatalf("%d bytes in use", used)
		}
	})
}

func TestFullBudgetIsNoSpace(t *testing.T) {
	small := func(o *Options) { o.Disk = budget.NewDisk(10 * blockSize) }
	inQueue(t, func(t *testing.T, e *env) {
		e.disk = e.q.Disk
		s, _ := e.stageOver(pattern(20*blockSize, 1))
		e.write(s, pattern(8*blockSize, 2), 0)
		n, err := s.WriteAt(t.Context(), pattern(4*blockSize, 3), 8*blockSize)
		e.wantKind(err, object.KindNoSpace)
		if used, _ := e.disk.Usage(); n != 0 || used != 8*blockSize {
			t.Fatalf("wrote %d, %d bytes in use", n, used)
		}
		e.wantKind(s.Hydrate(t.Context()), object.KindNoSpace)
		_, err = s.Upload("a", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindNoSpace)
		want := append(pattern(8*blockSize, 2), pattern(20*blockSize, 1)[8*blockSize:]...)
		e.wantContent(s, want)
	}, small)
}

func TestLimitsOfOffsets(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		limit := e.q.layout.capacity()
		for _, off := range []int64{limit, limit + 1, 1<<63 - 1} {
			_, err := s.WriteAt(t.Context(), []byte("x"), off)
			e.wantKind(err, object.KindTooLarge)
		}
		e.wantKind(s.Truncate(t.Context(), limit+1), object.KindTooLarge)
		_, err := s.WriteAt(t.Context(), []byte("x"), -1)
		e.wantKind(err, object.KindInvalid)
		e.wantKind(s.Truncate(t.Context(), -1), object.KindInvalid)
		_, err = s.ReadAt(t.Context(), []byte("x"), -1)
		e.wantKind(err, object.KindInvalid)
		if n, err := s.ReadAt(t.Context(), make([]byte, 1), 1<<63-1); n != 0 || err != io.EOF {
			t.Fatalf("read behind the end: %d, %v", n, err)
		}
	})
}

func TestRandomSmallWritesKeepTheExtentsBounded(t *testing.T) {
	for _, overBase := range []bool{true, false} {
		inQueue(t, func(t *testing.T, e *env) {
			e.q.extentLimit = 64
			const size = 8 << 20
			data := make([]byte, size)
			s := e.stage()
			if overBase {
				data = pattern(size, 1)
				s, _ = e.stageOver(bytes.Clone(data))
			} else {
				e.truncate(s, size)
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			for range 3000 {
				off := rnd.Int64N(size/4096) * 4096
				p := pattern(1+rnd.IntN(4096), byte(rnd.Uint32()))
				copy(data[off:], p)
				e.write(s, p, off)
				if n := max(s.mu.present.count(), s.mu.dirty.count(), s.mu.blocks.count()); n > 64 {
					t.Fatalf("%d extents", n)
				}
			}
			e.wantContent(s, data)
			e.upload(s, "a", meta("0"))
			e.wantObject("a", data)
			e.checkInvariants(s)
		})
	}
}

// checkInvariants checks what the doc of Staged promises.
func (e *env) checkInvariants(s *Staged) {
	e.Helper()
	for _, x := range []*extents{&s.mu.present, &s.mu.dirty, &s.mu.blocks} {
		x.check(e.T)
	}
	const end = 1 << 50
	if s.mu.reserved != s.mu.blocks.covered(0, end)*blockSize {
		e.Fatalf("reserved %d for %d blocks", s.mu.reserved, s.mu.blocks.covered(0, end))
	}
	for _, x := range s.mu.present.list {
		if first, last := blocksOf(x.off, x.end); !s.mu.blocks.contains(first, last) || x.end > s.mu.size {
			e.Fatalf("present %v is not paid for, or behind the size %d", x, s.mu.size)
		}
	}
	for _, x := range s.mu.dirty.list {
		if !s.mu.present.contains(x.off, x.end) {
			e.Fatalf("dirty %v is not present", x)
		}
	}
	if s.mu.baseEnd > s.mu.size || (s.mu.base == nil) != (s.mu.baseEnd == 0) {
		e.Fatalf("base ends at %d of %d", s.mu.baseEnd, s.mu.size)
	}
	if fi, err := s.file.Stat(); err != nil || fi.Size() != s.mu.size {
		e.Fatalf("the local file has %d bytes, want %d (%v)", fi.Size(), s.mu.size, err)
	}
}

func TestHydrateDoesNotUndoWritesThatOvertakeIt(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		base := &gatedBase{fakeBase: fakeBase{data: pattern(100_000, 1)}, entered: make(chan struct{}), release: make(chan struct{})}
		s, err := e.q.StageOver(object.ID{}, 100_000, func(object.ID, int64) Base { return base })
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Hydrate(t.Context()) }()
		<-base.entered
		e.write(s, []byte("written meanwhile"), 500)
		e.truncate(s, 60_000)
		e.truncate(s, 80_000)
		close(base.release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want := pattern(100_000, 1)[:80_000]
		copy(want[500:], "written meanwhile")
		clear(want[60_000:])
		e.wantContent(s, want)
		if base.closedTimes() != 1 {
			t.Fatal("the base is open")
		}
		e.checkInvariants(s)
	})
}

// gatedBase waits in its first read.
type gatedBase struct {
	fakeBase
	entered, release chan struct{}
	once             bool
}

func (b *gatedBase) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	n, err := b.fakeBase.ReadAt(ctx, p, off)
	if !b.once {
		b.once = true
		close(b.entered)
		<-b.release
	}
	return n, err
}

func TestDetachGivesFileAndSpaceAway(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		data := pattern(10_000, 1)
		e.write(s, data, 0)
		_, _, err := s.Detach()
		e.wantKind(err, object.KindBusy)
		e.upload(s, "a", meta("0"))
		path, reserved, err := s.Detach()
		if err != nil || reserved != 3*blockSize {
			t.Fatalf("Detach = %q, %d, %v", path, reserved, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("the file: %v", err)
		}
		_, err = s.WriteAt(t.Context(), data, 0)
		e.wantKind(err, object.KindBadHandle)
		_, err = s.ReadAt(t.Context(), data, 0)
		e.wantKind(err, object.KindBadHandle)
		_, err = s.Upload("a", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindBadHandle)
		s.Discard()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		e.disk.Release(reserved)
	})
}

func TestDetachWantsTheFileWhole(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s, _ := e.stageOver(pattern(100, 1))
		_, _, err := s.Detach()
		e.wantKind(err, object.KindBusy)
		if err := s.Hydrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		path, reserved, err := s.Detach()
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(path)
		e.disk.Release(reserved)
	})
}

func TestDiscardDuringAnUploadCancelsIt(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.hook = func(ctx context.Context, op, _ string, number int) error {
			if op == "Put" || op == "UploadPart" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		for _, size := range []int{10, 4 * testPart} {
			s := e.stage()
			e.write(s, pattern(size, 1), 0)
			ticket := s.Upload("a", meta("0"))
			synctest.Wait()
			s.Discard()
			_, err := ticket.Wait(t.Context())
			e.wantKind(err, object.KindCanceled)
		}
	})
}

func TestKeepMovesWhatWasWritten(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		dir := filepath.Join(t.TempDir(), "kept")
		var paths []string
		for range 2 {
			s := e.stage()
			e.write(s, []byte("precious"), 0)
			path, err := s.Keep(dir, "docs/tête.txt")
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
			if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
				t.Fatalf("%q, %v", data, err)
			}
			if _, err := s.Keep(dir, "again"); !object.Is(err, object.KindBadHandle) {
				t.Fatalf("keeping again: %v", err)
			}
		}
		if paths[0] == paths[1] || !strings.HasPrefix(filepath.Base(paths[0]), "docs%2F") {
			t.Fatalf("paths %q", paths)
		}
	})
}

func TestKeepFillsFromTheBaseOrNotesWhatIsMissing(t *testing.T) {
	for _, reachable := range []bool{true, false} {
		inQueue(t, func(t *testing.T, e *env) {
			data := pattern(10_000, 1)
			s, base := e.stageOver(bytes.Clone(data))
			e.write(s, []byte("edit"), 5000)
			if copy(data[5000:], "edit"); !reachable {
				base.err = object.Errorf(object.KindUnavailable, "Get", "a", "")
				clear(data[:5000])
				clear(data[5004:])
			}
			path, err := s.Keep(t.TempDir(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("differs at %d, %v", differAt(got, data), err)
			}
			note, err := os.ReadFile(path + ".missing.txt")
			if reachable != os.IsNotExist(err) || !reachable && !strings.Contains(string(note), "\n0 5000\n5004 4996\n") {
				t.Fatalf("note %q, %v", note, err)
			}
		})
	}
}

func TestKeepCancelsARunningUpload(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.hook = func(ctx context.Context, _, _ string, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		}
		s := e.stage()
		e.write(s, []byte("precious"), 0)
		ticket := s.Upload("a", meta("0"))
		synctest.Wait()
		if _, err := s.Keep(t.TempDir(), "a"); err != nil {
			t.Fatal(err)
		}
		_, err := ticket.Wait(t.Context())
		e.wantKind(err, object.KindCanceled)
	})
}

func TestKeepIntoAnUnusableDirectoryChangesNothing(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		e.write(s, []byte("precious"), 0)
		notDir := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(notDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Keep(notDir, "a"); err == nil {
			t.Fatal("no error")
		}
		e.upload(s, "a", meta("0"))
		e.wantObject("a", []byte("precious"))
	})
}

func TestCopyToPreservesWhatALinkCannot(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		e.write(s, []byte("precious"), 5000)
		path := filepath.Join(t.TempDir(), "copy")
		if err := s.copyTo(path); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); !bytes.Equal(got, append(make([]byte, 5000), "precious"...)) {
			t.Fatalf("%d bytes", len(got))
		}
		if err := s.copyTo(path); !os.IsExist(err) {
			t.Fatalf("an existing file is overwritten: %v", err)
		}
	})
}

func TestKeptNames(t *testing.T) {
	for _, key := range []string{"", ".", "..", ".hidden", "a/b\nc\xff", strings.Repeat("ä/", 500)} {
		name := keptName(key, testTime)
		if name[0] == '.' || len(name) > 210 || strings.ContainsAny(name, "/\n\x00") || !utf8.ValidString(name) {
			t.Fatalf("key %q becomes %q", key, name)
		}
	}
}

func TestRebaseReadsOnFromTheNewBase(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		data := pattern(10_000, 1)
		old, next := &fakeBase{data: bytes.Clone(data)}, &fakeBase{data: bytes.Clone(data)}
		bases := map[string]*fakeBase{"old": old, "new": next}
		s, err := e.q.StageOver(object.ID{Key: "old"}, 10_000, func(id object.ID, _ int64) Base { return bases[id.Key] })
		if err != nil {
			t.Fatal(err)
		}
		s.Rebase(object.ID{Key: "new"}, 10_000)
		if old.closedTimes() != 1 {
			t.Fatal("the old base is open")
		}
		e.wantContent(s, data)
		if err := s.Hydrate(t.Context()); err != nil || next.closedTimes() != 1 {
			t.Fatalf("%v, closed %d times", err, next.closedTimes())
		}
		s.Rebase(object.ID{Key: "nobody needs it"}, 10_000)
	})
}

func TestDisposeOfADetachedFile(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		s := e.stage()
		e.write(s, pattern(10_000, 1), 0)
		e.upload(s, "a", meta("0"))
		path, reserved, err := s.Detach()
		if err != nil {
			t.Fatal(err)
		}
		e.q.Dispose(path, reserved)
	})
}
