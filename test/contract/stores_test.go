// Package contract is the one list of what the rest of s3mount takes for granted about
// a bucket. Every store runs all of it: the stand-in that other tests are built on, the
// server of the demo, and real servers. Where a store cannot do something, its line in
// the table of stores says so, and why; nothing is passed over in silence.
package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/servers"
)

// Bucket is all that the other packages ask of a bucket, in one place.
type Bucket interface {
	List(ctx context.Context, q object.Query) (object.Page, error)
	Head(ctx context.Context, key string) (object.Info, error)
	Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error)
	Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error)
	Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error)
	Delete(ctx context.Context, key string) error
	DeleteVersion(ctx context.Context, id object.ID) error
	DeleteMany(ctx context.Context, keys []string) error
	CreateUpload(ctx context.Context, key string, o object.PutOptions) (uploadID string, err error)
	UploadPart(ctx context.Context, key, uploadID string, number int, body *io.SectionReader) (object.Part, error)
	CopyPart(ctx context.Context, key, uploadID string, number int, src object.ID, r object.Range) (object.Part, error)
	CompleteUpload(ctx context.Context, key, uploadID string, parts []object.Part, c object.Condition) (object.Info, error)
	AbortUpload(ctx context.Context, key, uploadID string) error
	ListUploads(ctx context.Context, prefix string) ([]object.Upload, error)
	Check(ctx context.Context) error
}

var _ Bucket = (*s3remote.Bucket)(nil)

var pool = servers.NewPool()

func TestMain(m *testing.M) { os.Exit(pool.Run(m)) }

// store is a line of the table: a server, and where it differs from S3.
type store struct {
	name  string
	start func(*servers.Pool, testing.TB) servers.Server
	// anySecret: the signature is not verified.
	anySecret bool
	// refuses has the keys that the store does not take, by the name that oddKeys gives
	// them, and how it may say so. Keys that are in none of these maps work in every way.
	refuses map[string][]object.Kind
	// becomes has the keys that the store takes for another key, and that are refused
	// therefore when there is something under the other.
	becomes map[string]string
	// garbled has the keys that work, and are listed under another name.
	garbled map[string]string
	// noUpload has the keys that work, but not for multipart uploads.
	noUpload map[string]bool
	// fileOrFolder: a key cannot stand beside keys below it ("a" beside "a/b").
	fileOrFolder bool
	// hidesBelow: it can, but a listing doesn't show what is below.
	hidesBelow bool
	// uploadsOfKey: uploads are listed for one whole key only, not for a prefix.
	uploadsOfKey bool
	// hidesUsers: an access key that is not known is answered 404, which to a HEAD is all
	// that is said.
	hidesUsers bool
	// anyonesBuckets: that a bucket is one's own already is not told from that it is
	// somebody else's.
	anyonesBuckets bool
	// customerKeys: it takes keys of the customer's (SSE-C) without TLS.
	customerKeys bool
}

// run runs a test on every store.
func run(t *testing.T, test func(*testing.T, *env)) {
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, newEnv(t, s))
		})
	}
}

// env is a bucket of its own on a store, for one test.
type env struct {
	*testing.T
	store  store
	server servers.Server
	ctx    context.Context
	client *s3remote.Client
	name   string
	bucket *s3remote.Bucket
}

var bucketNumber atomic.Int64

func newEnv(t *testing.T, s store) *env {
	server := s.start(pool, t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	e := &env{T: t, store: s, server: server, ctx: ctx, client: connect(t, configOf(server))}
	e.name = fmt.Sprintf("contract-%d", bucketNumber.Add(1))
	if err := e.client.CreateBucket(ctx, e.name); err != nil {
		t.Fatal(err)
	}
	e.bucket = e.open("")
	return e
}

func configOf(server servers.Server) s3remote.Config {
	return s3remote.Config{
		Provider: server.Provider, Endpoint: server.Endpoint, Region: server.Region,
		AccessKeyID: server.AccessKey, SecretAccessKey: secret.New(server.SecretKey),
		RetryDeadline: 10 * time.Second,
	}
}

func connect(t testing.TB, c s3remote.Config) *s3remote.Client {
	t.Helper()
	client, err := s3remote.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// open returns what is under a prefix of the test's bucket.
func (e *env) open(prefix string) *s3remote.Bucket {
	e.Helper()
	b, err := e.client.Bucket(e.name, prefix)
	if err != nil {
		e.Fatal(err)
	}
	return b
}

func section(data []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data)))
}

// must fails the test if err is one.
func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// kind fails the test unless err is an *object.Error of one of the kinds.
func (e *env) kind(err error, kinds ...object.Kind) {
	e.Helper()
	checkKind(e.T, err, kinds...)
}

func checkKind(t *testing.T, err error, kinds ...object.Kind) {
	t.Helper()
	var known *object.Error
	if err == nil || !errors.As(err, &known) {
		t.Errorf("error %v, want kind %v", err, kinds)
		return
	}
	for _, k := range kinds {
		if object.Is(err, k) {
			return
		}
	}
	t.Errorf("error of kind %v, want %v: %v", object.KindOf(err), kinds, err)
}

// put stores data under key.
func (e *env) put(key, data string) object.Info {
	e.Helper()
	info, err := e.bucket.Put(e.ctx, key, section([]byte(data)), object.PutOptions{})
	e.must(err)
	return info
}

// get reads a whole object in one go.
func (e *env) get(key string) string {
	e.Helper()
	info, err := e.bucket.Head(e.ctx, key)
	e.must(err)
	if info.Size == 0 {
		return ""
	}
	data, err := e.read(info.ID(), 0, info.Size)
	e.must(err)
	return data
}

func (e *env) read(id object.ID, off, n int64) (string, error) {
	return readRange(e.ctx, e.bucket, id, off, n)
}

func readRange(ctx context.Context, b Bucket, id object.ID, off, n int64) (string, error) {
	r, err := b.Get(ctx, id, object.Range{Off: off, Len: n})
	if err != nil {
		return "", err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return string(data), err
}

// holds fails the test unless key has data.
func (e *env) holds(key, data string) {
	e.Helper()
	if got := e.get(key); got != data {
		e.Errorf("%q holds %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(data), data)
	}
}

// names lists all keys and prefixes, page by page, at most size to a page.
func names(ctx context.Context, b Bucket, q object.Query) (keys, prefixes []string, pages int, err error) {
	for {
		p, err := b.List(ctx, q)
		if err != nil {
			return nil, nil, 0, err
		}
		pages++
		for _, o := range p.Objects {
			keys = append(keys, o.Key)
		}
		prefixes = append(prefixes, p.Prefixes...)
		if q.Token = p.Next; q.Token == "" {
			return keys, prefixes, pages, nil
		}
	}
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }
