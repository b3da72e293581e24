package writeback

import (
	"context"
	"os"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestGiveUpEndsUploadsAndKeepStillWorks(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		hung := make(chan struct{})
		e.store.hook = func(ctx context.Context, op, _ string, _ int) error {
			close(hung)
			<-ctx.Done()
			return object.Errorf(object.KindCanceled, op, "", "%w", ctx.Err())
		}
		s := e.stage()
		e.write(s, []byte("precious"), 0)
		ticket := s.Upload("a", meta("0"))
		<-hung
		e.q.GiveUp()
		_, err := ticket.Wait(t.Context())
		e.wantKind(err, object.KindCanceled)
		path, err := s.Keep(t.TempDir(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "precious" {
			t.Errorf("kept: %q, %v", got, err)
		}
	})
}
