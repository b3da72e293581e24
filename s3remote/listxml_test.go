package s3remote

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// answerer is an HTTP client that gives one answer to everything.
type answerer string

func (a answerer) Do(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a))), Request: req}, nil
}

func sdkListing(t testing.TB, doc string) (*s3.ListObjectsV2Output, error) {
	c := s3.New(s3.Options{Region: "r", HTTPClient: answerer(doc), Credentials: aws.AnonymousCredentials{}, Retryer: aws.NopRetryer{}})
	return c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("b")})
}

// facts are what a listing says of an object.
type facts struct {
	key, etag, class string
	size, time       int64
	hasSize, hasTime bool
}

func factsOf(objects []types.Object) (all []facts) {
	for _, o := range objects {
		f := facts{key: aws.ToString(o.Key), etag: aws.ToString(o.ETag), class: string(o.StorageClass), hasSize: o.Size != nil, hasTime: o.LastModified != nil}
		if f.size = aws.ToInt64(o.Size); f.hasTime {
			f.time = o.LastModified.UnixNano()
		}
		all = append(all, f)
	}
	return all
}

func prefixesOf(prefixes []types.CommonPrefix) (all []string) {
	for _, p := range prefixes {
		all = append(all, aws.ToString(p.Prefix))
	}
	return all
}

// sameListing fails if doc is read quickly, and the SDK reads something else in it.
func sameListing(t testing.TB, doc string) (quick bool) {
	t.Helper()
	var l quickListing
	if !l.parse([]byte(doc)) {
		return false
	}
	want, err := sdkListing(t, doc)
	if err != nil {
		t.Fatalf("%q is refused by the SDK: %v", doc, err)
	}
	got := l.second()
	if !reflect.DeepEqual(factsOf(got.Contents), factsOf(want.Contents)) {
		t.Fatalf("%q: %+v, the SDK reads %+v", doc, factsOf(got.Contents), factsOf(want.Contents))
	}
	if !reflect.DeepEqual(prefixesOf(got.CommonPrefixes), prefixesOf(want.CommonPrefixes)) ||
		aws.ToBool(got.IsTruncated) != aws.ToBool(want.IsTruncated) || got.EncodingType != want.EncodingType ||
		aws.ToString(got.NextContinuationToken) != aws.ToString(want.NextContinuationToken) {
		t.Fatalf("%q: %+v, the SDK reads %+v", doc, got, want)
	}
	return true
}

// Listings as stores write them are read quickly, and as the SDK reads them.
func TestListingsOfStoresAreReadQuickly(t *testing.T) {
	const object = `<Contents><Key>a%20b&amp;&#252;&quot;</Key><LastModified>2024-05-06T07:08:09.123Z</LastModified><ETag>&quot;e&quot;</ETag>` +
		`<Size>12</Size><Owner><ID>x</ID><DisplayName/></Owner><StorageClass>STANDARD</StorageClass></Contents>`
	for name, doc := range map[string]string{
		"AWS": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix>` +
			`<NextContinuationToken>1/x==</NextContinuationToken><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>` + object + `</ListBucketResult>`,
		"indented": "<ListBucketResult>\n  <IsTruncated>false</IsTruncated>\n  <Contents>\n    <Key>a</Key>\n    <Size>1</Size>\n  </Contents>\r\n</ListBucketResult>\n",
		"empty":    "<ListBucketResult><Prefix/><Marker /><IsTruncated>false</IsTruncated></ListBucketResult>",
		"folders":  listBody(urlEncoded+more+token("t"), "a", "b/…", "c%2F…"),
		"no names": "<ListBucketResult><Contents><Key/></Contents><CommonPrefixes/></ListBucketResult>",
		"zone":     "<ListBucketResult><Contents><Key>a</Key><LastModified>2024-05-06T07:08:09+02:00</LastModified></Contents></ListBucketResult>",
	} {
		if !sameListing(t, doc) {
			t.Errorf("%s: not read quickly", name)
		}
	}
}

// What is out of the ordinary is left to the SDK, and no document makes a panic.
func TestOddListingsAreLeftToTheSDK(t *testing.T) {
	whole := listBody(urlEncoded+more+token("t"), "a", "b/…", "&lt;c&#62;")
	for i := range len(whole) {
		if sameListing(t, whole[:i]) && i < len(whole) {
			t.Errorf("the first %d bytes are enough", i)
		}
		for _, c := range []string{"<", ">", "&", "/", "\"", "'", " ", "<!--", "]]>", "<x>", "\r", "&bogus;"} {
			sameListing(t, whole[:i]+c+whole[i:])
			sameListing(t, whole[:i]+c+whole[i+1:])
		}
	}
	for _, doc := range []string{
		"", "<", "<>", "</>", "<ListBucketResult", "<ListBucketResult>", "<ListBucketResult/>", "<Other></Other>",
		"<ListBucketResult><Contents><Size>1.5</Size></Contents></ListBucketResult>",
		"<ListBucketResult><contents><Key>a</Key></contents></ListBucketResult>",
		"<s:ListBucketResult><s:Name>b</s:Name></s:ListBucketResult>",
		"<ListBucketResult><![CDATA[x]]></ListBucketResult>",
		"<ListBucketResult>" + strings.Repeat("<x>", 1e6),
		`<?xml version="1.0" encoding="iso-8859-1"?><ListBucketResult></ListBucketResult>`,
	} {
		if sameListing(t, doc) {
			t.Errorf("%.80q is read quickly", doc)
		}
	}
}

func FuzzListing(f *testing.F) {
	f.Add(listBody(urlEncoded+more+token("t"), "a", "b/…"))
	f.Add("<ListBucketResult xmlns=\"x\"><Contents><Key>&#1;</Key><Owner><ID/></Owner></Contents></ListBucketResult>")
	f.Fuzz(func(t *testing.T, doc string) {
		sameListing(t, string(legalXML([]byte(doc))))
	})
}

func BenchmarkListing(b *testing.B) {
	var keys []string
	for range 1000 {
		keys = append(keys, "a/folder/with/a/name/and%20a/file-0001.txt")
	}
	doc := listBody(urlEncoded+more+token("t"), keys...)
	b.Run("quick", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var l quickListing
			if !l.parse([]byte(doc)) {
				b.Fatal("not read")
			}
		}
	})
	b.Run("SDK", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := sdkListing(b, doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
