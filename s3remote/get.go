package s3remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3mount/s3mount/object"
)

const opGet = "GetObject"

// Get opens a range of an object. With id.ETag set, it is of that version or an
// error of KindStale, at once or from a later Read. A range that reaches over the
// object's end gives what there is; one that starts behind the end is an error of
// KindInvalid, but an empty object gives an empty body from 0.
//
// The body delivers the whole range or an error: when the connection breaks, stalls
// or ends early, it goes on behind the last byte delivered, from the same version.
// ctx governs the body too. The body is for one goroutine, and the caller closes it. It
// has a method Info() object.Info, which saves a Head.
func (b *Bucket) Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	if err := b.checkKey(ctx, opGet, id.Key); err != nil {
		return nil, err
	}
	if r.Off < 0 || r.Len <= 0 {
		return nil, object.Errorf(object.KindInvalid, opGet, id.Key, "a range at %d of %d bytes", r.Off, r.Len)
	}
	end := int64(math.MaxInt64)
	if r.Len < math.MaxInt64-r.Off {
		end = r.End()
	}
	rd := &reader{b: b, ctx: ctx, id: id, off: r.Off, end: end, patience: patience{deadline: b.client.cfg.RetryDeadline}}
	if err := rd.open(); err != nil {
		return nil, err
	}
	return rd, nil
}

// reader is the body of a Get.
type reader struct {
	b        *Bucket
	ctx      context.Context
	id       object.ID // pinned from the first answer on
	off, end int64     // the next byte; behind the last one (math.MaxInt64: not known)
	body     io.ReadCloser
	err      error // what every further Read returns
	patience patience
	fresh    int64 // bytes since the last failure
	info     object.Info
}

// Info returns what the answer told about the version beside the bytes: what Head does,
// but for the Size, which is where the range ends. Its Meta is nil for an empty object
// whose range the store refused.
func (r *reader) Info() object.Info { return r.info }

// settled is how many bytes must come after a failure until the pauses between
// tries start short again.
const settled = 64 << 10

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	for {
		if r.off >= r.end {
			r.err = io.EOF
			return 0, r.err
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.off)])
		if n > 0 {
			r.advance(n)
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF && r.end == math.MaxInt64 {
			r.end = r.off // the store told no length, and ended the body properly
			continue
		}
		if r.err = r.resume(err); r.err != nil {
			return 0, r.err
		}
	}
}

// advance counts bytes, which show that trying again helps.
func (r *reader) advance(n int) {
	r.off += int64(n)
	if r.patience.failures == 0 {
		return
	}
	r.patience.since = time.Now()
	if r.fresh += int64(n); r.fresh >= settled {
		r.patience.failures = 0
	}
}

// resume opens a new body at the offset reached, after cause ended the one before.
func (r *reader) resume(cause error) error {
	if cause == io.EOF {
		cause = fmt.Errorf("%w: the body ended %d bytes early", io.ErrUnexpectedEOF, r.end-r.off)
	}
	r.body.Close()
	r.fresh = 0
	if r.ctx.Err() != nil {
		return callerGone(r.ctx, opGet, r.id.Key, nil)
	}
	v := judge(opGet, r.id.Key, r.b.regionName(), cause)
	wait, again := r.patience.next(v, r.b.client.random())
	if !again || r.id.ETag == "" { // without an ETag, another version would go unseen
		return v.err
	}
	r.b.client.cfg.Log.Debug("continuing a body", "key", r.id.Key, "offset", r.off, "wait", wait, "err", v.err)
	sleep(r.ctx, wait)
	return r.open()
}

// open sends the request for the bytes from the offset on.
func (r *reader) open() error {
	r.body = io.NopCloser(strings.NewReader(""))
	bytes := ""
	switch {
	case r.end < math.MaxInt64:
		bytes = fmt.Sprintf("bytes=%d-%d", r.off, r.end-1)
	case r.off > 0:
		bytes = fmt.Sprintf("bytes=%d-", r.off)
	}
	etag := r.id.ETag
	err := r.b.do(r.ctx, call{op: opGet, key: r.id.Key, trip: trip{stream: true}, patience: &r.patience, try: func(ctx context.Context, _ bool) error {
		header := make(http.Header, 8)
		if bytes != "" {
			header.Set("Range", bytes)
		}
		if etag != "" {
			header.Set("If-Match", *quoted(etag))
		}
		resp, err := r.b.direct(ctx, http.MethodGet, opGet, r.id.Key, header)
		if err != nil {
			return r.refusal(err)
		}
		if err := r.accept(resp); err != nil {
			resp.Body.Close()
			return err
		}
		return nil
	}})
	return withKind(err, object.KindConflict, object.KindStale)
}

// refusal turns the refusal of a range of an empty object into an empty body.
func (r *reader) refusal(err error) error {
	var a *answerError
	if errors.As(err, &a) && a.status == 416 && r.off == 0 {
		r.end = 0
		return nil
	}
	return err
}

// accept takes over an answer after checking that it is of what was asked for.
func (r *reader) accept(resp *http.Response) error {
	etag := bareETag(aws.String(resp.Header.Get("ETag")))
	if r.id.ETag != "" && etag != "" && etag != r.id.ETag {
		return object.Errorf(object.KindStale, opGet, r.id.Key, "the store sent the version %q instead of %q", etag, r.id.ETag)
	}
	if r.id.ETag != "" && etag == "" {
		return &oddAnswerError{"the ETag is missing"} // whose bytes are these: those of a proxy's page?
	}
	if transformed(resp.Header) {
		return object.Errorf(object.KindUnsupported, opGet, r.id.Key, "the store does not send the object as it is stored, but unpacked")
	}
	end, length := int64(math.MaxInt64), contentLength(resp)
	if text := strings.TrimSpace(resp.Header.Get("Content-Range")); text != "" {
		start, total, ok := parseContentRange(text)
		if !ok || start != r.off {
			return &oddAnswerError{fmt.Sprintf("the range is %q instead of one at %d", text, r.off)}
		}
		end = total
		if total < 0 && length >= 0 {
			end = r.off + length
		}
	} else if r.off > 0 {
		return object.Errorf(object.KindUnsupported, opGet, r.id.Key, "the store does not send ranges")
	} else if length >= 0 {
		end = length
	}
	if end >= 0 {
		end = min(r.end, end)
	} else {
		end = r.end
	}
	info, err := answerInfo(r.id.Key, resp.Header, max(0, end))
	if err != nil {
		return err
	}
	if etag != "" {
		r.id.ETag = etag
	}
	r.body, r.end, r.info = resp.Body, end, info
	return nil
}

// transformed reports whether an answer tells that its bytes are not those that are stored:
// Google's store unpacks an object of Content-Encoding gzip, and passes the range over.
func transformed(h http.Header) bool {
	stored := h.Get("X-Goog-Stored-Content-Encoding")
	unpacked := stored != "" && stored != "identity" && h.Get("Content-Encoding") == ""
	return unpacked || strings.HasPrefix(h.Get("Warning"), "214") // RFC 7234, section 5.5.6
}

// parseContentRange reads "bytes 0-9/100"; total is -1 where it is "*".
func parseContentRange(s string) (start, total int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, size, cut := strings.Cut(s, "/")
	first, _, dash := strings.Cut(span, "-")
	if !ok || !cut || !dash {
		return 0, 0, false
	}
	start, err := strconv.ParseInt(first, 10, 64)
	if err != nil || start < 0 {
		return 0, 0, false
	}
	if size == "*" {
		return start, -1, true
	}
	total, err = strconv.ParseInt(size, 10, 64)
	return start, total, err == nil && total > start
}

// Close ends the body. Closing it before its end may cost the connection.
func (r *reader) Close() error {
	if r.err == nil || r.err == io.EOF {
		r.err = errClosed
	}
	return r.body.Close()
}

var errClosed = errors.New("read of a closed body")
