package transfer

import (
	"context"
	"io"
	"iter"
	"net"
	"time"

	"golang.org/x/time/rate"

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

// Limiter bounds the bytes per second over connections that it dials, in both directions
// together. It is for s3remote.Config.Dial, so that it sees what really goes over the
// network, with what is repeated.
type Limiter struct{}

// NewLimiter returns a Limiter; bytesPerSecond must be more than 0.
func NewLimiter(bytesPerSecond int64) *Limiter { return nil }

// Dial wraps a dialer. next may be nil: a net.Dialer.
func (l *Limiter) Dial(next func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return nil
}

// Filter chooses files, by rclone's rules. The zero value, and nil, choose all. Its
// methods must not be called together with Files and the Add functions.
type Filter struct {
	MinSize, MaxSize int64         // bytes; 0: no bound (MaxSize < 0: only empty files)
	MinAge, MaxAge   time.Duration // 0: no bound
	Now              time.Time     // what ages count from; zero: the time of the first use
}

// AddRule adds a rule "+ pattern", "- pattern" or "!" (forgets all before). The first
// rule that matches decides; a file that none matches is chosen.
func (f *Filter) AddRule(rule string) error { return nil }

// Include adds "+ pattern"; once there is one, what no rule matches is left out.
func (f *Filter) Include(pattern string) error { return nil }

// Exclude adds "- pattern".
func (f *Filter) Exclude(pattern string) error { return nil }

// ReadRules adds the rules of a file, one a line: "#" and ";" begin comments, "-" is stdin
// only for the caller to open.
func (f *Filter) ReadRules(r io.Reader) error { return nil }

// ReadIncludes and ReadExcludes are the same for files of patterns (--include-from,
// --exclude-from).
func (f *Filter) ReadIncludes(r io.Reader) error { return nil }

// ReadExcludes adds an Exclude for each line.
func (f *Filter) ReadExcludes(r io.Reader) error { return nil }

// Files makes the filter an exact list of paths (--files-from): only these are asked
// for, and nothing is walked. Called again, it adds.
func (f *Filter) Files(paths ...string) error { return nil }

// ReadFiles adds the paths of a file, one a line; raw takes lines as they are, otherwise
// blanks around them and lines of comments are left out.
func (f *Filter) ReadFiles(r io.Reader, raw bool) error { return nil }

// Match reports whether a file is chosen. Its ModTime counts only with MinAge or MaxAge.
func (f *Filter) Match(file File) bool { return true }

// MatchDir reports whether anything below a folder can be chosen.
func (f *Filter) MatchDir(path string) bool { return true }

// Stats is the progress of a call. All methods may be called at any time.
type Stats struct{}

// NewStats returns Stats that begin now.
func NewStats() *Stats { return nil }

// Snapshot returns the state.
func (s *Stats) Snapshot() Snapshot { return Snapshot{} }

// Snapshot is the progress at one moment.
type Snapshot struct {
	Summary
	Elapsed time.Duration
	// TotalBytes and TotalFiles are what is known to be transferred, done or not; they
	// grow until Listed says that both sides have been walked.
	TotalBytes, TotalFiles int64
	Listed                 bool
	Active                 []Transfer // under way, oldest first
}

// Transfer is a file under way.
type Transfer struct {
	Path        string
	Size, Bytes int64 // bytes in all, and done
	Started     time.Time
}

// Summary is what a call did.
type Summary struct {
	Bytes     int64 // that went to the destination
	Copied    int64 // files
	TimesSet  int64 // files of which only the time was set
	Same      int64 // files that needed nothing, or that Check found the same
	Skipped   int64 // files that Options or Confirm left alone
	Deleted   int64 // files
	BackedUp  int64 // files
	Missing   int64 // Check: only in the source
	Extra     int64 // Check: only in the destination
	Differ    int64 // Check
	Uncertain int64 // Check: without a checksum on both sides; counted in Same, too
	Errors    int64 // files that failed, and listings
}

func run(ctx context.Context, src, dst Endpoint, o Options, sync bool) (Summary, error) {
	return Summary{}, nil
}

var _ = rate.Inf
