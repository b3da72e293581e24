package vfs

import (
	"context"

	"github.com/s3mount/s3mount/object"
)

// Grow makes the file at least size bytes long; the new bytes are zero.
func (h *Handle) Grow(ctx context.Context, size int64) error {
	if !h.write {
		return object.Errorf(object.KindBadHandle, "fallocate", h.fs.keyOf(h.n), "opened for reading")
	}
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	s, err := h.n.stage()
	if err != nil || s.Size() >= size {
		return err
	}
	return h.n.truncate(ctx, size)
}

// Zero makes size bytes from off on zeros, also behind the end unless keepSize.
func (h *Handle) Zero(ctx context.Context, off, size int64, keepSize bool) error {
	n, fs := h.n, h.fs
	switch {
	case !h.write:
		return object.Errorf(object.KindBadHandle, "fallocate", fs.keyOf(n), "opened for reading")
	case off < 0 || size <= 0:
		return object.Errorf(object.KindInvalid, "fallocate", fs.keyOf(n), "%d bytes at %d", size, off)
	case off > maxFileSize-size:
		return object.Errorf(object.KindTooLarge, "fallocate", fs.keyOf(n), "an object ends at 5 TiB")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := n.stage()
	if err != nil {
		return err
	}
	end := off + size
	if keepSize {
		end = min(end, s.Size())
	}
	if off >= end {
		return nil
	}
	if err := s.Zero(ctx, off, end); err != nil {
		return err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n.t.attr.Size = s.Size()
	n.t.attr.Mtime = fs.now()
	n.t.attr.Ctime = n.t.attr.Mtime
	return nil
}
