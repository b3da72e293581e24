package s3fake

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"hash/maphash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxBody is the most that one PutObject or UploadPart may carry.
const maxBody = 5 << 30

// checksums makes the hashes of x-amz-checksum-NAME.
var checksums = map[string]func() hash.Hash{
	"Crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"Crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"Crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9A6C9329AC4BC9B5)) },
	"Sha1":      sha1.New,
	"Sha256":    sha256.New,
}

// digest is what is known of a body's bytes once they are in.
type digest struct {
	md5  hash.Hash     // nil with FastETag, unless the client sent an MD5
	fast *maphash.Hash // nil without FastETag
}

// etag returns the ETag that stands for the bytes, without quotes.
func (d *digest) etag() string {
	if d.fast != nil {
		return fmt.Sprintf("%032x-1", d.fast.Sum64())
	}
	return hex.EncodeToString(d.md5.Sum(nil))
}

func (s *Server) newDigest() *digest {
	if !s.opts.FastETag {
		return &digest{md5: md5.New()}
	}
	d := &digest{fast: &maphash.Hash{}}
	d.fast.SetSeed(s.depot.seed)
	return d
}

// finish makes d that of a body whose bytes the MD5 has seen, if one is wanted.
func (d *digest) finish(body *rope) {
	if d.fast != nil {
		body.sum(d.fast)
	}
}

// takeIn stores the bytes of r.
func (s *Server) takeIn(r io.Reader) (*rope, *digest, error) {
	d := s.newDigest()
	body, err := s.readSummed(r, d, nil)
	return body, d, err
}

// expectation is a hash that the client told with the body.
type expectation struct {
	name string // of the hash
	hash hash.Hash
	want []byte
	code string // the error if it doesn't hold
}

// receive stores the request's body, and checks it against everything that the client
// said about it.
func (c *call) receive() (*rope, *digest, error) {
	size, err := c.bodySize()
	if err != nil {
		return nil, nil, err
	}
	d := c.s.newDigest()
	expected, err := expectations(c.r.Header, d)
	if err != nil {
		return nil, nil, err
	}
	var in io.Reader = c.r.Body
	if strings.HasPrefix(c.r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		in = &chunked{r: bufio.NewReader(in)}
	}
	read := c.s.readSummed
	if c.s.recall != nil {
		read = c.s.readRecalled
	}
	body, err := read(in, d, expected)
	if err != nil || body.size != size {
		return nil, nil, fail("IncompleteBody", "The body is not as long as the request said.")
	}
	for _, e := range expected {
		if !bytes.Equal(e.hash.Sum(nil), e.want) {
			return nil, nil, fail(e.code, "What the request says about its body does not match what was received.")
		}
	}
	c.w.in += body.size
	return body, d, nil
}

// readSummed stores a body and computes its hashes as it comes.
func (s *Server) readSummed(in io.Reader, d *digest, expected []expectation) (*rope, error) {
	var writers []io.Writer
	if d.md5 != nil {
		writers = append(writers, d.md5)
	}
	for _, e := range expected {
		if e.hash != d.md5 {
			writers = append(writers, e.hash)
		}
	}
	body, err := s.depot.read(in, io.MultiWriter(writers...))
	if err == nil {
		d.finish(body)
	}
	return body, err
}

// bodySize returns the number of bytes that the body must have.
func (c *call) bodySize() (int64, error) {
	size := c.r.ContentLength
	if v := c.r.Header.Get("X-Amz-Decoded-Content-Length"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return 0, fail("InvalidArgument", "x-amz-decoded-content-length is not a number")
		}
		size = n
	}
	if size < 0 {
		return 0, fail("MissingContentLength", "The request doesn't say how long its body is.")
	}
	if size > maxBody {
		return 0, fail("EntityTooLarge", "The body is larger than 5 GiB.")
	}
	return size, nil
}

// expectations collects the hashes that a request's header tells.
func expectations(h http.Header, d *digest) ([]expectation, error) {
	var out []expectation
	if v := h.Get("Content-Md5"); v != "" {
		want, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(want) != md5.Size {
			return nil, fail("InvalidDigest", "The Content-MD5 is not an MD5.")
		}
		if d.md5 == nil {
			d.md5 = md5.New()
		}
		out = append(out, expectation{"MD5", d.md5, want, "BadDigest"})
	}
	if v := h.Get("X-Amz-Content-Sha256"); len(v) == 2*sha256.Size {
		want, err := hex.DecodeString(v)
		if err != nil {
			return nil, fail("InvalidArgument", "The payload hash is not a SHA-256.")
		}
		out = append(out, expectation{"Sha256", sha256.New(), want, "XAmzContentSHA256Mismatch"})
	}
	for name, make := range checksums {
		v := h.Get("X-Amz-Checksum-" + name)
		if v == "" {
			continue
		}
		want, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return nil, fail("InvalidRequest", "The checksum is not base64.")
		}
		out = append(out, expectation{name, make(), want, "BadDigest"})
	}
	return out, nil
}

// chunked takes the aws-chunked framing off a body: a line with the length in
// hexadecimal and a signature, the bytes, an empty line, and so on until a length of 0
// and trailers. Signatures and trailers are not looked at.
type chunked struct {
	r    *bufio.Reader
	left int64
	done bool
}

func (c *chunked) Read(p []byte) (int, error) {
	if c.done {
		return 0, io.EOF
	}
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
		if c.done {
			return 0, io.EOF
		}
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.left == 0 && err == nil {
		_, err = c.r.Discard(len("\r\n"))
	}
	if err == io.EOF {
		err = errShortChunk
	}
	return n, err
}

var errShortChunk = errors.New("the last chunk is missing")

func (c *chunked) next() error {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return errShortChunk
	}
	length, _, _ := strings.Cut(strings.TrimSpace(line), ";")
	if c.left, err = strconv.ParseInt(length, 16, 64); err != nil || c.left < 0 {
		return fmt.Errorf("chunk length %q", length)
	}
	if c.left == 0 {
		c.done = true
		io.Copy(io.Discard, c.r) // trailers
	}
	return nil
}
