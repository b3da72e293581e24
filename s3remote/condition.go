package s3remote

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3mount/s3mount/object"
)

// writeOp is a write that may carry a condition. Stores differ by it.
type writeOp uint8

const (
	opPut writeOp = iota
	opComplete
	opEnd
)

// form is a kind of condition.
type form uint8

const (
	formAbsent form = iota // If-None-Match: *
	formMatch              // If-Match
	formEnd
)

// conditionsSeen is what a store was seen to do with conditions, by write and form.
type conditionsSeen [opEnd][formEnd]atomic.Bool

func (o writeOp) String() string { return [...]string{"PutObject", "CompleteMultipartUpload"}[o] }

// write is a write that may carry a condition, and whose answer may get lost.
type write struct {
	op   writeOp
	key  string
	want object.Condition
	trip trip
	// send sends the request once, with these conditions.
	send func(ctx context.Context, ifNoneMatch, ifMatch *string) error
	// landed returns nil if what is stored is what send sent. It is asked when the
	// store refuses a further try.
	landed func(ctx context.Context) error
	rescue bool // ask landed as well when no answer comes at all
	small  bool // it costs little to send it again
}

// form is what a condition asks for. Stores may know one and not the other.
func (w *write) form() form {
	if w.want.IfAbsent {
		return formAbsent
	}
	return formMatch
}

// write runs w until it works, cannot work, or the deadline passes.
func (b *Bucket) write(ctx context.Context, w write) error {
	c := call{op: w.op.String(), key: w.key, trip: w.trip}
	c.try = func(ctx context.Context, lost bool) error {
		err := b.writeOnce(ctx, w, lost)
		if err == nil || !lost {
			return err
		}
		// The first try may be what stands in the way of this one.
		switch refusal(err) {
		case object.KindConflict, object.KindNotFound:
			if w.landed(ctx) == nil {
				return nil
			}
		}
		return err
	}
	if w.rescue {
		c.rescue = w.landed
	}
	return gone(w, b.do(ctx, c))
}

// gone makes a conflict of the answer that there is no object to match.
func gone(w write, err error) error {
	var e *object.Error
	if w.want.IfMatch == "" || !errors.As(err, &e) || e.Kind != object.KindNotFound || e.Code == "NoSuchUpload" {
		return err
	}
	return withKind(err, object.KindNotFound, object.KindConflict)
}

// refusal returns the kind of the store's answer, or KindOther where there is none.
func refusal(err error) object.Kind {
	var a *answerError
	if errors.As(err, &a) {
		return meaningOf(a.status, a.code).kind
	}
	return object.KindOther
}

// writeOnce sends w once, or a second time where the store turns out to want its
// condition in another form. lost says that what is stored may be w's own bytes.
func (b *Bucket) writeOnce(ctx context.Context, w write, lost bool) error {
	if w.want == (object.Condition{}) {
		return w.send(ctx, nil, nil)
	}
	learned := &b.client.learned
	looked := !lost && b.mustLook(w.op, w.form())
	if looked {
		if err := b.holds(ctx, w); err != nil {
			return err
		}
	}
	if learned.noConditions.Load() {
		return w.send(ctx, nil, nil)
	}
	bare := b.client.bareTags()
	err := b.sendIf(ctx, w, bare)
	if err == nil && looked {
		b.probe(ctx, w, bare)
	}
	switch refusal(err) {
	case object.KindUnsupported:
		return b.withoutCondition(ctx, w, err)
	case object.KindConflict:
		if !lost {
			err = b.otherQuotes(ctx, w, bare, err)
		}
		if refusal(err) == object.KindConflict {
			learned.refuses[w.op][w.form()].Store(true)
		}
	}
	return err
}

// bareTags reports whether the store wants ETags in conditions of writes without quotes.
func (c *Client) bareTags() bool { return c.quirks.bareMatch != c.learned.otherQuotes.Load() }

// probe finds out whether the store refuses a condition that does not hold, so that it
// need not be looked at before each write: it sends w, which has just worked, once more.
// A store that passes the condition over stores the same bytes again.
func (b *Bucket) probe(ctx context.Context, w write, bare bool) {
	learned := &b.client.learned
	if !w.small || learned.probed[w.op][w.form()].Swap(true) {
		return
	}
	switch err := b.sendIf(ctx, w, bare); refusal(err) {
	case object.KindConflict:
		learned.refuses[w.op][w.form()].Store(true)
	case object.KindOther:
		if err != nil { // no answer: another write finds out
			learned.probed[w.op][w.form()].Store(false)
		}
	}
}

// mustLook reports whether the store may pass over a condition on this write.
func (b *Bucket) mustLook(op writeOp, f form) bool {
	q := &b.client.quirks
	if b.client.learned.noConditions.Load() {
		return true
	}
	way := map[writeOp]support{opPut: q.putCond, opComplete: q.completeCond}[op]
	return way == checked && !b.client.learned.refuses[op][f].Load()
}

// holds looks whether the condition holds now: KindConflict if it does not.
func (b *Bucket) holds(ctx context.Context, w write) error {
	info, err := b.Head(ctx, w.key)
	there := err == nil
	switch {
	case err != nil && !object.Is(err, object.KindNotFound):
		return err
	case w.want.IfAbsent && there:
		return object.Errorf(object.KindConflict, w.op.String(), w.key, "there is one already, with the ETag %q", info.ETag)
	case w.want.IfMatch != "" && !there:
		return object.Errorf(object.KindConflict, w.op.String(), w.key, "it is gone")
	case w.want.IfMatch != "" && info.ETag != w.want.IfMatch:
		return object.Errorf(object.KindConflict, w.op.String(), w.key, "its ETag is %q instead of %q", info.ETag, w.want.IfMatch)
	}
	return nil
}

// sendIf sends w with its condition; bare leaves the quotes off the ETag.
func (b *Bucket) sendIf(ctx context.Context, w write, bare bool) error {
	var ifNoneMatch, ifMatch *string
	if w.want.IfAbsent {
		ifNoneMatch = aws.String("*")
	}
	if w.want.IfMatch != "" {
		ifMatch = quoted(w.want.IfMatch)
		if bare {
			ifMatch = &w.want.IfMatch
		}
	}
	return w.send(ctx, ifNoneMatch, ifMatch)
}

// withoutCondition is for a store that answers 501 to a condition: it is looked at
// beforehand from now on.
func (b *Bucket) withoutCondition(ctx context.Context, w write, cause error) error {
	var a *answerError
	if !errors.As(cause, &a) || a.status != 501 {
		return cause
	}
	if err := b.holds(ctx, w); err != nil {
		return err
	}
	err := w.send(ctx, nil, nil)
	if err == nil && !b.client.learned.noConditions.Swap(true) {
		b.client.cfg.Log.Warn("the store knows no conditional writes: another writer at the same moment may be overwritten", "bucket", b.name)
	}
	return err
}

// otherQuotes is for a store that refuses a condition although it holds: it may
// compare the ETag with its quotes as text. If the other form works, it is remembered.
func (b *Bucket) otherQuotes(ctx context.Context, w write, bare bool, cause error) error {
	if w.want.IfMatch == "" || b.holds(ctx, w) != nil {
		return cause
	}
	err := b.sendIf(ctx, w, !bare)
	if err == nil {
		b.client.learned.otherQuotes.Store(!bare != b.client.quirks.bareMatch)
	}
	return err
}
