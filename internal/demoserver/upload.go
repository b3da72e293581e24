package demoserver

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"io"
	"maps"
	"os"
	"strings"
	"sync"

	"github.com/rclone/gofakes3"
)

// minPart is the least size of a part that is not the last one.
const minPart = 5 << 20

// uploads are the multipart uploads that are neither completed nor aborted. They live
// as long as the server; a part is a file in dir.
type uploads struct {
	dir string
	mu  struct { // leaf, never held over the disk
		sync.Mutex
		byID map[gofakes3.UploadID]*upload
	}
}

type upload struct {
	headers map[string]string // don't change
	parts   map[int]*part     // guarded by uploads.mu; the parts don't change
}

// part is an uploaded part: a file and what is in it.
type part struct {
	path string
	size int64
	hash []byte // MD5
}

func (u *uploads) init(dir string) {
	u.dir = dir
	u.mu.byID = map[gofakes3.UploadID]*upload{}
}

// take removes an upload from the table and returns it, or nil if it is not there.
func (u *uploads) take(id gofakes3.UploadID) *upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.mu.byID[id]
	delete(u.mu.byID, id)
	return up
}

// put makes p part number of an upload, and returns the part that it replaces, if any;
// false: there is no such upload (any more).
func (u *uploads) put(id gofakes3.UploadID, number int, p *part) (old *part, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.mu.byID[id]
	if up == nil {
		return nil, false
	}
	old = up.parts[number]
	up.parts[number] = p
	return old, true
}

// snapshot returns an upload's headers and its parts of now; false: no such upload.
func (u *uploads) snapshot(id gofakes3.UploadID) (headers map[string]string, parts map[int]*part, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.mu.byID[id]
	if up == nil {
		return nil, nil, false
	}
	return up.headers, maps.Clone(up.parts), true
}

// CreateMultipartUpload begins an upload.
func (s *store) CreateMultipartUpload(_ context.Context, bucketName, _ string, headers map[string]string) (gofakes3.UploadID, error) {
	if _, err := s.bucket(bucketName); err != nil {
		return "", err
	}
	id := gofakes3.UploadID(rand.Text())
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	s.uploads.mu.byID[id] = &upload{headers: maps.Clone(headers), parts: map[int]*part{}}
	return id, nil
}

// UploadPart stores a part, or nothing. Of two parts with one number the later stays.
func (s *store) UploadPart(_ context.Context, _, _ string, id gofakes3.UploadID, number int, size int64, body io.Reader) (etag string, err error) {
	t, err := newTemp(s.uploads.dir)
	if err != nil {
		return "", err
	}
	n, sum, err := receive(t, body, size)
	if cerr := t.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		t.discard()
		return "", err // bare: the library knows its errors by their type
	}
	old, ok := s.uploads.put(id, number, &part{path: t.Name(), size: n, hash: sum})
	if !ok {
		t.discard()
		return "", gofakes3.ErrNoSuchUpload
	}
	if old != nil {
		_ = os.Remove(old.path) // what stays is swept away at the next start
	}
	return `"` + hex.EncodeToString(sum) + `"`, nil
}

// CompleteMultipartUpload makes the listed parts an object. After an error the upload
// is as it was, and can be completed again.
func (s *store) CompleteMultipartUpload(ctx context.Context, bucketName, key string, id gofakes3.UploadID, in *gofakes3.CompleteMultipartUploadRequest) (gofakes3.VersionID, string, error) {
	b, err := s.bucket(bucketName)
	if err != nil {
		return "", "", err
	}
	headers, have, ok := s.uploads.snapshot(id)
	if !ok {
		return "", "", gofakes3.ErrNoSuchUpload
	}
	parts, err := choose(in.Parts, have)
	if err != nil {
		return "", "", err
	}
	t, err := newTemp(s.uploads.dir)
	if err != nil {
		return "", "", err
	}
	defer t.discard()
	size, sum, err := join(t, parts)
	if err != nil {
		return "", "", err
	}
	r := newRecord(key, size, sum, headers)
	if err := b.commit(ctx, t, r); err != nil {
		return "", "", err
	}
	s.uploads.forget(id)
	return "", `"` + r.etag() + `"`, nil
}

// choose returns the parts that a client lists, or what is wrong with its list.
func choose(list []gofakes3.CompletedPart, have map[int]*part) ([]*part, error) {
	if len(list) == 0 {
		return nil, gofakes3.ErrMalformedXML
	}
	var parts []*part
	for i, l := range list {
		if i > 0 && l.PartNumber <= list[i-1].PartNumber {
			return nil, gofakes3.ErrInvalidPartOrder
		}
		p := have[l.PartNumber]
		if p == nil || hex.EncodeToString(p.hash) != strings.Trim(l.ETag, `"`) {
			return nil, gofakes3.ErrInvalidPart
		}
		if i < len(list)-1 && p.size < minPart {
			return nil, gofakes3.ErrorMessagef(gofakes3.ErrInvalidRequest, "Part %d has %d bytes, and is not the last one.", l.PartNumber, p.size)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// join writes the parts to t, one behind the other, and returns their size and the hash
// that becomes the object's ETag. From file to file the kernel copies.
func join(t *tempFile, parts []*part) (size int64, sum []byte, err error) {
	h := md5.New()
	for _, p := range parts {
		h.Write(p.hash)
		n, err := appendFile(t.File, p.path)
		if err != nil {
			return 0, nil, err
		}
		size += n
	}
	return size, binary.BigEndian.AppendUint16(h.Sum(nil), uint16(len(parts))), nil
}

func appendFile(dst *os.File, path string) (int64, error) {
	src, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	return io.Copy(dst, src)
}

// AbortMultipartUpload forgets an upload and its parts.
func (s *store) AbortMultipartUpload(_ context.Context, _, _ string, id gofakes3.UploadID) error {
	if !s.uploads.forget(id) {
		return gofakes3.ErrNoSuchUpload
	}
	return nil
}

// forget ends an upload and removes its files; those that stay are swept away at the
// next start.
func (u *uploads) forget(id gofakes3.UploadID) bool {
	up := u.take(id)
	if up == nil {
		return false
	}
	for _, p := range up.parts {
		_ = os.Remove(p.path)
	}
	return true
}
