package overlay

import (
	"slices"
	"time"
)

// Change is an operation that is not in the store yet.
type Change struct {
	Op    string    `json:"op"` // put, copy or delete
	Key   string    `json:"key"`
	Bytes int64     `json:"bytes"`
	Since time.Time `json:"since"` // when it was promised
	State string    `json:"state"` // pending, uploading or failing
	Error string    `json:"error,omitempty"`
}

// Status is what is not in the store yet.
type Status struct {
	Pending int   `json:"pending"`
	Failing int   `json:"failing"`
	Bytes   int64 `json:"bytes"` // of all that is pending
	// Changes are the first of them, those that fail before all others.
	Changes []Change `json:"changes"`
}

// Status tells what is pending, with max changes by name at most.
func (o *Overlay) Status(max int) Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Status{Pending: len(o.mu.ops)}
	var failing, others []Change
	for _, p := range o.mu.ops {
		c := Change{Op: opNames[p.kind], Key: p.key, Since: p.since, State: "pending"}
		if p.v != nil {
			c.Bytes = p.v.info.Size
		}
		s.Bytes += c.Bytes
		switch {
		case p.err != nil:
			s.Failing++
			c.State, c.Error = "failing", p.err.Error()
			if len(failing) < max {
				failing = append(failing, c)
			}
			continue
		case p.running:
			c.State = "uploading"
		}
		if len(others) < max {
			others = append(others, c)
		}
	}
	s.Changes = append(failing, others...)
	s.Changes = slices.Clip(s.Changes[:min(max, len(s.Changes))])
	return s
}
