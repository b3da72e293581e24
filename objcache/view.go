package objcache

import (
	"context"
	"io"
)

// View is bytes of a version at their place in the cache, which saves the copy of ReadAt.
// Nobody may write them. Release ends it; until then the memory they are in is taken.
type View struct {
	Parts  [][]byte
	c      *Cache
	blocks []*block
}

// View is ReadAt in place: len(p) bytes from off on, fewer only with io.EOF. Where there
// is no memory for blocks, the bytes are put into p, which belongs to the View then. On
// other errors than io.EOF there is nothing to release.
func (r *Reader) View(ctx context.Context, p []byte, off int64) (View, error) {
	v := View{c: r.c}
	err := r.each(ctx, p, off, true, func(b *block, part []byte) {
		v.Parts = append(v.Parts, part)
		if b != nil {
			v.blocks = append(v.blocks, b)
		}
	})
	if err != nil && err != io.EOF {
		v.Release()
		return View{}, err
	}
	return v, err
}

// Len returns the number of bytes.
func (v View) Len() int {
	n := 0
	for _, part := range v.Parts {
		n += len(part)
	}
	return n
}

// Release gives the bytes back, once.
func (v View) Release() {
	if len(v.blocks) == 0 {
		return
	}
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	for _, b := range v.blocks {
		v.c.unpinLocked(b)
	}
}
