package writeback

import (
	"context"

	"github.com/s3mount/s3mount/object"
)

// finish brings up all parts of want that are not at the store, before everything that
// nobody waits for, and returns the list for complete. The file must not change
// meanwhile. When it fails, the parts that did go up are kept for the next time.
func (m *multipart) finish(ctx context.Context, want []partRange) ([]object.Part, error) {
	settled, err := m.demand(want)
	if err != nil {
		return nil, err
	}
	defer m.urgent.Store(false)
	m.q.slots.promote(&m.urgent)
	select {
	case <-settled:
	case <-ctx.Done():
		m.fail(ctx.Err())
	}
	return m.result(want)
}

// demand queues what is missing of want, and returns the channel that closes when
// everything is there, or something failed.
func (m *multipart) demand(want []partRange) (settled <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.ended {
		return nil, errClosed("upload", m.key)
	}
	m.urgent.Store(true)
	m.mu.err, m.mu.left = nil, 0
	done := make(chan struct{})
	m.mu.settled = done
	m.keepOnlyLocked(want)
	for _, w := range want {
		p := m.mu.parts[w.number]
		if p != nil && p.partRange == w && p.state == partDone {
			continue
		}
		m.mu.left++
		if p != nil && p.partRange == w && p.state != partStale {
			continue
		}
		if p != nil && p.state == partFlying {
			p.cancel()
		}
		m.queueLocked(w)
	}
	if m.mu.left == 0 {
		m.settleLocked()
	}
	m.startLocked()
	return done, nil
}

// keepOnlyLocked forgets the parts whose numbers are not wanted.
func (m *multipart) keepOnlyLocked(want []partRange) {
	wanted := make(map[int]bool, len(want))
	for _, w := range want {
		wanted[w.number] = true
	}
	for n, p := range m.mu.parts {
		if wanted[n] {
			continue
		}
		if p.state == partFlying {
			p.cancel()
		}
		delete(m.mu.parts, n)
	}
}

// result makes the part list, after checking it against the layout.
func (m *multipart) result(want []partRange) ([]object.Part, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.err != nil {
		return nil, m.mu.err
	}
	list := make([]object.Part, 0, len(want))
	var sum int64
	for _, w := range want {
		p := m.mu.parts[w.number]
		if p == nil || p.state != partDone || p.partRange != w || w.off != sum {
			return nil, object.Errorf(object.KindCorrupt, "upload", m.key,
				"part %d at %d of %d bytes is not at the store as planned", w.number, w.off, w.size)
		}
		sum += w.size
		list = append(list, object.Part{Number: w.number, ETag: p.sent.ETag, Size: w.size, CRC32C: p.sent.CRC32C})
	}
	return list, nil
}

// complete makes the parts into the object. Afterwards, if it succeeds, the upload is
// ended; if not, it depends on the error whether another try makes sense.
func (m *multipart) complete(ctx context.Context, parts []object.Part, c object.Condition) (info object.Info, err error) {
	id := m.uploadID()
	err = m.q.request(ctx, &m.q.urgent, 0, func(ctx context.Context) error {
		info, err = m.q.Uploader.CompleteUpload(ctx, m.key, id, parts, c)
		return err
	})
	if err != nil {
		return object.Info{}, err
	}
	if m.end() {
		m.completed()
	}
	return info, nil
}

func (m *multipart) uploadID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.id
}

// end stops the senders; false: it was ended before.
func (m *multipart) end() bool {
	first, last := m.endLocked()
	m.cancel()
	if last {
		m.uses.release()
		close(m.quiet)
	}
	return first
}

// endLocked takes the lock itself; last: no sender is left to do the last things.
func (m *multipart) endLocked() (first, last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.ended {
		return false, false
	}
	m.mu.ended = true
	m.failLocked(errClosed("upload", m.key))
	return true, m.mu.senders == 0
}
