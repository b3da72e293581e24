package transfer

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

// Walk reads a folder at a time and holds the names of those that it is in. A folder that
// cannot be read is yielded with its error, and the walk goes on.
func (l *local) Walk(ctx context.Context, o WalkOptions) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		files, err := l.at("list", o.Dir)
		if err != nil {
			yield(File{}, err)
			return
		}
		w := &localWalk{l: l, ctx: ctx, files: files, o: o, yield: yield}
		fi, err := files.Stat(local1(o.Dir))
		if err == nil && !fi.IsDir() {
			err = unix.ENOTDIR
		}
		if err != nil {
			yield(File{}, localError("list", cmp.Or(o.Dir, l.name), err))
			return
		}
		w.folder(o.Dir, 1, fi)
	}
}

type localWalk struct {
	l     *local
	ctx   context.Context
	files localFS
	o     WalkOptions
	yield func(File, error) bool
	above []fs.FileInfo // the folders that the walk is in
}

// folder walks a folder; it is false when the walk is over.
func (w *localWalk) folder(dir string, depth int, fi fs.FileInfo) bool {
	for _, a := range w.above {
		if os.SameFile(a, fi) {
			return w.yield(File{Path: dir, Dir: true, Err: object.Errorf(object.KindLoop, "list", dir, "a link leads back to a folder above")}, nil)
		}
	}
	w.above = append(w.above, fi)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	entries, err := w.read(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && dir != w.o.Dir {
			return true // removed meanwhile
		}
		return w.yield(File{Path: dir, Dir: true, Err: localError("list", cmp.Or(dir, w.l.name), err)}, nil)
	}
	for i := range entries {
		if err := w.ctx.Err(); err != nil {
			w.yield(File{}, localError("list", dir, err))
			return false
		}
		if !w.entry(entries[i], depth) {
			return false
		}
		entries[i] = localEntry{} // a long folder's names go as they are used
	}
	return true
}

// localEntry is a name in a folder, and what it sorts by.
type localEntry struct {
	order, path string
	d           fs.DirEntry
	fi          fs.FileInfo // where it had to be asked for
}

func (w *localWalk) read(dir string) ([]localEntry, error) {
	f, err := w.files.Open(local1(dir))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	out := make([]localEntry, 0, len(list))
	for _, d := range list {
		e := localEntry{order: d.Name(), path: path.Join(dir, d.Name()), d: d}
		isDir := d.IsDir()
		if d.Type()&fs.ModeSymlink != 0 && w.l.o.CopyLinks {
			if fi, err := w.files.Stat(e.path); err == nil {
				e.fi, isDir = fi, fi.IsDir()
			}
		}
		if isDir {
			e.order += "/"
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b localEntry) int { return strings.Compare(a.order, b.order) })
	return out, nil
}

// entry yields one name with what is below it; it is false when the walk is over.
func (w *localWalk) entry(e localEntry, depth int) bool {
	mode := e.d.Type()
	if e.fi != nil {
		mode = e.fi.Mode().Type()
	}
	switch {
	case mode.IsDir():
		return w.below(e, depth)
	case mode&fs.ModeSymlink != 0 && w.l.o.CopyLinks:
		_, err := w.files.Stat(e.path) // a link that leads nowhere
		return w.yield(File{Path: e.path, Err: localError("follow link", e.path, cmp.Or(err, error(unix.EINVAL)))}, nil)
	case mode&fs.ModeSymlink != 0:
		w.l.log.Warn("passing over a symbolic link; --copy-links follows them", "path", e.path)
		return true
	case mode.IsRegular():
		return w.file(e)
	}
	w.l.log.Warn("passing over what is neither file nor folder", "path", e.path, "type", mode.String())
	return true
}

func (w *localWalk) info(e localEntry) (fs.FileInfo, error) {
	if e.fi != nil {
		return e.fi, nil
	}
	return w.files.Lstat(e.path)
}

func (w *localWalk) file(e localEntry) bool {
	fi, err := w.info(e)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true // removed meanwhile
	case err != nil:
		return w.yield(File{Path: e.path, Err: localError("stat", e.path, err)}, nil)
	}
	return w.yield(fileOf(e.path, fi), nil)
}

func (w *localWalk) below(e localEntry, depth int) bool {
	if w.o.Skip != nil && w.o.Skip(e.path) {
		return true
	}
	fi, err := w.info(e)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true
	case err != nil:
		return w.yield(File{Path: e.path, Dir: true, Err: localError("stat", e.path, err)}, nil)
	}
	if w.o.Dirs && !w.yield(fileOf(e.path, fi), nil) {
		return false
	}
	if w.o.Depth > 0 && depth >= w.o.Depth {
		return true
	}
	return w.folder(e.path, depth+1, fi)
}
