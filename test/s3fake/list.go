package s3fake

import (
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxList is the most keys and prefixes in one page.
const maxList = 1000

// listing is a question to list.
type listing struct {
	prefix, delimiter string
	after             string // only what comes behind this key or common prefix
	max               int
	encode            bool // names go out URL-encoded
}

// page is what comes out.
type page struct {
	objects  []*entry
	prefixes []string
	last     string // the last key or prefix in the page
	more     bool
}

// list returns a page. It looks at as many keys as the page has lines: a common prefix
// is skipped as a whole.
func (b *Bucket) list(l listing) page {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var p page
	from := max(l.prefix, behind(l.after, l))
	for {
		key, ok := b.seekLocked(from)
		if !ok || !strings.HasPrefix(key, l.prefix) {
			return p
		}
		if len(p.objects)+len(p.prefixes) >= l.max {
			p.more = l.max > 0
			return p
		}
		if common, ok := commonPrefix(key, l); ok {
			p.prefixes = append(p.prefixes, common)
			p.last = common
		} else {
			p.objects = append(p.objects, b.getLocked(key))
			p.last = key
		}
		from = behind(p.last, l)
	}
}

// commonPrefix returns the prefix that stands for key in a listing with a delimiter.
func commonPrefix(key string, l listing) (string, bool) {
	if l.delimiter == "" || !strings.HasPrefix(key, l.prefix) {
		return "", false
	}
	i := strings.Index(key[len(l.prefix):], l.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(l.prefix)+i+len(l.delimiter)], true
}

// behind returns where the next key may begin after last: behind all keys of it, if it
// is a common prefix.
func behind(last string, l listing) string {
	if last == "" {
		return ""
	}
	if common, ok := commonPrefix(last, l); ok && common == last {
		return last[:len(last)-1] + string([]byte{last[len(last)-1] + 1})
	}
	return last + "\x00"
}

type objectXML struct {
	Key          text
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
}

type prefixXML struct{ Prefix text }

type listXML struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                text
	Delimiter             *text  `xml:",omitempty"`
	Marker                *text  `xml:",omitempty"`
	NextMarker            *text  `xml:",omitempty"`
	StartAfter            *text  `xml:",omitempty"`
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	KeyCount              *int   `xml:",omitempty"`
	MaxKeys               int
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []objectXML
	CommonPrefixes        []prefixXML
}

// name returns a key as the listing shows it.
func (l *listing) name(s string) text {
	if l.encode {
		s = strings.ReplaceAll(url.QueryEscape(s), "%2F", "/")
	}
	return plain(s)
}

func (l *listing) optional(s string) *text {
	if s == "" {
		return nil
	}
	t := l.name(s)
	return &t
}

// question reads what both versions of the listing share.
func (c *call) question() (listing, error) {
	l := listing{prefix: c.q.Get("prefix"), delimiter: c.q.Get("delimiter"), max: maxList}
	if v := c.q.Get("max-keys"); v != "" {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n < 0 {
			return l, fail("InvalidArgument", "max-keys must be a number.")
		}
		l.max = min(int(n), maxList)
	}
	switch v := c.q.Get("encoding-type"); v {
	case "":
	case "url":
		l.encode = !c.s.opts.Quirks.NoURLEncoding
	default:
		return l, fail("InvalidArgument", "The only encoding is url.")
	}
	return l, nil
}

// document fills in what both versions of the listing share.
func (c *call) document(l listing, p page) listXML {
	doc := listXML{
		Name: c.bucket, Prefix: l.name(l.prefix), Delimiter: l.optional(l.delimiter),
		MaxKeys: l.max, IsTruncated: p.more,
	}
	if l.encode {
		doc.EncodingType = "url"
	}
	for _, e := range p.objects {
		doc.Contents = append(doc.Contents, objectXML{
			Key: l.name(e.key), LastModified: stamp(e.modified), ETag: quote(e.etag),
			Size: e.body.size, StorageClass: e.shownClass(),
		})
	}
	for _, prefix := range p.prefixes {
		doc.CommonPrefixes = append(doc.CommonPrefixes, prefixXML{l.name(prefix)})
	}
	return doc
}

func (c *call) listV1() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return err
	}
	l, err := c.question()
	if err != nil {
		return err
	}
	l.after = c.q.Get("marker")
	p := b.list(l)
	doc := c.document(l, p)
	marker := l.name(l.after)
	doc.Marker = &marker
	if p.more && l.delimiter != "" { // AWS leaves it out otherwise: the last key serves
		doc.NextMarker = l.optional(p.last)
	}
	return c.xml(http.StatusOK, doc)
}

func (c *call) listV2() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return err
	}
	l, err := c.question()
	if err != nil {
		return err
	}
	l.after = c.q.Get("start-after")
	token := c.q.Get("continuation-token")
	if c.q.Has("continuation-token") {
		last, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || token == "" {
			return fail("InvalidArgument", "This is no continuation token.")
		}
		l.after = string(last)
	}
	p := b.list(l)
	doc := c.document(l, p)
	doc.StartAfter = l.optional(c.q.Get("start-after"))
	doc.ContinuationToken = token
	if p.more {
		doc.NextContinuationToken = base64.RawURLEncoding.EncodeToString([]byte(p.last))
	}
	count := len(p.objects) + len(p.prefixes)
	doc.KeyCount = &count
	return c.xml(http.StatusOK, doc)
}
