package s3fake

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// Stats is what a server has done since it started or ResetStats.
type Stats struct {
	Requests map[Op]int64
	BytesIn  int64 // of objects' bodies, as they came
	BytesOut int64 // of objects' bodies, as they went
	Faults   int64 // requests that the plan let fail
	Peak     int64 // the most requests in progress at one time
	Active   int64 // requests in progress; their bytes are not counted yet
	// Changed is when the last request ended that may have changed something; zero: none did.
	Changed time.Time
}

// Total returns the number of requests.
func (s Stats) Total() int64 {
	var n int64
	for _, v := range s.Requests {
		n += v
	}
	return n
}

type stats struct {
	mu     sync.Mutex // guards what follows
	s      Stats
	active int64
}

func newStats() *stats { return &stats{s: Stats{Requests: map[Op]int64{}}} }

// Stats returns what was done so far.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	out := s.stats.s
	out.Requests, out.Active = maps.Clone(out.Requests), s.stats.active
	return out
}

// ResetStats begins to count anew.
func (s *Server) ResetStats() {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	s.stats.s = Stats{Requests: map[Op]int64{}, Peak: s.stats.active}
}

func (s *stats) begin(op Op, faulty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.s.Requests[op]++
	if faulty {
		s.s.Faults++
	}
	s.active++
	s.s.Peak = max(s.s.Peak, s.active)
}

func (s *stats) end(op Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	if op.Writes() {
		s.s.Changed = time.Now()
	}
}

// Writes reports whether requests of this kind change what is stored.
func (o Op) Writes() bool {
	switch o {
	case ListBuckets, HeadBucket, GetBucketLocation, ListObjects, ListObjectsV2, GetObject, HeadObject, ListUploads, ListParts:
		return false
	}
	return true
}

func (s *stats) bytes(in, out int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.s.BytesIn += in
	s.s.BytesOut += out
}

// traceLimit bounds a trace that somebody forgot to stop.
const traceLimit = 100_000

// trace is the list of requests in the order in which they came.
type trace struct {
	mu    sync.Mutex // guards what follows
	on    bool
	round int
	lines []string
}

// StartTrace begins to record requests, forgetting what was recorded before.
func (s *Server) StartTrace() {
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	s.trace.on, s.trace.lines = true, nil
	s.trace.round++
}

// Trace returns the requests since StartTrace in the order in which they came, one line
// each: the operation, the key, and what matters of the rest, e.g.
//
//	GetObject dir/file 0-1048575
//	UploadPart dir/file part=3
//	ListObjectsV2 dir/ delimiter=/ after=dir/x
//
// An answer other than a success adds its status, "-> 412". A trace ends after
// 100,000 lines.
func (s *Server) Trace() []string {
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	return append([]string(nil), s.trace.lines...)
}

// begin records a request and returns what to call with its status. The line is made
// only where a trace is wanted.
func (t *trace) begin(line func() string) func(status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on || len(t.lines) >= traceLimit {
		return func(int) {}
	}
	round, at := t.round, len(t.lines)
	t.lines = append(t.lines, line())
	return func(status int) {
		if status < 300 {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.round == round {
			t.lines[at] += fmt.Sprintf(" -> %d", status)
		}
	}
}
