package writeback

import (
	"context"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/s3mount/s3mount/object"
)

// multipart is one multipart upload: a set of parts, and senders that bring them up. It
// does not know who writes the file; it is told what changed.
//
// The upload is created at the store by the first sender. Senders run while there are
// parts in ready, at most Queue.PerFile, and only one before the upload has its id. The
// first failure stops them, until finish asks again.
type multipart struct {
	q      *Queue
	key    string
	file   *os.File
	uses   *shared // of file: one use, until the last sender has left
	ctx    context.Context
	cancel context.CancelFunc
	urgent atomic.Bool   // somebody waits for the parts
	quiet  chan struct{} // closed when it is ended and the last sender has left
	summed bool          // there is no version at the store of which parts could be copied
	mu     struct {
		sync.Mutex
		opts    object.PutOptions // what it is, or will be, created with
		record  *record           // of id
		stray   *record           // of a try to create whose outcome is not known; nil: none
		created bool              // the request to create it was begun
		id      string            // empty: not known to exist
		parts   map[int]*part
		loose   bool  // parts may lie anywhere, not only where the queue's layout has them
		ready   []int // parts to send, ascending
		senders int
		left    int           // parts that finish waits for
		settled chan struct{} // finish waits on it: nothing is left, or err is set
		err     error         // the first failure; stops the senders
		ended   bool          // completed or abandoned
	}
}

// part is the sending of one part. When its bytes change while it flies, another part
// takes its place in the map, and its result no longer matters.
type part struct {
	partRange
	state  partState
	sent   object.Part        // when done
	cancel context.CancelFunc // when flying
}

type partState uint8

const (
	partStale  partState = iota // to be sent when finish asks for it
	partQueued                  // to be sent
	partFlying                  // being sent
	partDone                    // at the store
)

// newMultipartLocked makes an upload of the file of s, which must not be finished.
func newMultipartLocked(s *Staged, key string, o object.PutOptions) *multipart {
	m := &multipart{q: s.q, key: key, file: s.file, uses: s.uses, quiet: make(chan struct{}),
		summed: s.mu.source.ETag == "" || s.mu.kept == 0}
	m.uses.acquire()
	m.ctx, m.cancel = context.WithCancel(s.q.ctx)
	m.mu.opts = cloneOptions(o)
	m.mu.parts = map[int]*part{}
	s.q.track(m)
	return m
}

// setOptions changes what the upload will be created with, if it is not created yet.
func (m *multipart) setOptions(o object.PutOptions) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.mu.created {
		m.mu.opts = cloneOptions(o)
	}
}

// options returns what the upload was or will be created with.
func (m *multipart) options() object.PutOptions {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cloneOptions(m.mu.opts)
}

// offer sends a part in the background, unless it was sent or offered before: a part
// that is rewritten again and again goes up once early, and once at the end.
func (m *multipart) offer(p partRange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.parts[p.number] != nil || m.mu.err != nil || m.mu.ended {
		return
	}
	m.queueLocked(p)
	m.startLocked()
}

func (m *multipart) queueLocked(p partRange) {
	if at := m.q.layout.part(p.number); p.off != at.off || p.size > at.size {
		m.mu.loose = true
	}
	m.mu.parts[p.number] = &part{partRange: p, state: partQueued}
	at, found := slices.BinarySearch(m.mu.ready, p.number)
	if !found {
		m.mu.ready = slices.Insert(m.mu.ready, at, p.number)
	}
}

// startLocked starts senders for the parts that are ready.
func (m *multipart) startLocked() {
	limit := m.q.PerFile
	if m.mu.id == "" {
		limit = 1
	}
	for idle := len(m.mu.ready); idle > 0 && m.mu.senders < limit; idle-- {
		if !m.q.spawn(false, m.send) {
			m.failLocked(errClosed("upload", m.key))
			return
		}
		m.mu.senders++
	}
}

// changed tells that bytes of [off, end) are not what they were.
func (m *multipart) changed(off, end int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.loose {
		for n, p := range m.mu.parts {
			if p.off < end && off < p.end() {
				m.staleLocked(n)
			}
		}
		return
	}
	first, last := m.q.layout.at(off).number, m.q.layout.at(end-1).number
	for n := first; n <= last; n++ {
		m.staleLocked(n)
	}
}

// staleLocked makes a part one that is to be sent again.
func (m *multipart) staleLocked(n int) {
	p := m.mu.parts[n]
	if p == nil || p.state == partQueued || p.state == partStale {
		return // a queued part will be read after this
	}
	if p.state == partFlying {
		p.cancel()
	}
	m.mu.parts[n] = &part{partRange: p.partRange}
}

// hasLayout reports whether parts lie, or fly, where the queue's layout has them.
func (m *multipart) hasLayout() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.loose {
		return false
	}
	for _, p := range m.mu.parts {
		if p.state != partStale {
			return true
		}
	}
	return false
}

// cut forgets the parts that an object of size bytes does not have, or not whole. If the
// file grows again, they count as never sent.
func (m *multipart) cut(size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n, p := range m.mu.parts {
		if p.end() <= size {
			continue
		}
		if p.state == partFlying {
			p.cancel()
		}
		delete(m.mu.parts, n)
	}
}

// send is the goroutine of a sender.
func (m *multipart) send() {
	for p := m.next(); p != nil; p = m.next() {
		if err := m.create(); err != nil {
			m.landed(p, object.Part{}, err)
			continue
		}
		m.sendPart(p)
	}
}

// next takes a part to send; nil: the sender is to leave, and no longer counts.
func (m *multipart) next() *part {
	p, last := m.nextLocked()
	if last {
		m.uses.release()
		close(m.quiet)
	}
	return p
}

// nextLocked takes the lock itself; last: the last sender of an ended upload leaves.
func (m *multipart) nextLocked() (p *part, last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.mu.ready) > 0 && m.mu.err == nil && !m.mu.ended {
		p := m.mu.parts[m.mu.ready[0]]
		m.mu.ready = m.mu.ready[1:]
		if p != nil && p.state == partQueued {
			return p, false
		}
	}
	m.mu.senders--
	return nil, m.mu.ended && m.mu.senders == 0
}

func (m *multipart) sendPart(p *part) {
	var sent object.Part
	err := m.q.request(m.ctx, &m.urgent, p.size, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		id, ok := m.takeOff(p, cancel)
		if !ok {
			return nil
		}
		var err error
		if p.from == (object.ID{}) {
			sent, err = m.q.Uploader.UploadPart(ctx, m.key, id, p.number, io.NewSectionReader(m.file, p.off, p.size))
			if err == nil {
				m.q.paced(p.size)
			}
		} else {
			sent, err = m.q.Uploader.CopyPart(ctx, m.key, id, p.number, p.from, object.Range{Off: p.off, Len: p.size})
		}
		if err != nil {
			return err
		}
		return checkPart(m.key, p.partRange, sent)
	})
	m.landed(p, sent, err)
}

func checkPart(key string, p partRange, sent object.Part) error {
	if sent.ETag == "" || sent.Size != 0 && sent.Size != p.size {
		return object.Errorf(object.KindCorrupt, "upload part", key,
			"the store confirmed part %d of %d bytes as %d bytes with ETag %q", p.number, p.size, sent.Size, sent.ETag)
	}
	return nil
}

// takeOff marks a part as flying; false: it is no longer wanted.
func (m *multipart) takeOff(p *part, cancel context.CancelFunc) (id string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.parts[p.number] != p || p.state != partQueued {
		return "", false
	}
	if m.mu.err != nil || m.mu.ended {
		p.state = partStale
		return "", false
	}
	p.state, p.cancel = partFlying, cancel
	return m.mu.id, true
}

// landed records how the sending of a part ended, if that still matters.
func (m *multipart) landed(p *part, sent object.Part, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	current := m.mu.parts[p.number] == p
	switch {
	case !current || err == nil && p.state != partFlying:
	case err != nil:
		p.state = partStale
		m.failLocked(err)
	default:
		p.state, p.sent = partDone, sent
		if m.mu.left--; m.mu.left == 0 {
			m.settleLocked()
		}
	}
}

func (m *multipart) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failLocked(err)
}

// failLocked keeps the first failure, and takes back what is not being sent yet.
func (m *multipart) failLocked(err error) {
	if m.mu.err == nil {
		m.mu.err = err
		if !m.mu.ended && !m.urgent.Load() {
			m.q.Log.Warn("an early part did not go up, it is tried again at the end", "key", m.key, "err", err)
		}
	}
	for _, n := range m.mu.ready {
		if p := m.mu.parts[n]; p != nil && p.state == partQueued {
			p.state = partStale
		}
	}
	m.mu.ready = nil
	m.settleLocked()
}

func (m *multipart) settleLocked() {
	if m.mu.settled != nil {
		close(m.mu.settled)
		m.mu.settled = nil
	}
}
