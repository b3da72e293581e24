package fusefs

import (
	"context"
	"io"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs"
	"github.com/s3mount/s3mount/writeback"
)

// oneFile is a store with one object, and what is put over it.
type oneFile struct {
	vfs.Store
	uploads
	info object.Info
	put  string
}

// uploads has the methods of a writeback.Uploader that vfs.Store has not.
type uploads interface {
	CreateUpload(context.Context, string, object.PutOptions) (string, error)
	UploadPart(context.Context, string, string, int, *io.SectionReader) (object.Part, error)
	CompleteUpload(context.Context, string, string, []object.Part, object.Condition) (object.Info, error)
	CopyPart(context.Context, string, string, int, object.ID, object.Range) (object.Part, error)
	AbortUpload(context.Context, string, string) error
	ListUploads(context.Context, string) ([]object.Upload, error)
}

func (s *oneFile) List(_ context.Context, q object.Query) (object.Page, error) {
	if q.Prefix != "" {
		return object.Page{}, nil
	}
	return object.Page{Objects: []object.Info{{Key: s.info.Key, ETag: s.info.ETag, Size: s.info.Size}}}, nil
}

func (s *oneFile) Head(context.Context, string) (object.Info, error) { return s.info, nil }

func (s *oneFile) Get(context.Context, object.ID, object.Range) (io.ReadCloser, error) {
	return nil, object.Errorf(object.KindStale, "GetObject", s.info.Key, "")
}

func (s *oneFile) Put(_ context.Context, key string, body *io.SectionReader, _ object.PutOptions) (object.Info, error) {
	b, err := io.ReadAll(body)
	s.put = string(b)
	return object.Info{Key: key, ETag: "new", Size: int64(len(b))}, err
}

func newOneFile(t *testing.T) (*oneFile, *server) {
	store := &oneFile{info: object.Info{Key: "f", ETag: "old", Size: 11, Meta: object.Meta{}}}
	disk := budget.NewDisk(1 << 30)
	cache, err := objcache.New(objcache.Options{Fetcher: store, Memory: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := writeback.NewQueue(writeback.Options{Dir: t.TempDir(), Uploader: store, Disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.New(vfs.Options{Store: store, Cache: cache, Meta: objcache.NewMetadata(10), Queue: queue, UnsentDir: t.TempDir()})
	s := newServer(Options{FS: fs})
	t.Cleanup(func() {
		s.stop()
		if err := fs.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := queue.Close(context.Background()); err != nil {
			t.Error(err)
		}
		cache.Close()
	})
	return store, s
}

// The kernel believes that what it asked to create is new, and does not truncate it: a
// file that somebody else made in the meantime would keep its tail.
func TestCreateTruncatesWhatSomebodyElseMadeMeanwhile(t *testing.T) {
	store, s := newOneFile(t)
	in := &fuse.CreateIn{Flags: syscall.O_WRONLY | syscall.O_CREAT | syscall.O_TRUNC, Mode: 0o644}
	in.NodeId = uint64(vfs.RootID)
	out := &fuse.CreateOut{}
	if st := s.Create(nil, in, "f", out); st != fuse.OK {
		t.Fatalf("create: %v", st)
	}
	if out.Attr.Size != 0 {
		t.Errorf("the new file has %d bytes", out.Attr.Size)
	}
	w := &fuse.WriteIn{Fh: out.Fh}
	if _, st := s.Write(nil, w, []byte("new")); st != fuse.OK {
		t.Fatalf("write: %v", st)
	}
	if st := s.Flush(nil, &fuse.FlushIn{Fh: out.Fh}); st != fuse.OK {
		t.Errorf("close: %v", st)
	}
	s.Release(nil, &fuse.ReleaseIn{Fh: out.Fh})
	if store.put != "new" {
		t.Errorf("stored %q", store.put)
	}
}
