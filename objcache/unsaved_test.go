package objcache

import (
	"hash/crc32"
	"os"
	"sync/atomic"
	"testing"
)

// hold makes the disk cache of c wait before each write, until the gate closes, and counts
// the writes of data.
func hold(c *Cache) (gate chan struct{}, writes *atomic.Int32) {
	gate, writes = make(chan struct{}), new(atomic.Int32)
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error {
		<-gate
		if len(p[0]) >= testBlock {
			writes.Add(1)
		}
		return pwrite(f, off, p...)
	}
	return gate, writes
}

// Blocks that wait for the disk are evicted after those that it has, even if these were
// read later: who read a file once finds all of it on disk.
func TestBlocksThatWaitForTheDiskStayLongest(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	saved, savedData := s.add("saved", "e", 30*testBlock)
	fillDisk(t, s, dir, saved, savedData)
	id, data := s.add("k", "e", 40*testBlock)
	c := open(t, s, diskOptions(t, dir, 1<<30))
	gate, _ := hold(c)
	read := func() {
		r := c.Reader(id, int64(len(data)))
		defer r.Close()
		mustRead(t, r, data, 0, len(data))
	}
	read()
	for range 3 {
		r := c.Reader(saved, int64(len(savedData)))
		mustRead(t, r, savedData, 0, len(savedData))
		r.Close()
	}
	if st := c.Stats(); st.Dropped != 0 {
		t.Errorf("%d blocks were dropped", st.Dropped)
	}
	close(gate)
	written(t, c)
	closeAndCheck(t, c, s)
	if asked := rereads(t, s, dir, id, data); asked != 0 {
		t.Errorf("%d blocks were fetched again", asked/testBlock)
	}
}

// Adjacent blocks that wait are written together.
func TestAdjacentBlocksAreWrittenAtOnce(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 41*testBlock+100)
	c := open(t, s, diskOptions(t, dir, 1<<30))
	gate, writes := hold(c)
	r := c.Reader(id, int64(len(data)))
	mustRead(t, r, data, 0, len(data))
	r.Close()
	close(gate)
	written(t, c)
	if n := writes.Load(); n > 2+41/maxBatch+3 {
		t.Errorf("%d writes", n)
	}
	closeAndCheck(t, c, s)
	if asked := rereads(t, s, dir, id, data); asked != 0 {
		t.Errorf("%d bytes were fetched again", asked)
	}
}

// What waits for the disk is written when the cache is closed.
func TestCloseWritesWhatWaits(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 40*testBlock)
	c := open(t, s, diskOptions(t, dir, 1<<30))
	gate, _ := hold(c)
	r := c.Reader(id, int64(len(data)))
	mustRead(t, r, data, 0, len(data))
	r.Close()
	settled(t, c)
	go func() {
		<-c.ctx.Done()
		close(gate)
	}()
	closeAndCheck(t, c, s)
	if asked := rereads(t, s, dir, id, data); asked != 0 {
		t.Errorf("%d bytes were fetched again", asked)
	}
}

// A run with blocks in it that are there already, and without room for all of it, is
// written as far as that goes.
func TestRunsAreWrittenInPart(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 10*testBlock)
	c := open(t, s, diskOptions(t, dir, 7*testBlock+page))
	d := c.disk
	e, err := d.create(nameOf(id), int64(len(data)))
	if err != nil || e == nil {
		t.Fatal(e, err)
	}
	defer e.close()
	run := func(from, to int) (all []summed) {
		for i := from; i < to; i++ {
			p := data[i*testBlock : (i+1)*testBlock]
			all = append(all, summed{p, crc32.Checksum(p, castagnoli)})
		}
		return all
	}
	for _, part := range [][2]int{{1, 2}, {4, 6}, {0, 10}} {
		if err := e.write(int64(part[0]), run(part[0], part[1])); err != nil {
			t.Fatal(err)
		}
	}
	var there []int
	for i := range 10 {
		p := make([]byte, testBlock)
		if !e.has(int64(i)) {
			continue
		}
		if there = append(there, i); !e.read(int64(i), p) || string(p) != string(data[i*testBlock:(i+1)*testBlock]) {
			t.Errorf("block %d is wrong", i)
		}
	}
	if used, limit := d.budget.Usage(); used != limit || len(there) != 7 {
		t.Errorf("blocks %v, %d bytes of %d", there, used, limit)
	}
}

// A write that the kernel takes in parts goes on where it ended.
func TestBehind(t *testing.T) {
	for n, want := range []string{"abcdef", "bcdef", "cdef", "def", "ef", "f", ""} {
		got := ""
		for _, b := range behind([][]byte{[]byte("ab"), []byte("c"), []byte("def")}, n) {
			got += string(b)
		}
		if got != want {
			t.Errorf("behind %d: %q", n, got)
		}
	}
}
