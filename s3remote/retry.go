package s3remote

import (
	"context"
	"time"

	"github.com/s3mount/s3mount/object"
)

// The pauses between tries: they double from the first to the last, and each is cut
// at random to between half of it and the whole.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// fewTries bounds the tries of what is likely to fail again.
	fewTries = 3
)

// pause returns the time to wait after the n-th failure in a row, n from 1.
func pause(n int, least time.Duration, random float64) time.Duration {
	d := lastPause
	if n < 7 {
		d = min(firstPause<<(n-1), lastPause)
	}
	return max(least, d/2+time.Duration(random*float64(d/2)))
}

// patience counts failures in a row and ends when they last too long.
type patience struct {
	deadline time.Duration
	failures int
	since    time.Time // of the first failure in the row
}

// next reports whether to try again after v, and how long to wait before.
func (p *patience) next(v verdict, random float64) (time.Duration, bool) {
	p.failures++
	if p.failures == 1 {
		p.since = time.Now()
	}
	if v.retry == never || (v.retry == few && p.failures >= fewTries) {
		return 0, false
	}
	wait := pause(p.failures, v.after, random)
	return wait, time.Since(p.since)+wait <= p.deadline
}

// call is one operation of the store's, as often as it takes.
type call struct {
	op, key string
	trip    trip
	// try sends the request once. lost says that an earlier try may have worked.
	try func(ctx context.Context, lost bool) error
	// rescue, if set, is asked after the last failure when an earlier try may have
	// worked; it returns nil if one did.
	rescue func(ctx context.Context) error
	// patience is shared by calls that together are one to the caller; nil: its own.
	patience *patience
}

// do runs c until it works, cannot work, or the deadline passes.
func (b *Bucket) do(ctx context.Context, c call) error {
	p := c.patience
	if p == nil {
		p = &patience{deadline: b.client.cfg.RetryDeadline}
	}
	lost, moved := false, false
	var last error
	for {
		if ctx.Err() != nil {
			return callerGone(ctx, c.op, c.key, last)
		}
		region := b.regionName() // before the try: others may move the bucket meanwhile
		err := c.try(withTrip(ctx, c.trip), lost)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return callerGone(ctx, c.op, c.key, last)
		}
		v := judge(c.op, c.key, region, err)
		last = v.err
		if v.err.Kind == object.KindWrongRegion && !moved {
			if v.region == "" {
				v.region = b.askRegion(ctx)
			}
			if moved = b.move(region, v.region); moved {
				continue
			}
		}
		lost = lost || !v.refused
		wait, again := p.next(v, b.client.random())
		if !again {
			if lost && c.rescue != nil && c.rescue(ctx) == nil {
				return nil
			}
			return v.err
		}
		b.client.cfg.Log.Debug("trying again", "op", c.op, "key", c.key, "failures", p.failures, "wait", wait, "err", v.err)
		sleep(ctx, wait)
	}
}

// sleep waits, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// withKind returns err with another kind, if it has the kind from.
func withKind(err error, from, to object.Kind) error {
	if e, ok := err.(*object.Error); ok && e.Kind == from {
		changed := *e
		changed.Kind = to
		return &changed
	}
	return err
}
