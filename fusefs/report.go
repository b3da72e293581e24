package fusefs

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/s3mount/s3mount/object"
)

// quiet is for how long the same failure of the same key is not logged again.
const quiet = time.Minute

// reporter logs failures, each once: the same operation failing in the same way on the
// same key is silent for a while.
type reporter struct {
	log *slog.Logger
	now func() time.Time
	mu  struct {
		sync.Mutex
		seen *simplelru.LRU[failure, time.Time]
	}
}

type failure struct {
	op, key string
	kind    object.Kind
}

func newReporter(log *slog.Logger, now func() time.Time) *reporter {
	r := &reporter{log: log, now: now}
	r.mu.seen, _ = simplelru.NewLRU[failure, time.Time](256, nil) // fails for a size under 1 only
	return r
}

func (r *reporter) failure(op string, kind object.Kind, err error) {
	f := failure{op: op, kind: kind}
	var e *object.Error
	errors.As(err, &e)
	if e != nil {
		f.key = e.Key
	}
	if !r.first(f) {
		return
	}
	args := []any{"op", op, "key", f.key, "kind", kind.String(), "errno", errnos[kind].Error()}
	if e := storeError(err); e != nil && e.RequestID != "" {
		args = append(args, "request", e.RequestID)
	}
	if what := kind.Advice(); what != "" {
		args = append(args, "do", what)
	}
	r.log.Error("an operation failed", append(args, "err", err)...)
}

// first reports whether a failure was not logged lately, and notes it.
func (r *reporter) first(f failure) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if at, ok := r.mu.seen.Get(f); ok && now.Sub(at) < quiet {
		return false
	}
	r.mu.seen.Add(f, now)
	return true
}
