// Package servers starts real S3 servers on loopback for tests, and ends them.
//
// A test package makes one Pool, runs its tests through it, and asks it for servers:
//
//	var pool = servers.NewPool()
//
//	func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }
//
//	func TestX(t *testing.T) { store := pool.MinIO(t) … }
//
// A server is started when the first test asks for it and shared by all, so tests use
// buckets of their own. It never outlives the process: see README.md. What is not
// installed fails the test that needs it; nothing is skipped.
package servers

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/s3mount/s3mount/internal/demoserver"
	"github.com/s3mount/s3mount/test/s3fake"
)

// Server is a running server and how it is reached.
type Server struct {
	Endpoint  string // URL with scheme and port
	AccessKey string
	SecretKey string
	// A second user; empty where the server has one only. Ceph's has a secret with "/".
	OtherAccessKey, OtherSecretKey string

	Region   string
	Provider string // as rclone names it: Minio, Ceph, Other
	// Stop ends the server and deletes its data. It may be called more than once.
	Stop func() error
}

// Pool holds the servers of one test process.
type Pool struct {
	mu      sync.Mutex // guards what follows
	entries map[string]*entry
}

// entry is a server that is started once.
type entry struct {
	once   sync.Once
	server Server
	err    error
}

// NewPool returns a Pool without servers.
func NewPool() *Pool { return &Pool{entries: map[string]*entry{}} }

// Run runs the tests, stops all servers, and returns the exit code.
func (p *Pool) Run(m *testing.M) int {
	code := m.Run()
	if err := p.Close(); err != nil && code == 0 {
		println("servers:", err.Error())
		code = 1
	}
	return code
}

// Close stops all servers.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, e := range p.entries {
		if e.server.Stop != nil {
			errs = append(errs, e.server.Stop())
		}
	}
	clear(p.entries)
	return errors.Join(errs...)
}

// get returns the server of a name, starting it the first time.
func (p *Pool) get(t testing.TB, name string, start func() (Server, error)) Server {
	t.Helper()
	p.mu.Lock()
	e := p.entries[name]
	if e == nil {
		e = &entry{}
		p.entries[name] = e
	}
	p.mu.Unlock()
	e.once.Do(func() { e.server, e.err = start() })
	if e.err != nil {
		t.Fatalf("%s: %v", name, e.err)
	}
	return e.server
}

// MinIO returns a MinIO server.
func (p *Pool) MinIO(t testing.TB) Server { t.Helper(); return p.get(t, "minio", StartMinIO) }

// VersityGW returns a versitygw server on its posix backend.
func (p *Pool) VersityGW(t testing.TB) Server {
	t.Helper()
	return p.get(t, "versitygw", StartVersityGW)
}

// Ceph returns a Ceph object gateway.
func (p *Pool) Ceph(t testing.TB) Server { t.Helper(); return p.get(t, "ceph", StartCeph) }

// Fake returns an s3fake without latency or faults. Tests that need faults start one of
// their own.
func (p *Pool) Fake(t testing.TB) Server { t.Helper(); return p.get(t, "s3fake", startFake) }

// Embedded returns the server that "s3mount demo" runs.
func (p *Pool) Embedded(t testing.TB) Server {
	t.Helper()
	return p.get(t, "embedded", StartEmbedded)
}

// Of describes an s3fake server as the other servers are described.
func Of(fake *s3fake.Server) Server {
	return Server{
		Endpoint: fake.URL(), AccessKey: fakeKey, SecretKey: "fake-secret", Region: fake.Region(),
		Provider: "Minio", // with path style, and nothing else special
		Stop:     fake.Close,
	}
}

const fakeKey = "FAKEACCESSKEY0000001"

func startFake() (Server, error) {
	fake, err := s3fake.New(s3fake.Options{AccessKey: fakeKey})
	if err != nil {
		return Server{}, err
	}
	server := Of(fake)
	server.Stop = sync.OnceValue(fake.Close)
	return server, nil
}

// StartEmbedded starts the server that "s3mount demo" runs, with its data in a temporary
// folder. The caller stops it.
func StartEmbedded() (Server, error) {
	demo, err := demoserver.Start(context.Background(), demoserver.Options{})
	if err != nil {
		return Server{}, err
	}
	return Server{
		Endpoint: demo.Endpoint, AccessKey: demo.AccessKey, SecretKey: demo.SecretKey,
		Region: demo.Region, Provider: "Other", Stop: sync.OnceValue(demo.Close),
	}, nil
}
