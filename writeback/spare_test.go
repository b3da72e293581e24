package writeback

import (
	"context"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// noted promises everything, and takes the file to path, if there is one.
type noted struct {
	path     string
	reserved int64 // of the file that it has
}

func (p *noted) Promise(_ context.Context, key string, o object.PutOptions, e Edit) (object.Info, bool, error) {
	var err error
	if p.path != "" {
		err, p.reserved = e.HandOver(p.path), e.Reserved
	}
	return object.Info{Key: key, ETag: object.LocalETag("1"), Size: e.Size}, p.path != "", err
}

// TestFilesAreUsedAgain: nothing of what was written into a staged file shows in the next one.
func TestFilesAreUsedAgain(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		for i := range 3 * maxSpare {
			s := e.stage()
			e.wantContent(s, nil)
			e.write(s, []byte("what was written"), int64(i))
			e.upload(s, "f", object.PutOptions{})
			s.Discard()
		}
		if n := len(e.names("staged")); n != 1 {
			t.Errorf("%d files were made", n)
		}
		over, _ := e.stageOver(make([]byte, 10))
		e.wantContent(over, make([]byte, 10))
		over.Discard()
	}, func(o *Options) { o.Promiser = &noted{} })
}

// TestSpareFilesAreBounded: many files that are open at a time leave few behind.
func TestSpareFilesAreBounded(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		var all []*Staged
		for range 3 * maxSpare {
			all = append(all, e.stage())
		}
		for _, s := range all {
			s.Discard()
		}
		if n := len(e.names("staged")); n != maxSpare {
			t.Errorf("%d files are kept", n)
		}
		time.Sleep(spareTime)
		synctest.Wait()
		if n := len(e.names("staged")); n != 0 {
			t.Errorf("%d files are kept for ever", n)
		}
	}, func(o *Options) { o.Promiser = &noted{} })
}

// TestFilesOfOthersAreNotUsedAgain: what was given away or kept, or is still read, stays as it is.
func TestFilesOfOthersAreNotUsedAgain(t *testing.T) {
	promiser := &noted{}
	for name, part := range map[string]func(e *env, s *Staged) (path string){
		"given": func(e *env, s *Staged) string {
			promiser.path = e.dir + "/given"
			e.upload(s, "f", object.PutOptions{})
			s.Discard()
			e.disk.Release(promiser.reserved)
			return promiser.path
		},
		"kept": func(e *env, s *Staged) string {
			path, err := s.Keep(e.dir+"/unsent", "f")
			if err != nil {
				e.Fatal(err)
			}
			return path
		},
		"in use": func(e *env, s *Staged) string {
			if !s.uses.acquire() {
				e.Fatal("finished")
			}
			s.Discard()
			return s.path
		},
	} {
		t.Run(name, func(t *testing.T) {
			*promiser = noted{}
			inQueue(t, func(t *testing.T, e *env) {
				s := e.stage()
				e.write(s, []byte("first"), 0)
				path := part(e, s)
				next := e.stage()
				e.write(next, []byte("SECOND"), 0)
				f, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if got, err := io.ReadAll(f); err != nil || string(got) != "first" {
					t.Errorf("it holds %q: %v", got, err)
				}
				if name == "in use" {
					s.uses.release()
				}
			}, func(o *Options) { o.Promiser = promiser })
		})
	}
}

// TestRegressionWhatWasGivenAwayStays: nothing changes the file of a promised version any more.
func TestRegressionWhatWasGivenAwayStays(t *testing.T) {
	promiser := &noted{}
	inQueue(t, func(t *testing.T, e *env) {
		promiser.path = e.dir + "/given"
		s := e.stage()
		e.write(s, []byte("first"), 0)
		e.upload(s, "f", object.PutOptions{})
		_, err := s.WriteAt(t.Context(), []byte("x"), 0)
		e.wantKind(err, object.KindBadHandle)
		e.wantKind(s.Truncate(t.Context(), 1), object.KindBadHandle)
		e.wantKind(s.Zero(t.Context(), 0, 2), object.KindBadHandle)
		if got, err := os.ReadFile(promiser.path); err != nil || string(got) != "first" {
			t.Errorf("it holds %q: %v", got, err)
		}
		if !s.Promised() {
			t.Error("it does not count as given away")
		}
		s.Discard()
		e.disk.Release(promiser.reserved)
	}, func(o *Options) { o.Promiser = promiser })
}
