// Package demoserver is an S3 server inside the process, on loopback, for the demo
// and for tests that want a real store without installing one.
//
// The protocol (routing, signatures, XML, conditions) is github.com/rclone/gofakes3,
// the library behind rclone's own S3 server. The storage under it is this package's:
// gofakes3 brings only one that holds every byte in memory, and a demo should survive
// a file larger than that. handler.go sets right what the library gets wrong for a
// client that trusts ETags and checksums.
//
// A bucket is a directory, an object one file in it, named by the hash of its key, so
// every key that S3 allows can be stored beside every other: "x" beside "x/y", "a//b",
// "..", 1024 bytes without a slash. The file holds the bytes and, behind them, what is
// known about them; a rename makes it the object. Thus an overwrite, and a kill at any
// moment, leaves the old version or the new one, whole. What was under way at a kill
// is swept away by the next Start. Nothing is synced to the disk: a power loss can take
// the last writes with it.
//
// What it does not do: versions, ACLs, encryption, lifecycle rules, several users,
// checksums behind a chunked body (they are read, and not compared), keys that are not
// UTF-8 (refused, as S3 does).
package demoserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/rclone/gofakes3"
)

// region is the region that the server says it is in. It takes a signature for any.
const region = "us-east-1"

// closeGrace is how long Close lets requests end by themselves.
const closeGrace = 2 * time.Second

// maxMetadata bounds the headers that are kept with an object: S3's 2 KiB of user
// metadata, and room for the other headers and the prefixes, which gofakes3 counts too.
const maxMetadata = 2<<10 + 512

// Options says where the server keeps its data and where it listens. The zero value
// is a server on a free loopback port whose data goes away with it.
type Options struct {
	// Dir is the folder of the data: missing, empty, or one that a server made
	// before. Empty: a temporary folder, which Close removes.
	Dir string
	// Addr is the address to listen on; empty: "127.0.0.1:0".
	Addr string
	// Log gets failures of the server itself; nil: nothing is logged.
	Log *slog.Logger
}

// Server is a running server. Its fields are for the client and are not to be changed.
type Server struct {
	Endpoint  string // URL with scheme and port, without a slash behind
	AccessKey string // random, as is the secret: another process can't guess its way in
	SecretKey string
	Region    string

	store    *store
	http     *http.Server
	served   chan error     // Serve's error, once
	requests sync.WaitGroup // handlers that run
	remove   string         // the folder to remove, "" to keep it
	close    func() error
}

// Start starts a server, which answers when Start returns and until Close; ctx bounds
// the start only. The caller closes the server. Opening the data of an earlier server
// takes time in proportion to its objects.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{AccessKey: "DEMO" + rand.Text()[:16], SecretKey: rand.Text() + rand.Text(), Region: region, served: make(chan error, 1)}
	s.close = sync.OnceValue(s.shutdown)
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "s3mount-demo-"); err != nil {
			return nil, fmt.Errorf("demo server: make a data folder: %w", err)
		}
		s.remove = dir
	}
	if err := s.start(ctx, dir, o); err != nil {
		return nil, errors.Join(fmt.Errorf("demo server: %w", err), s.discard())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, dir string, o Options) error {
	var err error
	if s.store, err = openStore(dir, o.Log); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return err
	}
	s.Endpoint = "http://" + l.Addr().String()
	g := gofakes3.New(s.store,
		gofakes3.WithV4Auth(map[string]string{s.AccessKey: s.SecretKey}),
		gofakes3.WithMetadataSizeLimit(maxMetadata),
		gofakes3.WithLogger(libraryLog{o.Log}))
	// Bodies have no deadline: a client may rightly read slowly, and one that hangs
	// is on this machine. Close ends them all.
	s.http = &http.Server{
		Handler:           s.count(front(g.Server())),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() { s.served <- s.http.Serve(l) }()
	return nil
}

// count keeps the number of running handlers, for which http.Server.Close does not wait.
func (s *Server) count(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		defer s.requests.Done()
		h.ServeHTTP(w, r)
	})
}

// Close stops the server: it takes no more requests, lets those under way end for two
// seconds and cuts them then, and removes the data where it was temporary. When Close
// returns nothing of the server runs. Later calls return what the first one did.
func (s *Server) Close() error { return s.close() }

func (s *Server) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if serr := <-s.served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	s.requests.Wait()
	return errors.Join(err, s.discard())
}

// discard lets go of the data, and removes it where it was temporary.
func (s *Server) discard() error {
	var err error
	if s.store != nil {
		err = s.store.close()
	}
	if s.remove != "" {
		err = errors.Join(err, os.RemoveAll(s.remove))
	}
	return err
}

// libraryLog passes gofakes3's messages on: its errors as warnings, the line or three
// that it writes for each request not at all.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Print(level gofakes3.LogLevel, v ...any) {
	if level == gofakes3.LogErr {
		l.log.Warn("demo server", "error", fmt.Sprint(v...))
	}
}
