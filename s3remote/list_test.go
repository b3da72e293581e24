package s3remote

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// listBody makes a listing; entries ending in "/…" are common prefixes.
func listBody(head string, entries ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>" + head)
	for _, e := range entries {
		if p, ok := strings.CutSuffix(e, "…"); ok {
			fmt.Fprintf(&b, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", p)
		} else {
			fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>3</Size><ETag>&quot;e1&quot;</ETag><LastModified>2024-05-06T07:08:09.123Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>", e)
		}
	}
	return b.String() + "</ListBucketResult>"
}

const (
	urlEncoded = "<EncodingType>url</EncodingType>"
	more       = "<IsTruncated>true</IsTruncated>"
)

func token(s string) string { return "<NextContinuationToken>" + s + "</NextContinuationToken>" }

// pages serves one body a request, and the last one for all further ones.
func pages(bodies ...string) func(http.ResponseWriter, *request) {
	return func(w http.ResponseWriter, r *request) {
		_, _ = w.Write([]byte(bodies[min(r.n, len(bodies))-1]))
	}
}

func listAll(t *testing.T, b *Bucket, q object.Query) (entries []string, err error) {
	t.Helper()
	for range 20 {
		page, err := b.List(t.Context(), q)
		if err != nil {
			return entries, err
		}
		for _, o := range page.Objects {
			entries = append(entries, o.Key)
		}
		for _, p := range page.Prefixes {
			entries = append(entries, p+"…")
		}
		if page.Next == "" {
			return entries, nil
		}
		q.Token = page.Next
	}
	t.Fatal("the listing has no end")
	return nil, nil
}

func TestListEntry(t *testing.T) {
	s, b := serve(t, nil, pages(listBody("", "k")))
	page, err := b.List(t.Context(), object.Query{Prefix: "p?&", Delimiter: "/", After: "a+b", Max: 7})
	ok(t, err)
	if len(page.Objects) != 0 {
		t.Errorf("a key outside of the prefix came: %+v", page)
	}
	want := "/bkt?delimiter=%2F&encoding-type=url&list-type=2&max-keys=7&prefix=p%3F%26&start-after=a%2Bb"
	if got := s.request(1).RequestURI; got != want {
		t.Errorf("%s\n want %s", got, want)
	}
	page, err = b.List(t.Context(), object.Query{})
	ok(t, err)
	o := page.Objects[0]
	if o.Key != "k" || o.ETag != "e1" || o.Size != 3 || o.StorageClass != "" || o.Meta != nil || o.LastModified.String() != "2024-05-06 07:08:09 +0000 UTC" {
		t.Errorf("%+v", o)
	}
}

func TestListedKeysAreDecoded(t *testing.T) {
	for _, c := range []struct{ head, raw, want string }{
		{urlEncoded, "a+b%2Bc%25%20d", "a b+c% d"},
		{urlEncoded, "%01%0A%FF", "\x01\n\xff"},
		{urlEncoded, "100%zz", "100%zz"}, // not encoded, whatever the store says
		{"", "a+b%2B", "a+b%2B"},
		{"", "x&#x01;y&#10;z&#13;", "x\x01y\nz\r"},
		{"", "raw\x02\xff\xfe&amp;", "raw\x02\xff\xfe&"},
		{"", "&lt;&#38;&#xe9;\U0010FFFD", "<&é\U0010FFFD"},
	} {
		_, b := serve(t, nil, pages(listBody(c.head, c.raw, c.raw+"/…")))
		got, err := listAll(t, b, object.Query{Delimiter: "/"})
		ok(t, err)
		if !slices.Equal(got, []string{c.want, c.want + "/…"}) {
			t.Errorf("%q: %q, want %q", c.raw, got, c.want)
		}
	}
}

func TestListPages(t *testing.T) {
	s, b := serve(t, nil, pages(
		listBody(more+token("t+1"), "a", "b/…"),
		listBody(more+token("t2")), // an empty page in the middle
		listBody("", "c"),
	))
	got, err := listAll(t, b, object.Query{Delimiter: "/"})
	ok(t, err)
	if !slices.Equal(got, []string{"a", "b/…", "c"}) || !strings.Contains(s.request(2).RequestURI, "continuation-token=t%2B1") {
		t.Errorf("%q after %q", got, s.seen())
	}
}

// Ceph's markers are not encoded, whatever the keys are; ours come from the keys.
func TestListOfCeph(t *testing.T) {
	s, b := serve(t, func(c *Config) { c.Provider = "Ceph" }, pages(
		listBody(urlEncoded+more+"<NextMarker>a+b</NextMarker>", "a%2Bb"),
		listBody(urlEncoded+more+"<NextMarker>c%2F</NextMarker>", "c/…"),
		listBody(urlEncoded, "c/…", "d"), // the prefix again
	))
	got, err := listAll(t, b, object.Query{Delimiter: "/"})
	ok(t, err)
	if !slices.Equal(got, []string{"a+b", "c/…", "d"}) {
		t.Errorf("%q", got)
	}
	for i, marker := range []string{"", "marker=a%2Bb", "marker=c%2F"} {
		uri := s.request(i + 1).RequestURI
		if strings.Contains(uri, "list-type") || !strings.Contains(uri, marker) {
			t.Errorf("%s lacks %s", uri, marker)
		}
	}
}

// A store that knows the first form only is found out, from a missing token or from
// keys before the start.
func TestListFallsBackToTheFirstForm(t *testing.T) {
	s, b := serve(t, nil, pages(listBody(more, "a", "b"), listBody("", "c")))
	got, err := listAll(t, b, object.Query{})
	ok(t, err)
	if !slices.Equal(got, []string{"a", "b", "c"}) || !strings.Contains(s.request(2).RequestURI, "marker=b") {
		t.Errorf("%q after %q", got, s.seen())
	}
	s, b = serve(t, nil, pages(listBody("", "a", "b", "c"), listBody("", "c")))
	got, err = listAll(t, b, object.Query{After: "b"})
	ok(t, err)
	if !slices.Equal(got, []string{"c"}) || !strings.Contains(s.request(2).RequestURI, "marker=b") {
		t.Errorf("%q after %q", got, s.seen())
	}
}

// What a store sends twice, or in another order, is there once and in order.
func TestListedKeysComeOnce(t *testing.T) {
	_, b := serve(t, nil, pages(
		listBody(more+token("t1"), "b", "a", "a", "d/…", "c/…", "d/…"),
		listBody("", "d/…", "e"),
	))
	page, err := b.List(t.Context(), object.Query{Delimiter: "/"})
	ok(t, err)
	if len(page.Objects) != 2 || page.Objects[0].Key != "a" || page.Objects[1].Key != "b" || !slices.Equal(page.Prefixes, []string{"c/", "d/"}) {
		t.Errorf("%+v", page)
	}
	page, err = b.List(t.Context(), object.Query{Delimiter: "/", Token: page.Next})
	ok(t, err)
	if len(page.Objects) != 1 || page.Objects[0].Key != "e" || len(page.Prefixes) != 0 {
		t.Errorf("then %+v", page)
	}
}

func TestListThatDoesNotAdvance(t *testing.T) {
	for name, c := range map[string]struct {
		provider string
		pages    []string
	}{
		"same token":     {"Minio", []string{listBody(more+token("t"), "a"), listBody(more+token("t"), "b")}},
		"same page":      {"Minio", []string{listBody(more+token("t1"), "a"), listBody(more+token("t2"), "a"), listBody(more+token("t3"), "a")}},
		"going back":     {"Minio", []string{listBody(more+token("t1"), "b"), listBody(more+token("t2"), "a")}},
		"in the end":     {"Minio", []string{listBody(more+token("t1"), "b", "c"), listBody("", "a", "d")}},
		"first form":     {"Ceph", []string{listBody(more, "a"), listBody(more, "a")}},
		"only outsiders": {"Ceph", []string{listBody(more)}},
	} {
		t.Run(name, func(t *testing.T) {
			_, b := serve(t, func(cfg *Config) { cfg.Provider = c.provider }, pages(c.pages...))
			_, err := listAll(t, b, object.Query{})
			wantKind(t, err, object.KindOther)
		})
	}
	n := 0
	_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
		n++
		_, _ = w.Write([]byte(listBody(more + token(fmt.Sprint(n)))))
	})
	_, err := b.List(t.Context(), object.Query{})
	wantKind(t, err, object.KindOther)
	_, err = b.List(t.Context(), object.Query{Token: "garbage"})
	wantKind(t, err, object.KindInvalid)
}

func TestPrefixIsNotLeft(t *testing.T) {
	s, b := serve(t, nil, pages(listBody("", "p/", "p/a", "p2/b", "x", "p/d/…", "q/…")))
	p, err := b.client.Bucket("bkt", "p")
	ok(t, err)
	got, err := listAll(t, p, object.Query{Delimiter: "/", After: "0"})
	ok(t, err)
	if !slices.Equal(got, []string{"a", "d/…"}) {
		t.Errorf("%q", got)
	}
	if uri := s.request(1).RequestURI; !strings.Contains(uri, "prefix=p%2F&") || !strings.Contains(uri, "start-after=p%2F0") {
		t.Errorf("%s", uri)
	}
}

func TestOddListings(t *testing.T) {
	for name, body := range map[string]string{
		"no XML":  "<html><body>Welcome</body>",
		"a page":  "<!DOCTYPE html><html><head><title>Log in</title></head><body>Welcome</body></html>",
		"nothing": "",
		"cut":     listBody("", "a")[:150],
		"no size": "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, b := serve(t, nil, pages(body))
				_, err := b.List(t.Context(), object.Query{})
				if name != "cut" && s.count() > fewTries {
					t.Errorf("%d requests", s.count())
				}
				wantKind(t, err, object.KindOther)
			})
		})
	}
}

func TestListUploads(t *testing.T) {
	upload := func(key, id string) string {
		return fmt.Sprintf("<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>2024-05-06T07:08:09.5Z</Initiated></Upload>", key, id)
	}
	body := func(s string) string { return "<ListMultipartUploadsResult>" + s + "</ListMultipartUploadsResult>" }
	s, b := serve(t, nil, pages(
		body(more+upload("p/a+b", "1")+upload("p/a+b", "2")),
		body(upload("p/c&#x01;", "3")),
	))
	p, err := b.client.Bucket("bkt", "p/")
	ok(t, err)
	ups, err := p.ListUploads(t.Context(), "")
	ok(t, err)
	if len(ups) != 3 || ups[1].Key != "a+b" || ups[1].ID != "2" || ups[2].Key != "c\x01" || ups[0].Initiated.Second() != 9 {
		t.Errorf("%+v", ups)
	}
	if uri := s.request(2).RequestURI; !strings.Contains(uri, "key-marker=p%2Fa%2Bb") || !strings.Contains(uri, "upload-id-marker=2") {
		t.Errorf("%s", uri)
	}
	_, b = serve(t, nil, pages(body(more+upload("a", "1"))))
	_, err = b.ListUploads(t.Context(), "")
	wantKind(t, err, object.KindOther)
}

func FuzzCursor(f *testing.F) {
	f.Add("last", "token")
	f.Fuzz(func(t *testing.T, last, token string) {
		c, err := parseCursor(cursor{last, token}.String())
		if err != nil || c.last != last || c.token != token {
			t.Errorf("%q %q: %+v, %v", last, token, c, err)
		}
		_, _ = parseCursor(token)
	})
}

func FuzzXML(f *testing.F) {
	f.Add([]byte("<a>&#x01;\x02\xff&#1114109;&amp;&#</a>"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		out := legalXML(doc)
		if !legal(out) && !slices.Contains([]rune(string(out)), escapeRune) {
			t.Errorf("%q is still illegal: %q", doc, out)
		}
		_ = plainText(string(doc))
		_ = xmlRoot(doc)
	})
}

// A document that comes a byte at a time never stalls, and never ends.
func TestListingThatHasNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
			_, _ = w.Write([]byte("<ListBucketResult>"))
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Second)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		_, err := b.List(ctx, object.Query{})
		wantKind(t, err, object.KindTimeout)
		if ctx.Err() != nil {
			t.Error("it went on as long as it was let")
		}
	})
}
