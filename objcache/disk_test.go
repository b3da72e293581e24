package objcache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

// fillDisk reads an object through a cache in dir until every block is on disk, and
// closes the cache.
func fillDisk(t *testing.T, s *store, dir string, id object.ID, data []byte) {
	t.Helper()
	c := open(t, s, diskOptions(t, dir, 1<<30))
	r := c.Reader(id, int64(len(data)))
	for off := 0; off < len(data); off += testBlock {
		mustRead(t, r, data, off, testBlock)
		written(t, c)
	}
	r.Close()
	closeAndCheck(t, c, s)
}

// rereads opens dir anew, reads everything, and returns how many bytes were fetched.
func rereads(t *testing.T, s *store, dir string, id object.ID, data []byte) int64 {
	t.Helper()
	s.forget()
	c := open(t, s, diskOptions(t, dir, 1<<30))
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	written(t, c)
	closeAndCheck(t, c, s)
	_, asked := s.gets()
	return asked
}

func TestDiskIsKeptOverARestart(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("dir/key\n", "e", 9*testBlock+7)
	fillDisk(t, s, dir, id, data)
	if asked := rereads(t, s, dir, id, data); asked != 0 {
		t.Errorf("%d bytes were fetched", asked)
	}
	// What a restart counts is what was counted before.
	c := open(t, s, diskOptions(t, dir, 1<<30))
	written(t, c)
	used, _ := c.disk.budget.Usage()
	if want := int64(10*testBlock - testBlock + page + page); used != want {
		t.Errorf("%d bytes are counted, want %d", used, want)
	}
}

func TestAnotherBlockSizeForgetsTheDisk(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 4*testBlock)
	fillDisk(t, s, dir, id, data)
	o := diskOptions(t, dir, 1<<30)
	o.BlockSize = 2 * testBlock
	c := open(t, s, o)
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	written(t, c)
}

func TestLimitEvictsTheLeastRecentObject(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	const each = 4*testBlock + page
	c := open(t, s, diskOptions(t, dir, 3*each))
	var ids []object.ID
	read := func(i int) {
		r := c.Reader(ids[i], 4*testBlock)
		defer r.Close()
		s.mu.Lock()
		data := s.mu.objects[ids[i]]
		s.mu.Unlock()
		for off := 0; off < len(data); off += testBlock {
			mustRead(t, r, data, off, testBlock)
			written(t, c)
		}
	}
	for i := range 4 {
		id, _ := s.add(fmt.Sprint(i), "e", 4*testBlock)
		ids = append(ids, id)
		if i == 3 {
			c.disk.find(nameOf(ids[0]), 4*testBlock) // 0 is used again
		}
		read(i)
	}
	for i, want := range []bool{true, false, true, true} {
		if got := c.disk.find(nameOf(ids[i]), 4*testBlock) != nil; got != want {
			t.Errorf("object %d is on disk: %v", i, got)
		}
	}
	if used, limit := c.disk.budget.Usage(); used != limit {
		t.Errorf("%d bytes of %d are used", used, limit)
	}
}

func TestAnObjectLargerThanTheLimitIsCachedInPart(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 20*testBlock)
	c := open(t, s, diskOptions(t, dir, 5*testBlock+page))
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	for off := 0; off < len(data); off += testBlock {
		mustRead(t, r, data, off, testBlock)
		written(t, c)
	}
	if used, limit := c.disk.budget.Usage(); used != limit {
		t.Errorf("%d bytes of %d are used", used, limit)
	}
}

func TestStagedFilesTakeTheSpaceOfTheCache(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 8*testBlock)
	o := diskOptions(t, dir, 10*testBlock)
	c := open(t, s, o)
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	written(t, c)
	if err := o.Disk.Reserve(9 * testBlock); err != nil {
		t.Errorf("staging gets no space: %v", err)
	}
	if err := o.Disk.Reserve(2 * testBlock); !object.Is(err, object.KindNoSpace) {
		t.Errorf("more than there is: %v", err)
	}
	mustRead(t, r, data, 0, len(data))
	o.Disk.Release(9 * testBlock)
	if used, _ := o.Disk.Usage(); used != 0 {
		t.Errorf("%d bytes are counted", used)
	}
}

func TestScanEvictsTheOldestOverTheLimit(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	var ids []object.ID
	for i := range 6 {
		id, data := s.add(fmt.Sprint(i), "e", 4*testBlock)
		ids = append(ids, id)
		fillDisk(t, s, dir, id, data)
		age := time.Now().Add(-time.Duration(100-(i*5)%6) * time.Hour) // 0 5 4 3 2 1: oldest first
		d := diskCache{dir: dir}
		if err := os.Chtimes(d.path(nameOf(id), indexSuffix), age, age); err != nil {
			t.Fatal(err)
		}
	}
	const each = 4*testBlock + page
	c := open(t, s, diskOptions(t, dir, 3*each+page))
	written(t, c)
	for i, want := range []bool{false, true, true, true, false, false} {
		if got := c.disk.find(nameOf(ids[i]), 4*testBlock) != nil; got != want {
			t.Errorf("object %d is on disk: %v", i, got)
		}
	}
	if got := len(cacheFiles(t, dir, dataSuffix)); got != 3 {
		t.Errorf("%d data files", got)
	}
	if used, _ := c.disk.budget.Usage(); used != 3*each {
		t.Errorf("%d bytes are counted", used)
	}
}

func TestScanRemovesLeftoversAndNothingElse(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	n := nameOf(object.ID{Key: "x"})
	d := diskCache{dir: dir}
	mine := []string{
		d.path(n, dataSuffix),
		d.path(nameOf(object.ID{Key: "y"}), indexSuffix),
		filepath.Join(dir, "s3mount-probe-123.tmp"),
	}
	users := []string{
		filepath.Join(dir, "thesis.data"),
		filepath.Join(dir, "a", "b", "photo.index"),
		filepath.Join(dir, n.String()+dataSuffix),
		filepath.Join(dir, "0", "0", strings.Repeat("f", 64)+dataSuffix),
		d.path(n, ".other"),
	}
	for _, path := range append(append([]string{}, mine...), users...) {
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, s, diskOptions(t, dir, 1<<20))
	written(t, c)
	for _, path := range mine {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left over", path)
		}
	}
	for _, path := range users {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("a file of the user is gone: %v", err)
		}
	}
}

func TestFullDiskEndsTheWritingOnly(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 10*testBlock)
	var log syncBuffer
	o := diskOptions(t, dir, 1<<30)
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	c := open(t, s, o)
	c.disk.batch = 1
	writes := 0 // only the writer counts
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error {
		if writes++; writes > 5 { // a header and two blocks
			return &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
		}
		return pwrite(f, off, p...)
	}
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	for range 2 {
		for off := 0; off < len(data); off += testBlock {
			mustRead(t, r, data, off, testBlock)
			written(t, c)
		}
	}
	if got := strings.Count(log.String(), "\n"); got != 1 || !strings.Contains(log.String(), "disk cache is off") {
		t.Errorf("log: %s", log.String())
	}
	r.Close()
	closeAndCheck(t, c, s)
	if asked := rereads(t, s, dir, id, data); asked != 8*testBlock {
		t.Errorf("%d blocks were fetched again", asked/testBlock)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A disk that hangs holds up no reader; blocks beyond the memory are not cached.
func TestASlowDiskHoldsUpNobody(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 200*testBlock)
	c := open(t, s, diskOptions(t, dir, 1<<30))
	gate := make(chan struct{})
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error { <-gate; return pwrite(f, off, p...) }
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	if st := c.Stats(); st.Dropped < 200-64-maxBatch {
		t.Errorf("%+v", st)
	}
	close(gate)
	written(t, c)
}

func TestUnusableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Fetcher: newStore(), Dir: filepath.Join(file, "cache"), Disk: budget.NewDisk(1)})
	if !object.Is(err, object.KindNotDir) {
		t.Errorf("a folder below a file: %v", err)
	}
}

// More versions than the memory may know push out the oldest.
func TestEntriesAreBounded(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	c := open(t, s, diskOptions(t, dir, 1<<30))
	c.disk.maxEntries = 5
	for i := range 12 {
		id, data := s.add(fmt.Sprint(i), "e", 10)
		r := c.Reader(id, 10)
		mustRead(t, r, data, 0, 10)
		r.Close()
		written(t, c)
	}
	if got := len(cacheFiles(t, dir, dataSuffix)); got != 5 {
		t.Errorf("%d versions on disk", got)
	}
}

// Readers, writer, evictions for lack of space, pressure, drops and adoptions at once.
func TestDiskStress(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	o := diskOptions(t, dir, 30*testBlock)
	o.Memory = 16 * testBlock
	var ids []object.ID
	for i := range 8 {
		id, _ := s.add(fmt.Sprint("k", i), "e", (i+1)*testBlock+i)
		ids = append(ids, id)
	}
	for round := range 3 { // the later ones start with what is there
		if round > 0 {
			o.Disk = budget.NewDisk(30 * testBlock)
		}
		c := open(t, s, o)
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				for i := range 40 {
					id := ids[(i*7+w*3)%len(ids)]
					data := s.mu.objects[id]
					r := c.Reader(id, int64(len(data)))
					mustRead(t, r, data, 0, len(data))
					r.Close()
					switch {
					case w == 0 && i%5 == 0:
						c.Drop(id)
					case w == 1 && i%3 == 0 && o.Disk.Reserve(10*testBlock) == nil:
						o.Disk.Release(10 * testBlock)
					case w == 2 && i%4 == 0:
						adoptData(t, c, o.Disk, id, data, fmt.Sprint(i))
					}
				}
			})
		}
		wg.Wait()
		closeAndCheck(t, c, s)
	}
}

// Reads go to the disk cache of an earlier process before the scan has come by.
func TestReadyBeforeTheScan(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 5*testBlock)
	fillDisk(t, s, dir, id, data)
	s.forget()
	d := &diskCache{dir: dir, blockSize: testBlock, budget: budget.NewDisk(1 << 20), log: slog.New(slog.DiscardHandler)}
	d.mu.entries = make(map[name]*entry)
	d.mu.live = newEntryList()
	sess := d.open(nameOf(id), int64(len(data)))
	defer sess.close()
	p := make([]byte, testBlock)
	if !sess.read(3, p) || !bytes.Equal(p, data[3*testBlock:4*testBlock]) {
		t.Error("the block is not there")
	}
	if d.open(nameOf(object.ID{Key: "other"}), 5) != nil {
		t.Error("an object that is not there was found")
	}
	d.scan(context.Background())
	checkDisk(t, d)
	if used, _ := d.budget.Usage(); used != 5*testBlock+page {
		t.Errorf("%d bytes are counted", used)
	}
}

// A size that a server made up, near the end of the numbers, must not turn costs
// negative.
func TestRegressionHugeSizeDoesNotOverflow(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	s.wrap = func(r object.Range, b []byte) io.Reader { return bytes.NewReader(make([]byte, r.Len)) }
	s.anySize = true
	o := diskOptions(t, dir, 1<<30)
	c := open(t, s, o)
	for i, size := range []int64{math.MaxInt64, math.MaxInt64 - 1, 1 << 62} {
		r := c.Reader(object.ID{Key: fmt.Sprint(i), ETag: "e"}, size)
		for _, off := range []int64{0, 10, 20, size - 3*testBlock, size - 2*testBlock, size - 1} {
			if _, err := r.ReadAt(context.Background(), make([]byte, testBlock), off); err != nil && err != io.EOF {
				t.Errorf("size %d, offset %d: %v", size, off, err)
			}
		}
		r.Close()
	}
	settled(t, c)
	if used, _ := o.Disk.Usage(); used != 0 {
		t.Errorf("%d bytes are counted", used)
	}
}

// The buffers of production are not on the heap: they are given back while others are
// still read.
func TestMappedBuffers(t *testing.T) {
	s := newStore()
	id, data := s.add("k", "e", 40*testBlock+5)
	s.users.Add(1)
	c, err := New(Options{Fetcher: s, BlockSize: testBlock, Memory: 8 * testBlock})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := c.Reader(id, int64(len(data)))
			defer r.Close()
			for j := range 200 {
				mustRead(t, r, data, (i*17+j*7)%41*testBlock, testBlock)
			}
		})
	}
	wg.Wait()
	closeAndCheck(t, c, s)
}

// Copies of the folder, taken at any moment while blocks are written, adopted and
// evicted, are what a crash leaves: bytes may be missing, never wrong.
func TestCrashAtAnyMoment(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	o := diskOptions(t, filepath.Join(dir, "live"), 40*testBlock)
	var ids []object.ID
	for i := range 6 {
		id, _ := s.add(fmt.Sprint("k", i), "e", (2*i+1)*testBlock+i)
		ids = append(ids, id)
	}
	read := func(t *testing.T, c *Cache, i int) {
		id := ids[i%len(ids)]
		r := c.Reader(id, int64(len(s.mu.objects[id])))
		defer r.Close()
		mustRead(t, r, s.mu.objects[id], 0, len(s.mu.objects[id]))
	}
	c := open(t, s, o)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				read(t, c, i)
				if i%5 == 0 {
					adoptData(t, c, o.Disk, ids[i%len(ids)], s.mu.objects[ids[i%len(ids)]], fmt.Sprint(i))
				}
			}
		}
	}()
	for i := range 10 {
		crashed := filepath.Join(dir, fmt.Sprint("crashed", i))
		copyTree(t, o.Dir, crashed)
		after := open(t, s, diskOptions(t, crashed, 40*testBlock))
		for j := range ids {
			read(t, after, j)
		}
		closeAndCheck(t, after, s)
	}
	close(stop)
	<-ended
}

// copyTree copies what is there; files may come and go meanwhile.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	for _, path := range cacheFiles(t, from, "") {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		rel, _ := filepath.Rel(from, path)
		os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o700)
		if err := os.WriteFile(filepath.Join(to, rel), b, 0o600); err != nil {
			t.Error(err)
		}
	}
}
