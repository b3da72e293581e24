package s3fake

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Options tells how a Server behaves. The zero value is a fast, faultless store in
// us-east-1 that takes any key.
type Options struct {
	// AccessKey is the only access key that is let in. Empty: anybody is.
	AccessKey string
	// Region is the region that the server tells about its buckets; us-east-1 if empty.
	Region string
	// Latency is how long answers take. SetLatency changes it later.
	Latency Latency
	// Bandwidth bounds each connection in each direction, in bytes per second;
	// 0 is unbounded. SetBandwidth changes it for all connections later.
	Bandwidth int64
	// MinPart is the least size of a part that is not the last; 0: 5 MiB, as on AWS.
	MinPart int64
	// FastETag makes ETags from a fast hash instead of MD5, in the form of a
	// multipart object's. For benchmarks that would measure MD5 otherwise.
	FastETag bool
	// RecallSums computes the hashes of a body that comes once more only the first time,
	// and trusts a fast hash to know it. For benchmarks, whose client shares the CPU.
	RecallSums bool
	// Quirks are habits of other stores.
	Quirks Quirks
	// Seed starts the dice of rules with a probability.
	Seed uint64
	// Now is the server's clock; nil: time.Now.
	Now func() time.Time
}

// Quirks are habits of stores other than AWS.
type Quirks struct {
	// IgnoreConditions overwrites whatever If-Match or If-None-Match say about writes.
	IgnoreConditions bool
	// IgnoreCompleteConditions does so for CompleteMultipartUpload only.
	IgnoreCompleteConditions bool
	// RefuseConditions answers a conditional write with 501 NotImplemented.
	RefuseConditions bool
	// EmptyCompleteETag leaves the ETag out of the answer to CompleteMultipartUpload.
	EmptyCompleteETag bool
	// BareCopyETag leaves the quotes out of the ETag in the answer to CopyObject.
	BareCopyETag bool
	// NoURLEncoding ignores encoding-type=url in listings.
	NoURLEncoding bool
	// NoSums passes over the checksums that an upload asks for, RefuseSums refuses them.
	NoSums, RefuseSums bool
}

// Server is a running S3 stand-in. Make it with New or Start, and Close it.
type Server struct {
	opts   Options
	net    *network
	faults *faults
	stats  *stats
	trace  *trace
	depot  *depot
	recall *recall // nil without RecallSums

	latency  atomic.Pointer[Latency]
	requests atomic.Uint64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	active sync.WaitGroup // requests in progress

	mu struct {
		sync.RWMutex
		buckets map[string]*Bucket
		closed  bool
	}
}

// New starts a server on a free port of 127.0.0.1.
func New(o Options) (*Server, error) {
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.MinPart == 0 {
		o.MinPart = 5 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{opts: o, faults: newFaults(o.Seed), stats: newStats(), trace: &trace{}, depot: newDepot()}
	s.mu.buckets = make(map[string]*Bucket)
	if o.RecallSums {
		s.recall = newRecall()
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.SetLatency(o.Latency)
	n, err := newNetwork(http.HandlerFunc(s.serve), o.Bandwidth)
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("s3fake: %w", err)
	}
	s.net = n
	return s, nil
}

// Start is New for a test: it fails the test on an error, and closes the server at
// its end.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// URL returns the endpoint, "http://127.0.0.1:port". It stays the same over Down and Up.
func (s *Server) URL() string { return "http://" + s.net.addr }

// Region returns the region that requests should be signed for.
func (s *Server) Region() string { return s.opts.Region }

// Close ends all connections and waits for requests in progress.
func (s *Server) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	s.mu.Unlock()
	s.cancel()
	err := s.net.close()
	s.active.Wait()
	return err
}

// Down refuses connections and breaks those that exist, until Up.
func (s *Server) Down() { s.net.down() }

// Up ends what Down began. The port is the same.
func (s *Server) Up() error { return s.net.up() }

// SetLatency changes how long answers take, for requests that come in from now on.
func (s *Server) SetLatency(l Latency) { s.latency.Store(&l) }

// SetBandwidth changes the bytes per second of every connection and direction;
// 0 is unbounded.
func (s *Server) SetBandwidth(bytesPerSecond int64) { s.net.rate.Store(bytesPerSecond) }

// enter counts a request in, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.mu.closed {
		return false
	}
	s.active.Add(1)
	return true
}

// Bucket returns the bucket of a name, and makes it if it isn't there.
func (s *Server) Bucket(name string) *Bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.mu.buckets[name]
	if b == nil {
		b = newBucket(s, name)
		s.mu.buckets[name] = b
	}
	return b
}

// bucket finds a bucket for a request.
func (s *Server) bucket(name string) (*Bucket, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.mu.buckets[name]; b != nil {
		return b, nil
	}
	return nil, errNoBucket
}

// now returns the server's time in whole seconds, which is what S3 tells.
func (s *Server) now() time.Time { return s.opts.Now().UTC().Truncate(time.Second) }
