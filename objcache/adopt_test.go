package objcache

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

func adoptData(t *testing.T, c *Cache, disk *budget.Disk, id object.ID, data []byte, tag string) {
	reserved := pages(int64(len(data)))
	if disk.Reserve(reserved) != nil {
		return
	}
	path := filepath.Join(c.o.Dir, "staged"+tag)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Error(err)
	}
	if err := c.Adopt(id, int64(len(data)), path, reserved); err != nil {
		t.Error(err)
		disk.Release(reserved)
	}
}

func TestAdoptIsReadWithoutAFetch(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 5*testBlock+1)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	gate := make(chan struct{})
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error { <-gate; return pwrite(f, off, p...) }
	adoptData(t, c, o.Disk, id, data, "x")
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data)) // before there are checksums
	close(gate)
	written(t, c)
	r.Close()
	closeAndCheck(t, c, s)
	if asked := rereads(t, s, dir, id, data); asked != 0 {
		t.Errorf("%d bytes were fetched", asked)
	}
	if n, _ := s.gets(); n != 0 {
		t.Errorf("%d GETs", n)
	}
}

func TestAdoptReplacesWhatWasCached(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 5*testBlock)
	fillDisk(t, s, dir, id, data)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	adoptData(t, c, o.Disk, id, data, "x")
	written(t, c)
	if used, _ := o.Disk.Usage(); used != 5*testBlock+page {
		t.Errorf("%d bytes are counted", used)
	}
}

// A process that ends before the checksums are written leaves bytes that nobody
// vouches for.
func TestAdoptedWithoutChecksumsIsForgottenByTheNextProcess(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 5*testBlock)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	c.disk.pwrite = func(*os.File, int64, ...[]byte) error { return syscall.EIO }
	adoptData(t, c, o.Disk, id, data, "x")
	await(t, "the writer gives up", c.disk.off.Load)
	closeAndCheck(t, c, s)
	if asked := rereads(t, s, dir, id, data); asked != int64(len(data)) {
		t.Errorf("%d bytes were fetched", asked)
	}
}

func TestAdoptedFileThatIsDamagedIsForgotten(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 5*testBlock)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	c.disk.pwrite = func(*os.File, int64, ...[]byte) error { return syscall.EIO }
	adoptData(t, c, o.Disk, id, data, "x")
	os.Truncate(cacheFiles(t, dir, dataSuffix)[0], 2*testBlock)
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	await(t, "the writer gives up", c.disk.off.Load)
	if used, _ := o.Disk.Usage(); used != 0 {
		t.Errorf("%d bytes are counted", used)
	}
}

// Who has opened an adopted file before it had checksums goes on reading it when it has.
func TestRegressionAnAdoptedFileThatGetsItsChecksumsMeanwhile(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 5*testBlock)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	gate := make(chan struct{})
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error { <-gate; return pwrite(f, off, p...) }
	adoptData(t, c, o.Disk, id, data, "x")
	var early [2]*session
	for i := range early {
		early[i] = c.disk.open(nameOf(id), int64(len(data)))
		defer early[i].close()
	}
	close(gate)
	written(t, c)
	p := make([]byte, testBlock)
	if !early[0].read(3, p) || !bytes.Equal(p, data[3*testBlock:4*testBlock]) {
		t.Error("a block was not read")
	}
	if !early[1].has(2) {
		t.Error("a block is not known")
	}
}

// While the writer makes its index, an adopted file is served as before.
func TestRegressionAdoptedFileWithAnIndexInTheMaking(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 5*testBlock)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	gate, begun := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c.disk.pwrite = func(f *os.File, off int64, p ...[]byte) error {
		once.Do(func() { close(begun) })
		<-gate
		return pwrite(f, off, p...)
	}
	adoptData(t, c, o.Disk, id, data, "x")
	<-begun // the index is there, and empty
	r := c.Reader(id, int64(len(data)))
	defer r.Close()
	mustRead(t, r, data, 0, len(data))
	close(gate)
	written(t, c)
	if n, _ := s.gets(); n != 0 {
		t.Errorf("%d GETs", n)
	}
}

func TestAdoptFailsWithoutHarm(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 100)
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	path := filepath.Join(dir, "staged")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	noDisk := open(t, s, Options{})
	for name, err := range map[string]error{
		"no disk":    noDisk.Adopt(id, 100, path, page),
		"no ETag":    c.Adopt(object.ID{Key: "k"}, 100, path, page),
		"wrong size": c.Adopt(id, 101, path, page),
		"no file":    c.Adopt(id, 100, path+"x", page),
		"a folder":   c.Adopt(id, 100, dir, page),
		"negative":   c.Adopt(id, 100, path, -1),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if used, _ := o.Disk.Usage(); used != 0 {
		t.Errorf("%d bytes are counted", used)
	}
	r := c.Reader(id, 100)
	defer r.Close()
	mustRead(t, r, data, 0, 100)
	closeAndCheck(t, c, s)
	if err := c.Adopt(id, 100, path, page); !object.Is(err, object.KindCanceled) {
		t.Errorf("closed: %v", err)
	}
}

// A rename that fails leaves file and reservation to the caller.
func TestAdoptThatCannotMoveTheFile(t *testing.T) {
	s, dir := newStore(), t.TempDir()
	id, data := s.add("k", "e", 100)
	if err := os.WriteFile(filepath.Join(dir, nameOf(id).String()[:1]), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := diskOptions(t, dir, 1<<20)
	c := open(t, s, o)
	path := filepath.Join(dir, "staged")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Adopt(id, 100, path, page); !object.Is(err, object.KindOther) {
			t.Errorf("got %v", err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the file is gone or changed: %v", err)
	}
	r := c.Reader(id, 100)
	defer r.Close()
	mustRead(t, r, data, 0, 100)
	settled(t, c)
}
