package mountbench

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/test/s3fake"
)

// client is the plain HTTP client that sets the limit: the same requests as a mount would
// need, and nothing done with the answers.
type client struct {
	base string
	http *http.Client
	tr   *http.Transport
	bufs sync.Pool
}

func newClient(base string) *client {
	tr := &http.Transport{MaxIdleConnsPerHost: 256, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10, DisableCompression: true}
	return &client{base: base + "/" + bucketName, tr: tr, http: &http.Client{Transport: tr},
		bufs: sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}}
}

func (c *client) close() { c.tr.CloseIdleConnections() }

// do sends a request and throws the answer away, or gives it to use.
func (c *client) do(ctx context.Context, method, key string, header map[string]string, body []byte, use func(io.Reader) error) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+key, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s", method, key, resp.Status)
	}
	if use == nil {
		use = c.discard
	}
	return resp.Header, use(resp.Body)
}

func (c *client) discard(r io.Reader) error {
	buf := c.bufs.Get().(*[]byte)
	defer c.bufs.Put(buf)
	for {
		if _, err := r.Read(*buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (c *client) get(ctx context.Context, key string, off, n int64) error {
	_, err := c.do(ctx, "GET", "/"+key, map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", off, off+n-1)}, nil, nil)
	return err
}

// ranges reads size bytes of an object in parallel ranged requests.
func (c *client) ranges(ctx context.Context, key string, size int64) error {
	const parallel, part = 32, 8 << 20
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for off := int64(0); off < size; off += part {
		g.Go(func() error { return c.get(ctx, key, off, min(part, size-off)) })
	}
	return g.Wait()
}

// each does n things in so many threads; each takes the next number.
func each(ctx context.Context, threads, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(threads)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// page is what the limit needs of a listing.
type page struct {
	IsTruncated           bool
	NextContinuationToken string
	Contents              []struct{ Key string }
}

// list lists the keys of a prefix from after up to before, in sequence.
func (c *client) list(ctx context.Context, prefix, after, before string, found func(keys []string)) error {
	q := url.Values{"list-type": {"2"}, "prefix": {prefix}}
	if after != "" {
		q.Set("start-after", after)
	}
	for {
		var p page
		_, err := c.do(ctx, "GET", "?"+q.Encode(), nil, nil, func(r io.Reader) error {
			text, err := io.ReadAll(r)
			if err == nil {
				p, err = parsePage(text)
			}
			return err
		})
		if err != nil {
			return err
		}
		keys := make([]string, 0, len(p.Contents))
		for _, o := range p.Contents {
			keys = append(keys, o.Key)
		}
		found(keys)
		if !p.IsTruncated || (before != "" && len(keys) > 0 && keys[len(keys)-1] >= before) {
			return nil
		}
		q.Set("continuation-token", p.NextContinuationToken)
	}
}

// parsePage finds the keys without the reflection of encoding/xml, which would be most of
// what is measured: the store's keys here need no unescaping.
func parsePage(text []byte) (p page, err error) {
	s := string(text)
	p.IsTruncated = strings.Contains(s, "<IsTruncated>true<")
	if _, rest, ok := strings.Cut(s, "<NextContinuationToken>"); ok {
		p.NextContinuationToken, _, _ = strings.Cut(rest, "<")
	}
	for {
		_, rest, ok := strings.Cut(s, "<Key>")
		if !ok {
			return p, nil
		}
		key, after, ok := strings.Cut(rest, "</Key>")
		if !ok {
			return p, fmt.Errorf("a listing ends within a key")
		}
		p.Contents = append(p.Contents, struct{ Key string }{key})
		s = after
	}
}

// put stores an object in one request.
func (c *client) put(ctx context.Context, key string, data []byte) error {
	_, err := c.do(ctx, "PUT", "/"+key, nil, data, nil)
	return err
}

// upload stores an object in parts that go up in parallel.
func (c *client) upload(ctx context.Context, key string, size int64, p s3fake.Pattern) error {
	const parallel, part = 32, 8 << 20
	var begun struct{ UploadId string }
	_, err := c.do(ctx, "POST", "/"+key+"?uploads", nil, nil, func(r io.Reader) error { return xml.NewDecoder(r).Decode(&begun) })
	if err != nil {
		return err
	}
	n := int((size + part - 1) / part)
	etags := make([]string, n)
	pieces := sync.Pool{New: func() any { b := make([]byte, part); return &b }}
	err = each(ctx, parallel, n, func(ctx context.Context, i int) error {
		b := pieces.Get().(*[]byte)
		defer pieces.Put(b)
		off := int64(i) * part
		piece := (*b)[:min(part, size-off)]
		p.ReadAt(piece, off)
		h, err := c.do(ctx, "PUT", fmt.Sprintf("/%s?partNumber=%d&uploadId=%s", key, i+1, url.QueryEscape(begun.UploadId)), nil, piece, nil)
		if err == nil {
			etags[i] = h.Get("Etag")
		}
		return err
	})
	if err != nil {
		return err
	}
	var doc strings.Builder
	doc.WriteString("<CompleteMultipartUpload>")
	for i, e := range etags {
		fmt.Fprintf(&doc, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, e)
	}
	doc.WriteString("</CompleteMultipartUpload>")
	_, err = c.do(ctx, "POST", "/"+key+"?uploadId="+url.QueryEscape(begun.UploadId), nil, []byte(doc.String()), nil)
	return err
}
