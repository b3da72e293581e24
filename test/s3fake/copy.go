package s3fake

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
)

// source returns the version that a copy reads.
func (c *call) source() (bucket string, e *entry, err error) {
	path, _, _ := strings.Cut(c.r.Header.Get("X-Amz-Copy-Source"), "?")
	path, err = url.PathUnescape(path)
	if err != nil {
		return "", nil, fail("InvalidArgument", "The copy source names no bucket and key.")
	}
	bucket, key := split(path)
	b, err := c.s.bucket(bucket)
	if err != nil {
		return "", nil, err
	}
	b.mu.RLock()
	e = b.getLocked(key)
	b.mu.RUnlock()
	if e == nil {
		return "", nil, errNoKey
	}
	if e.archived() {
		return "", nil, fail("InvalidObjectState", "The object is archived.")
	}
	return bucket, e, checkRead(e, c.r.Header, "X-Amz-Copy-Source-")
}

type copyXML struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	LastModified string
	ETag         string
}

func (c *call) copyObject() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return err
	}
	bucket, src, err := c.source()
	if err != nil {
		return err
	}
	e, err := c.template()
	if err != nil {
		return err
	}
	w, err := c.condition()
	if err != nil {
		return err
	}
	if src.body.size > maxBody {
		return fail("InvalidRequest", "The source is too large to copy in one request.")
	}
	if c.r.Header.Get("X-Amz-Metadata-Directive") != "REPLACE" {
		if bucket == c.bucket && src.key == c.key && e.class == src.class {
			return fail("InvalidRequest", "A copy onto itself must change something.")
		}
		e.meta, e.header = src.meta, src.header
	}
	e.body, e.etag = src.body, copyETag(src.etag)
	if err := b.install(e, w); err != nil {
		return err
	}
	tag := quote(e.etag)
	if c.s.opts.Quirks.BareCopyETag {
		tag = e.etag
	}
	return c.xml(http.StatusOK, copyXML{LastModified: stamp(e.modified), ETag: tag})
}

// copyETag returns the ETag of a copy in one request: that of the source, or another
// one where the source was put together from parts, as a copy isn't.
func copyETag(etag string) string {
	if !strings.Contains(etag, "-") {
		return etag
	}
	sum := md5.Sum([]byte(etag))
	return hex.EncodeToString(sum[:])
}
