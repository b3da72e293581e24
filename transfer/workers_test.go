package transfer

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// meeting is an endpoint whose Stat returns when so many are in it at the same time.
type meeting struct {
	Endpoint
	missing atomic.Int64
	met     chan struct{}
}

func (m *meeting) Stat(ctx context.Context, path string) (File, error) {
	if m.missing.Add(-1) == 0 {
		close(m.met)
	}
	select {
	case <-m.met:
		return m.Endpoint.Stat(ctx, path)
	case <-ctx.Done():
		return File{}, object.Errorf(object.KindCanceled, "stat", path, "alone")
	}
}

// TestIdleTransfersCheck has one checker and three transfers look at four files at a time:
// with nothing to copy, all that may send requests do.
func TestIdleTransfersCheck(t *testing.T) {
	s, f := newStore(t), newFolder(t)
	for i := range 4 {
		f.write(fmt.Sprint(i), "same")
	}
	must[Summary](t)(Copy(t.Context(), f.ep(), s.at(""), Options{}))
	to := &meeting{Endpoint: s.at(""), met: make(chan struct{})}
	to.missing.Store(4)
	sum := must[Summary](t)(Copy(t.Context(), f.ep(), to, Options{Checkers: 1, Transfers: 3}))
	equal(t, "copied", sum.Copied, 0)
}

// TestEverybodyChecksAndAllIsCopied has more differing files than may wait for a transfer:
// nobody waits for room that only himself could make.
func TestEverybodyChecksAndAllIsCopied(t *testing.T) {
	s, f := newStore(t), newFolder(t)
	const n = backlog + 100
	for i := range n {
		s.b().Put(fmt.Sprintf("%04d", i), []byte("old"), nil)
		f.write(fmt.Sprintf("%04d", i), "new")
	}
	o := Options{Checkers: 16, Transfers: 1, Checksum: true, DryRun: true}
	sum := must[Summary](t)(Copy(t.Context(), f.ep(), s.at(""), o))
	equal(t, "to copy", sum.Copied, n)
}
