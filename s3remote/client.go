package s3remote

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/s3mount/s3mount/object"
)

// Client is an account at an endpoint. Its methods and those of its Buckets may be
// called from several goroutines.
type Client struct {
	cfg    Config
	quirks quirks
	s3     *s3.Client
	wire   *wire
	keys   aws.CredentialsProvider
	signer signer         // of requests that go past the SDK; nil: they are not signed
	random func() float64 // in [0,1): the jitter of pauses
	// regions are those of the buckets that are not in the configured one, by name.
	regions sync.Map // of string to string
	// summed are the uploads, neither completed nor aborted, whose parts the store checks
	// by their CRC32C.
	summed sync.Map // of upload id to struct{}

	// What the store turned out not to understand.
	learned struct {
		bareCopy     atomic.Bool    // wants the ETag of a copy's source without quotes
		otherQuotes  atomic.Bool    // ETags in conditions of writes: not as the table says
		noConditions atomic.Bool    // answers 501 to conditions on writes
		refuses      conditionsSeen // was seen to refuse a write whose condition did not hold
		probed       conditionsSeen // was asked on purpose
		refusesCopy  atomic.Bool    // was seen to refuse a copy onto what must not be there
		noPartCopy   atomic.Bool    // does not make parts of what it has
		exactKeys    atomic.Bool    // keeps "a//b" and "a/../b" apart from "a/b" and "b"
		listV1       atomic.Bool    // does not know the second form of listings
		singleDelete atomic.Bool    // does not know DeleteObjects
		plainDelete  atomic.Bool    // does not know conditions on DeleteObject
		noSums       atomic.Bool    // does not check parts by their CRC32C
	}
}

// New makes a Client. It asks the store nothing, but with Config.EnvAuth it may ask
// the machine's own services for credentials, bounded by ctx.
func New(ctx context.Context, c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	keys, err := findCredentials(ctx, c)
	if err != nil {
		return nil, err
	}
	client := &Client{cfg: c, quirks: c.provider(), wire: newWire(c), random: rand.Float64}
	options := client.options(keys)
	client.s3, client.signer, client.keys = s3.New(options), client.newSigner(options), keys
	return client, nil
}

// Close drops idle connections. Requests under way are not ended; their contexts do.
func (c *Client) Close() { c.wire.Close() }

// options sets up the SDK: nothing of the environment, no retries and no checksums
// of its own.
func (c *Client) options(keys aws.CredentialsProvider) s3.Options {
	o := s3.Options{
		AppID:                        "s3mount",
		Region:                       c.quirks.region,
		Credentials:                  keys,
		UsePathStyle:                 c.quirks.pathStyle,
		HTTPClient:                   c.wire,
		Retryer:                      aws.NopRetryer{},
		Logger:                       logging.Nop{},
		ContinueHeaderThresholdBytes: -1,   // "Expect: 100-continue" upsets Ceph
		DisableClockSkewCorrection:   true, // a wrong clock spoils mtimes: it is to be told
		RequestChecksumCalculation:   aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:   aws.ResponseChecksumValidationWhenRequired,
		APIOptions:                   []func(*middleware.Stack) error{signPayload, plainAcceptEncoding, c.extraHeaders, quickListings},
		UseAccelerate:                c.cfg.UseAccelerate,
	}
	if c.cfg.UseDualStack {
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	if u, err := c.cfg.endpointURL(); err == nil && u != nil {
		o.BaseEndpoint = aws.String(u.String())
		if c.quirks.v2 {
			o.HTTPSignerV4 = signerV2{host: u.Host}
			o.APIOptions[0] = hashPayload
		}
	}
	return o
}

// signPayload makes every request carry the SHA-256 of its body, over TLS as well:
// so the store checks what it got.
func signPayload(stack *middleware.Stack) error {
	compute := &payloadSum{}
	if _, ok := stack.Finalize.Get(compute.ID()); !ok {
		return nil
	}
	_, err := stack.Finalize.Swap(compute.ID(), compute)
	return err
}

// plainAcceptEncoding leaves out the Accept-Encoding header, which would be signed
// while proxies in front of stores change it.
func plainAcceptEncoding(stack *middleware.Stack) error {
	for _, id := range []string{"AcceptEncodingGzip", "DisableAcceptEncodingGzip"} {
		if _, ok := stack.Finalize.Get(id); ok {
			if _, err := stack.Finalize.Remove(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bucket is a bucket of the account, or what is under a prefix in it. Keys are
// relative to the prefix. Every method honours its context and bounds its time by
// Config's limits; every error is an *object.Error.
type Bucket struct {
	client *Client
	name   string
	prefix string // empty, or ending in "/"

	region atomic.Pointer[string] // nil: that of the Client
	target atomic.Pointer[target] // nil, or of another region: to be found out
	limits copyLimits
	warned atomic.Bool // that the store lists keys outside of the prefix
}

// Bucket makes a Bucket, without asking the store. A prefix gets a "/" at its end.
// Names that cannot be a bucket's are errors of KindInvalid.
func (c *Client) Bucket(name, prefix string) (*Bucket, error) {
	if err := c.checkName("open bucket", name); err != nil {
		return nil, err
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	b := &Bucket{client: c, name: name, prefix: prefix, limits: c.copyLimits()}
	if region, ok := c.regions.Load(name); ok {
		region := region.(string)
		b.region.Store(&region)
	}
	return b, nil
}

// checkName refuses what cannot be a bucket's name anywhere: stores differ in the
// details, but the name becomes part of a path or a host name.
func (c *Client) checkName(op, name string) error {
	bad := func(why string) error { return object.Errorf(object.KindInvalid, op, name, "%s", why) }
	legalRune := func(r rune) bool {
		return r == '.' || r == '-' || r == '_' || (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
	}
	switch {
	case name == "":
		return bad("a bucket's name is missing: remote:bucket/prefix")
	case len(name) < 3 || len(name) > 255:
		return bad("a bucket's name has 3 to 255 characters")
	case strings.ContainsFunc(name, func(r rune) bool { return !legalRune(r) }):
		return bad("a bucket's name is made of letters, digits, '.', '-' and '_'")
	case strings.Trim(name, ".-") != name || strings.Contains(name, ".."):
		return bad("a bucket's name may not start or end with '.' or '-', nor have '..'")
	case strings.HasSuffix(name, "--x-s3"):
		return object.Errorf(object.KindUnsupported, op, name, "directory buckets list keys in no order")
	}
	if !c.quirks.pathStyle && (strings.ToLower(name) != name || strings.Contains(name, "_") || len(name) > 63) {
		return bad("this name cannot be part of a host name: lower case, no '_', at most 63 characters, or set force_path_style = true")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return bad("a bucket's name may not look like an IP address")
	}
	return nil
}

// Name returns the bucket's name.
func (b *Bucket) Name() string { return b.name }

// Prefix returns the prefix: empty, or ending in "/".
func (b *Bucket) Prefix() string { return b.prefix }

// full returns the key in the bucket.
func (b *Bucket) full(key string) *string { return aws.String(b.prefix + key) }

// checkTimeout is how long Check goes on trying: a user waits for it.
const checkTimeout = 5 * time.Second

// Check reports whether the bucket is there and may be listed. Its errors are of
// KindNoBucket, KindCredentials, KindPermission, KindWrongRegion, KindClockSkew or
// KindUnavailable, if the store works as it should. It gives up on a store that does
// not answer earlier than other calls do.
func (b *Bucket) Check(ctx context.Context) error {
	p := &patience{deadline: min(checkTimeout, b.client.cfg.RetryDeadline)}
	_, err := b.listOnce(ctx, p, object.Query{Max: 1}, cursor{})
	return withKind(err, object.KindNotFound, object.KindNoBucket)
}
