package writeback

import (
	"context"
	"io"
	"testing"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

// nullStore confirms everything at once; with read set it reads the bodies.
type nullStore struct{ read bool }

func (n nullStore) take(body *io.SectionReader) {
	if n.read {
		_, _ = io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{body})
	}
}

func (n nullStore) Put(_ context.Context, key string, body *io.SectionReader, _ object.PutOptions) (object.Info, error) {
	n.take(body)
	return object.Info{Key: key, ETag: "e", Size: body.Size()}, nil
}

func (n nullStore) Copy(context.Context, object.ID, string, object.CopyOptions) (object.Info, error) {
	return object.Info{ETag: "e"}, nil
}

func (n nullStore) CreateUpload(context.Context, string, object.PutOptions) (string, error) {
	return "id", nil
}

func (n nullStore) UploadPart(_ context.Context, _, _ string, number int, body *io.SectionReader) (object.Part, error) {
	n.take(body)
	return object.Part{Number: number, ETag: "e", Size: body.Size()}, nil
}

func (n nullStore) CompleteUpload(context.Context, string, string, []object.Part, object.Condition) (object.Info, error) {
	return object.Info{ETag: "e"}, nil
}

func (n nullStore) CopyPart(_ context.Context, _, _ string, number int, _ object.ID, r object.Range) (object.Part, error) {
	return object.Part{Number: number, ETag: "e", Size: r.Len}, nil
}

func (n nullStore) AbortUpload(context.Context, string, string) error { return nil }

func (n nullStore) ListUploads(context.Context, string) ([]object.Upload, error) { return nil, nil }

func (n nullStore) Head(context.Context, string) (object.Info, error) { return object.Info{}, nil }

func benchQueue(b *testing.B, store Uploader) *Queue {
	b.Helper()
	q, err := NewQueue(Options{Dir: b.TempDir(), Uploader: store, Disk: budget.NewDisk(1 << 40)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close(context.Background()) })
	return q
}

// BenchmarkWriteAndUpload writes 1 GiB in writes of 128 KiB and 1 MiB, and uploads it.
func BenchmarkWriteAndUpload(b *testing.B) {
	for _, c := range []struct {
		name  string
		read  bool
		write int
	}{{"null/128K", false, 128 << 10}, {"null/1M", false, 1 << 20}, {"reading/1M", true, 1 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			q := benchQueue(b, nullStore{c.read})
			p := pattern(c.write, 1)
			b.SetBytes(1 << 30)
			b.ReportAllocs()
			for b.Loop() {
				s, err := q.Stage()
				if err != nil {
					b.Fatal(err)
				}
				s.SetTarget("big", object.PutOptions{})
				for off := int64(0); off < 1<<30; off += int64(c.write) {
					if _, err := s.WriteAt(b.Context(), p, off); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := s.Upload("big", object.PutOptions{}).Wait(b.Context()); err != nil {
					b.Fatal(err)
				}
				s.Discard()
			}
		})
	}
}

// BenchmarkWriteAt overwrites in place: the cost of the accounting alone.
func BenchmarkWriteAt(b *testing.B) {
	s, err := benchQueue(b, nullStore{}).Stage()
	if err != nil {
		b.Fatal(err)
	}
	p := pattern(4096, 1)
	b.SetBytes(4096)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		if _, err := s.WriteAt(b.Context(), p, i%1024*4096); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRandomWrites writes 4 KiB at random places of a sparse 1 GiB file.
func BenchmarkRandomWrites(b *testing.B) {
	s, err := benchQueue(b, nullStore{}).Stage()
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Truncate(b.Context(), 1<<30); err != nil {
		b.Fatal(err)
	}
	p := pattern(4096, 1)
	b.SetBytes(4096)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		if _, err := s.WriteAt(b.Context(), p, i*2654435761%(1<<18)*4096); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAt(b *testing.B) {
	s, err := benchQueue(b, nullStore{}).Stage()
	if err != nil {
		b.Fatal(err)
	}
	p := pattern(128<<10, 1)
	if _, err := s.WriteAt(b.Context(), p, 0); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ReadAt(b.Context(), p, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSmallFiles stages, writes and uploads files of 1 KiB.
func BenchmarkSmallFiles(b *testing.B) {
	q := benchQueue(b, nullStore{})
	p := pattern(1024, 1)
	b.ReportAllocs()
	for b.Loop() {
		s, err := q.Stage()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.WriteAt(b.Context(), p, 0); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Upload("small", object.PutOptions{}).Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
		s.Discard()
	}
}
