package s3remote

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// catcher keeps a request instead of sending it.
type catcher struct{ req *http.Request }

var errCaught = errors.New("caught")

func (c *catcher) Do(req *http.Request) (*http.Response, error) {
	c.req = req
	return nil, errCaught
}

// bySDK returns the request that the SDK would send.
func bySDK(t *testing.T, b *Bucket, method, key string, header http.Header) *http.Request {
	t.Helper()
	var c catcher
	catch := func(o *s3.Options) { o.HTTPClient = &c }
	var err error
	if method == http.MethodHead {
		_, err = b.client.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &b.name, Key: b.full(key)}, b.inRegion, catch)
	} else {
		_, err = b.client.s3.GetObject(t.Context(), &s3.GetObjectInput{
			Bucket: &b.name, Key: b.full(key), Range: aws.String(header.Get("Range")), IfMatch: aws.String(header.Get("If-Match")),
		}, b.inRegion, catch)
	}
	if c.req == nil {
		t.Fatalf("%s %q: %v", method, key, err)
	}
	return c.req
}

// sdkOnly are headers and a parameter that say something about the SDK.
var sdkOnly = []string{"User-Agent", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Authorization", "X-Amz-Date", "Date"}

func plainRequest(req *http.Request) (string, http.Header) {
	q := req.URL.Query()
	q.Del("x-id")
	h := req.Header.Clone()
	for _, name := range sdkOnly {
		h.Del(name)
	}
	u := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, RawQuery: q.Encode()}
	return req.Method + " " + u.String() + " " + req.URL.EscapedPath(), h
}

// scope is what of a signature does not move with time and the SDK's own headers.
func scope(req *http.Request) string {
	text := req.Header.Get("Authorization")
	text, _, _ = strings.Cut(text, "Signature=")
	if kind, rest, isV2 := strings.Cut(text, ":"); isV2 {
		_ = rest
		return kind
	}
	text = strings.ReplaceAll(text, "amz-sdk-invocation-id;amz-sdk-request;", "")
	return text
}

// What goes directly is what the SDK would send, for all that decides about an address, a
// header or a signature.
func TestDirectRequestsAreTheSDKs(t *testing.T) {
	keys := []string{"k", "a/b c", "a//b", "/a", "a/", "ü\xff", "100%", "%41", "a+b&c=d?e#f", "~!*'();:@$,[]", "..a/.", "\x01\n"}
	yes, no := true, false
	configs := map[string]func(*Config){
		"plain":            nil,
		"AWS":              func(c *Config) { c.Provider, c.Endpoint = "AWS", "" },
		"AWS, path":        func(c *Config) { c.Provider, c.Endpoint, c.ForcePathStyle = "AWS", "", &yes },
		"AWS, region":      func(c *Config) { c.Provider, c.Endpoint, c.Region = "AWS", "", "eu-central-1" },
		"AWS, China":       func(c *Config) { c.Provider, c.Endpoint, c.Region = "AWS", "", "cn-north-1" },
		"accelerate":       func(c *Config) { c.Provider, c.Endpoint, c.UseAccelerate = "AWS", "", true },
		"dual stack":       func(c *Config) { c.Provider, c.Endpoint, c.UseDualStack = "AWS", "", true },
		"virtual host":     func(c *Config) { c.ForcePathStyle = &no },
		"port":             func(c *Config) { c.Endpoint = "http://s3.test:8080" },
		"path of endpoint": func(c *Config) { c.Endpoint = "https://s3.test/store/" },
		"signature 2":      func(c *Config) { c.V2Auth = true },
		"no signature":     func(c *Config) { c.AccessKeyID, c.SecretAccessKey = "", secret.New("") },
		"session":          func(c *Config) { c.SessionToken = secret.New("token") },
		"payer":            func(c *Config) { c.RequesterPays = true },
		"customer's key": func(c *Config) {
			c.SSECustomerAlgorithm, c.SSECustomerKey = "AES256", secret.New("01234567890123456789012345678901")
		},
	}
	for name, change := range configs {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Provider: "Minio", Endpoint: "http://s3.test", AccessKeyID: "id", SecretAccessKey: secret.New("key")}
			if change != nil {
				change(&cfg)
			}
			client, err := New(t.Context(), cfg)
			ok(t, err)
			for _, prefix := range []string{"", "pre fix/"} {
				b, err := client.Bucket("bkt", prefix)
				ok(t, err)
				for _, key := range keys {
					compareDirect(t, b, http.MethodHead, key, nil)
					compareDirect(t, b, http.MethodGet, key, map[string]string{"Range": "bytes=1-2", "If-Match": `"e"`})
				}
			}
			// The region of a bucket can be found out after its first request.
			b, err := client.Bucket("bkt", "")
			ok(t, err)
			compareDirect(t, b, http.MethodHead, "k", nil)
			elsewhere := "ap-south-1"
			if b.region.Store(&elsewhere); cfg.Region != "cn-north-1" {
				compareDirect(t, b, http.MethodHead, "k", nil)
			}
		})
	}
}

// TestDirectPutIsTheSDKs compares the requests that store whole objects.
func TestDirectPutIsTheSDKs(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"plain":        func(*Config) {},
		"AWS":          func(c *Config) { c.Provider, c.Endpoint = "AWS", "" },
		"no signature": func(c *Config) { c.AccessKeyID, c.SecretAccessKey = "", secret.New("") },
		"payer":        func(c *Config) { c.RequesterPays = true },
		"all headers": func(c *Config) {
			c.ACL, c.StorageClass, c.ServerSideEncryption, c.SSEKMSKeyID = "private", "STANDARD_IA", "aws:kms", "some-key"
		},
		"customer's key": func(c *Config) {
			c.SSECustomerAlgorithm, c.SSECustomerKey = "AES256", secret.New("01234567890123456789012345678901")
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Provider: "Minio", Endpoint: "http://s3.test", AccessKeyID: "id", SecretAccessKey: secret.New("key")}
			change(&cfg)
			client, err := New(t.Context(), cfg)
			ok(t, err)
			b, err := client.Bucket("bkt", "pre fix/")
			ok(t, err)
			for _, key := range []string{"k", "a//b c", "ü\xff", "a/"} {
				for _, data := range []string{"", "what is stored"} {
					for _, c := range []object.Condition{{}, {IfAbsent: true}, {IfMatch: "e"}} {
						comparePut(t, b, key, data, c)
					}
				}
			}
		})
	}
}

func comparePut(t *testing.T, b *Bucket, key, data string, c object.Condition) {
	t.Helper()
	input := func() *s3.PutObjectInput {
		in := b.putInput(key, map[string]string{"mtime": "1.5", "a.b": "=?utf-8?b?w7w=?=", "empty": ""}, "text/plain")
		if c.IfAbsent {
			in.IfNoneMatch = aws.String("*")
		}
		if c.IfMatch != "" {
			in.IfMatch = quoted(c.IfMatch)
			in.ContentMD5 = aws.String("1B2M2Y8AsgTpgAmY7PhCfg==")
		}
		return in
	}
	body := io.NewSectionReader(strings.NewReader(data), 0, int64(len(data)))
	var caught catcher
	in := input()
	in.Body, in.ContentLength = newSendBody(body), aws.Int64(body.Size())
	_, err := b.client.s3.PutObject(t.Context(), in, b.inRegion, func(o *s3.Options) { o.HTTPClient = &caught })
	if caught.req == nil {
		t.Fatal(err)
	}
	got, err := b.putRequest(t.Context(), input(), newSendBody(body))
	ok(t, err)
	compareRequests(t, got, caught.req)
	if got.ContentLength != caught.req.ContentLength || (got.Body == nil) != (caught.req.Body == nil) {
		t.Errorf("%q: %d bytes and body %v, the SDK's %d and %v", data, got.ContentLength, got.Body, caught.req.ContentLength, caught.req.Body)
	}
	if got.Body != nil {
		sent, err := io.ReadAll(got.Body)
		ok(t, err)
		if string(sent) != data {
			t.Errorf("sent %q", sent)
		}
	}
}

func compareDirect(t *testing.T, b *Bucket, method, key string, headers map[string]string) {
	t.Helper()
	h := http.Header{}
	for name, value := range headers {
		h.Set(name, value)
	}
	op := map[string]string{http.MethodHead: opHead, http.MethodGet: opGet}[method]
	want := bySDK(t, b, method, key, h)
	got, err := b.request(t.Context(), method, op, key, h)
	ok(t, err)
	compareRequests(t, got, want)
}

func compareRequests(t *testing.T, got, want *http.Request) {
	t.Helper()
	method, key := want.Method, want.URL.Path
	wantLine, wantHeader := plainRequest(want)
	gotLine, gotHeader := plainRequest(got)
	if gotLine != wantLine {
		t.Errorf("%s, the SDK sends %s", gotLine, wantLine)
	}
	for name := range wantHeader {
		if gotHeader.Get(name) != wantHeader.Get(name) {
			t.Errorf("%s %q: %s is %q, the SDK's %q", method, key, name, gotHeader.Get(name), wantHeader.Get(name))
		}
	}
	if len(gotHeader) != len(wantHeader) {
		t.Errorf("%s %q: %v, the SDK sends %v", method, key, gotHeader, wantHeader)
	}
	if scope(got) != scope(want) {
		t.Errorf("%s %q: %s, the SDK's %s", method, key, scope(got), scope(want))
	}
}

// Headers of an answer that are none are an odd answer, as they are to the SDK.
func TestOddHeadersOfAnswers(t *testing.T) {
	for name, header := range map[string]http.Header{
		"no date": {"Last-Modified": {"yesterday"}},
	} {
		var odd *oddAnswerError
		if _, err := answerInfo("k", header, 1); !errors.As(err, &odd) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Some stores write a date's day with one digit, which the SDK takes.
func TestDatesThatTheSDKTakes(t *testing.T) {
	for _, text := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT"} {
		info, err := answerInfo("k", http.Header{"Last-Modified": {text}}, 1)
		if err != nil || info.LastModified.Unix() != 784111777 {
			t.Errorf("%s: %v, %v", text, info.LastModified, err)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	client, err := New(b.Context(), Config{Provider: "Minio", Endpoint: "http://s3.test", AccessKeyID: "id", SecretAccessKey: secret.New("key")})
	if err != nil {
		b.Fatal(err)
	}
	bucket, err := client.Bucket("bkt", "")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bucket.request(b.Context(), http.MethodHead, opHead, "some/key", http.Header{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("SDK", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c catcher
			_, _ = client.s3.HeadObject(b.Context(), &s3.HeadObjectInput{Bucket: aws.String("bkt"), Key: aws.String("some/key")},
				func(o *s3.Options) { o.HTTPClient = &c })
		}
	})
}
