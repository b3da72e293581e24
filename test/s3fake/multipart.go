package s3fake

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxPart is the highest number of a part.
const maxPart = 10_000

// upload is a multipart upload in progress. The bucket's lock guards parts.
type upload struct {
	id        string
	key       string
	template  entry // key, metadata and headers
	initiated time.Time
	sums      string // algorithm of the sum that each part has to tell; empty: none
	parts     map[int]part
}

type part struct {
	body     *rope
	etag     string
	sum      string // in base64, where the upload has sums
	modified time.Time
}

func (c *call) createUpload() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return err
	}
	e, err := c.template()
	if err != nil {
		return err
	}
	sums, err := c.sums()
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.serial++
	u := &upload{sums: sums,
		id: fmt.Sprintf("%08d.%s", b.serial, hex.EncodeToString([]byte(b.name))), key: c.key,
		template: *e, initiated: b.s.now(), parts: map[int]part{},
	}
	b.uploads[u.id] = u
	b.mu.Unlock()
	if sums != "" {
		c.w.Header().Set(sumAlgorithm, sums)
	}
	return c.xml(http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket   string
		Key      text
		UploadID string `xml:"UploadId"`
	}{Bucket: c.bucket, Key: plain(c.key), UploadID: u.id})
}

const sumAlgorithm = "X-Amz-Checksum-Algorithm"

// sums returns the algorithm of the sums that the request to create an upload asks for.
// A store that is older than them passes the header over, or refuses it.
func (c *call) sums() (string, error) {
	name := c.r.Header.Get(sumAlgorithm)
	switch {
	case name == "" || c.s.opts.Quirks.NoSums:
		return "", nil
	case c.s.opts.Quirks.RefuseSums:
		return "", fail("InvalidArgument", "x-amz-checksum-algorithm is not known here.")
	case name != "CRC32C":
		return "", fail("InvalidRequest", "This stand-in checks parts by CRC32C only.")
	}
	return name, nil
}

// upload finds the upload that a request is about.
func (c *call) upload() (*Bucket, *upload, error) {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return nil, nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	u := b.uploads[c.q.Get("uploadId")]
	if u == nil || u.key != c.key {
		return nil, nil, errNoUpload
	}
	return b, u, nil
}

// partNumber returns the number that a request gives to its part.
func (c *call) partNumber() (int, error) {
	n, err := strconv.Atoi(c.q.Get("partNumber"))
	if err != nil || n < 1 || n > maxPart {
		return 0, fail("InvalidArgument", "A part's number is from 1 to 10000.")
	}
	return n, nil
}

// addPart stores a part, over the one of that number if there is one.
func (b *Bucket) addPart(u *upload, number int, p part) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads[u.id] != u {
		return errNoUpload
	}
	u.parts[number] = p
	return nil
}

func (c *call) uploadPart() error {
	b, u, err := c.upload()
	if err != nil {
		return c.afterBody(err)
	}
	number, err := c.partNumber()
	if err != nil {
		return c.afterBody(err)
	}
	told := c.r.Header.Get("X-Amz-Checksum-Crc32c") // receive compares it
	if (u.sums != "") != (told != "") {
		return c.afterBody(fail("InvalidRequest", "The checksum type of the part is not that of the upload."))
	}
	body, sum, err := c.receive()
	if err != nil {
		return err
	}
	c.pause()
	p := part{body: body, etag: sum.etag(), sum: told, modified: c.s.now()}
	if told != "" {
		c.w.Header().Set("X-Amz-Checksum-Crc32c", told)
	}
	if err := b.addPart(u, number, p); err != nil {
		return err
	}
	c.w.Header().Set("Etag", quote(p.etag))
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) uploadPartCopy() error {
	b, u, err := c.upload()
	if err != nil {
		return err
	}
	number, err := c.partNumber()
	if err != nil {
		return err
	}
	_, src, err := c.source()
	if err != nil {
		return err
	}
	off, n, partial, err := parseRange(c.r.Header.Get("X-Amz-Copy-Source-Range"), src.body.size)
	if err != nil || !partial && c.r.Header.Get("X-Amz-Copy-Source-Range") != "" {
		return fail("InvalidRange", "The range lies outside of the source.")
	}
	if n > maxBody {
		return fail("InvalidRequest", "The range is too large to copy in one request.")
	}
	p := part{body: src.body.slice(off, n), modified: c.s.now()}
	sum := md5.Sum([]byte(fmt.Sprintf("%s %d %d", src.etag, off, n))) // of the right form; the bytes are not read
	p.etag = hex.EncodeToString(sum[:])
	if err := b.addPart(u, number, p); err != nil {
		return err
	}
	return c.xml(http.StatusOK, struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
		LastModified string
		ETag         string
	}{LastModified: stamp(p.modified), ETag: quote(p.etag)})
}

type completeXML struct {
	Part []struct {
		PartNumber     int
		ETag           string
		ChecksumCRC32C string
	}
}

func (c *call) completeUpload() error {
	b, u, err := c.upload()
	if err != nil {
		return c.afterBody(err)
	}
	w, err := c.condition()
	if err != nil {
		return c.afterBody(err)
	}
	var ask completeXML
	if err := c.readXML(&ask); err != nil {
		return err
	}
	e, err := b.complete(u, ask, w)
	if err != nil {
		return err
	}
	tag := quote(e.etag)
	if c.s.opts.Quirks.EmptyCompleteETag {
		tag = ""
	}
	return c.xml(http.StatusOK, struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Location string
		Bucket   string
		Key      text
		ETag     string
	}{Location: c.s.URL() + "/" + c.bucket, Bucket: c.bucket, Key: plain(c.key), ETag: tag})
}

// complete puts the parts together and ends the upload.
func (b *Bucket) complete(u *upload, ask completeXML, w condition) (*entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads[u.id] != u {
		return nil, errNoUpload
	}
	e, err := u.assemble(ask, b.s.opts.MinPart)
	if err != nil {
		return nil, err
	}
	if err := w.check(b.getLocked(u.key)); err != nil {
		return nil, err
	}
	e.modified = b.s.now()
	b.putLocked(e)
	delete(b.uploads, u.id)
	return e, nil
}

// assemble makes the object from the parts that the client lists.
func (u *upload) assemble(ask completeXML, least int64) (*entry, error) {
	if len(ask.Part) == 0 {
		return nil, errMalformed
	}
	for i := range ask.Part[1:] {
		if ask.Part[i].PartNumber >= ask.Part[i+1].PartNumber {
			return nil, fail("InvalidPartOrder", "The parts are not in order.")
		}
	}
	tags := md5.New()
	var bodies []*rope
	for i, want := range ask.Part {
		p, ok := u.parts[want.PartNumber]
		if !ok || strings.Trim(want.ETag, `"`) != p.etag {
			return nil, fail("InvalidPart", "A part was not uploaded, or not in this version.")
		}
		if want.ChecksumCRC32C != p.sum {
			return nil, fail("InvalidPart", "The checksum of a part is missing, or another one.")
		}
		if p.body.size < least && i < len(ask.Part)-1 {
			return nil, fail("EntityTooSmall", "Only the last part may be this small.")
		}
		if raw, err := hex.DecodeString(p.etag); err == nil {
			tags.Write(raw)
		} else {
			io.WriteString(tags, p.etag)
		}
		bodies = append(bodies, p.body)
	}
	e := u.template
	e.body = concat(bodies)
	e.etag = fmt.Sprintf("%x-%d", tags.Sum(nil), len(bodies))
	return &e, nil
}

func (c *call) abortUpload() error {
	b, u, err := c.upload()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.uploads, u.id)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
