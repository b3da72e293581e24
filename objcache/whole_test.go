package objcache

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// wholeSize is over the least that is passed through, and no multiple of a block.
const wholeSize = minWhole + 5*testBlock + 77

// roomy are options with memory for all of a test's objects.
func roomy(t testing.TB, dir string, limit int64) Options {
	o := diskOptions(t, dir, limit)
	o.Memory = 64 << 20
	return o
}

// awaitWhole returns the file of a version once the cache gives it.
func awaitWhole(t testing.TB, c *Cache, id object.ID, data []byte) *Whole {
	t.Helper()
	var w *Whole
	await(t, "the file is whole", func() bool {
		w = c.Whole(id, int64(len(data)))
		return w != nil
	})
	got, err := io.ReadAll(io.NewSectionReader(w.File(), 0, 1<<40))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the whole file has %d bytes that are not the object's: %v", len(got), err)
	}
	return w
}

func readOnce(t testing.TB, c *Cache, id object.ID, data []byte) {
	t.Helper()
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	for off := 0; off < len(data); off += 64 << 10 {
		mustRead(t, r, data, off, min(64<<10, len(data)-off))
	}
}

func TestFileIsWholeOnceAllIsWritten(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	c := open(t, s, roomy(t, dir, 1<<30))
	if c.Whole(id, wholeSize) != nil {
		t.Error("there is a file before anything was read")
	}
	readOnce(t, c, id, data)
	awaitWhole(t, c, id, data).Close()
	if c.Whole(id, wholeSize-1) != nil || c.Whole(object.ID{Key: "k"}, wholeSize) != nil {
		t.Error("there is a file of another version")
	}
	closeAndCheck(t, c, s)
}

func TestBlocksThatTheDiskWasTooSlowForAreWrittenLater(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	o := roomy(t, dir, 1<<30)
	o.Memory = 4 << 20 // the queue holds an eighth of it
	c := open(t, s, o)
	gate := make(chan struct{})
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error { <-gate; return pwrite(f, off, p...) }
	readOnce(t, c, id, data)
	close(gate)
	awaitWhole(t, c, id, data).Close()
	closeAndCheck(t, c, s)
}

func TestAfterARestartAFileIsWholeOnceItWasRead(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	c := open(t, s, roomy(t, dir, 1<<30))
	readOnce(t, c, id, data)
	awaitWhole(t, c, id, data).Close()
	closeAndCheck(t, c, s)

	s.forget()
	c = open(t, s, roomy(t, dir, 1<<30))
	r := c.Reader(id, wholeSize)
	mustRead(t, r, data, 0, 100)
	r.Close()
	settled(t, c)
	if c.Whole(id, wholeSize) != nil {
		t.Error("the file is believed before it was checked")
	}
	readOnce(t, c, id, data)
	awaitWhole(t, c, id, data).Close()
	if n, _ := s.gets(); n != 0 {
		t.Errorf("%d GETs", n)
	}
	closeAndCheck(t, c, s)
}

func TestBlocksReadWhileAnotherIsWrittenAreKnown(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	c := open(t, s, roomy(t, dir, 1<<30))
	readOnce(t, c, id, data)
	awaitWhole(t, c, id, data).Close()
	closeAndCheck(t, c, s)

	flipByte(t, cacheFiles(t, dir, dataSuffix)[0], 5)
	c = open(t, s, roomy(t, dir, 1<<30))
	writing, gate := make(chan struct{}), make(chan struct{})
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error {
		if filepath.Ext(f.Name()) == dataSuffix {
			close(writing)
			<-gate
		}
		return pwrite(f, off, p...)
	}
	r := c.Reader(id, wholeSize)
	mustRead(t, r, data, 0, testBlock)
	r.Close()
	<-writing
	readOnce(t, c, id, data)
	close(gate)
	awaitWhole(t, c, id, data).Close()
	closeAndCheck(t, c, s)
}

func TestWhoChangesAFileIsFoundOut(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	c := open(t, s, roomy(t, dir, 1<<30))
	readOnce(t, c, id, data)
	awaitWhole(t, c, id, data).Close()
	before := awaitWhole(t, c, id, data)
	if !before.Right() {
		t.Error("a file that nobody has changed is not right")
	}
	path := cacheFiles(t, dir, dataSuffix)[0]
	flipByte(t, path, 3*testBlock+5)
	if before.Right() {
		t.Error("a file that somebody has changed is right")
	}
	before.Close()
	if c.Whole(id, wholeSize) != nil {
		t.Fatal("a file that somebody has changed is given away")
	}
	c.Drop(object.ID{Key: "other"}) // no effect on it
	closeAndCheck(t, c, s)

	s.forget()
	c = open(t, s, roomy(t, dir, 1<<30))
	readOnce(t, c, id, data)
	if _, asked := s.gets(); asked != testBlock {
		t.Errorf("%d bytes were fetched again, not one block", asked)
	}
	awaitWhole(t, c, id, data).Close()
	closeAndCheck(t, c, s)
}

func flipByte(t testing.TB, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
}

func TestDiskThatDoesNotKeepWhatItTook(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	c := open(t, s, roomy(t, dir, 1<<30))
	failed := make(chan struct{}, 1)
	c.disk.syncOut = func(*os.File, int) error {
		select {
		case failed <- struct{}{}:
		default:
		}
		return errors.New("the disk is dying")
	}
	readOnce(t, c, id, data)
	<-failed
	await(t, "the file is removed", func() bool { return len(cacheFiles(t, dir, dataSuffix)) == 0 })
	if c.Whole(id, wholeSize) != nil {
		t.Error("the file is given away")
	}
	readOnce(t, c, id, data)
	closeAndCheck(t, c, s)
}

func TestWholeFileStaysWhileItIsUsed(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	const limit = 4 * minWhole
	c := open(t, s, roomy(t, dir, limit))
	readOnce(t, c, id, data)
	w := awaitWhole(t, c, id, data)
	for i := range 8 { // others push out each other
		id, data := s.add("other", string(rune('a'+i)), wholeSize)
		readOnce(t, c, id, data)
		written(t, c)
	}
	again := awaitWhole(t, c, id, data)
	again.Close()
	// Half of the limit at most is not to be evicted.
	id2, data2 := s.add("second", "e", wholeSize)
	readOnce(t, c, id2, data2)
	written(t, c)
	if w2 := c.Whole(id2, wholeSize); w2 != nil {
		t.Error("more than half of the budget is in use for good")
		w2.Close()
	}
	w.Close()
	awaitWhole(t, c, id2, data2).Close()
	checkDisk(t, c.disk)
	closeAndCheck(t, c, s)
}

func TestSpaceOfAFileInUseIsFreeWhenItIsClosed(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	c := open(t, s, roomy(t, dir, 1<<30))
	readOnce(t, c, id, data)
	w := awaitWhole(t, c, id, data)
	c.Drop(id)
	if used, _ := c.disk.budget.Usage(); used < wholeSize {
		t.Errorf("%d bytes are counted while a removed file is open", used)
	}
	w.Close()
	if used, _ := c.disk.budget.Usage(); used != 0 {
		t.Errorf("%d bytes are counted after that", used)
	}
	closeAndCheck(t, c, s)
}

func TestFileIsTakenAndComesBack(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	c := open(t, s, roomy(t, dir, 1<<30))
	readOnce(t, c, id, data)
	w := awaitWhole(t, c, id, data)
	path := filepath.Join(t.TempDir(), "staged")
	reserved, err := c.Take(w, id, path)
	if err != nil || reserved != pages(wholeSize) {
		t.Fatalf("take: %d bytes, %v", reserved, err)
	}
	if used, _ := c.disk.budget.Usage(); used != reserved {
		t.Errorf("%d bytes are counted, the file has %d", used, reserved)
	}
	if _, err := c.Take(w, id, path+"2"); err == nil {
		t.Error("it can be taken twice")
	}
	if _, err := os.Stat(path); err != nil || len(cacheFiles(t, dir, "")) != 0 {
		t.Errorf("where the file is: %v, %v", err, cacheFiles(t, dir, ""))
	}
	// What is changed in it now reaches no reader of the old version.
	flipByte(t, path, 5)
	readOnce(t, c, id, data)

	id2, data2 := s.add("k", "e2", wholeSize)
	if err := os.WriteFile(path, data2, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Adopt(id2, wholeSize, path, reserved); err != nil {
		t.Fatal(err)
	}
	if !c.Given(w, id2) || c.Given(w, id) {
		t.Error("the file is not known to be back")
	}
	awaitWhole(t, c, id2, data2).Close()
	w.Close()
	written(t, c)
	checkDisk(t, c.disk)
	closeAndCheck(t, c, s)
}

func TestFileThatSomebodyElseRemovedIsMadeAnew(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", wholeSize)
	o := roomy(t, dir, 1<<30)
	c := open(t, s, o)
	readOnce(t, c, id, data)
	awaitWhole(t, c, id, data).Close()
	for _, path := range cacheFiles(t, dir, "") {
		os.Remove(path)
	}
	c.mu.Lock()
	for _, v := range c.mu.versions { // forget the blocks in memory
		c.detachLocked(v)
	}
	c.mu.Unlock()
	readOnce(t, c, id, data)
	readOnce(t, c, id, data)
	awaitWhole(t, c, id, data).Close()
	checkDisk(t, c.disk)
	closeAndCheck(t, c, s)
}

func TestCacheLeavesTheDiskItsFloor(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	o := roomy(t, dir, 1<<30)
	o.MinFree = 10 * testBlock
	c := open(t, s, o)
	free := int64(1 << 30)
	c.disk.free = func(string) (int64, bool) {
		used, _ := o.Disk.Usage()
		return free - used, true
	}
	for i := range 20 {
		id, data := s.add("k", string(rune('a'+i)), 4*testBlock)
		readOnce(t, c, id, data)
		written(t, c)
	}
	before, _ := o.Disk.Usage()
	free = before + 2*testBlock // others have filled the disk
	c.disk.leaveFree(0, nil)
	if after, _ := o.Disk.Usage(); after > before-8*testBlock || after < before-16*testBlock {
		t.Errorf("of %d bytes %d are kept, with 8 blocks short", before, after)
	}
	free = 5 * testBlock
	c.disk.leaveFree(0, nil)
	if after, _ := o.Disk.Usage(); after != 0 {
		t.Errorf("%d bytes are kept below the floor", after)
	}
	id, data := s.add("k", "last", 4*testBlock)
	readOnce(t, c, id, data)
	written(t, c)
	if after, _ := o.Disk.Usage(); after != 0 {
		t.Errorf("%d bytes were written below the floor", after)
	}
	closeAndCheck(t, c, s)
}
