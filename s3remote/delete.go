package s3remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/s3mount/s3mount/object"
)

// Delete removes the object under key. Deleting what is not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error { return b.delete(ctx, key, nil) }

// DeleteVersion is Delete, but KindConflict if the object is another version than id: nothing
// is removed then. Stores that do not know conditional deletes remove any version.
func (b *Bucket) DeleteVersion(ctx context.Context, id object.ID) error {
	if id.ETag == "" || b.client.learned.plainDelete.Load() {
		return b.Delete(ctx, id.Key)
	}
	etag := quoted(id.ETag)
	if b.client.bareTags() {
		etag = &id.ETag
	}
	err := b.delete(ctx, id.Key, etag)
	var e *object.Error
	switch {
	case errors.As(err, &e) && e.Code == "ConditionalRequestConflict": // somebody else is writing
	case object.Is(err, object.KindConflict):
		return b.comparesDeletes(ctx, id, err)
	case object.Is(err, object.KindUnsupported), object.Is(err, object.KindInvalid):
		return b.deletePlainly(ctx, id.Key)
	}
	return err
}

// comparesDeletes tells a store that found another version from one that can't compare:
// refusal is its answer.
func (b *Bucket) comparesDeletes(ctx context.Context, id object.ID, refusal error) error {
	now, err := b.Head(ctx, id.Key)
	switch {
	case object.Is(err, object.KindNotFound):
		return nil
	case err != nil:
		return err
	case now.ETag == id.ETag:
		return b.deletePlainly(ctx, id.Key)
	}
	return refusal
}

// deletePlainly is for a store that may not know conditional deletes. If it is that, and not
// the key, it is not asked for them again.
func (b *Bucket) deletePlainly(ctx context.Context, key string) error {
	err := b.Delete(ctx, key)
	if err == nil && !b.client.learned.plainDelete.Swap(true) {
		b.client.cfg.Log.Warn("the store knows no conditional deletes: what somebody else stores under the old name of a file that is being renamed is removed", "op", opDelete, "key", key)
	}
	return err
}

const opDelete = "DeleteObject"

func (b *Bucket) delete(ctx context.Context, key string, ifMatch *string) error {
	if err := b.checkKey(ctx, opDelete, key); err != nil {
		return err
	}
	err := b.do(ctx, call{op: opDelete, key: key, try: func(ctx context.Context, _ bool) error {
		_, err := b.client.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.full(key), IfMatch: ifMatch}, b.inRegion)
		return err
	}})
	if object.Is(err, object.KindNotFound) {
		return nil
	}
	return err
}

const (
	deleteBatch    = 1000 // S3's limit of keys in one DeleteObjects
	deleteParallel = 8    // single deletes at once
	deleteErrors   = 1000 // errors that are kept: those of one DeleteObjects at least
	shownErrors    = 20   // errors that the text has in full
)

// DeleteMany removes any number of objects. It goes on after failures; the error
// joins an *object.Error for each of the first thousand keys that failed, and tells how
// many more there are; its text has the first few. What is not there is no error.
func (b *Bucket) DeleteMany(ctx context.Context, keys []string) error {
	var failed failures
	var batch, single []string
	for _, key := range keys {
		if err := b.checkKey(ctx, opDeleteMany, key); err != nil {
			failed.add(err)
		} else if inDocument(b.prefix + key) {
			batch = append(batch, key)
		} else {
			single = append(single, key)
		}
	}
	for len(batch) > 0 && ctx.Err() == nil && !b.client.learned.singleDelete.Load() {
		n := min(len(batch), deleteBatch)
		left, err := b.deleteBatch(ctx, batch[:n], &failed)
		if object.Is(err, object.KindUnsupported) {
			b.client.learned.singleDelete.Store(true)
			break
		}
		if err != nil {
			failed.addEach(left, err)
		}
		batch = batch[n:]
	}
	b.deleteSingly(ctx, append(single, batch...), &failed)
	return failed.join()
}

const opDeleteMany = "DeleteObjects"

// inDocument reports whether the XML of DeleteObjects carries a key so that every
// store reads the same: not what XML has no way to write, and not blanks that a
// parser may trim or fold.
func inDocument(key string) bool {
	if !utf8.ValidString(key) || key[0] == ' ' || key[len(key)-1] == ' ' {
		return false
	}
	for _, c := range key {
		if c < ' ' || !inXML(c) || c == utf8.RuneError {
			return false
		}
	}
	return true
}

// deleteBatch sends DeleteObjects until each key is deleted, failed for good, or the
// deadline passes. The error is of the request as a whole, and so of the keys left.
func (b *Bucket) deleteBatch(ctx context.Context, keys []string, failed *failures) (left []string, err error) {
	left = keys
	err = b.do(ctx, call{op: opDeleteMany, trip: trip{xml: true, root: "DeleteResult"}, try: func(ctx context.Context, _ bool) error {
		ids := make([]types.ObjectIdentifier, len(left))
		for i, key := range left {
			ids[i].Key = b.full(key)
		}
		out, err := b.client.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &b.name, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
		}, b.inRegion, withContentMD5)
		if err != nil {
			return err
		}
		var again []string
		var why error
		for _, e := range out.Errors {
			key, ok := b.relative(object.Query{}, cursor{}, plainText(aws.ToString(e.Key)))
			cause := &answerError{status: 400, code: oneLine(aws.ToString(e.Code)), message: oneLine(aws.ToString(e.Message))}
			m := meaningOf(cause.status, cause.code)
			switch {
			case ok && m.kind == object.KindNotFound:
			case ok && m.retry != never:
				again, why = append(again, key), cause
			default:
				failed.add(&object.Error{Op: opDeleteMany, Key: key, Kind: m.kind, Code: cause.code, Err: cause})
			}
		}
		left = again
		return why
	}})
	return left, err
}

// withContentMD5 sends the body's MD5 instead of a checksum that older stores do not
// know; all want one or the other.
func withContentMD5(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		_, _ = stack.Initialize.Remove("AWSChecksum:SetupInputContext")
		_, _ = stack.Build.Remove("AWSChecksum:RequestMetricsTracking")
		_, _ = stack.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum")
		_, _ = stack.Finalize.Remove("addInputChecksumTrailer")
		return addContentMD5(stack)
	})
}

// deleteSingly deletes keys one by one, some at a time.
func (b *Bucket) deleteSingly(ctx context.Context, keys []string, failed *failures) {
	next := make(chan string)
	var workers sync.WaitGroup
	for range min(deleteParallel, len(keys)) {
		workers.Go(func() {
			for key := range next {
				if err := b.Delete(ctx, key); err != nil {
					failed.add(err)
				}
			}
		})
	}
	for _, key := range keys {
		next <- key
	}
	close(next)
	workers.Wait()
}

// failures collects errors: the first ones, and the number of the others.
type failures struct {
	mu struct {
		sync.Mutex
		errs []error
		more int
	}
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.mu.errs) < deleteErrors {
		f.mu.errs = append(f.mu.errs, err)
	} else {
		f.mu.more++
	}
}

// addEach adds one failure for each of the keys.
func (f *failures) addEach(keys []string, err error) {
	for _, key := range keys {
		e := object.Error{Op: opDeleteMany, Kind: object.KindOf(err)}
		var cause *object.Error
		if errors.As(err, &cause) {
			e = *cause
		}
		e.Key = key
		f.add(&e)
	}
}

func (f *failures) join() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.errs == nil {
		return nil
	}
	return &severalErrors{f.mu.errs, f.mu.more}
}

// severalErrors joins errors, and tells how many more there are. Its text is of bounded
// length.
type severalErrors struct {
	errs []error
	more int
}

func (s *severalErrors) Unwrap() []error { return s.first(len(s.errs)) }

func (s *severalErrors) Error() string {
	return errors.Join(s.first(min(len(s.errs), shownErrors))...).Error()
}

// first returns the first n errors, and one for the others.
func (s *severalErrors) first(n int) []error {
	errs, rest := s.errs[:n:n], len(s.errs)-n+s.more
	if rest == 0 {
		return errs
	}
	e := object.Error{Op: opDeleteMany, Kind: object.KindOf(errs[0]), Err: fmt.Errorf("and %d more keys", rest)}
	var like *object.Error
	if errors.As(errs[0], &like) {
		e.Op = like.Op
	}
	return append(errs, &e)
}
