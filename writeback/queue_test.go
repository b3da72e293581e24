package writeback

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

var testTime = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

func TestOneProcessADirectory(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		o := e.q.Options
		_, err := NewQueue(o)
		e.wantKind(err, object.KindBusy)
	})
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Dir: t.TempDir(), Uploader: newFakeStore(), Disk: budget.NewDisk(1)}
	for _, spoil := range []func(*Options){
		func(o *Options) { o.Dir = "" },
		func(o *Options) { o.Uploader = nil },
		func(o *Options) { o.Disk = nil },
		func(o *Options) { o.Parallel = -1 },
		func(o *Options) { o.PartSize = -1 },
		func(o *Options) { o.PartSize = 5 << 30 },
		func(o *Options) { o.MultipartOver = 6 << 30 },
	} {
		o := good
		spoil(&o)
		if _, err := NewQueue(o); !object.Is(err, object.KindInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	q, err := NewQueue(good)
	if err != nil {
		t.Fatal(err)
	}
	if q.layout.capacity() != maxObjectSize {
		t.Errorf("capacity %d", q.layout.capacity())
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// leaveRecord writes a record as a dead process leaves it.
func (e *env) leaveRecord(name, key, id string, at time.Time) {
	e.Helper()
	data, err := json.Marshal(record{Instance: "DEAD", Key: []byte(key), Time: at, UploadID: id})
	if err != nil {
		e.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "uploads", "DEAD-"+name), data, 0o600); err != nil {
		e.Fatal(err)
	}
}

func (e *env) leaveUpload(key string, at time.Time) string {
	e.Helper()
	id, err := e.store.CreateUpload(e.Context(), key, object.PutOptions{})
	if err != nil {
		e.Fatal(err)
	}
	_ = e.store.locked(func() error { e.store.mu.uploads[id].at = at; return nil })
	return id
}

func TestRecoverAbortsWhatADeadProcessLeft(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		now := time.Now()
		known := e.leaveUpload("known", now)
		e.leaveUpload("unknown", now.Add(-4*time.Second))
		keep := map[string]bool{
			e.leaveUpload("unknown", now.Add(-6*time.Second)): true, // before the record
			e.leaveUpload("unknown-longer", now):              true, // another key
			e.leaveUpload("somebody's", now):                  true,
		}
		e.leaveRecord("1.json", "known", known, now)
		e.leaveRecord("2.json", "unknown", "", now)
		e.leaveRecord("3.json", "gone", "upload-999", now)
		e.leaveRecord("4.json.tmp", "torn", "", now)
		if err := os.WriteFile(filepath.Join(e.dir, "staged", "DEAD-7"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		live := e.stage()
		live.SetTarget("known", meta("0"))
		data := pattern(4*testPart, 1)
		e.write(live, data, 0)
		synctest.Wait()
		if err := e.q.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(e.names("staged")); n != 1 {
			t.Fatalf("%d staged files", n)
		}
		e.upload(live, "known", meta("0"))
		e.wantObject("known", data)
		if n := len(e.names("uploads")); n != 0 {
			t.Fatalf("%d records", n)
		}
		for id := range e.store.mu.uploads {
			if !keep[id] {
				t.Fatalf("upload %s of %s is left", id, e.store.mu.uploads[id].key)
			}
			delete(keep, id)
		}
		if len(keep) != 0 {
			t.Fatal("uploads of others were aborted")
		}
		clear(e.store.mu.uploads)
	})
}

func TestRecoverKeepsTheRecordOfWhatItCannotAbort(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		id := e.leaveUpload("a", time.Now())
		e.leaveRecord("1.json", "a", id, time.Now())
		e.store.hook = func(_ context.Context, op, key string, _ int) error {
			return object.Errorf(object.KindUnavailable, op, key, "")
		}
		e.wantKind(e.q.Recover(t.Context()), object.KindUnavailable)
		if len(e.names("uploads")) != 1 {
			t.Fatal("the record is gone")
		}
		e.store.hook = nil
		if err := e.q.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRecoverReportsADamagedRecordAndGoesOn(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		bad := filepath.Join(e.dir, "uploads", "DEAD-0.json")
		if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		id := e.leaveUpload("a", time.Now())
		e.leaveRecord("1.json", "a", id, time.Now())
		if err := e.q.Recover(t.Context()); err == nil {
			t.Fatal("no error")
		}
		if e.store.uploadCount() != 0 {
			t.Fatal("the other upload is left")
		}
		if err := os.Remove(bad); err != nil {
			t.Fatal(err)
		}
	})
}

// A create whose answer got lost leaves an upload that only a listing shows.
func TestUploadWithALostIdIsAborted(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.after = func(op, key string) error {
			if op == "CreateUpload" {
				return object.Errorf(object.KindTimeout, op, key, "")
			}
			return nil
		}
		s := e.stage()
		e.write(s, pattern(4*testPart, 1), 0)
		_, err := s.Upload("a", meta("0")).Wait(t.Context())
		e.wantKind(err, object.KindTimeout)
		if len(e.names("uploads")) != 1 || e.store.uploadCount() != 1 {
			t.Fatal("the record of what may exist is gone")
		}
		s.Discard()
		synctest.Wait()
		if e.store.uploadCount() != 0 {
			t.Fatal("the upload is left")
		}
	})
}

// Found by the model test: the second try took over the record of the first, and the
// upload that the first had created was forgotten.
func TestUploadWithALostIdIsAbortedThoughTheNextTrySucceeds(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		lost := 0
		e.store.after = func(op, key string) error {
			if op == "CreateUpload" && lost < 2 {
				lost++
				return object.Errorf(object.KindTimeout, op, key, "")
			}
			return nil
		}
		s := e.stage()
		data := pattern(4*testPart, 1)
		e.write(s, data, 0)
		for range 2 {
			_, err := s.Upload("a", meta("0")).Wait(t.Context())
			e.wantKind(err, object.KindTimeout)
		}
		e.upload(s, "a", meta("0"))
		e.wantObject("a", data)
		synctest.Wait()
		if n := e.store.uploadCount(); n != 0 {
			t.Fatalf("%d uploads are left", n)
		}
	})
}

// What a process leaves when it dies in the middle is gone after the next start.
func TestCrashInTheMiddleOfAnUpload(t *testing.T) {
	for _, op := range []string{"CreateUpload", "UploadPart", "CompleteUpload"} {
		inQueue(t, func(t *testing.T, e *env) {
			var dead atomic.Bool
			e.store.after = func(o, key string) error {
				if o == op {
					dead.Store(true)
				}
				if dead.Load() {
					return object.Errorf(object.KindCanceled, o, key, "the process is dead")
				}
				return nil
			}
			e.store.hook = func(_ context.Context, o, key string, _ int) error {
				if dead.Load() {
					return object.Errorf(object.KindCanceled, o, key, "the process is dead")
				}
				return nil
			}
			s := e.stage()
			e.write(s, pattern(6*testPart, 1), 0)
			if _, err := s.Upload("a", meta("0")).Wait(t.Context()); err == nil {
				t.Fatal("uploaded")
			}
			if err := e.q.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.store.hook, e.store.after = nil, nil
			e.open()
			if err := e.q.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			if e.store.uploadCount() != 0 {
				t.Fatal("the upload is left")
			}
		})
	}
}

func TestCloseGivesUpWhenItsContextEnds(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.hook = func(ctx context.Context, _, _ string, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		}
		s := e.stage()
		e.write(s, pattern(100, 1), 0)
		ticket := s.Upload("small", meta("0"))
		early := e.stage()
		early.SetTarget("big", meta("0"))
		e.write(early, pattern(4*testPart, 1), 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e.wantKind(e.q.Flush(ctx), object.KindTimeout)
		e.wantKind(e.q.Close(ctx), object.KindTimeout)
		_, err := ticket.Wait(t.Context())
		e.wantKind(err, object.KindCanceled)
		if n := len(e.names("staged")); n != 2 {
			t.Fatalf("%d modified files stay for whoever looks", n)
		}
		_, err = e.q.Stage()
		e.wantKind(err, object.KindCanceled)
		if used, _ := e.disk.Usage(); used != 0 {
			t.Fatalf("%d bytes in use", used)
		}
		e.store.hook = nil
		e.open()
		if err := e.q.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFlushWaitsAndReports(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.hook = func(_ context.Context, op, key string, _ int) error {
			time.Sleep(time.Second)
			if key == "bad" {
				return object.Errorf(object.KindPermission, op, key, "")
			}
			return nil
		}
		good, bad := e.stage(), e.stage()
		ticket := good.Upload("good", meta("0"))
		bad.Upload("bad", meta("0"))
		e.wantKind(e.q.Flush(t.Context()), object.KindPermission)
		select {
		case <-ticket.Done():
		default:
			t.Fatal("Flush did not wait")
		}
	})
}

func TestSlotsServeTheUrgentFirstAndInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		var idle, urgent, promoted atomic.Bool
		urgent.Store(true)
		if err := s.acquire(t.Context(), &idle); err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 4)
		wait := func(name string, flag *atomic.Bool) {
			go func() {
				if err := s.acquire(t.Context(), flag); err == nil {
					order <- name
					s.release()
				}
			}()
			synctest.Wait()
		}
		wait("idle", &idle)
		wait("promoted", &promoted)
		wait("urgent", &urgent)
		wait("urgent too", &urgent)
		promoted.Store(true)
		s.promote(&promoted)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.acquire(ctx, &urgent); err != context.DeadlineExceeded {
			t.Fatal(err)
		}
		s.release()
		for _, want := range []string{"urgent", "urgent too", "promoted", "idle"} {
			if got := <-order; got != want {
				t.Fatalf("%s before %s", got, want)
			}
		}
		synctest.Wait()
		if s.mu.free != 1 || len(s.mu.urgent)+len(s.mu.idle) != 0 {
			t.Fatalf("free %d", s.mu.free)
		}
	})
}

func TestRequestsAreBoundedAndSmallUploadsGoFirst(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		release := make(chan struct{})
		e.store.hook = func(ctx context.Context, op, _ string, _ int) error {
			if op == "UploadPart" {
				select {
				case <-release:
				case <-ctx.Done():
				}
			}
			return nil
		}
		big := e.stage()
		big.SetTarget("big", meta("0"))
		data := pattern(20*testPart, 13)
		e.write(big, data, 0)
		synctest.Wait()
		if n := e.store.mu.flying; n != 4 {
			t.Fatalf("%d requests in flight, want 4", n)
		}
		small := e.stage()
		e.write(small, []byte("x"), 0)
		ticket := small.Upload("small", meta("0"))
		synctest.Wait()
		release <- struct{}{}
		if _, err := ticket.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(release)
		e.upload(big, "big", meta("0"))
		e.wantObject("big", data)
		if e.store.mu.most != 4 {
			t.Fatalf("%d requests at once", e.store.mu.most)
		}
	})
}

func TestSlotsAreResized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2)
		var idle atomic.Bool
		took := make(chan struct{}, 9)
		for range 6 {
			go func() {
				if s.acquire(t.Context(), &idle) == nil {
					took <- struct{}{}
				}
			}()
		}
		have := func(want int) {
			t.Helper()
			if synctest.Wait(); len(took) != want {
				t.Fatalf("%d have a slot, want %d", len(took), want)
			}
		}
		have(2)
		s.resize(4)
		have(4)
		s.resize(1)
		for range 3 {
			s.release() // those over the limit
			have(4)
		}
		s.release()
		have(5)
		s.resize(3)
		have(6)
		if s.release(); s.busy() || s.mu.free != 2 {
			t.Errorf("%d slots are free, busy: %v", s.mu.free, s.busy())
		}
	})
}
