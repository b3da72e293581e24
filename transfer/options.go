package transfer

import (
	"context"
	"log/slog"
	"time"
)

// Options tells how two sides are compared and what is done about the differences. The
// zero value is a usable default.
type Options struct {
	// Transfers is how many files are copied at a time. Zero: 8.
	Transfers int
	// Checkers is how many requests look for times, list folders and remove files at a
	// time. Transfers with nothing to copy look for times, too. Zero: 16.
	Checkers int
	// Filter chooses the files. Nil: all.
	Filter *Filter
	// Fast lists a bucket in one sequence of requests.
	Fast bool

	// SizeOnly takes files of the same size for the same.
	SizeOnly bool
	// Checksum compares sizes and MD5 sums, not times. Files whose sums are not known
	// on both sides are the same if their sizes are.
	Checksum bool
	// Download makes Check compare every byte of both sides instead of sums.
	Download bool
	// Update leaves files alone that are newer in the destination.
	Update bool
	// IgnoreExisting leaves every file alone that is in the destination.
	IgnoreExisting bool
	// IgnoreTimes copies every file, whatever its time and size are.
	IgnoreTimes bool
	// Immutable fails for files that are in the destination and differ.
	Immutable bool
	// ModifyWindow is the difference of times that counts as none. Zero: 1 ns.
	ModifyWindow time.Duration

	// DeleteExcluded makes Sync delete files of the destination that Filter leaves out.
	DeleteExcluded bool
	// MaxDelete bounds the files that one call deletes. With more to delete, none is.
	// Nil: no bound.
	MaxDelete *int64
	// BackupDir gets what would be overwritten or deleted, under its old path. Nil: it
	// is lost.
	BackupDir Endpoint

	// DryRun tells every action and does none.
	DryRun bool
	// Confirm is asked before each action, never twice at a time; false skips the
	// action. An error ends the call. Nil: everything is done.
	Confirm func(Action) (bool, error)
	// Retries is how often files that failed are tried in all. Zero: 3.
	Retries int

	// Report is told of each action when it is done (with DryRun: instead of it), of
	// each file that failed, with Action.Err, and of what Check finds. It may be called
	// from several goroutines. Nil: nobody is told.
	Report func(Action)
	// Stats is where progress shows. Nil: nowhere.
	Stats *Stats
	// TempDir is where Sync keeps a list of many deletes. Empty: the system's.
	TempDir string
	// Log gets notes on what is passed over. Nil: nothing is logged.
	Log *slog.Logger
}

// withDefaults fills in what is not set.
func (o Options) withDefaults() Options {
	if o.Transfers <= 0 {
		o.Transfers = 8
	}
	if o.Checkers <= 0 {
		o.Checkers = 16
	}
	if o.ModifyWindow <= 0 {
		o.ModifyWindow = time.Nanosecond
	}
	if o.Retries <= 0 {
		o.Retries = 3
	}
	if o.Filter == nil {
		o.Filter = &Filter{}
	}
	if o.Stats == nil {
		o.Stats = NewStats()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// LocalOptions tells how a local folder is read and written.
type LocalOptions struct {
	// CopyLinks follows symbolic links. Otherwise they are passed over with a note.
	CopyLinks bool
	// Streams is how many ranges of one large file are fetched at a time. Zero: 8.
	Streams int
	// Notes gets a warning for each thing that is neither file nor folder. Nil: none.
	Notes *slog.Logger
}

// BucketOptions tells how a bucket is read and written.
type BucketOptions struct {
	// Name is what String returns: the path as the user gave it.
	Name string
	// Checkers is how many folders are listed at a time. Zero: 16.
	Checkers int
	// Cutoff is the size in bytes from which on files go up in parts. Smaller ones of up
	// to 16 MiB are held in memory while they go. Zero: 16 MiB.
	Cutoff int64
	// PartSize is the least size of a part in bytes; it grows so that 10,000 parts
	// hold the file. Zero: 16 MiB.
	PartSize int64
	// Parallel is how many parts of one file go up at a time. Zero: 16 of a local one,
	// and 4 of others, which are held in memory. All files together have 32 at a time.
	Parallel int
	// NoMD5 leaves the MD5 sum of large files out of their metadata, which saves one
	// reading of them.
	NoMD5 bool
	// NoETagMD5 says that ETags are no MD5 sums even where they look like it: the store
	// encrypts with keys of its own or the user's (aws:kms, SSE-C). The sums of all files
	// are then kept in their metadata.
	NoETagMD5 bool
}

func (o BucketOptions) withDefaults() BucketOptions {
	if o.Checkers <= 0 {
		o.Checkers = 16
	}
	if o.Cutoff <= 0 {
		o.Cutoff = 16 << 20
	}
	if o.PartSize <= 0 {
		o.PartSize = 16 << 20
	}
	o.PartSize = max(o.PartSize, minPart)
	return o
}

// Op is what an Action does.
type Op uint8

// The operations. Those from OpSame on are what Check finds.
const (
	OpCopy      Op = iota + 1 // the file goes to the destination
	OpSetTime                 // only its time is set there
	OpDelete                  // the destination's file is deleted
	OpBackup                  // the destination's file is moved to Options.BackupDir
	OpSkip                    // nothing is done: it is the same, or Options say so
	OpMkdir                   // a folder is made
	OpRmdir                   // an empty folder is removed
	OpSame                    // Check: the same on both sides ("=")
	OpMissing                 // Check: only in the source ("+")
	OpExtra                   // Check: only in the destination ("-")
	OpDiffer                  // Check: different ("*")
	OpUncertain               // Check: the same size, but no checksum on both sides ("=")
	OpFailed                  // it could not be listed or compared ("!")
	opEnd
)

var opNames = [opEnd]string{"", "copy", "set time", "delete", "move to backup", "skip", "make folder",
	"remove folder", "same", "missing", "extra", "differ", "could not check hash", "failed"}

func (op Op) String() string {
	if op < opEnd {
		return opNames[op]
	}
	return "unknown"
}

// Sign is the mark of what Check found, as in its combined report: = + - * !
func (op Op) Sign() byte {
	switch op {
	case OpSame, OpUncertain:
		return '='
	case OpMissing:
		return '+'
	case OpExtra:
		return '-'
	case OpDiffer:
		return '*'
	case OpFailed:
		return '!'
	}
	return ' '
}

// Action is one thing to do, done or found.
type Action struct {
	Op   Op
	Path string
	// Src and Dst are the file on both sides; zero where there is none.
	Src, Dst File
	// Why says in a few words what led to it, e.g. "sizes differ".
	Why string
	// Err is why it failed; nil if it did not.
	Err error
}

// Copy copies to dst the files of src that dst has not, or has not the same. It deletes
// nothing. The error tells how many files failed, or what made it stop.
func Copy(ctx context.Context, src, dst Endpoint, o Options) (Summary, error) {
	return run(ctx, src, dst, o, false)
}

// Sync is Copy, and deletes from dst what src has not: after every copy succeeded, and
// only if both sides were listed to their ends. A destination inside of the source, or
// the other way round, is an error of KindInvalid.
func Sync(ctx context.Context, src, dst Endpoint, o Options) (Summary, error) {
	return run(ctx, src, dst, o, true)
}
