package s3remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// maxDocument bounds an answer that is read as a whole: a listing of 1,000 keys of
// 1,024 bytes, each byte as six of XML, stays below.
const maxDocument = 32 << 20

// trip is what the wire must know of a request. It travels in the context.
type trip struct {
	slow   bool // the store moves data itself before it answers
	stream bool // a success's body goes to the caller instead of being read here
	xml    bool // a success has an XML document
	// root is the name of that document, where one without content means something: a page
	// that a proxy or a console sends would be an empty listing. Empty: any.
	root string
}

type tripKey struct{}

func withTrip(ctx context.Context, t trip) context.Context {
	return context.WithValue(ctx, tripKey{}, t)
}

// wire sends requests and reads answers for the SDK. It keeps the time limits of
// each stage, and makes every answer that is no success an *answerError.
type wire struct {
	transport *http.Transport
	limits    Timeouts
}

func newWire(c Config) *wire {
	dial, proxy := c.Dial, func(*http.Request) (*url.URL, error) { return nil, nil }
	if dial == nil {
		proxy = quietProxy(http.ProxyFromEnvironment)
		dial = (&net.Dialer{Timeout: c.Timeouts.Connect, KeepAlive: 30 * time.Second}).DialContext
	}
	return &wire{limits: c.Timeouts, transport: &http.Transport{
		Proxy: proxy,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, c.Timeouts.Connect)
			defer cancel()
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &writeLimit{Conn: conn, limit: c.Timeouts.Stall}, nil
		},
		// HTTP/2 would send parallel ranges through one connection, and so through
		// one TCP window.
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSClientConfig:     &tls.Config{RootCAs: c.RootCAs},
		TLSHandshakeTimeout: c.Timeouts.TLS,
		MaxConnsPerHost:     c.MaxConns,
		MaxIdleConns:        c.MaxConns,
		MaxIdleConnsPerHost: c.MaxConns,
		IdleConnTimeout:     time.Minute,
		// An object stored with Content-Encoding: gzip is to come as it is stored.
		DisableCompression: true,
		ReadBufferSize:     64 << 10,
		WriteBufferSize:    64 << 10,
	}}
}

// quietProxy is find with an error that does not show the URL, which may have a password.
func quietProxy(find func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		u, err := find(req)
		if err != nil {
			return nil, errors.New("the proxy in HTTP_PROXY or HTTPS_PROXY is no URL")
		}
		return u, nil
	}
}

// Do sends a request and returns the answer to it, if it is a success. Unless the
// trip is a stream, the body was read to its end.
func (w *wire) Do(req *http.Request) (*http.Response, error) {
	t, _ := req.Context().Value(tripKey{}).(trip)
	ctx, cancel := context.WithCancelCause(req.Context())
	dog := &watchdog{cancel: cancel}
	resp, err := w.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, w.trace(dog, t))))
	dog.answered()
	if err != nil {
		cancel(nil)
		return nil, tripError(ctx, err)
	}
	body := &watchedBody{body: resp.Body, ctx: ctx, limit: w.limits.Stall, cancel: cancel}
	resp.Body = body
	if t.stream && resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer body.Close()
	// Bytes that come one at a time are no stall, and need not end.
	end := time.AfterFunc(w.limits.Slow, func() { cancel(&stageError{"no end of the answer", w.limits.Slow}) })
	defer end.Stop()
	return w.document(resp, t)
}

// trace arms the watchdog for the stages up to the answer.
func (w *wire) trace(dog *watchdog, t trip) *httptrace.ClientTrace {
	first := w.limits.FirstByte
	if t.slow {
		first = w.limits.Slow
	}
	return &httptrace.ClientTrace{
		// Without a limit for it, a pool that is used up by bodies that nobody reads
		// would hold this request for ever.
		GetConn: func(string) {
			dog.arm(w.limits.Connect+w.limits.TLS+w.limits.FirstByte, "no connection")
		},
		// From here on to the request's end, writeLimit watches.
		GotConn:      func(httptrace.GotConnInfo) { dog.rest() },
		WroteRequest: func(httptrace.WroteRequestInfo) { dog.arm(first, "no answer") },
	}
}

// document reads the answer's body and puts legal XML in its place.
func (w *wire) document(resp *http.Response, t trip) (*http.Response, error) {
	var doc []byte
	if resp.Request.Method != http.MethodHead {
		var err error
		doc, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
		if err != nil && resp.StatusCode < 300 {
			return nil, err
		}
	}
	root := xmlRoot(doc)
	switch {
	case resp.StatusCode >= 300 || root == "Error":
		return nil, newAnswerError(resp, doc)
	case len(doc) > maxDocument:
		return nil, &oddAnswerError{"the document is too large"}
	case t.xml && root == "":
		return nil, &oddAnswerError{"a document is missing"}
	case t.root != "" && root != t.root:
		return nil, &oddAnswerError{"the document is a " + strconv.Quote(root[:min(len(root), 40)]) + " instead of a " + t.root + ": is the endpoint that of an S3 store?"}
	}
	resp.Body = io.NopCloser(bytes.NewReader(legalXML(doc)))
	return resp, nil
}

// tripError tells a time limit from other failures of a request.
func tripError(ctx context.Context, err error) error {
	var stage *stageError
	var local *localError
	switch {
	case errors.As(context.Cause(ctx), &stage):
		return stage
	case errors.As(err, &local):
		return local
	}
	return &brokenError{err}
}

// Close drops the connections that are idle.
func (w *wire) Close() { w.transport.CloseIdleConnections() }

// watchdog cancels a request whose stage lasts too long.
type watchdog struct {
	cancel context.CancelCauseFunc

	mu struct {
		sync.Mutex
		timer *time.Timer
		done  bool // the answer is here: the body's reader watches
	}
}

// arm starts the time limit of the stage that begins.
func (d *watchdog) arm(limit time.Duration, stage string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopLocked()
	if !d.mu.done {
		d.mu.timer = time.AfterFunc(limit, func() { d.cancel(&stageError{stage, limit}) })
	}
}

// rest ends the time limit: another watch covers the stage that begins.
func (d *watchdog) rest() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopLocked()
}

// answered ends the watch over the way to the answer; it may come before the request
// is sent to its end, so that arm has no effect from here on.
func (d *watchdog) answered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopLocked()
	d.mu.done = true
}

func (d *watchdog) stopLocked() {
	if d.mu.timer != nil {
		d.mu.timer.Stop()
		d.mu.timer = nil
	}
}

// watchedBody is an answer's body that fails when no byte comes for a while. Only
// the time within Read counts: a reader may take its time between two calls.
type watchedBody struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration
	timer  *time.Timer // nil before the first Read
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if b.timer == nil {
		limit := b.limit
		cancel := b.cancel
		b.timer = time.AfterFunc(limit, func() { cancel(&stageError{"no further byte", limit}) })
	} else {
		b.timer.Reset(b.limit)
	}
	n, err := b.body.Read(p)
	b.timer.Stop()
	if err != nil && err != io.EOF {
		err = tripError(b.ctx, err)
	}
	return n, err
}

// Close ends the request; a body that was not read to its end costs the connection.
func (b *watchedBody) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	err := b.body.Close()
	b.cancel(nil)
	return err
}

// writeLimit is a connection whose writes fail when nothing goes out for a while.
type writeLimit struct {
	net.Conn
	limit time.Duration
}

// writeChunk is how much must go out within the limit: small enough for a slow line.
const writeChunk = 64 << 10

func (c *writeLimit) Write(p []byte) (int, error) {
	done := 0
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(p[done:min(len(p), done+writeChunk)])
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
	}
}
