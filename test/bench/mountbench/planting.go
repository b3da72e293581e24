package mountbench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/s3mount/s3mount/internal/mtime"
	"github.com/s3mount/s3mount/test/s3fake"
)

// planting is a set of objects, or of files, whose names, bytes and times follow from
// their numbers: both sides know what must be there without telling each other.
type planting struct {
	Prefix  string // of all names; ends in "/"
	Dirs    int    // folders that the files are spread over; 0: none
	Files   int
	Size    int64
	Times   bool    // with modification times of their own in the metadata
	Patches []patch // what was written over each file
}

// patch is Len bytes of a pattern at Off.
type patch struct {
	Off, Len int64
	Seed     uint64
}

// name is the path of the i-th file below Prefix.
func (p planting) name(i int) string {
	if p.Dirs > 0 {
		return fmt.Sprintf("d%03d/f%06d", i%p.Dirs, i/p.Dirs)
	}
	return fmt.Sprintf("f%06d", i)
}

// key is the key of the i-th object.
func (p planting) key(i int) string { return p.Prefix + p.name(i) }

// index is the reverse of name; it fails for other names.
func (p planting) index(name string) (int, bool) {
	dir, file := filepath.Split(name)
	i, err := strconv.Atoi(trimFirst(file))
	if err != nil {
		return 0, false
	}
	if p.Dirs > 0 {
		d, err := strconv.Atoi(trimFirst(filepath.Clean(dir)))
		if err != nil {
			return 0, false
		}
		i = i*p.Dirs + d
	}
	return i, i >= 0 && i < p.Files && p.name(i) == name
}

func trimFirst(s string) string {
	if s == "" {
		return s
	}
	return s[1:]
}

func (p planting) pattern(i int) s3fake.Pattern { return s3fake.NewPattern(uint64(i) + 1) }

// time is the modification time of the i-th file: far from when the object was stored.
func (p planting) time(i int) time.Time {
	return time.Unix(1_500_000_000+int64(i)*61, int64(i%1000)*1_000_000)
}

// bucket stores all objects.
func (p planting) bucket(b *s3fake.Bucket) {
	for i := range p.Files {
		var meta map[string]string
		if p.Times {
			meta = map[string]string{mtime.Key: mtime.Format(p.time(i))}
		}
		b.PutPattern(p.key(i), p.Size, p.pattern(i), meta)
	}
}

// local writes all files into a directory.
func (p planting) local(dir string) error {
	data := make([]byte, p.Size)
	for i := range p.Files {
		path := filepath.Join(dir, p.name(i))
		p.pattern(i).ReadAt(data, 0)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644), os.Chtimes(path, time.Time{}, p.time(i)))
		if err != nil {
			return err
		}
	}
	return nil
}

// compare says in which way a bucket holds something else under the prefix. Markers of
// folders don't count.
func (p planting) compare(b *s3fake.Bucket) error {
	n := 0
	for _, key := range b.Keys(p.Prefix) {
		if key[len(key)-1] == '/' {
			continue
		}
		i, ok := p.index(key[len(p.Prefix):])
		if !ok {
			return fmt.Errorf("%s is too much", key)
		}
		if o, _ := b.Head(key); o.Size != p.Size {
			return fmt.Errorf("%s has %d bytes, not %d", key, o.Size, p.Size)
		}
		data, _ := b.Get(key)
		if err := p.check(i, data, 0); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		n++
	}
	if n != p.Files {
		return fmt.Errorf("%d objects, not %d", n, p.Files)
	}
	return nil
}

// check says whether data is what file i has at off.
func (p planting) check(i int, data []byte, off int64) error {
	if len(p.Patches) == 0 {
		return checkPattern(p.pattern(i), data, off)
	}
	want := make([]byte, len(data))
	p.pattern(i).ReadAt(want, off)
	for _, c := range p.Patches {
		// patches lie within data or outside of it: they are looked at in whole files
		if at := c.Off - off; at >= 0 && at+c.Len <= int64(len(want)) {
			s3fake.NewPattern(c.Seed).ReadAt(want[at:at+c.Len], 0)
		}
	}
	for j := range want {
		if want[j] != data[j] {
			return fmt.Errorf("byte %d is %#02x, want %#02x", off+int64(j), data[j], want[j])
		}
	}
	return nil
}
