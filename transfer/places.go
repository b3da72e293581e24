package transfer

import (
	"path/filepath"
	"strings"

	"github.com/s3mount/s3mount/object"
)

// placed is an Endpoint that can say where it is.
type placed interface {
	// place begins with the place of every endpoint that it lies in.
	place() string
}

func (l *local) place() string { return "file:" + strings.TrimSuffix(RealPath(l.dir), "/") + "/" }

// place is the same for one bucket by two remotes, where the store can tell.
func (b *bucket) place() string {
	if s, ok := b.store.(interface{ Place() string }); ok {
		return "store:" + s.Place() + b.prefix
	}
	return "store:" + b.store.String() + b.prefix
}

// RealPath is the absolute path without symbolic links, as far as it exists.
func RealPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	if abs == "/" {
		return abs
	}
	return filepath.Join(RealPath(filepath.Dir(abs)), filepath.Base(abs))
}

// within reports whether a lies in b, or is b.
func within(a, b Endpoint) bool {
	pa, oka := a.(placed)
	pb, okb := b.(placed)
	return oka && okb && strings.HasPrefix(pa.place(), pb.place())
}

// Apart reports whether the filter keeps all of a folder below a root out, so that two
// places can lie in one another and have nothing to do with each other. path leads from
// the root to the folder.
func (f *Filter) Apart(path string) bool {
	if _, listed := f.paths(); listed {
		return true // nothing is walked, so that nothing can be walked for ever
	}
	for i := range path {
		if path[i] == '/' && !f.MatchDir(path[:i]) {
			return true
		}
	}
	return !f.MatchDir(path)
}

// overlaps reports whether a lies in b, where the filter does not keep them apart.
func overlaps(a, b Endpoint, f *Filter) bool {
	if !within(a, b) {
		return false
	}
	path := strings.TrimPrefix(a.(placed).place(), b.(placed).place())
	return path == "" || !f.Apart(strings.TrimSuffix(path, "/"))
}

// checkPlaces refuses what would copy a folder into itself, or delete its own source.
func checkPlaces(src, dst Endpoint, o *Options, sync bool) error {
	backup := o.BackupDir
	kept := o.Filter // what sync leaves alone in the destination
	if o.DeleteExcluded {
		kept = nil
	}
	switch {
	case within(src, dst) && within(dst, src):
		return object.Errorf(object.KindInvalid, "transfer", dst.String(), "source and destination are the same")
	case overlaps(dst, src, o.Filter):
		return object.Errorf(object.KindInvalid, "transfer", dst.String(), "the destination is inside of the source %s", src)
	case sync && overlaps(src, dst, kept):
		return object.Errorf(object.KindInvalid, "transfer", src.String(), "the source is inside of the destination %s, where sync would delete it", dst)
	case backup != nil && (overlaps(backup, dst, kept) || within(dst, backup)):
		return object.Errorf(object.KindInvalid, "transfer", backup.String(), "the backup folder and the destination must not lie in each other")
	case backup != nil && overlaps(backup, src, o.Filter):
		return object.Errorf(object.KindInvalid, "transfer", backup.String(), "the backup folder is inside of the source")
	}
	return nil
}
