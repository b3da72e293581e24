package s3fake

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

type listAnswer struct {
	Contents []struct {
		Key  string
		Size int64
	}
	CommonPrefixes        []struct{ Prefix string }
	IsTruncated           bool
	NextMarker            string
	NextContinuationToken string
	KeyCount              int
}

func (c *client) list(query string) listAnswer {
	c.t.Helper()
	_, body := c.do(200, "GET", "/bucket?"+query, nil)
	var l listAnswer
	if err := xml.Unmarshal(body, &l); err != nil {
		c.t.Fatalf("%v: %s", err, body)
	}
	return l
}

// names returns keys and prefixes, decoded.
func (l listAnswer) names() []string {
	var out []string
	for _, o := range l.Contents {
		out = append(out, o.Key)
	}
	for _, p := range l.CommonPrefixes {
		out = append(out, p.Prefix)
	}
	for i := range out {
		if s, err := url.QueryUnescape(out[i]); err == nil {
			out[i] = s
		}
	}
	return out
}

var oddKeys = []string{"a+b", "a b", "a%41", "a\nb", "ä/ö", "dir/1", "dir/2", "dir/sub/3", "dir0", "z<&>"}

func TestPagingSeesEachNameOnce(t *testing.T) {
	_, b, c := start(t, Options{})
	for _, k := range oddKeys {
		b.Put(k, []byte(k), nil)
	}
	flat := slices.Clone(oddKeys)
	slices.Sort(flat)
	grouped := []string{"a\nb", "a b", "a%41", "a+b", "dir/", "dir0", "z<&>", "ä/"}
	tests := []struct {
		query string
		want  []string
	}{
		{"", flat},
		{"delimiter=%2F", grouped},
		{"prefix=dir%2F", []string{"dir/1", "dir/2", "dir/sub/3"}},
		{"prefix=dir%2F&delimiter=%2F", []string{"dir/1", "dir/2", "dir/sub/"}},
		{"prefix=none", nil},
	}
	for _, tt := range tests {
		for size := 1; size <= 4; size++ {
			var v1, v2 []string
			token, marker := "", ""
			for {
				q := fmt.Sprintf("list-type=2&encoding-type=url&max-keys=%d&%s", size, tt.query)
				if token != "" {
					q += "&continuation-token=" + url.QueryEscape(token)
				}
				l := c.list(q)
				v2 = append(v2, l.names()...)
				if token = l.NextContinuationToken; !l.IsTruncated {
					break
				}
			}
			for {
				l := c.list(fmt.Sprintf("encoding-type=url&max-keys=%d&marker=%s&%s", size, url.QueryEscape(marker), tt.query))
				v1 = append(v1, l.names()...)
				if !l.IsTruncated {
					break
				}
				if marker, _ = url.QueryUnescape(l.NextMarker); marker == "" {
					marker = v1[len(v1)-1]
				}
			}
			slices.Sort(v1)
			slices.Sort(v2)
			want := slices.Sorted(slices.Values(tt.want))
			if !slices.Equal(v2, want) || !slices.Equal(v1, want) {
				t.Errorf("%q by %d: v1 %q, v2 %q, want %q", tt.query, size, v1, v2, want)
			}
		}
	}
}

func TestListingArguments(t *testing.T) {
	_, b, c := start(t, Options{})
	for _, k := range oddKeys {
		b.Put(k, nil, nil)
	}
	if got := c.list("list-type=2&start-after=dir%2F&delimiter=%2F").names(); !slices.Equal(got, []string{"dir0", "z<&>", "ä/"}) {
		t.Errorf("after a prefix: %q", got)
	}
	if got := c.list("list-type=2&start-after=dir%2F1&delimiter=%2F").names(); len(got) != 4 {
		t.Errorf("after a key in a prefix: %q", got)
	}
	if l := c.list("max-keys=0"); l.IsTruncated || len(l.Contents) != 0 {
		t.Errorf("max-keys=0: %+v", l)
	}
	c.refused("InvalidArgument", "GET", "/bucket?max-keys=x", nil)
	c.refused("InvalidArgument", "GET", "/bucket?encoding-type=x", nil)
	c.refused("InvalidArgument", "GET", "/bucket?list-type=2&continuation-token=%21", nil)
	c.refused("NoSuchBucket", "GET", "/nowhere?list-type=2", nil)
}

func TestMillionKeysAreCheap(t *testing.T) {
	_, b, c := start(t, Options{})
	b.AddVirtual(Virtual{Prefix: "many/f", Suffix: ".bin", N: 1_000_000, Size: 100})
	b.Put("many/a", nil, nil)
	b.Put("many/f500000.bin", []byte("own"), nil)
	b.Delete("many/f000001.bin")
	l := c.list("list-type=2&prefix=many%2F&max-keys=3")
	if got := l.names(); !slices.Equal(got, []string{"many/a", "many/f000000.bin", "many/f000002.bin"}) {
		t.Errorf("first page: %q", got)
	}
	l = c.list("list-type=2&prefix=many%2F&start-after=many%2Ff999997.bin")
	if got := l.names(); !slices.Equal(got, []string{"many/f999998.bin", "many/f999999.bin"}) {
		t.Errorf("last page: %q", got)
	}
	if got := c.list("list-type=2&delimiter=%2F").names(); !slices.Equal(got, []string{"many/"}) {
		t.Errorf("as a prefix: %q", got)
	}
	_, body := c.do(200, "GET", "/bucket/many/f000007.bin", nil)
	if err := NewPattern(7).Check(body, 0); err != nil || len(body) != 100 {
		t.Errorf("%d bytes: %v", len(body), err)
	}
	c.refused("NoSuchKey", "GET", "/bucket/many/f000001.bin", nil)
	c.refused("NoSuchKey", "GET", "/bucket/many/f1000000.bin", nil)
	if got, _ := b.Get("many/f500000.bin"); string(got) != "own" {
		t.Errorf("overwritten: %q", got)
	}
	page := listing{prefix: "many/", after: "many/f979999.bin", max: maxList}
	n := 0
	for {
		p := b.list(page)
		n += len(p.objects)
		if page.after = p.last; !p.more {
			break
		}
	}
	if n != 20_000 {
		t.Errorf("%d keys in the last pages", n)
	}
}

func TestTraceTellsRequests(t *testing.T) {
	s, b, c := start(t, Options{})
	s.StartTrace()
	c.do(200, "PUT", "/bucket/a", []byte("abc"))
	c.do(206, "GET", "/bucket/a", nil, "Range", "bytes=1-2")
	c.do(404, "HEAD", "/bucket/b", nil)
	c.list("list-type=2&prefix=d%2F&delimiter=%2F&start-after=d%2Fx&max-keys=5")
	c.do(200, "PUT", "/bucket/c", nil, "X-Amz-Copy-Source", "/bucket/a")
	b.Put("unseen", nil, nil)
	want := []string{
		"PutObject a", "GetObject a 1-2", "HeadObject b -> 404",
		"ListObjectsV2 d/ delimiter=/ after=d/x max=5", "CopyObject c from=a",
	}
	if got := s.Trace(); !slices.Equal(got, want) {
		t.Errorf("trace:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
