package transfer

import (
	"context"
	"net"

	"golang.org/x/time/rate"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// limitPiece is how many bytes are asked of the bucket at a time: few enough for an even
// flow, many enough to cost nothing.
const limitPiece = 16 << 10

// Limiter bounds the bytes per second over the connections that it dials, both
// directions together. It belongs into s3remote.Config.Dial: there it sees what really
// goes over the network, headers and repetitions included, which a limit on the reading
// of files does not.
type Limiter struct{ bucket *rate.Limiter }

// NewLimiter returns a Limiter of bytesPerSecond; 0 or less is no limit.
func NewLimiter(bytesPerSecond int64) *Limiter {
	if bytesPerSecond <= 0 {
		return &Limiter{rate.NewLimiter(rate.Inf, limitPiece)}
	}
	return &Limiter{rate.NewLimiter(rate.Limit(bytesPerSecond), limitPiece)}
}

// Dial wraps a dialer; nil stands for a net.Dialer. The connections' reads and writes
// end their waiting when the connection is closed.
func (l *Limiter) Dial(next DialFunc) DialFunc {
	if next == nil {
		next = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err != nil {
			return nil, err
		}
		limited := &limitedConn{Conn: conn, limiter: l}
		limited.ctx, limited.cancel = context.WithCancel(context.WithoutCancel(ctx))
		return limited, nil
	}
}

type limitedConn struct {
	net.Conn
	limiter *Limiter
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
}

func (c *limitedConn) Close() error {
	c.cancel()
	return c.Conn.Close()
}

// wait takes n bytes, at most limitPiece, out of the bucket.
func (c *limitedConn) wait(n int) error {
	if c.limiter.bucket.WaitN(c.ctx, n) != nil {
		return net.ErrClosed
	}
	return nil
}

// Read pays after the fact: how much there is to read is not known before.
func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), limitPiece)])
	if n > 0 && c.wait(n) != nil && err == nil {
		err = net.ErrClosed
	}
	return n, err
}

func (c *limitedConn) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		piece := p[done:min(len(p), done+limitPiece)]
		if err := c.wait(len(piece)); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(piece)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
