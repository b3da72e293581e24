package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"path"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/internal/mtime"
	"github.com/s3mount/s3mount/object"
)

const (
	minPart  = 5 << 20 // S3's least part that is not the last
	maxParts = 10_000
	// inMemory is the size in bytes up to which a file is held in memory while it goes,
	// and inMemoryLocal that of one that can be read again.
	inMemory      = 16 << 20
	inMemoryLocal = 4 << 20
	// abortTime is how long giving up an upload may take after the call has ended.
	abortTime = 30 * time.Second
)

// Put stores a small file by one request, and a large one in parts, which show only when all are there and the source
// has not changed.
func (b *bucket) Put(ctx context.Context, name string, content Content, o PutOptions) (File, error) {
	key, err := b.key("write", name)
	if err != nil {
		return File{}, err
	}
	put, err := describe(ctx, name, content, &o)
	if err != nil {
		return File{}, err
	}
	u := &upload{b: b, key: key, path: name, content: content, o: o, put: put, size: content.Size()}
	var info object.Info
	if _, local := content.(io.ReaderAt); u.size < b.o.Cutoff && (local || u.size <= inMemory) {
		info, err = u.whole(ctx)
	} else {
		info, err = u.parts(ctx)
	}
	if err != nil {
		return File{}, err
	}
	info.Key, info.Size, info.Meta = key, u.size, u.put.Meta
	f := b.file(info)
	f.MD5 = cmp.Or(u.o.MD5, f.MD5)
	return f, nil
}

// describe says what is stored beside the bytes. Of content that is Described, o gets the
// sum: a listing does not tell that of an object of several parts, or that an ETag is none.
func describe(ctx context.Context, name string, content Content, o *PutOptions) (object.PutOptions, error) {
	put := object.PutOptions{Meta: o.Meta, ContentType: o.ContentType}
	t := o.ModTime
	if d, ok := content.(Described); ok {
		info, err := d.Info(ctx)
		if err != nil {
			return put, err
		}
		o.MD5, _ = info.MD5()
		if put.Meta == nil {
			put.Meta = info.Meta
		}
		put.ContentType = cmp.Or(put.ContentType, info.ContentType)
		if t.IsZero() {
			t = infoTime(info)
		}
	}
	if t.IsZero() {
		t = time.Now()
	}
	put.Meta = put.Meta.Clone()
	delete(put.Meta, object.MetaMD5)
	put.Meta[mtime.Key] = mtime.Format(t)
	put.ContentType = cmp.Or(put.ContentType, mime.TypeByExtension(path.Ext(name)), "application/octet-stream")
	return put, nil
}

// upload is one file on its way into a bucket.
type upload struct {
	b         *bucket
	key, path string
	content   Content
	o         PutOptions
	put       object.PutOptions
	size      int64
	sums      [][sha256.Size]byte // of the parts, where they are known; else empty
}

// whole sends the file by one request, with its sum, so that the store refuses bytes
// that are no longer those that were summed up.
func (u *upload) whole(ctx context.Context) (object.Info, error) {
	free, err := u.room(ctx, u.size)
	if err != nil {
		return object.Info{}, err
	}
	defer free()
	at, got, err := u.summed(ctx)
	if err != nil {
		return object.Info{}, err
	}
	if err := u.check(ctx, got); err != nil {
		return object.Info{}, err
	}
	if err := u.content.Unchanged(); err != nil {
		return object.Info{}, err
	}
	u.o.MD5, u.put.MD5 = got, got
	if u.b.noSums.Load() {
		u.keepSum()
	}
	body := u.watch(at, u.size)
	info, err := u.b.store.Put(ctx, u.key, io.NewSectionReader(body, 0, u.size), u.put)
	body.end(err == nil)
	if stale := u.content.Unchanged(); err != nil && stale != nil && ctx.Err() == nil {
		err = stale // which is why the store refused it
	}
	return info, err
}

// summed returns the content and its MD5 sum: a small one out of memory.
func (u *upload) summed(ctx context.Context) (io.ReaderAt, string, error) {
	if at, ok := u.content.(io.ReaderAt); ok && u.size > inMemoryLocal {
		got, err := contentMD5(ctx, u.content)
		return at, got, err
	}
	data, err := u.read(ctx, 0, u.size)
	sum := md5.Sum(data)
	return bytes.NewReader(data), hex.EncodeToString(sum[:]), err
}

// check compares a sum with the one that is known of the source.
func (u *upload) check(ctx context.Context, got string) error {
	if u.o.MD5 == "" || u.o.MD5 == got {
		return nil
	}
	if d, ok := u.content.(doubter); ok {
		if doubted, err := d.doubted(ctx); doubted || err != nil {
			return err
		}
	}
	return corrupt(u.path, got, u.o.MD5)
}

// read reads a range into memory.
func (u *upload) read(ctx context.Context, off, n int64) ([]byte, error) {
	body, err := u.content.Range(ctx, off, n)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data := make([]byte, n)
	if _, err := io.ReadFull(body, data); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = changed(u.path)
		}
		return nil, localError("read", u.path, err)
	}
	return data, nil
}

// partSize returns the size of parts for a file: 10,000 hold it.
func partSize(size, least int64) int64 {
	const step = 1 << 20
	need := (size + maxParts - 1) / maxParts
	return max(least, (need+step-1)/step*step)
}

// parts sends the file in parts, several at a time.
func (u *upload) parts(ctx context.Context) (object.Info, error) {
	if err := u.sum(ctx); err != nil {
		return object.Info{}, err
	}
	id, err := u.b.store.CreateUpload(ctx, u.key, u.put)
	if err != nil {
		return object.Info{}, err
	}
	info, err := u.sendParts(ctx, id)
	if err != nil {
		u.abort(ctx, id)
	}
	return info, err
}

// abort gives up an upload even if the call was canceled. An upload that could not be
// aborted costs the user storage, and shows in a listing of uploads.
func (u *upload) abort(ctx context.Context, id string) {
	actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	u.b.store.AbortUpload(actx, u.key, id)
}

// sum writes the MD5 sum into the metadata: an ETag of parts is none.
func (u *upload) sum(ctx context.Context) error {
	if _, local := u.content.(io.ReaderAt); u.o.MD5 == "" && local && !u.b.o.NoMD5 {
		got, sums, err := sumParts(ctx, u.content, u.partSize())
		if err != nil {
			return localError("read", u.path, err)
		}
		u.o.MD5, u.sums = got, sums
	}
	u.keepSum()
	return nil
}

func (u *upload) partSize() int64 { return partSize(u.size, u.b.o.PartSize) }

// keepSum writes the sum into the metadata, if it is known.
func (u *upload) keepSum() {
	if raw, err := hex.DecodeString(u.o.MD5); err == nil && len(raw) == md5.Size {
		u.put.Meta[object.MetaMD5] = base64.StdEncoding.EncodeToString(raw)
	}
}

// contentMD5 reads all of a content.
func contentMD5(ctx context.Context, c Content) (string, error) {
	body, err := c.Range(ctx, 0, c.Size())
	if err != nil {
		return "", err
	}
	defer body.Close()
	sum := md5.New()
	if _, err := io.CopyBuffer(sum, body, make([]byte, copyBuf)); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), c.Unchanged()
}

func (u *upload) sendParts(ctx context.Context, id string) (object.Info, error) {
	size := u.partSize()
	parts := make([]object.Part, (u.size+size-1)/size)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(u.parallel())
	sum := u.relaySum()
	for i := range parts {
		off := int64(i) * size
		p := partOf{number: i + 1, off: off, n: min(size, u.size-off), turn: sum.turn()}
		free, err := u.place(gctx, p.n)
		if err != nil {
			break // gctx has ended, which is told below
		}
		g.Go(func() (err error) {
			defer free()
			parts[i], err = u.part(gctx, id, p)
			return err
		})
	}
	err := g.Wait()
	if err == nil {
		err = localError("write", u.path, ctx.Err())
	}
	if err == nil {
		err = sum.verify(ctx, u)
	}
	if stale := u.content.Unchanged(); stale != nil && ctx.Err() == nil {
		err = stale // which is why a part came out too short
	}
	if err != nil {
		return object.Info{}, err
	}
	return u.b.store.CompleteUpload(ctx, u.key, id, parts, u.put.Condition)
}

// parallel is how many parts of the file go at a time. Those that are not local are held
// in memory meanwhile.
func (u *upload) parallel() int {
	const local, remote = 16, 4
	switch _, at := u.content.(io.ReaderAt); {
	case u.b.o.Parallel > 0:
		return u.b.o.Parallel
	case at:
		return local
	}
	return remote
}

// partOf is a part of a file.
type partOf struct {
	number int // from 1 on
	off, n int64
	turn   turn // to be summed up
}

// part sends one part: out of the file itself where it is local, else out of memory, since
// a part is read more than once.
func (u *upload) part(ctx context.Context, id string, p partOf) (object.Part, error) {
	at, ok := u.content.(io.ReaderAt)
	if !ok {
		data, err := u.read(ctx, p.off, p.n)
		if err == nil {
			err = p.turn.add(ctx, data)
		}
		if err != nil {
			return object.Part{}, localError("write", u.path, err)
		}
		at, p.off = bytes.NewReader(data), 0
	}
	body := u.watch(at, p.n)
	part, err := u.sendPart(ctx, id, p.number, body, p.off)
	body.end(err == nil)
	return part, err
}

// sendPart sends one part with its sum, where that is known.
func (u *upload) sendPart(ctx context.Context, id string, number int, body *sending, off int64) (object.Part, error) {
	section := io.NewSectionReader(body, off, body.size)
	if store, ok := u.b.store.(SummedStore); ok && number <= len(u.sums) {
		body.summed = true
		return store.UploadSummedPart(ctx, u.key, id, number, section, u.sums[number-1])
	}
	return u.b.store.UploadPart(ctx, u.key, id, number, section)
}

func (u *upload) watch(r io.ReaderAt, n int64) *sending {
	return &sending{r: r, size: n, tell: u.o.Sent}
}

// sending tells the progress of a body that the store reads at least twice: a first time
// for its checksum, then to send it. Only what is read beyond the first time counts,
// unless the sum is known.
type sending struct {
	r      io.ReaderAt
	size   int64
	tell   func(int64)
	summed bool // the first time is for sending

	mu         sync.Mutex // guards what follows
	read, told int64
}

func (s *sending) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.r.ReadAt(p, off)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read += int64(n)
	sent := s.read
	if !s.summed {
		sent -= s.size
	}
	s.tellLocked(min(max(sent, 0), s.size))
	return n, err
}

// end settles the account: all was sent, or nothing.
func (s *sending) end(ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.tellLocked(s.size)
		return
	}
	s.tellLocked(0)
}

func (s *sending) tellLocked(total int64) {
	if s.tell != nil && total != s.told {
		s.tell(total - s.told)
	}
	s.told = total
}
