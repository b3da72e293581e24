package s3fake

import (
	"cmp"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type partXML struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
}

func (c *call) listParts() error {
	b, u, err := c.upload()
	if err != nil {
		return err
	}
	limit, err := c.limit("max-parts")
	if err != nil {
		return err
	}
	after, _ := strconv.Atoi(c.q.Get("part-number-marker"))
	var doc struct {
		XMLName     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
		Bucket      string
		Key         text
		UploadID    string `xml:"UploadId"`
		Marker      int    `xml:"PartNumberMarker"`
		Next        int    `xml:"NextPartNumberMarker"`
		MaxParts    int
		IsTruncated bool
		Part        []partXML
	}
	doc.Bucket, doc.Key, doc.UploadID, doc.Marker, doc.MaxParts = c.bucket, plain(c.key), u.id, after, limit
	b.mu.RLock()
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if n <= after {
			continue
		}
		if len(doc.Part) == limit {
			doc.IsTruncated = true
			break
		}
		p := u.parts[n]
		doc.Part = append(doc.Part, partXML{n, stamp(p.modified), quote(p.etag), p.body.size})
		doc.Next = n
	}
	b.mu.RUnlock()
	return c.xml(http.StatusOK, doc)
}

// limit reads a parameter that bounds a page.
func (c *call) limit(name string) (int, error) {
	v := c.q.Get(name)
	if v == "" {
		return maxList, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return 0, fail("InvalidArgument", name+" must be a number.")
	}
	return min(int(n), maxList), nil
}

type uploadXML struct {
	Key       text
	UploadID  string `xml:"UploadId"`
	Initiated string
}

func (c *call) listUploads() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return err
	}
	limit, err := c.limit("max-uploads")
	if err != nil {
		return err
	}
	l := listing{prefix: c.q.Get("prefix"), encode: c.q.Get("encoding-type") == "url"}
	var doc struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
		Bucket       string
		Prefix       text
		KeyMarker    text
		IDMarker     string `xml:"UploadIdMarker"`
		NextKey      text   `xml:"NextKeyMarker"`
		NextID       string `xml:"NextUploadIdMarker"`
		EncodingType string `xml:",omitempty"`
		MaxUploads   int
		IsTruncated  bool
		Upload       []uploadXML
	}
	key, id := c.q.Get("key-marker"), c.q.Get("upload-id-marker")
	doc.Bucket, doc.Prefix, doc.KeyMarker, doc.IDMarker, doc.MaxUploads = c.bucket, l.name(l.prefix), l.name(key), id, limit
	if l.encode {
		doc.EncodingType = "url"
	}
	for _, u := range b.uploadsAfter(l.prefix, key, id) {
		if len(doc.Upload) == limit {
			doc.IsTruncated = true
			break
		}
		doc.Upload = append(doc.Upload, uploadXML{l.name(u.key), u.id, stamp(u.initiated)})
		doc.NextKey, doc.NextID = l.name(u.key), u.id
	}
	return c.xml(http.StatusOK, doc)
}

// uploadsAfter returns the uploads under a prefix behind a key and, where an id is
// given, those of that key behind the id; in order.
func (b *Bucket) uploadsAfter(prefix, key, id string) []*upload {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []*upload
	for _, u := range b.uploads {
		behind := u.key > key || u.key == key && id != "" && u.id > id
		if strings.HasPrefix(u.key, prefix) && (key == "" || behind) {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b *upload) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id))
	})
	return out
}
