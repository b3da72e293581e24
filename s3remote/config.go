package s3remote

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// Config tells how an account is reached, and how what is written is stored. The zero
// value is AWS with anonymous access. The fields up to CopyCutoff are the options of an
// rclone remote, under the same names in snake_case; see FromRemote.
type Config struct {
	// Provider is one of Providers, in any case. Empty: AWS without an Endpoint,
	// else Other.
	Provider string

	// AccessKeyID and SecretAccessKey go together. Without them, requests are not
	// signed, unless EnvAuth is set.
	AccessKeyID     string
	SecretAccessKey secret.String
	SessionToken    secret.String // goes with temporary keys; may be empty
	// EnvAuth takes credentials from where the AWS tools take them, where no keys are
	// given here; see findCredentials for the order. If there are none, a warning is
	// logged and requests are not signed.
	EnvAuth bool
	// Profile is the one of the shared files to use; it goes before the environment's
	// keys. Empty: that of AWS_PROFILE, or "default". Only with EnvAuth.
	Profile string
	// SharedCredentialsFile is used instead of ~/.aws/credentials. Only with EnvAuth.
	SharedCredentialsFile string

	// RoleARN is a role to take on with these credentials; see assumeRole. Empty: none.
	RoleARN             string
	RoleSessionName     string        // empty: "s3mount"
	RoleSessionDuration time.Duration // 15 minutes to 12 hours; 0: 15 minutes
	RoleExternalID      string        // empty: none
	// STSEndpoint is a host, host:port or URL. Empty: that of the environment's
	// AWS_ENDPOINT_URL_STS, else AWS's own of the region.
	STSEndpoint string

	// Region is signed into each request. Empty or "other-v4-signature": the
	// provider's default, and the bucket's own where the store tells it.
	// "other-v2-signature" is V2Auth.
	Region string
	// V2Auth signs with version 2, as older Ceph gateways and clones want it; it
	// needs an Endpoint. Bodies are guarded by Content-MD5.
	V2Auth bool
	// Endpoint is a host, host:port or URL. Empty: AWS's own of the region.
	Endpoint       string
	ForcePathStyle *bool // endpoint/bucket/key; nil: as the provider wants it
	UseAccelerate  bool  // AWS's accelerated endpoint (use_accelerate_endpoint); not with Endpoint
	UseDualStack   bool  // AWS's endpoints with IPv6; not with Endpoint

	LocationConstraint string // for new buckets; empty: the region on AWS, else none
	ACL                string // canned ACL of what is written; empty: the store's default
	BucketACL          string // canned ACL of new buckets; empty: ACL
	StorageClass       string // of what is written; empty: the store's default
	RequesterPays      bool   // this account pays for requests to others' buckets
	BucketObjectLock   bool   // new buckets have object lock

	ServerSideEncryption string // "AES256" or "aws:kms"; empty: the store's default
	SSEKMSKeyID          string // with "aws:kms"; empty: the account's default key
	// SSECustomerAlgorithm "AES256" makes the store encrypt with SSECustomerKey, of 32
	// bytes. The store does not keep the key: the same one is needed to read, and to
	// ask for an object's metadata. Most stores want TLS for it.
	SSECustomerAlgorithm string
	SSECustomerKey       secret.String

	ListChunk     int  // keys of a page of a listing; 0: as asked for, or as the store gives
	ListVersion   int  // 1 or 2: the form of listings; 0: as the provider wants it
	PlainListings bool // keys in listings are not asked for in URL encoding
	// OtherPartETags says that ETags of multipart uploads are not made of those of the
	// parts, so that nothing is to be compared with them.
	OtherPartETags bool

	// The following tune uploads. They are carried here for those who cut objects into
	// parts. Zero: their own choice.
	UploadCutoff      int64 // bytes: over it, in parts (at most 5 GiB)
	ChunkSize         int64 // bytes of a part, 5 MiB to 5 GiB; more where there would be too many
	UploadConcurrency int   // parts of one object at once
	SignPayload       bool  // signatures cover all bytes of parts, also where the store checks another sum
	DisableChecksum   bool  // large objects are stored without their MD5 in the metadata
	NoCheckBucket     bool  // no bucket is looked at or made before an upload; Bucket never does
	NoHead            bool  // a store that claims uploads that it has not made is believed
	// CopyCutoff is over which size copies go in parts. Zero: 5 GiB, S3's limit.
	CopyCutoff int64 // bytes

	// RootCAs are trusted to vouch for the endpoint. Nil: those of the system.
	RootCAs *x509.CertPool
	// Log gets a line for each retry (debug) and each oddity of the store (warn).
	// Nil: nothing is logged.
	Log *slog.Logger
	// Timeouts limit the stages of a request.
	Timeouts Timeouts
	// RetryDeadline is how long failures in a row are retried, counted from the
	// first one; a try that is under way then is not cut short. Zero: 2 minutes.
	RetryDeadline time.Duration
	// MaxConns bounds the connections. Zero: 128.
	MaxConns int
	// Dial connects instead of the usual dialer, and past any proxy. Nil: the usual one.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Timeouts limit the stages of one request. A zero field means its default.
type Timeouts struct {
	Connect   time.Duration // name lookup and TCP; default 10 s
	TLS       time.Duration // TLS handshake; default 10 s
	FirstByte time.Duration // from the last byte sent to the answer's head; default 60 s
	Stall     time.Duration // without a byte of a body, either way; default 30 s
	// Slow replaces FirstByte for requests that make the store move data itself:
	// copies, and the completion of an upload. It also bounds how long an answer takes
	// that is read as a whole. Default 10 minutes.
	Slow time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&t.Connect, 10*time.Second)
	set(&t.TLS, 10*time.Second)
	set(&t.FirstByte, time.Minute)
	set(&t.Stall, 30*time.Second)
	set(&t.Slow, 10*time.Minute)
	return t
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.RetryDeadline == 0 {
		c.RetryDeadline = 2 * time.Minute
	}
	if c.MaxConns == 0 {
		c.MaxConns = 128
	}
	c.Timeouts = c.Timeouts.withDefaults()
	return c
}

// cannedACLs are those that S3 knows for objects and buckets.
var cannedACLs = []string{
	"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read",
	"bucket-owner-read", "bucket-owner-full-control", "log-delivery-write",
}

// Validate reports the first thing that is wrong, as an error of KindInvalid or
// KindUnsupported that names the rclone option.
func (c Config) Validate() error {
	for _, check := range []func() error{c.checkText, c.checkEndpoint, c.checkCredentials, c.checkStored, c.checkSSE, c.checkSizes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses what a header cannot carry.
func (c Config) checkText() error {
	for name, value := range map[string]string{
		"access_key_id": c.AccessKeyID, "secret_access_key": c.SecretAccessKey.Reveal(), "session_token": c.SessionToken.Reveal(),
		"role_arn": c.RoleARN, "role_session_name": c.RoleSessionName, "role_external_id": c.RoleExternalID,
		"region": c.Region, "location_constraint": c.LocationConstraint, "sse_kms_key_id": c.SSEKMSKeyID,
	} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return badOption(name, "it has a character that is not printable ASCII")
		}
	}
	return nil
}

func (c Config) checkEndpoint() error {
	u, err := c.endpointURL()
	if err != nil {
		return err
	}
	switch {
	case u == nil && c.provider().v2:
		return badOption("endpoint", "signature version 2 needs one: AWS wants version 4")
	case u != nil && c.UseAccelerate:
		return badOption("use_accelerate_endpoint", "it is AWS's, and does not go with an endpoint")
	case u != nil && c.UseDualStack:
		return badOption("use_dual_stack", "it is AWS's, and does not go with an endpoint")
	case c.UseAccelerate && c.provider().pathStyle:
		return badOption("use_accelerate_endpoint", "it does not go with force_path_style")
	}
	return nil
}

func (c Config) checkCredentials() error {
	switch {
	case (c.AccessKeyID == "") != c.SecretAccessKey.Empty():
		return badOption("access_key_id", "it goes with secret_access_key: give both, or neither for anonymous access or env_auth = true")
	case c.AccessKeyID == "" && !c.SessionToken.Empty():
		return badOption("session_token", "it goes with access_key_id and secret_access_key")
	}
	return c.checkRole()
}

// checkRole checks what is asked of STS.
func (c Config) checkRole() error {
	if c.RoleARN == "" {
		return nil // what else is said of the role does nothing, as with rclone
	}
	if c.AccessKeyID == "" && !c.EnvAuth {
		return badOption("role_arn", "a role is taken on with keys: give access_key_id and secret_access_key, or env_auth = true")
	}
	if d := c.RoleSessionDuration; d != 0 && (d < minSession || d > maxSession) {
		return badOption("role_session_duration", "it is from 15m to 12h")
	}
	_, err := parseEndpoint("sts_endpoint", c.STSEndpoint)
	return err
}

// checkStored checks how objects and buckets are stored.
func (c Config) checkStored() error {
	for name, acl := range map[string]string{"acl": c.ACL, "bucket_acl": c.BucketACL} {
		if acl != "" && !slices.Contains(cannedACLs, acl) {
			return badOption(name, "%q is none of %s", acl, strings.Join(cannedACLs, ", "))
		}
	}
	// Providers have classes of their own, so that only the form can be checked.
	if strings.ContainsFunc(c.StorageClass, func(r rune) bool {
		return !strings.ContainsRune("-_.", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return badOption("storage_class", "%q is not a name such as STANDARD_IA", c.StorageClass)
	}
	return nil
}

// customerKeySize is the size of a customer's key for AES256.
const customerKeySize = 32

func (c Config) checkSSE() error {
	switch {
	case c.ServerSideEncryption != "" && c.ServerSideEncryption != "AES256" && c.ServerSideEncryption != "aws:kms":
		return badOption("server_side_encryption", "%q is neither AES256 nor aws:kms", c.ServerSideEncryption)
	case c.SSEKMSKeyID != "" && c.ServerSideEncryption != "aws:kms":
		return badOption("sse_kms_key_id", "it goes with server_side_encryption = aws:kms")
	case c.SSECustomerAlgorithm == "" && c.SSECustomerKey.Empty():
		return nil
	case c.SSECustomerAlgorithm == "":
		return badOption("sse_customer_algorithm", "it goes with a customer's key: AES256")
	case c.SSECustomerAlgorithm != "AES256":
		return badOption("sse_customer_algorithm", "%q is not AES256", c.SSECustomerAlgorithm)
	case c.SSECustomerKey.Empty():
		return badOption("sse_customer_key", "sse_customer_algorithm needs one, or sse_customer_key_base64")
	case len(c.SSECustomerKey.Reveal()) != customerKeySize:
		return badOption("sse_customer_key", "it has %d bytes; AES256 needs %d", len(c.SSECustomerKey.Reveal()), customerKeySize)
	case c.ServerSideEncryption != "":
		return badOption("server_side_encryption", "it does not go with a customer's key")
	}
	return nil
}

func (c Config) checkSizes() error {
	switch {
	case c.UploadCutoff < 0 || c.UploadCutoff > parts.MaxSize:
		return badOption("upload_cutoff", "it is 5Gi at most")
	case c.ChunkSize != 0 && (c.ChunkSize < parts.MinSize || c.ChunkSize > parts.MaxSize):
		return badOption("chunk_size", "it is from 5Mi to 5Gi")
	case c.CopyCutoff < 0 || c.CopyCutoff > parts.MaxSize:
		return badOption("copy_cutoff", "it is 5Gi at most")
	case c.UploadConcurrency < 0:
		return badOption("upload_concurrency", "it may not be negative")
	case c.RetryDeadline < 0 || c.MaxConns < 0:
		return badOption("retry deadline", "it and the number of connections may not be negative")
	}
	return nil
}

// badOption is an error about an rclone option. The value is shown only by callers
// that know it is no secret.
func badOption(name, format string, args ...any) error {
	return object.Errorf(object.KindInvalid, "option", name, format, args...)
}

// endpointURL returns the endpoint as a URL, or nil for AWS's own.
func (c Config) endpointURL() (*url.URL, error) {
	text := c.Endpoint
	if text == "" {
		if p := c.provider(); p.needsEndpoint {
			return nil, badOption("endpoint", "the provider %s needs one", p.name)
		}
		return nil, nil
	}
	return parseEndpoint("endpoint", text)
}

// parseEndpoint reads a host, host:port or URL; nil for an empty text.
func parseEndpoint(option, text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, badOption(option, "it must be host, host:port or a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, badOption(option, "its scheme must be http or https")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, badOption(option, "it may not have a user, a query or a fragment")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

// String shows where a Config leads, without secrets.
func (c Config) String() string {
	where := c.Endpoint
	if where == "" {
		where = "AWS"
	}
	return fmt.Sprintf("%s (provider %q, region %q)", where, c.Provider, c.Region)
}
