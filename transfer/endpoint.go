package transfer

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"time"

	"github.com/s3mount/s3mount/object"
)

// File is a file or folder of an Endpoint.
type File struct {
	// Path leads from the endpoint's root to the file: components with "/" between
	// them, and none before or behind. In a bucket it is the rest of the key as it is:
	// a component may be empty there, or "..", or hold any bytes.
	Path string
	// Dir says that it is a folder. Folders are yielded where WalkOptions asks for them.
	Dir  bool
	Size int64 // bytes; 0 for folders
	// ModTime is the zero time where only Endpoint.Stat would tell it.
	ModTime time.Time
	// MD5 is the sum of the content in hexadecimal, empty where it is not known: local
	// files, objects of several parts, objects under some encryptions.
	MD5  string
	Mode fs.FileMode // of a local file; 0 for objects that have none
	Info object.Info // of an object
	// Err says why this one entry cannot be had: an unreadable folder, or a name that is
	// not UTF-8. What is below it is not known; the walk goes on behind it.
	Err error
}

// order is what files sort by: a folder's name as if it ended in "/".
func (f File) order() string {
	if f.Dir {
		return f.Path + "/"
	}
	return f.Path
}

// WalkOptions says what Walk yields.
type WalkOptions struct {
	// Dir is the folder to walk; empty: the root.
	Dir string
	// Depth is how many levels are yielded: 1 is what is directly in Dir, 0 is all.
	Depth int
	// Dirs yields folders, too: those that exist, and those that a key implies.
	Dirs bool
	// Fast lists a whole bucket in one sequence of requests, not its folders in parallel.
	Fast bool
	// Skip reports whether a folder is passed over with all below. Nil: none is. It may
	// be called from several goroutines.
	Skip func(dir string) bool
}

// Endpoint is one side of a transfer: a local folder, or what is under a prefix of a
// bucket. It is safe for concurrent use. All errors are *object.Error or wrap one.
type Endpoint interface {
	// String is the path as the user gave it.
	String() string
	// Walk yields files in the byte order of Path, as if a folder's name ended in "/", so
	// that two walks can be merged. It holds a bounded number of entries. An error ends
	// it: what was not yielded is not known to be absent. A root that is not there is an
	// error of KindNotFound; an empty prefix of a bucket is not told from one that is
	// not there, and has no files.
	Walk(ctx context.Context, o WalkOptions) iter.Seq2[File, error]
	// Stat returns a file with its true ModTime; KindNotFound if there is none.
	Stat(ctx context.Context, path string) (File, error)
	// Open reads a range of the version that f describes; KindStale if that is gone.
	// A Range with Len 0 is the rest of the file.
	Open(ctx context.Context, f File, r object.Range) (io.ReadCloser, error)
	// Content opens the version that f describes, to be Put elsewhere. The caller closes it.
	Content(ctx context.Context, f File) (Content, error)
	// Put stores content under path as a whole or not at all. What was there stays until
	// then. The file that it returns is as Stat would tell it.
	Put(ctx context.Context, path string, content Content, o PutOptions) (File, error)
	// Remove removes files. What is not there is no error. Failures are joined: each is
	// an *object.Error with the path as its Key.
	Remove(ctx context.Context, paths []string) error
	// Mkdir makes a folder and those above it; there is none in a bucket, where nothing
	// is done.
	Mkdir(ctx context.Context, path string) error
	// Rmdir removes an empty folder; KindNotEmpty if it is not. In a bucket that is
	// its marker, if there is one.
	Rmdir(ctx context.Context, path string) error
	// SetModTime changes a file's time alone.
	SetModTime(ctx context.Context, f File, t time.Time) (File, error)
}

// PutOptions is what Put stores beside the bytes.
type PutOptions struct {
	ModTime time.Time // zero: what the content is Described with, else now
	// MD5 is the content's sum in hexadecimal where it is known; content that has
	// another is refused with KindCorrupt.
	MD5         string
	ContentType string      // of an object; empty: Described, else by the path's extension
	Meta        object.Meta // of an object, without the time; nil: Described, else none
	// Sent is told of bytes as they go; of a negative number when they go once more. It
	// may be called from several goroutines. Nil: nobody is told.
	Sent func(n int64)
}

// Content is what Put stores. Its methods may be called concurrently and repeatedly.
type Content interface {
	Size() int64
	// Range reads n bytes from off on. Fewer are an error.
	Range(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Unchanged returns an error of KindStale if the source changed since it was opened.
	// Put calls it before what it stored becomes visible.
	Unchanged() error
	Close() error
}

// Described is Content that tells what is stored beside the bytes of its source. It may
// ask the store, unless a Range has been read.
type Described interface {
	Info(ctx context.Context) (object.Info, error)
}

// ServerCopier is an Endpoint that can copy from another without the bytes passing
// through here. ok is false where it can't, for this pair.
type ServerCopier interface {
	ServerCopy(ctx context.Context, from Endpoint, f File, path string) (_ File, ok bool, err error)
}
