package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
	"github.com/s3mount/s3mount/test/servers"
)

// TestACrowdOnFewNames lets many programs create, replace, rename, remove, read and look
// at the same few names at the same time, on a store that fails now and then. Each file is
// replaced as a whole, so whoever opens one must see a whole one; errors are those that a
// local disk gives, too.
func TestACrowdOnFewNames(t *testing.T) {
	semantics.Claim(t, "A name over which programs of this mount keep renaming new files can be opened at any time, as on a local disk: it is the old file or the new one, each of them whole.")
	t.Parallel()
	const programs = 10
	for name, args := range map[string][]string{
		"as it is":      nil,
		"without trust": {"--dir-cache-time", "0", "--attr-timeout", "0"},
		"writeback":     {"--writeback"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := s3fake.Start(t, s3fake.Options{})
			b := fake.Bucket("bucket")
			m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Args: args})
			for i := range crowdFolders {
				must(t, os.Mkdir(fmt.Sprintf("%s/d%d", m.Dir, i), 0o755))
			}
			fake.Fail(s3fake.Rule{Probability: 0.01, Fault: s3fake.SlowDown()},
				s3fake.Rule{Probability: 0.01, Fault: s3fake.Fault{Act: s3fake.Reset}})
			var g sync.WaitGroup
			end := time.Now().Add(crowdTime)
			crowd := make([]*program, programs)
			for i := range crowd {
				p := &program{t: t, dir: m.Dir, id: uint64(i), dice: rand.New(rand.NewPCG(uint64(i), 7))}
				crowd[i] = p
				g.Go(func() {
					for time.Now().Before(end) && !t.Failed() {
						p.act()
					}
					if p.log != nil {
						p.check("close of the log", p.log.Close())
					}
				})
			}
			g.Wait()
			for i := range crowd {
				t.Logf("program %d: %d acts, %d met somebody", i, crowd[i].acts, crowd[i].met)
			}
			fake.Heal()
			m.Unmount()
			same(t, "incomplete uploads", len(b.Uploads()), 0)
			for _, dir := range []string{"staging/staged", "staging/uploads", "unsent"} {
				left, err := filepath.Glob(m.Cache + "/mounts/*/" + dir + "/*")
				must(t, err)
				same(t, "left in "+dir, strings.Join(left, " "), "")
			}
			crowdResult(t, b, crowd)
		})
	}
}

const (
	crowdFolders, crowdNames = 3, 4
	crowdTime                = 3 * time.Second
)

// crowdResult compares the bucket with what the programs did.
func crowdResult(t *testing.T, b *s3fake.Bucket, crowd []*program) {
	t.Helper()
	for _, key := range b.Keys("") {
		data, _ := b.Get(key)
		switch base := key[strings.LastIndex(key, "/")+1:]; {
		case base == "":
			same(t, "bytes of the marker "+key, len(data), 0)
		case strings.HasPrefix(base, "log"):
			var id int
			fmt.Sscanf(base, "log%d", &id)
			same(t, key+" has all that was written", bytes.Equal(data, crowd[id].written), true)
		default:
			must(t, wholeRecord(data))
		}
	}
}

// program is one of the crowd.
type program struct {
	t         *testing.T
	dir       string
	id        uint64
	dice      *rand.Rand
	acts, met int
	log       *os.File
	written   []byte
}

// check fails the test for an error that no local disk gives when others are at work, too.
func (p *program) check(what string, err error) bool {
	p.acts++
	for _, allowed := range []error{unix.ENOENT, unix.ENOTEMPTY, unix.EEXIST} {
		if errors.Is(err, allowed) {
			p.met++
			return false
		}
	}
	if err != nil {
		p.t.Errorf("program %d: %s: %v", p.id, what, err)
	}
	return err == nil
}

func (p *program) name() string {
	return fmt.Sprintf("%s/d%d/f%d", p.dir, p.dice.IntN(crowdFolders), p.dice.IntN(crowdNames))
}

func (p *program) act() {
	name := p.name()
	switch p.dice.IntN(12) {
	case 0, 1:
		p.replace(name)
	case 2, 3, 4:
		p.read(name)
	case 5:
		p.check("remove", os.Remove(name))
	case 6:
		p.check("rename", os.Rename(name, p.name()))
	case 7:
		p.check("chmod", os.Chmod(name, 0o600+os.FileMode(p.dice.IntN(8))))
	case 8:
		p.check("utimes", os.Chtimes(name, time.Time{}, time.Unix(p.dice.Int64N(1e9), 1)))
	case 9:
		p.list()
	case 10:
		p.append()
	case 11:
		p.moveFolder()
	}
}

// replace writes a new file and renames it to a name, as editors do.
func (p *program) replace(name string) {
	tmp := fmt.Sprintf("%s.new%d", name, p.id)
	size := 1 + p.dice.IntN(100_000)
	if p.dice.IntN(100) == 0 {
		size = 18 << 20 // in parts
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if !p.check("create", err) {
		return
	}
	data := record(p.dice.Uint64(), size)
	for len(data) > 0 && err == nil {
		k := min(len(data), 1+p.dice.IntN(1<<20))
		_, err = f.Write(data[:k])
		data = data[k:]
	}
	ok := p.check("write", err)
	ok = p.check("close", f.Close()) && ok
	if ok && p.check("replace", os.Rename(tmp, name)) {
		return
	}
	p.check("remove", os.Remove(tmp))
}

func (p *program) read(name string) {
	f, err := os.Open(name)
	if !p.check("open", err) {
		return
	}
	defer f.Close()
	half := make([]byte, 1+p.dice.IntN(1000))
	k, err := io.ReadFull(f, half)
	if err == io.ErrUnexpectedEOF {
		err = nil
	}
	if !p.check("read", err) {
		return
	}
	if p.dice.IntN(2) == 0 {
		time.Sleep(time.Duration(p.dice.IntN(20)) * time.Millisecond) // others replace it meanwhile
	}
	rest, err := io.ReadAll(f)
	if p.check("read on", err) {
		p.check("what "+name+" holds", wholeRecord(append(half[:k], rest...)))
	}
}

func (p *program) list() {
	entries, err := os.ReadDir(filepath.Dir(p.name()))
	if !p.check("readdir", err) {
		return
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.Name()] {
			p.t.Errorf("%s is listed twice", e.Name())
		}
		seen[e.Name()] = true
		_, err := e.Info()
		p.check("stat", err)
	}
}

// append writes to a log that stays open, and syncs it now and then.
func (p *program) append() {
	if p.log == nil {
		f, err := os.OpenFile(fmt.Sprintf("%s/log%d", p.dir, p.id), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if !p.check("open a log", err) {
			return
		}
		p.log = f
	}
	line := fmt.Appendf(nil, "%d\n", len(p.written))
	_, err := p.log.Write(line)
	if p.check("append", err) {
		p.written = append(p.written, line...)
	}
	if p.dice.IntN(4) == 0 {
		p.check("fsync", p.log.Sync())
	}
}

// moveFolder renames a folder there and back.
func (p *program) moveFolder() {
	if p.dice.IntN(4) != 0 {
		return
	}
	from := fmt.Sprintf("%s/d%d", p.dir, p.dice.IntN(crowdFolders))
	to := fmt.Sprintf("%s/away%d", p.dir, p.id)
	if p.check("rename a folder", os.Rename(from, to)) {
		p.check("rename a folder back", os.Rename(to, from))
	}
}

// record makes a file of size bytes and a head, that tells whether it is whole.
func record(seed uint64, size int) []byte {
	data := make([]byte, 16+size)
	binary.BigEndian.PutUint64(data, seed)
	binary.BigEndian.PutUint64(data[8:], uint64(size))
	s3fake.NewPattern(seed).ReadAt(data[16:], 0) // never fails
	return data
}

// wholeRecord returns an error unless data is what record made.
func wholeRecord(data []byte) error {
	if len(data) < 16 {
		return fmt.Errorf("a record of %d bytes", len(data))
	}
	seed, size := binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:])
	if size != uint64(len(data)-16) {
		return fmt.Errorf("a record of %d bytes has %d", size, len(data)-16)
	}
	if !bytes.Equal(data, record(seed, int(size))) {
		return errors.New("a record with bytes of another")
	}
	return nil
}
