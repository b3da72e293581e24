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
	// them, and none before or behind.
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
}

// Endpoint is one side of a transfer: a local folder or file, or what is under a prefix
// of a bucket. It is safe for concurrent use. All errors are *object.Error or wrap one.
type Endpoint interface {
	// String is the path as the user gave it.
	String() string
	// Walk yields files in the byte order of Path, as if a folder's name ended in "/", so
	// that two walks can be merged. It holds a bounded number of entries. An error ends
	// it: what was not yielded is not known to be absent.
	Walk(ctx context.Context, o WalkOptions) iter.Seq2[File, error]
	// Stat returns a file with its true ModTime; KindNotFound if there is none.
	Stat(ctx context.Context, path string) (File, error)
	// Open reads a range of the version that f describes; KindStale if that is gone.
	Open(ctx context.Context, f File, r object.Range) (io.ReadCloser, error)
	// Put stores content under path as a whole or not at all, with ModTime and MD5 of f
	// (MD5 is checked by the store where it can be). What was there stays until then.
	Put(ctx context.Context, path string, content Content, f File) (File, error)
	// Remove removes files. What is not there is no error.
	Remove(ctx context.Context, paths []string) error
	// Mkdir makes a folder and those above it; there is none in a bucket, but the bucket.
	Mkdir(ctx context.Context, path string) error
	// Rmdir removes an empty folder; KindNotEmpty if it is not.
	Rmdir(ctx context.Context, path string) error
	// SetModTime changes a file's time alone.
	SetModTime(ctx context.Context, f File, t time.Time) (File, error)
}

// Content is what Put stores. ReadAt may be called concurrently and repeatedly.
type Content interface {
	io.ReaderAt
	Size() int64
	// Unchanged returns an error of KindStale if the source changed since it was opened.
	// Put calls it before what it stored becomes visible.
	Unchanged() error
	Close() error
}

// ServerCopier is an Endpoint that can copy from another without the bytes passing
// through here. ok is false where it can't, for this pair.
type ServerCopier interface {
	ServerCopy(ctx context.Context, from Endpoint, f File, path string) (_ File, ok bool, err error)
}
