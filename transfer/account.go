package transfer

import (
	"context"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/s3mount/s3mount/object"
)

// AccountOptions tells where the buckets of an account come from.
type AccountOptions struct {
	Name string // what String returns
	// List returns the buckets, in the order of their names: Path is the name.
	List func(ctx context.Context) ([]File, error)
	// Open returns the endpoint of a whole bucket. It sends no request.
	Open func(bucket string) (Endpoint, error)
}

// account is all buckets of an account as the folders of one Endpoint. It is for
// listings and reading: buckets are neither made nor removed by it.
type account struct{ o AccountOptions }

// NewAccount returns an Endpoint whose folders are the buckets of an account.
func NewAccount(o AccountOptions) Endpoint { return &account{o} }

func (a *account) String() string { return a.o.Name }

// in finds the bucket of a path, and the path in it.
func (a *account) in(op, path string) (ep Endpoint, name, rest string, err error) {
	name, rest, _ = strings.Cut(path, "/")
	if name == "" || rest == "" {
		return nil, "", "", object.Errorf(object.KindInvalid, op, path, "a file lies in a bucket, not beside them")
	}
	ep, err = a.o.Open(name)
	return ep, name, rest, err
}

func (a *account) Walk(ctx context.Context, o WalkOptions) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		if o.Dir != "" {
			name, rest, _ := strings.Cut(o.Dir, "/")
			o.Dir = rest
			a.walkBucket(ctx, name, o, yield)
			return
		}
		buckets, err := a.o.List(ctx)
		if err != nil {
			yield(File{}, err)
			return
		}
		for _, b := range buckets {
			b.Dir = true
			if o.Skip != nil && o.Skip(b.Path) {
				continue
			}
			if o.Dirs && !yield(b, nil) {
				return
			}
			below := o
			below.Depth--
			if o.Depth != 1 && !a.walkBucket(ctx, b.Path, below, yield) {
				return
			}
		}
	}
}

// walkBucket yields what is in a bucket, and reports whether to go on.
func (a *account) walkBucket(ctx context.Context, name string, o WalkOptions, yield func(File, error) bool) bool {
	o.Depth = max(o.Depth, 0)
	if skip := o.Skip; skip != nil {
		o.Skip = func(dir string) bool { return skip(name + "/" + dir) }
	}
	ep, err := a.o.Open(name)
	if err != nil {
		yield(File{}, err)
		return false
	}
	for f, err := range ep.Walk(ctx, o) {
		if err != nil {
			yield(File{}, err)
			return false
		}
		f.Path = name + "/" + f.Path
		if !yield(f, nil) {
			return false
		}
	}
	return true
}

// relative makes of a file of the account one of a bucket.
func relative(f File, rest string) File {
	f.Path = rest
	return f
}

func (a *account) Stat(ctx context.Context, path string) (File, error) {
	ep, _, rest, err := a.in("stat", path)
	if err != nil {
		return File{}, err
	}
	f, err := ep.Stat(ctx, rest)
	f.Path = path
	return f, err
}

func (a *account) Open(ctx context.Context, f File, r object.Range) (io.ReadCloser, error) {
	ep, _, rest, err := a.in("open", f.Path)
	if err != nil {
		return nil, err
	}
	return ep.Open(ctx, relative(f, rest), r)
}

func (a *account) Content(ctx context.Context, f File) (Content, error) {
	ep, _, rest, err := a.in("open", f.Path)
	if err != nil {
		return nil, err
	}
	return ep.Content(ctx, relative(f, rest))
}

// readOnly is what an account says to changes.
func (a *account) readOnly(op, path string) error {
	return object.Errorf(object.KindInvalid, op, path, "name a bucket: %sBUCKET", a.o.Name)
}

func (a *account) Put(_ context.Context, path string, _ Content, _ PutOptions) (File, error) {
	return File{}, a.readOnly("put", path)
}

func (a *account) Remove(_ context.Context, paths []string) error {
	return a.readOnly("delete", strings.Join(paths[:min(1, len(paths))], ""))
}

func (a *account) Mkdir(_ context.Context, path string) error { return a.readOnly("mkdir", path) }
func (a *account) Rmdir(_ context.Context, path string) error { return a.readOnly("rmdir", path) }

func (a *account) SetModTime(_ context.Context, f File, _ time.Time) (File, error) {
	return File{}, a.readOnly("touch", f.Path)
}
