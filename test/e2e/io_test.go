package e2e

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/s3fake"
)

func section(data string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(data), 0, int64(len(data)))
}

func readAll(t testing.TB, b *s3remote.Bucket, info object.Info) string {
	t.Helper()
	r, err := b.Get(context.Background(), info.ID(), object.Range{Len: info.Size})
	must(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	must(t, err)
	return string(data)
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func write(t testing.TB, path, data string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(data), 0o644))
}

// same fails unless got is want.
func same[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wantErrno fails unless err is of the errno.
func wantErrno(t testing.TB, what string, err error, want unix.Errno) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// copyPattern writes a file in the pieces in which cp does.
func copyPattern(path string, p s3fake.Pattern, size int64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for off := int64(0); off < size && err == nil; off += int64(len(buf)) {
		p.ReadAt(buf, off) // never fails
		_, err = f.Write(buf)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
