package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// control answers other commands about a running mount, on a socket beside its session file.
// A request is a word on a line; the answer is a line of JSON.
type control struct {
	listener net.Listener
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
	path     string
}

// answer is what a mount answers to the word of a request.
type answer func(ctx context.Context, word string) (any, error)

// controlReply is the answer on the socket.
type controlReply struct {
	Error string          `json:"error,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

func socketPath(dir string, getenv func(string) string) string {
	return strings.TrimSuffix(sessionPath(dir, getenv), ".json") + ".sock"
}

// within calls f with a short name for a path: those of sockets end at 107 bytes.
func within(path string, f func(short string) error) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

// maxRequests bounds the requests that are answered at the same time.
const maxRequests = 16

// listen begins to answer. The caller has the mount's session.
func listen(path string, a answer, log *slog.Logger) (*control, error) {
	os.Remove(path) // of a process that was killed: the session is this one's
	c := &control{path: path}
	err := within(path, func(short string) (err error) {
		c.listener, err = net.Listen("unix", short)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("socket for s3mount status: %w", err)
	}
	c.listener.(*net.UnixListener).SetUnlinkOnClose(false) // by a name that is no longer so
	c.ctx, c.cancel = context.WithCancel(context.Background())
	slots := make(chan struct{}, maxRequests)
	c.tasks.Go(func() {
		for {
			conn, err := c.listener.Accept()
			if err != nil {
				return
			}
			select {
			case slots <- struct{}{}:
			case <-c.ctx.Done():
			}
			c.tasks.Go(func() {
				defer func() { <-slots }()
				c.serve(conn, a, log)
			})
		}
	})
	return c, nil
}

// serve answers one request.
func (c *control) serve(conn net.Conn, a answer, log *slog.Logger) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(io.LimitReader(conn, 100))
	word, err := in.ReadString('\n')
	if err != nil {
		return
	}
	conn.SetReadDeadline(time.Time{})
	go func() { // who asked goes away: nobody needs the answer
		in.ReadByte()
		cancel()
	}()
	value, err := a(ctx, strings.TrimSpace(word))
	reply := controlReply{}
	if err != nil {
		reply.Error = err.Error()
	}
	if value != nil {
		reply.Value, _ = json.Marshal(value) // no value of ours fails
	}
	conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if err := json.NewEncoder(conn).Encode(reply); err != nil {
		log.Debug("control socket", "err", err)
	}
}

func (c *control) close() {
	if c == nil {
		return
	}
	c.cancel()
	c.listener.Close()
	c.tasks.Wait()
	os.Remove(c.path)
}

// errNoMount says that no process serves a mount.
var errNoMount = errors.New("no s3mount runs there")

// ask sends a request to the process of the mount whose socket is at path.
func ask(ctx context.Context, path, word string, value any) error {
	var conn net.Conn
	err := within(path, func(short string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", short)
		return err
	})
	if err != nil {
		return errNoMount
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := fmt.Fprintln(conn, word); err != nil {
		return err
	}
	var r controlReply
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("the mount ended before it answered")
	}
	if value != nil && len(r.Value) > 0 {
		if err := json.Unmarshal(r.Value, value); err != nil {
			return err
		}
	}
	if r.Error != "" {
		return errors.New(r.Error)
	}
	return nil
}
