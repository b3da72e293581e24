package objcache

import (
	"bytes"
	"context"
	"io"
	"testing"
)

// The bytes of a View stay as they are while other reads need all of the memory, and
// take none of it once they are released.
func TestViewKeepsItsBytes(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 20*testBlock+5)
	c := open(t, s, Options{Memory: 4 * testBlock})
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	p := make([]byte, 2*testBlock)
	v, err := r.View(context.Background(), p, testBlock/2)
	if err != nil || v.Len() != len(p) {
		t.Fatalf("%d bytes, %v", v.Len(), err)
	}
	for off := 0; off < len(data); off += testBlock {
		mustRead(t, r, data, off, testBlock)
	}
	if got := bytes.Join(v.Parts, nil); !bytes.Equal(got, data[testBlock/2:testBlock/2+len(p)]) {
		t.Error("the bytes changed")
	}
	v.Release()
	end, err := r.View(context.Background(), p, int64(len(data)-3))
	if err != io.EOF || !bytes.Equal(bytes.Join(end.Parts, nil), data[len(data)-3:]) {
		t.Errorf("at the end: %d bytes, %v", end.Len(), err)
	}
	end.Release()
	if st := c.Stats(); st.MemoryTotal > 4*testBlock {
		t.Errorf("memory: %+v", st)
	}
}

// Without memory the bytes come to the place that the caller gives; after an error
// nothing stays pinned, which the check at the end of every test finds out.
func TestViewWithoutMemory(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 4*testBlock)
	c := open(t, s, Options{Memory: testBlock})
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	p := make([]byte, 3*testBlock)
	v, err := r.View(context.Background(), p, 0)
	if err != nil || !bytes.Equal(bytes.Join(v.Parts, nil), data[:len(p)]) {
		t.Fatalf("%d bytes, %v", v.Len(), err)
	}
	v.Release()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if v, err := r.View(ctx, p, testBlock); err == nil || v.Len() != 0 {
		t.Errorf("canceled: %d bytes, %v", v.Len(), err)
	}
}
