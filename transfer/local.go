package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// local is a local folder as an Endpoint.
type local struct {
	name string // as the user gave it
	dir  string // absolute
	o    LocalOptions
	log  *slog.Logger

	mu struct {
		sync.Mutex
		fs localFS // nil until the folder is there
	}
}

// NewLocal returns the endpoint of a local folder, which need not exist yet. A path of
// something else is KindNotDir: for a file, its folder with a Filter of one file is
// meant.
func NewLocal(path string, o LocalOptions) (Endpoint, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return nil, localError("open", path, err)
	}
	if fi, err := os.Stat(dir); err == nil && !fi.IsDir() {
		return nil, object.Errorf(object.KindNotDir, "open", path, "")
	}
	if o.Streams <= 0 {
		o.Streams = 8
	}
	l := &local{name: path, dir: dir, o: o, log: o.Notes}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l, nil
}

func (l *local) String() string { return l.name }

// files returns the folder's file system, which stays open for the life of the endpoint.
func (l *local) files() (localFS, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.fs != nil {
		return l.mu.fs, nil
	}
	if fi, err := os.Stat(l.dir); err != nil {
		return nil, localError("open", l.name, err)
	} else if !fi.IsDir() {
		return nil, object.Errorf(object.KindNotDir, "open", l.name, "")
	}
	if l.o.CopyLinks {
		l.mu.fs = linkedFS{l.dir}
		return l.mu.fs, nil
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, localError("open", l.name, err)
	}
	l.mu.fs = root
	return root, nil
}

// at checks a path and returns the file system that it is in.
func (l *local) at(op, path string) (localFS, error) {
	if path != "" {
		if err := checkLocalPath(op, path); err != nil {
			return nil, err
		}
	}
	return l.files()
}

// maxLocalName is NAME_MAX.
const maxLocalName = 255

// checkLocalPath refuses what is no path of a local file: keys may hold any component.
func checkLocalPath(op, path string) error {
	for name := range strings.SplitSeq(path, "/") {
		why := ""
		switch {
		case name == "":
			why = "a name in it is empty"
		case name == "." || name == "..":
			why = "a name in it is " + name
		case strings.IndexByte(name, 0) >= 0:
			why = "a name in it holds a NUL byte"
		case len(name) > maxLocalName:
			return object.Errorf(object.KindNameTooLong, op, path, "a name in it has %d bytes, and a local one has %d at most", len(name), maxLocalName)
		}
		if why != "" {
			return object.Errorf(object.KindInvalid, op, path, "the key is no local path: %s", why)
		}
	}
	return nil
}

// localError makes an *object.Error of an error of package os.
func localError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var known *object.Error
	if errors.As(err, &known) {
		return err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		if errors.Is(err, fs.ErrExist) { // package os says so of a file that is renamed onto a folder
			return object.Errorf(object.KindIsDir, op, path, "a folder stands in its place")
		}
		err = link.Err // the partial file's name says nothing to anybody
	}
	kind := object.KindOther
	for _, k := range localKinds {
		if errors.Is(err, k.err) {
			kind = k.kind
			break
		}
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the path is told already
	}
	return &object.Error{Op: op, Key: path, Kind: kind, Err: err}
}

var localKinds = []struct {
	err  error
	kind object.Kind
}{
	{context.Canceled, object.KindCanceled},
	{context.DeadlineExceeded, object.KindTimeout},
	{fs.ErrNotExist, object.KindNotFound},
	{unix.ENOTEMPTY, object.KindNotEmpty}, // before ErrExist, which it counts as
	{fs.ErrExist, object.KindExists},
	{fs.ErrPermission, object.KindPermission},
	{unix.ENOSPC, object.KindNoSpace},
	{unix.EDQUOT, object.KindQuota},
	{unix.ENOTDIR, object.KindNotDir},
	{unix.EISDIR, object.KindIsDir},
	{unix.ENAMETOOLONG, object.KindNameTooLong},
	{unix.EFBIG, object.KindTooLarge},
	{unix.EROFS, object.KindReadOnly},
	{unix.ELOOP, object.KindLoop},
}

func (l *local) Stat(ctx context.Context, path string) (File, error) {
	files, err := l.at("stat", path)
	if err != nil {
		return File{}, err
	}
	fi, err := l.look(files, path)
	if err != nil {
		return File{}, localError("stat", path, err)
	}
	return fileOf(path, fi), nil
}

func (l *local) look(files localFS, path string) (fs.FileInfo, error) {
	if l.o.CopyLinks {
		return files.Stat(local1(path))
	}
	return files.Lstat(local1(path))
}

// local1 is the name of a path in a localFS.
func local1(path string) string {
	if path == "" {
		return "."
	}
	return path
}

func fileOf(path string, fi fs.FileInfo) File {
	f := File{Path: path, Dir: fi.IsDir(), Mode: fi.Mode(), ModTime: fi.ModTime()}
	if !f.Dir {
		f.Size = fi.Size()
	}
	return f
}

func (l *local) Open(ctx context.Context, f File, r object.Range) (io.ReadCloser, error) {
	c, err := l.open(f)
	if err != nil {
		return nil, err
	}
	n := r.Len
	if n == 0 {
		n = f.Size - r.Off
	}
	body, err := c.Range(ctx, r.Off, n)
	if err != nil {
		c.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{body, c}, nil
}

func (l *local) Content(ctx context.Context, f File) (Content, error) {
	c, err := l.open(f)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// open opens the version of a file that f describes. O_NONBLOCK keeps it from waiting
// for the writer of a FIFO that took the file's place.
func (l *local) open(f File) (*localContent, error) {
	files, err := l.at("open", f.Path)
	if err != nil {
		return nil, err
	}
	flags := os.O_RDONLY | unix.O_NONBLOCK
	if !l.o.CopyLinks {
		flags |= unix.O_NOFOLLOW
	}
	file, err := files.OpenFile(f.Path, flags, 0)
	if err != nil {
		return nil, localError("open", f.Path, err)
	}
	c := &localContent{file: file, path: f.Path, size: f.Size, mtime: f.ModTime}
	if err := c.Unchanged(); err != nil {
		file.Close()
		return nil, err
	}
	return c, nil
}

// localContent is an open local file.
type localContent struct {
	file  *os.File
	path  string
	size  int64
	mtime time.Time
}

func (c *localContent) Size() int64 { return c.size }

// ReadAt reads from the file; what lies behind the size that it had is not there.
func (c *localContent) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.file.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = localError("read", c.path, err)
	}
	return n, err
}

func (c *localContent) Range(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n < 0 || off+n > c.size {
		return nil, object.Errorf(object.KindInvalid, "read", c.path, "%d bytes at %d of %d", n, off, c.size)
	}
	return &contentRange{ctx: ctx, path: c.path, r: io.NewSectionReader(c, off, n), left: n}, nil
}

// contentRange makes a file that has become shorter an error, and ends with its context.
type contentRange struct {
	ctx  context.Context
	path string
	r    io.Reader
	left int64
}

func (r *contentRange) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, localError("read", r.path, err)
	}
	n, err := r.r.Read(p)
	if r.left -= int64(n); err == io.EOF && r.left > 0 {
		err = changed(r.path)
	}
	return n, err
}

func (r *contentRange) Close() error { return nil }

func changed(path string) error {
	return object.Errorf(object.KindStale, "read", path, "the file changed while it was read")
}

func (c *localContent) Unchanged() error {
	fi, err := c.file.Stat()
	switch {
	case err != nil:
		return localError("stat", c.path, err)
	case !fi.Mode().IsRegular():
		return object.Errorf(object.KindStale, "read", c.path, "it is no file any more")
	case fi.Size() != c.size || !fi.ModTime().Equal(c.mtime):
		return changed(c.path)
	}
	return nil
}

func (c *localContent) Close() error { return c.file.Close() }

func (l *local) Remove(ctx context.Context, paths []string) error {
	var errs []error
	for _, path := range paths {
		if ctx.Err() != nil {
			return errors.Join(append(errs, localError("delete", path, ctx.Err()))...)
		}
		errs = append(errs, l.removeFile(path))
	}
	return errors.Join(errs...)
}

func (l *local) removeFile(path string) error {
	files, err := l.at("delete", path)
	if err != nil {
		return err
	}
	fi, err := files.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err == nil && fi.IsDir():
		return object.Errorf(object.KindIsDir, "delete", path, "")
	case err == nil:
		err = files.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return localError("delete", path, err)
}

func (l *local) Mkdir(ctx context.Context, path string) error {
	if path == "" {
		return localError("mkdir", l.name, os.MkdirAll(l.dir, 0o777))
	}
	if err := checkLocalPath("mkdir", path); err != nil {
		return err
	}
	if err := l.Mkdir(ctx, ""); err != nil {
		return err
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	return localError("mkdir", path, files.MkdirAll(path, 0o777))
}

func (l *local) Rmdir(ctx context.Context, path string) error {
	files, err := l.at("rmdir", path)
	if err != nil {
		return err
	}
	if path == "" {
		return localError("rmdir", l.name, unix.Rmdir(l.dir))
	}
	fi, err := files.Lstat(path)
	if err == nil && !fi.IsDir() {
		return object.Errorf(object.KindNotDir, "rmdir", path, "")
	}
	if err == nil {
		err = files.Remove(path)
	}
	return localError("rmdir", path, err)
}

func (l *local) SetModTime(ctx context.Context, f File, t time.Time) (File, error) {
	files, err := l.at("set time", f.Path)
	if err != nil {
		return File{}, err
	}
	if err := files.Chtimes(f.Path, time.Time{}, t); err != nil {
		return File{}, localError("set time", f.Path, err)
	}
	f.ModTime = t
	return f, nil
}
