package objcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// attrFile is the attribute store's file: a hash table of pages, that grows by doubling.
type attrFile struct {
	f     *os.File
	path  string
	pages uint32 // beside the header; a power of two
}

const minAttrPages = 64

// openAttrFile opens the file, or begins a new one where there is none or its header
// makes no sense, which damaged tells. It is locked: errAttrBusy says that another mount
// has it.
func openAttrFile(path string, maxPages uint32) (a *attrFile, damaged, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, nil, errAttrBusy
	}
	a = &attrFile{f: f, path: path}
	if a.pages, damaged = readAttrHeader(f, maxPages); damaged == nil {
		return a, nil, nil
	}
	if damaged == errAttrNew {
		damaged = nil
	}
	a.pages = minAttrPages
	if err = f.Truncate(0); err == nil {
		err = a.writeHeader()
	}
	if err != nil {
		f.Close()
	}
	return a, damaged, err
}

var (
	errAttrBusy = errors.New("another mount uses it")
	errAttrNew  = errors.New("it is empty")
)

// attrHeader makes the header: the magic, the number of pages and a checksum.
func attrHeader(pages uint32) []byte {
	b := make([]byte, attrPageSize)
	n := copy(b, attrMagic)
	binary.LittleEndian.PutUint32(b[n:], pages)
	binary.LittleEndian.PutUint32(b[n+4:], crc32.Checksum(b[:n+4], castagnoli))
	return b
}

func readAttrHeader(f *os.File, maxPages uint32) (pages uint32, err error) {
	b := make([]byte, attrPageSize)
	n, err := f.ReadAt(b, 0)
	if n == 0 && err == io.EOF {
		return 0, errAttrNew
	}
	if err != nil && err != io.EOF {
		return 0, err
	}
	pages = binary.LittleEndian.Uint32(b[len(attrMagic):])
	if string(b) != string(attrHeader(pages)) || pages < minAttrPages || pages&(pages-1) != 0 {
		return 0, errors.New("its header is damaged, or of another version of s3mount")
	}
	if pages > maxPages {
		return 0, errors.New("it is larger than the limit is now")
	}
	return pages, nil
}

func (a *attrFile) writeHeader() error {
	_, err := a.f.WriteAt(attrHeader(a.pages), 0)
	return err
}

func (a *attrFile) offset(page uint32) int64 { return (1 + int64(page)) * attrPageSize }

// read reads a page into buf. What was never written is empty.
func (a *attrFile) read(page uint32, buf []byte) (attrPage, error) {
	n, err := a.f.ReadAt(buf, a.offset(page))
	if err != nil && err != io.EOF {
		return nil, err
	}
	clear(buf[n:])
	return readAttrPage(buf), nil
}

func (a *attrFile) write(page uint32, p attrPage) error {
	p.seal()
	_, err := a.f.WriteAt(p, a.offset(page))
	return err
}

// attrFileSize is how large a file of so many pages may become.
func attrFileSize(pages uint32) int64 { return (1 + int64(pages)) * attrPageSize }

// doubled makes a file of twice as many pages with the same records, in the place of a.
// The caller goes on with it and closes a.
func (a *attrFile) doubled() (_ *attrFile, err error) {
	f, err := os.OpenFile(a.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	b := &attrFile{f: f, path: a.path, pages: 2 * a.pages}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(a.path + ".new")
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := b.writeHeader(); err != nil {
		return nil, err
	}
	if err := a.copyTo(b); err != nil {
		return nil, err
	}
	return b, os.Rename(a.path+".new", filepath.Clean(a.path))
}

// copyTo writes each page's records to the two pages of b that they belong to.
func (a *attrFile) copyTo(b *attrFile) error {
	buf := make([]byte, attrPageSize)
	halves := [2]attrPage{make(attrPage, attrPageSize), make(attrPage, attrPageSize)}
	for page := range a.pages {
		p, err := a.read(page, buf)
		if err != nil {
			return err
		}
		if p.used() == attrPageHead {
			continue
		}
		for i := range halves {
			halves[i].setUsed(attrPageHead)
		}
		for at := attrPageHead; ; {
			id, value, end := p.next(at)
			if end == 0 {
				break
			}
			k := attrKey(id)
			halves[k.page(b.pages)/a.pages].put(k, value)
			at = end
		}
		for i, h := range halves {
			if h.used() > attrPageHead {
				if err := b.write(page+uint32(i)*a.pages, h); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
