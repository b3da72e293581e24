package transfer

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"hash"
	"io"

	"golang.org/x/sync/semaphore"
)

// What is not local passes through memory on its way from one store to another, since a
// body is read more than once. All files that go into a bucket share relayMemory bytes for
// that, however large their parts are; a part that is larger has all of it for itself.
const relayMemory = 256 << 20

// setRelay bounds the bytes of what passes through memory, before the first use.
func (b *bucket) setRelay(n int64) { b.memory, b.relay = semaphore.NewWeighted(n), n }

// room waits for room for n bytes of what is held in memory. free gives it back.
func (u *upload) room(ctx context.Context, n int64) (free func(), err error) {
	if _, local := u.content.(io.ReaderAt); local {
		return func() {}, nil // at most inMemoryLocal of each file
	}
	n = min(n, u.b.relay)
	if err := u.b.memory.Acquire(ctx, n); err != nil {
		return nil, localError("write", u.path, err)
	}
	return func() { u.b.memory.Release(n) }, nil
}

// place waits for a place among the parts of all files, and for room. A file's parts get
// theirs in order: a part may wait for those before it to be summed up, which so have all
// that they need.
func (u *upload) place(ctx context.Context, n int64) (free func(), err error) {
	if err := u.b.parts.Acquire(ctx, 1); err != nil {
		return nil, localError("write", u.path, err)
	}
	freeRoom, err := u.room(ctx, n)
	if err != nil {
		u.b.parts.Release(1)
		return nil, err
	}
	return func() {
		freeRoom()
		u.b.parts.Release(1)
	}, nil
}

// relaySum computes the MD5 sum of a file of which several parts come at a time, where the
// source's is known and what comes is to be compared with it.
type relaySum struct {
	h    hash.Hash     // nil: nothing is compared
	last chan struct{} // closed when all parts with a turn are summed up
}

// relaySum is for what is not local: that is summed up beforehand.
func (u *upload) relaySum() *relaySum {
	s := &relaySum{last: make(chan struct{})}
	close(s.last)
	if _, local := u.content.(io.ReaderAt); !local && u.o.MD5 != "" {
		s.h = md5.New()
	}
	return s
}

// turn is a part's place in the sum, behind those of the turns before.
type turn struct {
	h            hash.Hash
	before, mine chan struct{}
}

func (s *relaySum) turn() turn {
	t := turn{h: s.h, before: s.last, mine: make(chan struct{})}
	s.last = t.mine
	return t
}

// add sums up a part when those before it are. It is called once.
func (t turn) add(ctx context.Context, data []byte) error {
	if t.h == nil {
		return nil
	}
	select {
	case <-t.before:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.h.Write(data)
	close(t.mine)
	return nil
}

// verify compares the sum, after all parts.
func (s *relaySum) verify(ctx context.Context, u *upload) error {
	if s.h == nil {
		return nil
	}
	return u.check(ctx, hex.EncodeToString(s.h.Sum(nil)))
}
