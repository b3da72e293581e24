package transfer

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Summary is what a call did.
type Summary struct {
	Bytes     int64 // that went to the destination
	Copied    int64 // files
	TimesSet  int64 // files of which only the time was set
	Same      int64 // files that needed nothing, or that Check found the same
	Skipped   int64 // files that Options or Confirm left alone
	Deleted   int64 // files
	BackedUp  int64 // files
	Missing   int64 // Check: only in the source
	Extra     int64 // Check: only in the destination
	Differ    int64 // Check
	Uncertain int64 // Check: without a checksum on both sides; counted in Same, too
	Errors    int64 // files that failed, and listings
}

// Stats is the progress of a call. All methods may be called at any time. Counting takes
// no lock that a Snapshot could hold for long.
type Stats struct {
	started time.Time

	bytes, totalBytes, totalFiles atomic.Int64
	listed                        atomic.Bool
	counts                        [opEnd]atomic.Int64
	errors                        atomic.Int64

	mu struct {
		sync.Mutex
		next   int64
		active map[int64]*progress
	}
}

// NewStats returns Stats that begin now.
func NewStats() *Stats {
	s := &Stats{started: time.Now()}
	s.mu.active = map[int64]*progress{}
	return s
}

// Snapshot is the progress at one moment.
type Snapshot struct {
	Summary
	Elapsed time.Duration
	// TotalBytes and TotalFiles are what is known to be transferred, done or not; they
	// grow until Listed says that both sides have been walked.
	TotalBytes, TotalFiles int64
	Listed                 bool
	Active                 []Transfer // under way, oldest first
}

// Transfer is a file under way.
type Transfer struct {
	Path        string
	Size, Bytes int64 // bytes in all, and done
	Started     time.Time
}

// Snapshot returns the state.
func (s *Stats) Snapshot() Snapshot {
	return Snapshot{
		Summary: s.summary(), Elapsed: time.Since(s.started),
		TotalBytes: s.totalBytes.Load(), TotalFiles: s.totalFiles.Load(), Listed: s.listed.Load(),
		Active: s.activeTransfers(),
	}
}

func (s *Stats) summary() Summary {
	n := func(op Op) int64 { return s.counts[op].Load() }
	return Summary{
		Bytes: s.bytes.Load(), Copied: n(OpCopy), TimesSet: n(OpSetTime), Same: n(OpSame) + n(OpUncertain),
		Skipped: n(OpSkip), Deleted: n(OpDelete), BackedUp: n(OpBackup), Missing: n(OpMissing), Extra: n(OpExtra),
		Differ: n(OpDiffer), Uncertain: n(OpUncertain), Errors: s.errors.Load(),
	}
}

func (s *Stats) activeTransfers() []Transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]int64, 0, len(s.mu.active))
	for id := range s.mu.active {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	out := make([]Transfer, len(ids))
	for i, id := range ids {
		p := s.mu.active[id]
		out[i] = Transfer{Path: p.path, Size: p.size, Bytes: min(p.bytes.Load(), p.size), Started: p.started}
	}
	return out
}

// count counts an action that was done, or with an error, one that failed.
func (s *Stats) count(a Action) {
	if a.Err != nil {
		s.errors.Add(1)
		return
	}
	s.counts[a.Op].Add(1)
}

// expect adds a file to what is to be transferred.
func (s *Stats) expect(size int64) {
	s.totalFiles.Add(1)
	s.totalBytes.Add(size)
}

// progress is a file under way.
type progress struct {
	stats   *Stats
	id      int64
	path    string
	size    int64
	started time.Time
	bytes   atomic.Int64
}

// begin shows a file as under way, until end.
func (s *Stats) begin(path string, size int64) *progress {
	p := &progress{stats: s, path: path, size: size, started: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.next++
	p.id = s.mu.next
	s.mu.active[p.id] = p
	return p
}

// sent counts bytes of the file; see PutOptions.Sent.
func (p *progress) sent(n int64) {
	p.bytes.Add(n)
	p.stats.bytes.Add(n)
}

// end ends the file; what a failed one had sent counts no more, a good one in full.
func (p *progress) end(ok bool) {
	due := int64(0)
	if ok {
		due = p.size
	}
	p.sent(due - p.bytes.Load())
	p.stats.mu.Lock()
	defer p.stats.mu.Unlock()
	delete(p.stats.mu.active, p.id)
}
