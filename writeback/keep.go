package writeback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/durable"
	"github.com/s3mount/s3mount/object"
)

const (
	keepTimeout  = time.Minute // for what Keep waits for: running calls, and the base
	keepNameMax  = 180         // bytes of the escaped key in a kept file's name
	keepAttempts = 1000        // names that are tried
	notesMax     = 1000        // missing ranges that a note lists
)

// Keep saves what the application wrote and S3 did not take: it moves the file into dir
// under a name made of name (a key) and the time, durably, and returns its path. An
// upload that runs is canceled. Bytes that only the base has are fetched if the base can
// be read within a minute; if not, they are zeros in the kept file, and a note beside it,
// with ".missing.txt" behind its name, tells which ranges they are. On success s is
// finished; on failure it is as it was.
func (s *Staged) Keep(dir, name string) (path string, err error) {
	for _, t := range s.running() {
		t.cancel()
	}
	// Not on q.ctx: after GiveUp, what is local is to be kept all the same.
	local, cancel := context.WithTimeout(context.Background(), keepTimeout)
	defer cancel()
	if err := s.enter(local, "keep"); err != nil {
		return "", err
	}
	defer s.leave()
	ctx, stop := context.WithTimeout(s.q.ctx, keepTimeout)
	defer stop()
	hydrateErr := s.hydrateHeld(ctx, 0, s.Size())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", localError("keep", name, err)
	}
	if err := s.file.Sync(); err != nil {
		return "", localError("keep", name, err)
	}
	path, err = s.moveTo(dir, keptName(name, s.q.Clock()))
	if err != nil {
		return "", localError("keep", name, err)
	}
	if hydrateErr != nil {
		if err := s.noteMissing(path, hydrateErr); err != nil {
			_ = os.Remove(path)
			return "", localError("keep", name, err)
		}
	}
	if !s.finish(fateDeleted) {
		_ = os.Remove(path)
		return "", s.errFinished("keep")
	}
	return path, nil
}

// keptName makes a file name of a key and a time: every byte that is not plain in a file
// name is percent-escaped, a key that is too long loses its beginning.
func keptName(key string, at time.Time) string {
	escaped := url.PathEscape(key)
	if escaped == "" || escaped[0] == '.' {
		escaped = "_" + escaped
	}
	if len(escaped) > keepNameMax {
		escaped = "_" + escaped[len(escaped)-keepNameMax:]
	}
	return escaped + "." + at.UTC().Format("20060102T150405Z")
}

// moveTo links or copies the file to a new name in dir that no file has, durably. The
// staged file itself stays until s is finished.
func (s *Staged) moveTo(dir, name string) (path string, err error) {
	for n := 1; n <= keepAttempts; n++ {
		path = filepath.Join(dir, name)
		if n > 1 {
			path = fmt.Sprintf("%s.%d", path, n)
		}
		if err = os.Link(s.path, path); err != nil && !errors.Is(err, fs.ErrExist) {
			err = s.copyTo(path) // another file system, or one without links
		}
		if err == nil {
			if err = durable.SyncDir(dir); err != nil {
				_ = os.Remove(path)
			}
			return path, err
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", err
}

// copyTo copies the file to a path that must not exist. Holes are copied as zeros.
func (s *Staged) copyTo(path string) (err error) {
	to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, to.Close()); err != nil {
			_ = os.Remove(path)
		}
	}()
	if _, err := io.Copy(to, io.NewSectionReader(s.file, 0, s.Size())); err != nil {
		return err
	}
	return to.Sync()
}

// noteMissing writes down which ranges of a kept file are not the object's bytes.
func (s *Staged) noteMissing(path string, cause error) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s holds what was written, but not all of what was not changed:\n", filepath.Base(path))
	fmt.Fprintf(&b, "the version beneath could not be read (%s).\n", object.KindOf(cause))
	b.WriteString("These ranges are zeros instead (first byte, number of bytes):\n")
	s.listMissing(&b)
	return durable.WriteFile(path+".missing.txt", []byte(b.String()))
}

func (s *Staged) listMissing(b *strings.Builder) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	off := int64(0)
	for n := 0; ; n++ {
		gap, ok := s.mu.present.gap(off, s.mu.baseEnd)
		if !ok {
			break
		}
		if n == notesMax {
			fmt.Fprintf(b, "and more behind %d\n", off)
			break
		}
		fmt.Fprintf(b, "%d %d\n", gap.off, gap.len())
		off = gap.end
	}
}
