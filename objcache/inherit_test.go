package objcache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func infoOf(id object.ID, data []byte) object.Info {
	return object.Info{Key: id.Key, ETag: id.ETag, Size: int64(len(data))}
}

// put stores data under key and ETag.
func (s *store) put(key, etag string, data []byte) object.ID {
	id := object.ID{Key: key, ETag: etag}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.objects[id] = data
	return id
}

// changed is data with random ranges overwritten, and of another size.
func changed(r *rand.Rand, data []byte, size int, most int) (now []byte, ranges []object.Range) {
	now = make([]byte, size)
	n := copy(now, data)
	for off, k := r.IntN(len(data)), 0; off < n && k < most; k++ {
		end := min(n, off+1+r.IntN(2*testBlock))
		ranges = append(ranges, object.Range{Off: int64(off), Len: int64(end - off)})
		off = end + 1 + r.IntN(3*testBlock)
	}
	if size > n {
		if k := len(ranges); k > 0 && ranges[k-1].End() == int64(n) {
			ranges[k-1].Len += int64(size - n)
		} else {
			ranges = append(ranges, object.Range{Off: int64(n), Len: int64(size - n)})
		}
	}
	for _, r := range ranges {
		for i := r.Off; i < r.End(); i++ {
			now[i] ^= 0x55
		}
	}
	return now, ranges
}

// mayFetch is how many bytes of a version need not be cached after Inherit: of blocks that
// were not cached, or are changed as a whole.
func mayFetch(was, now []byte, ranges []object.Range, cached map[int]bool) (n int64) {
	s := succession{blockSize: testBlock, from: int64(len(was)), to: int64(len(now)), changed: ranges}
	for index := range ceilDiv(s.to, testBlock) {
		off, end := s.block(index)
		if !cached[int(index)] || s.covered(off, end) {
			n += end - off
		}
	}
	return n
}

// Whatever of a version is cached, and whatever changes, the next one is read right, in this
// process and in the next, and nothing is fetched that was cached and is not changed.
func TestInherit(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			s, dir := newStore(), t.TempDir()
			id, data := s.add("k", "0", 1+r.IntN(7*testBlock))
			o := diskOptions(t, dir, 1<<30)
			c := open(t, s, o)
			cached := map[int]bool{}
			if r.IntN(3) == 0 { // written by this process
				adoptData(t, c, o.Disk, id, data, "x")
				for i := range ceilDiv(int64(len(data)), testBlock) {
					cached[int(i)] = true
				}
			} else {
				reader := c.Reader(id, int64(len(data)))
				for i := range ceilDiv(int64(len(data)), testBlock) {
					if r.IntN(3) > 0 {
						mustRead(t, reader, data, int(i)*testBlock, 1)
						mustRead(t, reader, data, int(i)*testBlock, testBlock)
						cached[int(i)] = true
					}
				}
				reader.Close()
			}
			saved := r.IntN(2) == 0 // blocks that are not, and are changed in part, get lost
			for v := range 3 {
				size := max(1, len(data)+(r.IntN(3)-1)*r.IntN(2*testBlock))
				now, ranges := changed(r, data, size, r.IntN(4))
				to := s.put("k", fmt.Sprint(v+1), now)
				most := mayFetch(data, now, ranges, cached)
				if saved {
					written(t, c)
				}
				c.Inherit(infoOf(id, data), infoOf(to, now), ranges, bytes.NewReader(now))
				if v == 2 || r.IntN(2) == 0 {
					s.forget()
					reader := c.Reader(to, int64(len(now)))
					for off := 0; off < len(now); off += testBlock {
						mustRead(t, reader, now, off, testBlock)
					}
					reader.Close()
					if _, got := s.gets(); got > most && saved {
						t.Errorf("version %d: %d bytes were fetched, at most %d are not cached", v+1, got, most)
					}
					for i := range ceilDiv(int64(len(now)), testBlock) {
						cached[int(i)] = true
					}
				} else {
					sc := succession{blockSize: testBlock, from: int64(len(data)), to: int64(len(now)), changed: ranges}
					for i := range int(ceilDiv(max(sc.from, sc.to), testBlock)) {
						off, end := sc.block(int64(i))
						cached[i] = cached[i] && end > off && !sc.covered(off, end)
					}
				}
				id, data = to, now
			}
			written(t, c)
			closeAndCheck(t, c, s)
			if asked := rereads(t, s, dir, id, data); asked != 0 {
				t.Errorf("the next process fetched %d bytes", asked)
			}
		})
	}
}

// Who reads the version before meanwhile never sees bytes of the new one.
func TestInheritWhileTheVersionBeforeIsRead(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "0", 8*testBlock+100)
	o := diskOptions(t, dir, 1<<30)
	o.Memory = 2 * testBlock // so that the disk is read
	c := open(t, s, o)
	r := rand.New(rand.NewPCG(1, 1))
	for v := range 30 {
		if v%5 == 0 {
			adoptData(t, c, o.Disk, id, data, "x")
		}
		now, ranges := changed(r, data, len(data)+r.IntN(200)-50, 4)
		to := s.put("k", fmt.Sprint(v+1), now)
		var wg sync.WaitGroup
		for range 3 {
			reader, off := c.Reader(id, int64(len(data))), r.IntN(len(data))
			wg.Go(func() {
				defer reader.Close()
				for i := range 20 {
					at := (off + i*testBlock) % len(data)
					p := make([]byte, 300)
					n, err := reader.ReadAt(context.Background(), p, int64(at))
					if err != nil && err != io.EOF || !bytes.Equal(p[:n], data[at:at+n]) {
						t.Errorf("read at %d: %v, equal: %v", at, err, bytes.Equal(p[:n], data[at:at+n]))
					}
				}
			})
		}
		c.Inherit(infoOf(id, data), infoOf(to, now), ranges, bytes.NewReader(now))
		reader := c.Reader(to, int64(len(now)))
		mustRead(t, reader, now, 0, len(now))
		reader.Close()
		wg.Wait()
		id, data = to, now
	}
	written(t, c)
}

// A file that the kernel reads without asking is not changed under its hands.
func TestAWholeFileThatIsGivenAwayIsNotInherited(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "0", minWhole+5)
	o := diskOptions(t, dir, 1<<30)
	c := open(t, s, o)
	adoptData(t, c, o.Disk, id, data, "x")
	var w *Whole
	await(t, "the file is known to be right", func() bool { w = c.Whole(id, int64(len(data))); return w != nil })
	now := bytes.Clone(data)
	now[7] ^= 1
	to := s.put("k", "1", now)
	c.Inherit(infoOf(id, data), infoOf(to, now), []object.Range{{Off: 7, Len: 1}}, bytes.NewReader(now))
	if got, err := os.ReadFile(w.File().Name()); err != nil || !bytes.Equal(got, data) || !w.Right() {
		t.Errorf("the file was changed: %v", err)
	}
	w.Close()

	// And once nobody has it, it is, and known to be right.
	c.Inherit(infoOf(id, data), infoOf(to, now), []object.Range{{Off: 7, Len: 1}}, bytes.NewReader(now))
	await(t, "the new version is known to be right", func() bool { w = c.Whole(to, int64(len(now))); return w != nil })
	defer w.Close()
	if got, err := os.ReadFile(w.File().Name()); err != nil || !bytes.Equal(got, now) {
		t.Errorf("the file is not that of the new version: %v", err)
	}
	written(t, c)
	if n, _ := s.gets(); n != 0 {
		t.Errorf("%d GETs", n)
	}
}

// A rename, or another mode, changes no byte: who reads the file past the cache goes on, and
// the new version has it.
func TestRegressionAWholeFileThatIsGivenAwayFollowsARename(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "0", minWhole+5)
	o := diskOptions(t, dir, 4*minWhole)
	c := open(t, s, o)
	adoptData(t, c, o.Disk, id, data, "x")
	var w *Whole
	await(t, "the file is known to be right", func() bool { w = c.Whole(id, int64(len(data))); return w != nil })
	first := w
	for i := range 3 {
		to := s.put(fmt.Sprintf("k%d", i), "1", data)
		c.Inherit(infoOf(id, data), infoOf(to, data), nil, nil)
		id = to
	}
	await(t, "the file is known to be right again", first.Right)
	if w = c.Whole(id, int64(len(data))); w == nil {
		t.Fatal("the new version has no file")
	}
	got := make([]byte, len(data))
	if _, err := first.File().ReadAt(got, 0); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the file was changed: %v", err)
	}
	if n, _ := s.gets(); n != 0 {
		t.Errorf("%d GETs", n)
	}
	for _, one := range []*Whole{w, first} {
		c.disk.mu.Lock()
		if c.disk.mu.pinned == 0 || c.disk.mu.live.Len() != 0 {
			t.Errorf("%d bytes are pinned, %d versions can go", c.disk.mu.pinned, c.disk.mu.live.Len())
		}
		c.disk.mu.Unlock()
		one.Close()
	}
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	if c.disk.mu.pinned != 0 || c.disk.mu.live.Len() != 1 {
		t.Errorf("after the last Close %d bytes are pinned, %d versions can go", c.disk.mu.pinned, c.disk.mu.live.Len())
	}
}

// A disk that fails in the middle leaves nothing, and takes nothing of the budget.
func TestInheritOnADiskThatFails(t *testing.T) {
	for failing := range 3 {
		s, dir := newStore(), t.TempDir()
		id, data := s.add("k", "0", 5*testBlock)
		fillDisk(t, s, dir, id, data)
		o := diskOptions(t, dir, 1<<20)
		c := open(t, s, o)
		n := 0
		c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error {
			if n++; n > failing {
				return syscall.EIO
			}
			return pwrite(f, off, p...)
		}
		now := bytes.Clone(data)
		now[7] ^= 1
		to := s.put("k", "1", now)
		c.Inherit(infoOf(id, data), infoOf(to, now), []object.Range{{Off: 7, Len: 1}}, bytes.NewReader(now))
		if used, _ := o.Disk.Usage(); used != 0 || len(cacheFiles(t, dir, "")) != 0 {
			t.Errorf("%d bytes are counted, there are %q", used, cacheFiles(t, dir, ""))
		}
		c.disk.pwrite = pwrite
		reader := c.Reader(to, int64(len(now)))
		mustRead(t, reader, now, 0, len(now))
		reader.Close()
	}
}

// A block that the disk has damaged is not made one of the new version.
func TestInheritFindsDamage(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "0", 3*testBlock)
	fillDisk(t, s, dir, id, data)
	f, err := os.OpenFile(cacheFiles(t, dir, dataSuffix)[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("damage"), testBlock+100)
	f.Close()
	c := open(t, s, diskOptions(t, dir, 1<<20))
	now := bytes.Clone(data)
	now[testBlock] ^= 1
	to := s.put("k", "1", now)
	c.Inherit(infoOf(id, data), infoOf(to, now), []object.Range{{Off: testBlock, Len: 1}}, bytes.NewReader(now))
	s.forget()
	reader := c.Reader(to, int64(len(now)))
	defer reader.Close()
	for off := 0; off < len(now); off += testBlock {
		mustRead(t, reader, now, off, testBlock)
	}
	if _, got := s.gets(); got != testBlock {
		t.Errorf("%d bytes were fetched", got)
	}
}

// What is not in order is not believed.
func TestInheritRefusesNonsense(t *testing.T) {
	s := succession{blockSize: testBlock, from: 100, to: 200}
	for _, ranges := range [][]object.Range{
		nil, {{Off: 101, Len: 99}}, {{Off: 50, Len: 149}}, {{Off: 50, Len: 151}},
		{{Off: 50, Len: 10}, {Off: 55, Len: 145}}, {{Off: -1, Len: 201}}, {{Off: 10, Len: 0}, {Off: 50, Len: 150}},
	} {
		if s.changed = ranges; s.valid() {
			t.Errorf("%v passed", ranges)
		}
	}
	if s.changed = []object.Range{{Off: 2, Len: 3}, {Off: 50, Len: 150}}; !s.valid() {
		t.Error("what is in order did not pass")
	}
}

// Of what is offered, whole blocks that are not there are kept.
func TestOffer(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "0", 9*testBlock+9)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	c.Offer(infoOf(id, data), []object.Range{{Off: 5, Len: testBlock}, {Off: 3*testBlock - 1, Len: 2*testBlock + 5}, {Off: 7*testBlock + 1, Len: 2*testBlock + 8}},
		bytes.NewReader(data))
	for range 2 {
		reader := c.Reader(id, int64(len(data)))
		for off := 0; off < len(data); off += testBlock {
			mustRead(t, reader, data, off, testBlock)
		}
		reader.Close()
		written(t, c)
	}
	if _, asked := s.gets(); asked != 6*testBlock {
		t.Errorf("%d bytes were fetched", asked)
	}
	// Nothing is read of what is there.
	c.Offer(infoOf(id, data), []object.Range{{Off: 0, Len: int64(len(data))}}, bytes.NewReader(nil))
	small := diskOptions(t, filepath.Join(dir, "small"), 3*testBlock)
	c2 := open(t, s, small)
	c2.Offer(infoOf(id, data), []object.Range{{Off: 0, Len: int64(len(data))}}, bytes.NewReader(data))
	if used, limit := small.Disk.Usage(); used > limit {
		t.Errorf("%d of %d bytes", used, limit)
	}
}
