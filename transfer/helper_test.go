package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/s3fake"
)

// store is an S3 stand-in with a bucket "bkt".
type store struct {
	*s3fake.Server
	t      testing.TB
	client *s3remote.Client
}

func newStore(t testing.TB) *store { return newStoreWith(t, s3fake.Options{}) }

func newStoreWith(t testing.TB, o s3fake.Options) *store {
	srv := s3fake.Start(t, o)
	srv.Bucket("bkt")
	c, err := s3remote.New(t.Context(), s3remote.Config{Provider: "Other", Endpoint: srv.URL(), AccessKeyID: "k",
		SecretAccessKey: secret.New("s"), RetryDeadline: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &store{Server: srv, t: t, client: c}
}

func (s *store) bucketStore(name string) *s3remote.Bucket {
	b, err := s.client.Bucket(name, "")
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// at returns the endpoint of a prefix of the bucket.
func (s *store) at(prefix string, o ...BucketOptions) Endpoint {
	var bo BucketOptions
	if len(o) > 0 {
		bo = o[0]
	}
	ep, err := NewBucket(s.bucketStore("bkt"), prefix, bo)
	if err != nil {
		s.t.Fatal(err)
	}
	return ep
}

func (s *store) b() *s3fake.Bucket { return s.Bucket("bkt") }

// folder is a local folder for a test.
type folder struct {
	t   testing.TB
	dir string
}

func newFolder(t testing.TB) folder { return folder{t, t.TempDir()} }

func (f folder) ep(o ...LocalOptions) Endpoint {
	var lo LocalOptions
	if len(o) > 0 {
		lo = o[0]
	}
	ep, err := NewLocal(f.dir, lo)
	if err != nil {
		f.t.Fatal(err)
	}
	return ep
}

var epoch = time.Unix(1_700_000_000, 123_456_789)

// write makes files of path and content.
func (f folder) write(pairs ...string) {
	f.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		name := filepath.Join(f.dir, pairs[i])
		err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(pairs[i+1]), 0o666), os.Chtimes(name, epoch, epoch))
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

// tree returns paths and contents of all regular files, sorted: "a=x b/c=y".
func (f folder) tree() string {
	f.t.Helper()
	var out []string
	err := filepath.WalkDir(f.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(f.dir, p)
		out = append(out, rel+"="+string(data))
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// tree returns keys and contents below a prefix, in the form of a folder's.
func (s *store) tree(prefix string) string {
	var out []string
	for _, k := range s.b().Keys(prefix) {
		data, _ := s.b().Get(k)
		out = append(out, strings.TrimPrefix(k, prefix)+"="+string(data))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// notes collects reports.
type notes struct {
	mu  sync.Mutex
	all []Action
}

func (n *notes) report(a Action) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, a)
}

// lines are the reports as "op path" or "error path: ...", sorted, without what was the same.
func (n *notes) lines() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, a := range n.all {
		switch {
		case a.Err != nil:
			out = append(out, fmt.Sprintf("error %s: %v", a.Path, object.KindOf(a.Err)))
		case a.Op != OpSame:
			out = append(out, a.Op.String()+" "+a.Path)
		}
	}
	slices.Sort(out)
	return out
}

func (n *notes) String() string { return strings.Join(n.lines(), "\n") }

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func collect(t testing.TB, ep Endpoint, o WalkOptions) []string {
	t.Helper()
	var out []string
	for f, err := range ep.Walk(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f.order())
	}
	return out
}

type ctxT = context.Context
