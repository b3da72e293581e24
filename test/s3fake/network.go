package s3fake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// soReusePort is SO_REUSEPORT of Linux, which package syscall lacks on some platforms.
const soReusePort = 0xf

// network is the server's port: it listens, or is down.
type network struct {
	addr    string
	handler http.Handler
	rate    atomic.Int64 // bytes per second of a connection's direction; 0: unbounded
	hold    int          // a socket that keeps the port while the server is down

	mu   sync.Mutex // guards what follows
	srv  *http.Server
	done chan struct{} // closed when srv stopped serving
}

func newNetwork(h http.Handler, rate int64) (*network, error) {
	n := &network{handler: h}
	n.rate.Store(rate)
	if err := n.reserve(); err != nil {
		return nil, err
	}
	if err := n.up(); err != nil {
		syscall.Close(n.hold)
		return nil, err
	}
	return n, nil
}

// reserve binds a free port without listening on it: connections to it are refused,
// and nobody else gets it. With SO_REUSEPORT the listener can share it later.
func (n *network) reserve() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	port, err := bindFree(fd)
	if err != nil {
		syscall.Close(fd)
		return fmt.Errorf("reserve a port: %w", err)
	}
	n.hold, n.addr = fd, fmt.Sprintf("127.0.0.1:%d", port)
	return nil
}

func bindFree(fd int) (port int, err error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	in, ok := sa.(*syscall.SockaddrInet4)
	if !ok {
		return 0, errors.New("not an IPv4 socket")
	}
	return in.Port, nil
}

// up listens, unless it does already.
func (n *network) up() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv != nil {
		return nil
	}
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1)
		}), err)
	}}
	l, err := share.Listen(context.Background(), "tcp4", n.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	srv := &http.Server{Handler: n.handler, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	done := make(chan struct{})
	n.srv, n.done = srv, done
	go func() {
		defer close(done)
		srv.Serve(&pacedListener{Listener: l, rate: &n.rate}) // ends when down closes it
	}()
	return nil
}

// down closes the listener and every connection.
func (n *network) down() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv == nil {
		return
	}
	n.srv.Close()
	<-n.done // Serve returns at once when its listener is closed
	n.srv = nil
}

func (n *network) close() error {
	n.down()
	return syscall.Close(n.hold)
}

// pacedListener hands out connections that keep to a rate.
type pacedListener struct {
	net.Listener
	rate *atomic.Int64
}

func (l *pacedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok && l.rate.Load() > 0 {
		// The kernel's own buffers would take megabytes in at once.
		tcp.SetReadBuffer(128 << 10)
	}
	return &pacedConn{Conn: c, rate: l.rate, gone: make(chan struct{})}, nil
}

// pacedConn is a connection that moves at most rate bytes per second each way.
type pacedConn struct {
	net.Conn
	rate    *atomic.Int64
	in, out pacer
	once    sync.Once
	gone    chan struct{} // closed by Close
}

// paceStep is the most that is sent at once on a paced connection.
const paceStep = 64 << 10

func (c *pacedConn) Read(p []byte) (int, error) {
	rate := c.rate.Load()
	if rate > 0 && len(p) > paceStep {
		p = p[:paceStep]
	}
	n, err := c.Conn.Read(p)
	c.in.wait(n, rate, c.gone)
	return n, err
}

func (c *pacedConn) Write(p []byte) (int, error) {
	rate := c.rate.Load()
	if rate == 0 {
		return c.Conn.Write(p)
	}
	total := 0
	for len(p) > 0 {
		step := p[:min(len(p), paceStep)]
		c.out.wait(len(step), rate, c.gone)
		n, err := c.Conn.Write(step)
		total += n
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

func (c *pacedConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// reset closes the connection with an RST instead of a FIN.
func (c *pacedConn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// pacer spreads bytes over time. One goroutine uses it at a time, as one reads and
// one writes a connection.
type pacer struct {
	mu   sync.Mutex
	next time.Time // when all bytes so far have passed
}

// paceSlack is how far bytes may run ahead of the clock: timers are no finer.
const paceSlack = 2 * time.Millisecond

// wait returns when n more bytes have passed at rate, or gone is closed.
func (p *pacer) wait(n int, rate int64, gone <-chan struct{}) {
	if n <= 0 || rate <= 0 {
		return
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	ahead := p.next.Sub(now)
	p.mu.Unlock()
	if ahead <= paceSlack {
		return
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
	case <-gone:
	}
}
