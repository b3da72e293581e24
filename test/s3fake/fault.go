package s3fake

import (
	"math/rand/v2"
	"strings"
	"sync"
)

// Act is a way in which a request fails.
type Act uint8

// The ways to fail. What each does with Fault.After is said at Fault.
const (
	// Status answers with Fault.Code instead of doing the operation.
	Status Act = iota + 1
	// Within200 begins a 200 and then tells Fault.Code in its body, as S3 does for the
	// operations that take long: CopyObject, UploadPartCopy, CompleteMultipartUpload.
	// Nothing is done. Elsewhere it is Status.
	Within200
	// Reset breaks the connection with an RST, without doing the operation.
	Reset
	// Lost does the operation, and breaks the connection instead of answering.
	Lost
	// Truncate ends the connection in the middle of the answer's body.
	Truncate
	// Stall stops in the middle of the answer's body, or for a request with a body in
	// the middle of reading it, until the client gives up.
	Stall
	// Hang never answers and does nothing, until the client gives up.
	Hang
)

// Fault is one way to fail. Make it by hand, or take one of the functions below.
type Fault struct {
	Act Act
	// Code is the error code for Status and Within200. InternalError if empty.
	Code string
	// Region is told with PermanentRedirect and AuthorizationHeaderMalformed.
	Region string
	// After is how many bytes of the answer's body (or of the request's, where it has
	// one) go through first, for Truncate, Stall and Reset. 0 means half of the body for
	// Truncate and Stall, and at once for Reset.
	After int64
}

// SlowDown is 503 SlowDown.
func SlowDown() Fault { return Fault{Act: Status, Code: "SlowDown"} }

// Denied is 403 AccessDenied.
func Denied() Fault { return Fault{Act: Status, Code: "AccessDenied"} }

// Redirect is 301 PermanentRedirect to a region.
func Redirect(region string) Fault {
	return Fault{Act: Status, Code: "PermanentRedirect", Region: region}
}

// Rule says which requests fail, and how. Of several rules that match a request, the
// first that fires decides.
type Rule struct {
	// Op is the operation; empty: any.
	Op Op
	// Key is the whole key, or with "*" at its end the beginning of it; empty: any.
	// With DeleteObjects it is one of the keys to delete: that one fails with Fault.Code.
	Key string
	// Skip lets that many matching requests through first.
	Skip int
	// Count ends the rule after it fired that often; 0: never.
	Count int
	// Probability is the chance of each matching request to fail; 0: certain.
	Probability float64
	Fault       Fault
}

func (r *Rule) matches(op Op, key string) bool {
	if r.Op != "" && r.Op != op {
		return false
	}
	if begin, ok := strings.CutSuffix(r.Key, "*"); ok {
		return strings.HasPrefix(key, begin)
	}
	return r.Key == "" || r.Key == key
}

// faults is the plan of what fails.
type faults struct {
	mu    sync.Mutex // guards what follows
	dice  *rand.Rand
	rules []*plannedRule
}

type plannedRule struct {
	Rule
	seen, fired int
}

func newFaults(seed uint64) *faults {
	return &faults{dice: rand.New(rand.NewPCG(seed, stride))}
}

// Fail adds rules to the plan.
func (s *Server) Fail(rules ...Rule) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, r := range rules {
		s.faults.rules = append(s.faults.rules, &plannedRule{Rule: r})
	}
}

// Heal empties the plan. Requests that hang or stall stay so.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = nil
}

// pick returns the fault of a request, if it has one.
func (f *faults) pick(op Op, key string) *Fault {
	return f.first(func(r *Rule) bool { return r.matches(op, key) })
}

// pickKey returns the fault of one key within a request for many. Rules without a key
// are about the request.
func (f *faults) pickKey(op Op, key string) *Fault {
	return f.first(func(r *Rule) bool { return r.Key != "" && r.matches(op, key) })
}

func (f *faults) first(match func(*Rule) bool) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if !match(&r.Rule) || r.Count > 0 && r.fired >= r.Count {
			continue
		}
		if r.seen++; r.seen <= r.Skip {
			continue
		}
		if r.Probability > 0 && f.dice.Float64() >= r.Probability {
			continue
		}
		r.fired++
		fault := r.Fault
		if fault.Code == "" {
			fault.Code = "InternalError"
		}
		return &fault
	}
	return nil
}
