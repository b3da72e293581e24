package s3fake

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// answer is a response that the fault plan can cut off.
type answer struct {
	http.ResponseWriter
	r      *http.Request
	server context.Context // ends with the server
	id     string
	status int
	in     int64 // bytes of an object's body, taken in
	out    int64 // bytes of an object's body, sent

	cut  Act   // Truncate, Stall, Reset or Lost; 0: none
	left int64 // bytes of the body until the cut; negative: half of the body
	over bool  // the cut has happened
}

func newAnswer(w http.ResponseWriter, r *http.Request, server context.Context) *answer {
	return &answer{ResponseWriter: w, r: r, server: server}
}

// WriteHeader begins the answer.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if a.cut == Lost {
		return
	}
	if a.left < 0 {
		n, _ := strconv.ParseInt(a.Header().Get("Content-Length"), 10, 64)
		a.left = n / 2
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body, up to the cut.
func (a *answer) Write(p []byte) (int, error) {
	switch {
	case a.over:
		return 0, errCut
	case a.cut == 0:
		return a.ResponseWriter.Write(p)
	case a.cut == Lost:
		return len(p), nil
	case int64(len(p)) <= a.left:
		a.left -= int64(len(p))
		return a.ResponseWriter.Write(p)
	}
	n, err := a.ResponseWriter.Write(p[:a.left])
	if err != nil {
		return n, err
	}
	a.cutOff()
	return n, errCut
}

// cutOff ends the answer in the way of its fault.
func (a *answer) cutOff() {
	a.over = true
	http.NewResponseController(a.ResponseWriter).Flush()
	if a.cut == Stall {
		a.waitGone()
	}
	a.drop(a.cut == Reset || a.cut == Lost)
}

// waitGone waits until the client gives up or the server is closed.
func (a *answer) waitGone() {
	select {
	case <-a.r.Context().Done():
	case <-a.server.Done():
	}
}

// drop ends the connection, with an RST if hard.
func (a *answer) drop(hard bool) {
	a.over = true
	conn, _, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return // the client was faster
	}
	if p, ok := conn.(*pacedConn); ok && hard {
		p.reset()
		return
	}
	conn.Close()
}

// finish is called when the operation is over.
func (a *answer) finish() {
	if a.cut == Lost && !a.over {
		a.drop(true)
	}
}

// object counts the bytes of an object's body on their way out.
func (a *answer) object() io.Writer { return &bodyWriter{a} }

type bodyWriter struct{ a *answer }

func (b *bodyWriter) Write(p []byte) (int, error) {
	n, err := b.a.Write(p)
	b.a.out += int64(n)
	return n, err
}

// failFirst does what the fault plan does before the operation, and reports whether
// that is all that happens.
func (c *call) failFirst() (err error, over bool) {
	f := c.fault
	if f == nil {
		return nil, false
	}
	switch f.Act {
	case Within200:
		if c.op == CopyObject || c.op == UploadPartCopy || c.op == CompleteUpload {
			c.drain()
			return c.xml(http.StatusOK, c.errorXML(fail(f.Code, "Please try again."))), true
		}
		return c.refuse(), true
	case Status:
		return c.refuse(), true
	case Hang:
		c.drain() // a server sees that its client is gone only when it has read all
		c.w.waitGone()
		c.w.drop(false)
		return errCut, true
	case Reset, Stall:
		if c.late() || f.Act == Reset && f.After == 0 {
			return c.failReading(), true
		}
	}
	c.w.cut, c.w.left = f.Act, f.After
	if f.After == 0 {
		c.w.left = -1
	}
	return nil, false
}

// refuse answers with the fault's code and doesn't do the operation.
func (c *call) refuse() error {
	c.drain()
	e := fail(c.fault.Code, "The fault plan says so.")
	e.region = c.fault.Region
	return e
}

// drain reads a request's body to its end, so that the client reads the answer instead
// of failing to send.
func (c *call) drain() { io.Copy(io.Discard, c.r.Body) }

// failReading breaks or stalls while the request's body comes in.
func (c *call) failReading() error {
	after := c.fault.After
	if after == 0 && c.fault.Act == Stall {
		after = c.r.ContentLength / 2
	}
	io.CopyN(io.Discard, c.r.Body, after)
	if c.fault.Act == Stall {
		c.stallReading()
	}
	c.w.drop(c.fault.Act == Reset)
	return errCut
}

// stallReading reads nothing more until the client hangs up. The rest of the body
// stays in the kernel's buffers, so the client's own sending stalls as well. Hijacking
// is what lets the server see the hang-up without reading the body.
func (c *call) stallReading() {
	conn, _, err := http.NewResponseController(c.w.ResponseWriter).Hijack()
	if err != nil {
		return
	}
	stop := context.AfterFunc(c.s.ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if p, ok := conn.(*pacedConn); ok {
		waitHangUp(p.Conn)
	}
}

// waitHangUp returns when the peer has closed c, or c is closed here.
func waitHangUp(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	raw.Read(func(fd uintptr) bool {
		const established = 1 // TCP_ESTABLISHED, in the first byte of struct tcp_info
		info, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO)
		return err != nil || info&0xff != established
	})
}
