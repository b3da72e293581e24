package transfer

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/s3mount/s3mount/internal/mtime"
	"github.com/s3mount/s3mount/object"
)

const (
	// partialSuffix ends the name of a file while it is written.
	partialSuffix = ".partial"
	// rangeSize is how many bytes of a large file one of several streams compares at a time.
	rangeSize = 32 << 20
	copyBuf   = 256 << 10
)

// Put writes a file beside its final name, checks it, sets its time, and renames it. A
// file that was there stays until then. Nothing is synced to the disk.
func (l *local) Put(ctx context.Context, name string, content Content, o PutOptions) (File, error) {
	if err := checkLocalPath("write", name); err != nil {
		return File{}, err
	}
	if err := l.Mkdir(ctx, ""); err != nil {
		return File{}, err
	}
	files, err := l.files()
	if err != nil {
		return File{}, err
	}
	if fi, err := files.Lstat(name); err == nil && fi.IsDir() {
		return File{}, object.Errorf(object.KindIsDir, "write", name, "a folder stands in its place")
	}
	file, temp, err := createPartial(files, name)
	if err != nil {
		return File{}, localError("write", name, err)
	}
	done := false
	defer func() {
		if !done {
			file.Close()
			files.Remove(temp)
		}
	}()
	w := &localWrite{l: l, path: name, file: file, content: content, o: o}
	if err := w.fill(ctx); err != nil {
		return File{}, localError("write", name, err)
	}
	if err := w.finish(ctx, files, temp); err != nil {
		return File{}, localError("write", name, err)
	}
	done = true
	fi, err := files.Lstat(name)
	if err != nil {
		return File{}, localError("stat", name, err)
	}
	f := fileOf(name, fi)
	f.MD5 = w.o.MD5
	return f, nil
}

// createPartial makes a new file in the folder that name is in, and the folder.
func createPartial(files localFS, name string) (*os.File, string, error) {
	dir, base := path.Split(name)
	random := rand.Text()[:8]
	if over := len(base) + len(random) + len(partialSuffix) + 2 - maxLocalName; over > 0 {
		base = base[:len(base)-over]
	}
	temp := dir + "." + base + "." + random + partialSuffix
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	file, err := files.OpenFile(temp, flags, 0o666)
	if errors.Is(err, fs.ErrNotExist) && dir != "" {
		if err := files.MkdirAll(path.Clean(dir), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, "", err
		}
		file, err = files.OpenFile(temp, flags, 0o666)
	}
	return file, temp, err
}

// localWrite is a file that is being written.
type localWrite struct {
	l       *local
	path    string
	file    *os.File
	content Content
	o       PutOptions
}

// fill writes all of the content, and checks its sum if that is known.
func (w *localWrite) fill(ctx context.Context) error {
	size := w.content.Size()
	if length := cut(size, w.l.o.Streams); length < size {
		return newFilling(w, size, length).run(ctx)
	}
	var sum hash.Hash
	if _, described := w.content.(Described); described || w.o.MD5 != "" {
		sum = md5.New()
	}
	if err := w.copyRange(ctx, 0, size, sum, nil); err != nil {
		return err
	}
	if err := w.learnSum(ctx); err != nil || sum == nil {
		return err
	}
	return w.verify(ctx, sum)
}

// learnSum takes the sum that an answer told, for an object of several parts. Its
// metadata is there already, or asked for because of the time anyway.
func (w *localWrite) learnSum(ctx context.Context) error {
	d, ok := w.content.(Described)
	if !ok || w.o.MD5 != "" || !w.o.ModTime.IsZero() {
		return nil
	}
	info, err := d.Info(ctx)
	w.o.MD5, _ = info.MD5()
	return err
}

// copyRange fetches a range into its place, and through sum if that is not nil. came, if
// not nil, is told how many bytes are in their place.
func (w *localWrite) copyRange(ctx context.Context, off, n int64, sum io.Writer, came func(int)) error {
	body, err := w.content.Range(ctx, off, n)
	if err != nil {
		return err
	}
	defer body.Close()
	holes := &holeWriter{w: w.file, off: off}
	var out io.Writer = holes
	if sum != nil {
		out = io.MultiWriter(out, sum)
	}
	if came != nil {
		out = &tellingWriter{out, came}
	}
	in := &countingReader{r: io.LimitReader(body, n+1), sent: w.o.Sent}
	got, err := io.CopyBuffer(out, in, make([]byte, min(copyBuf, n+1)))
	if err == nil && got != n {
		err = object.Errorf(object.KindCorrupt, "read", w.path, "%d bytes came at %d instead of %d", got, off, n)
	}
	return cmp.Or(err, holes.end())
}

func (w *localWrite) verify(ctx context.Context, sum hash.Hash) error {
	got := hex.EncodeToString(sum.Sum(nil))
	if w.o.MD5 == "" || got == w.o.MD5 {
		return nil
	}
	if d, ok := w.content.(doubter); ok {
		doubted, err := d.doubted(ctx)
		if err != nil {
			return err
		}
		if doubted {
			w.o.MD5 = ""
			return nil
		}
	}
	return corrupt(w.path, got, w.o.MD5)
}

func corrupt(path, got, want string) error {
	return object.Errorf(object.KindCorrupt, "read", path, "its MD5 sum is %s, not %s", got, want)
}

// doubter is Content whose known sum may be none.
type doubter interface {
	doubted(ctx context.Context) (bool, error)
}

// finish makes the file visible, with its time.
func (w *localWrite) finish(ctx context.Context, files localFS, temp string) error {
	t, err := w.modTime(ctx)
	if err != nil {
		return err
	}
	if err := w.content.Unchanged(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	if !t.IsZero() {
		if err := files.Chtimes(temp, time.Time{}, t); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return files.Rename(temp, w.path)
}

func (w *localWrite) modTime(ctx context.Context) (time.Time, error) {
	d, ok := w.content.(Described)
	if !ok || !w.o.ModTime.IsZero() {
		return w.o.ModTime, nil
	}
	info, err := d.Info(ctx)
	return infoTime(info), err
}

// infoTime is the modification time of an object with its metadata.
func infoTime(info object.Info) time.Time {
	if t, ok := mtime.Parse(info.Meta[mtime.Key]); ok {
		return t
	}
	return info.LastModified
}

// countingReader tells how many bytes were read.
type countingReader struct {
	r    io.Reader
	sent func(int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.sent != nil && n > 0 {
		c.sent(int64(n))
	}
	return n, err
}
