package s3remote

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/auth"
	"github.com/aws/smithy-go/encoding/httpbinding"
	smithytime "github.com/aws/smithy-go/time"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/s3mount/s3mount/object"
)

// HEAD and GET of objects are most of what a mount sends, ten thousand for one listing with
// true times, and have no body and no document. The SDK's chain of some forty stages takes
// three quarters of a request's CPU time for them. Here they go directly: the SDK is asked
// where a bucket is, once, and signs; what is sent is what it would send.

// target is where the requests for a bucket's objects go.
type target struct {
	region string  // of the configuration, or found out
	base   url.URL // with the bucket, in the host's name or the path
	signed string  // the region that the signature names
}

// whereabouts asks the SDK's rules where the bucket is, when that is new.
func (b *Bucket) whereabouts(ctx context.Context) (*target, error) {
	region := b.regionName()
	if t := b.target.Load(); t != nil && t.region == region {
		return t, nil
	}
	o := b.client.s3.Options()
	params := s3.EndpointParameters{
		Bucket: &b.name, Region: &region, Endpoint: o.BaseEndpoint,
		ForcePathStyle: &o.UsePathStyle, Accelerate: &o.UseAccelerate,
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	}
	found, err := o.EndpointResolverV2.ResolveEndpoint(ctx, params.WithDefaults())
	if err != nil {
		return nil, err
	}
	t := &target{region: region, base: found.URI, signed: region}
	if schemes, ok := auth.GetAuthOptions(&found.Properties); ok && len(schemes) > 0 {
		if name, ok := smithyhttp.GetSigV4SigningRegion(&schemes[0].SignerProperties); ok {
			t.signed = name
		}
	}
	b.target.Store(t)
	return t, nil
}

// url returns the address of a key of the bucket.
func (t *target) url(key string) *url.URL {
	u := t.base
	raw := u.RawPath
	if raw == "" {
		raw = u.Path
	}
	u.Path = smithyhttp.JoinPath(u.Path, "/"+key)
	u.RawPath = smithyhttp.JoinPath(raw, "/"+httpbinding.EscapePath(key, false))
	return &u
}

// direct sends a request without a body about an object, and returns the store's success.
// The caller closes its body.
func (b *Bucket) direct(ctx context.Context, method, op, key string, header http.Header) (*http.Response, error) {
	req, err := b.request(ctx, method, op, key, header)
	if err != nil {
		return nil, err
	}
	return b.client.wire.Do(req)
}

// request makes the request that direct sends, signed. It takes header over.
func (b *Bucket) request(ctx context.Context, method, op, key string, header http.Header) (*http.Request, error) {
	t, err := b.whereabouts(ctx)
	if err != nil {
		return nil, err
	}
	req := b.unsigned(ctx, t, method, op, key, header)
	return req, b.client.sign(ctx, req, t.signed, emptySum)
}

// unsigned makes a request that lacks a signature and a body. It takes header over.
func (b *Bucket) unsigned(ctx context.Context, t *target, method, op, key string, header http.Header) *http.Request {
	u := t.url(b.prefix + key)
	header.Set("User-Agent", "s3mount")
	b.client.addHeaders(op, header)
	return (&http.Request{
		Method: method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
}

// emptySum is the SHA-256 of no bytes.
const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// signer is what the SDK has of two versions of signatures.
type signer interface {
	SignHTTP(ctx context.Context, keys aws.Credentials, r *http.Request, payloadHash, service, region string, now time.Time, options ...func(*v4.SignerOptions)) error
}

// newSigner returns the signer for requests that go directly; nil where none is signed.
func (c *Client) newSigner(o s3.Options) signer {
	switch {
	case aws.IsCredentialsProvider(o.Credentials, aws.AnonymousCredentials{}):
		return nil
	case c.quirks.v2:
		return o.HTTPSignerV4
	}
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

// sign signs a request that has all its other headers. sum is the SHA-256 of its body, or
// says that there is none.
func (c *Client) sign(ctx context.Context, req *http.Request, region, sum string) error {
	if !c.quirks.v2 {
		req.Header.Set("X-Amz-Content-Sha256", sum)
	}
	if c.signer == nil {
		return nil
	}
	keys, err := c.keys.Retrieve(ctx)
	if err != nil {
		return err
	}
	return c.signer.SignHTTP(ctx, keys, req, sum, "s3", region, time.Now())
}

// answerInfo reads what the head of an answer says about an object of size bytes.
func answerInfo(key string, h http.Header, size int64) (object.Info, error) {
	info := object.Info{
		Key:          key,
		ETag:         bareETag(aws.String(h.Get("ETag"))),
		Size:         size,
		StorageClass: storageClass(h.Get("X-Amz-Storage-Class")),
		ContentType:  h.Get("Content-Type"),
		Meta:         answerMeta(h),
		OtherETag: !plainETag(types.ServerSideEncryption(h.Get("X-Amz-Server-Side-Encryption")),
			aws.String(h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm"))),
	}
	if text := h.Get("Last-Modified"); text != "" {
		t, err := http.ParseTime(text)
		if err != nil {
			t, err = smithytime.ParseHTTPDate(text)
		}
		if err != nil {
			return info, &oddAnswerError{"its Last-Modified is no date: " + strconv.Quote(text)}
		}
		info.LastModified = wholeSeconds(&t)
	}
	return info, nil
}

const metaHeader = "X-Amz-Meta-"

// answerMeta returns the metadata of an answer.
func answerMeta(h http.Header) object.Meta {
	plain := make(map[string]string)
	for name, values := range h {
		if len(values) > 0 && len(name) > len(metaHeader) && strings.EqualFold(name[:len(metaHeader)], metaHeader) {
			plain[name[len(metaHeader):]] = strings.TrimSpace(values[0])
		}
	}
	return decodeMeta(plain)
}

// contentLength returns the length that an answer tells, or -1.
func contentLength(resp *http.Response) int64 {
	if n, err := strconv.ParseInt(strings.TrimSpace(resp.Header.Get("Content-Length")), 10, 64); err == nil && n >= 0 {
		return n
	}
	return -1
}

var errNoSize = &oddAnswerError{"the size is missing"}
