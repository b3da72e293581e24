package s3fake

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// maxMeta is the most bytes of names and values of user metadata.
const maxMeta = 2 << 10

// classes are the storage classes that are known.
var classes = map[string]bool{
	"": true, "STANDARD": true, "REDUCED_REDUNDANCY": true, "STANDARD_IA": true, "ONEZONE_IA": true,
	"INTELLIGENT_TIERING": true, "GLACIER": true, "GLACIER_IR": true, "DEEP_ARCHIVE": true,
}

func quote(etag string) string { return `"` + etag + `"` }

func (e *entry) shownClass() string {
	if e.class == "" {
		return "STANDARD"
	}
	return e.class
}

// archived reports whether the bytes must be restored before they can be read.
func (e *entry) archived() bool { return e.class == "GLACIER" || e.class == "DEEP_ARCHIVE" }

// template makes an entry from what a request's header says beside the body.
func (c *call) template() (*entry, error) {
	e := &entry{key: c.key, meta: map[string]string{}, header: map[string]string{}}
	size := 0
	for name, values := range c.r.Header {
		if short, ok := strings.CutPrefix(name, "X-Amz-Meta-"); ok {
			value := strings.Join(values, ",")
			e.meta[strings.ToLower(short)] = value
			size += len(short) + len(value)
		}
	}
	if size > maxMeta {
		return nil, fail("MetadataTooLarge", "The user metadata is larger than 2 KiB.")
	}
	for _, name := range keptHeaders {
		if v := c.r.Header.Get(name); v != "" {
			e.header[name] = v
		}
	}
	e.class = c.r.Header.Get("X-Amz-Storage-Class")
	if !classes[e.class] {
		return nil, fail("InvalidStorageClass", "There is no such storage class.")
	}
	return e, nil
}

// install puts e under its key if the condition holds, stamping it with the time.
func (b *Bucket) install(e *entry, w condition) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := w.check(b.getLocked(e.key)); err != nil {
		return err
	}
	e.modified = b.s.now()
	b.putLocked(e)
	return nil
}

func (c *call) putObject() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return c.afterBody(err)
	}
	e, err := c.template()
	if err != nil {
		return c.afterBody(err)
	}
	w, err := c.condition()
	if err != nil {
		return c.afterBody(err)
	}
	body, sum, err := c.receive()
	if err != nil {
		return err
	}
	c.pause()
	e.body, e.etag = body, sum.etag()
	if err := b.install(e, w); err != nil {
		return err
	}
	c.w.Header().Set("Etag", quote(e.etag))
	c.w.WriteHeader(http.StatusOK)
	return nil
}

// afterBody reads the body before an error is told, so that the client gets to read it.
func (c *call) afterBody(err error) error {
	c.drain()
	return err
}

// find returns the version that a request for an object is about.
func (c *call) find() (*entry, error) {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return nil, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	e := b.getLocked(c.key)
	if e == nil {
		return nil, errNoKey
	}
	return e, checkRead(e, c.r.Header, "")
}

// describe puts what is known of e into the answer's header.
func (c *call) describe(e *entry) {
	h := c.w.Header()
	for name, v := range e.header {
		h.Set(name, v)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "binary/octet-stream")
	}
	for name, v := range e.meta {
		h.Set(textproto.CanonicalMIMEHeaderKey("X-Amz-Meta-"+name), v)
	}
	if e.class != "" && e.class != "STANDARD" {
		h.Set("X-Amz-Storage-Class", e.class)
	}
	h.Set("Etag", quote(e.etag))
	h.Set("Last-Modified", e.modified.Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(e.body.size, 10))
}

func (c *call) headObject() error {
	e, err := c.find()
	if err != nil {
		return err
	}
	c.describe(e)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) getObject() error {
	e, err := c.find()
	if err != nil {
		return err
	}
	if e.archived() {
		return fail("InvalidObjectState", "The object is archived.")
	}
	off, n, partial, err := parseRange(c.r.Header.Get("Range"), e.body.size)
	if err != nil {
		return err
	}
	c.describe(e)
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		c.w.Header().Set("Content-Range", contentRange(off, n, e.body.size))
		c.w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	c.w.WriteHeader(status)
	return e.body.writeTo(c.w.object(), off, n)
}
