package transfer

import (
	"context"
	"io"
	"iter"

	"github.com/s3mount/s3mount/object"
)

const minPart = 5 << 20

// Store is a bucket, or what is under a prefix in it. *s3remote.Bucket is one.
type Store interface {
	String() string
	List(ctx context.Context, q object.Query) (object.Page, error)
	Head(ctx context.Context, key string) (object.Info, error)
	Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error)
	Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error)
	Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error)
	Delete(ctx context.Context, key string) error
	DeleteMany(ctx context.Context, keys []string) error
	CreateUpload(ctx context.Context, key string, o object.PutOptions) (uploadID string, err error)
	UploadPart(ctx context.Context, key, uploadID string, number int, body *io.SectionReader) (object.Part, error)
	CompleteUpload(ctx context.Context, key, uploadID string, parts []object.Part, c object.Condition) (object.Info, error)
	AbortUpload(ctx context.Context, key, uploadID string) error
}

// NewLocal returns the endpoint of a local folder, which need not exist yet. A path of
// a file is KindNotDir: its folder with a Filter of one file is meant.
func NewLocal(path string, o LocalOptions) (Endpoint, error) { return nil, nil }

// NewBucket returns the endpoint of what is under prefix in a store. prefix is empty or
// gets a "/" at its end. No request is made.
func NewBucket(s Store, prefix string, o BucketOptions) (Endpoint, error) { return nil, nil }

// Check compares src and dst and changes nothing. Every file is reported with what was
// found; the error is not nil if anything differs or could not be compared.
// oneWay leaves out what only dst has.
func Check(ctx context.Context, src, dst Endpoint, oneWay bool, o Options) (Summary, error) {
	return Summary{}, nil
}

// Delete deletes the files of ep that the Filter chooses.
func Delete(ctx context.Context, ep Endpoint, o Options) (Summary, error) { return Summary{}, nil }

// Purge deletes all of ep, folders and markers too, whatever the Filter says.
func Purge(ctx context.Context, ep Endpoint, o Options) (Summary, error) { return Summary{}, nil }

// List walks ep and yields what the filter chooses, in order. Folders that the filter
// leaves out are not even listed. f may be nil.
func List(ctx context.Context, ep Endpoint, w WalkOptions, f *Filter) iter.Seq2[File, error] {
	return nil
}

// WithTimes yields the files of a walk in their order with the ModTime filled in, asking
// for up to checkers of them at a time. A file that vanished meanwhile is left out.
func WithTimes(ctx context.Context, ep Endpoint, files iter.Seq2[File, error], checkers int) iter.Seq2[File, error] {
	return nil
}

// MD5 returns the MD5 sum of a file in hexadecimal: the one that is known, or that of a
// local file's content. Empty: not known (an object of several parts).
func MD5(ctx context.Context, ep Endpoint, f File) (string, error) { return "", nil }

// NewContent returns bytes as Content for Put.
func NewContent(data []byte) Content { return nil }

func run(ctx context.Context, src, dst Endpoint, o Options, sync bool) (Summary, error) {
	return Summary{}, nil
}
