package s3remote

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// Config tells how an account is reached. The zero value is AWS with anonymous
// access; the fields up to ForcePathStyle are those of an rclone remote.
type Config struct {
	// Provider is one of Providers, in any case. Empty: AWS without an Endpoint,
	// else Other.
	Provider string
	// EnvAuth takes credentials from where the AWS tools take them (environment,
	// shared files, the machine's role) where no keys are given here.
	EnvAuth         bool
	AccessKeyID     string
	SecretAccessKey secret.String
	SessionToken    secret.String
	// Region is signed into each request. Empty: the provider's default, and the
	// bucket's own where the store tells it.
	Region string
	// Endpoint is a host, host:port or URL. Empty: AWS's own of the region.
	Endpoint             string
	LocationConstraint   string // for new buckets; empty: the region on AWS, else none
	ACL                  string // canned ACL of what is written; empty: the store's default
	ServerSideEncryption string // "AES256" or "aws:kms"; empty: the store's default
	SSEKMSKeyID          string // with "aws:kms"; empty: the account's default key
	StorageClass         string // of what is written; empty: the store's default
	ForcePathStyle       *bool  // nil: as the provider wants it

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
	// Dial connects instead of the usual dialer. Nil: the usual one.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Timeouts limit the stages of one request. A zero field means its default.
type Timeouts struct {
	Connect   time.Duration // name lookup and TCP; default 10 s
	TLS       time.Duration // TLS handshake; default 10 s
	FirstByte time.Duration // from the last byte sent to the answer's head; default 60 s
	Stall     time.Duration // without a byte of a body, either way; default 30 s
	// Slow replaces FirstByte for requests that make the store move data itself:
	// copies, and the completion of an upload. Default 10 minutes.
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
	if _, err := c.provider(); err != nil {
		return err
	}
	if _, err := c.endpointURL(); err != nil {
		return err
	}
	if (c.AccessKeyID == "") != c.SecretAccessKey.Empty() {
		return badOption("access_key_id", "it goes with secret_access_key: give both, or neither for anonymous access or env_auth = true")
	}
	if c.AccessKeyID == "" && !c.SessionToken.Empty() {
		return badOption("session_token", "it goes with access_key_id and secret_access_key")
	}
	if c.ACL != "" && !slices.Contains(cannedACLs, c.ACL) {
		return badOption("acl", "%q is none of %s", c.ACL, strings.Join(cannedACLs, ", "))
	}
	switch c.ServerSideEncryption {
	case "", "AES256", "aws:kms":
	default:
		return badOption("server_side_encryption", "%q is neither AES256 nor aws:kms", c.ServerSideEncryption)
	}
	if c.SSEKMSKeyID != "" && c.ServerSideEncryption != "aws:kms" {
		return badOption("sse_kms_key_id", "it goes with server_side_encryption = aws:kms")
	}
	for name, value := range map[string]string{
		"access_key_id": c.AccessKeyID, "secret_access_key": c.SecretAccessKey.Reveal(), "session_token": c.SessionToken.Reveal(),
		"region": c.Region, "location_constraint": c.LocationConstraint, "storage_class": c.StorageClass, "sse_kms_key_id": c.SSEKMSKeyID,
	} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
			return badOption(name, "it has a character that is not printable ASCII")
		}
	}
	if c.RetryDeadline < 0 || c.MaxConns < 0 {
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
		if p, err := c.provider(); err == nil && p.needsEndpoint {
			return nil, badOption("endpoint", "the provider %s needs one", p.name)
		}
		return nil, nil
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, badOption("endpoint", "it must be host, host:port or a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, badOption("endpoint", "its scheme must be http or https")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, badOption("endpoint", "it may not have a user, a query or a fragment")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

// refused are options of rclone that change what is stored or who asks, so that
// passing them over would do something else than the user wants.
var refused = []string{
	"sse_customer_algorithm", "sse_customer_key", "sse_customer_key_base64", "sse_customer_key_md5",
	"role_arn", "requester_pays", "use_accelerate_endpoint", "use_dual_stack", "directory_bucket",
	"profile", "shared_credentials_file", "versions", "version_at",
}

// FromRemote makes a Config of the options of an rclone remote, by rclone's names;
// get returns "" for what is not set. The result is validated.
func FromRemote(get func(key string) string) (Config, error) {
	c := Config{
		Provider:             get("provider"),
		AccessKeyID:          get("access_key_id"),
		SecretAccessKey:      secret.New(get("secret_access_key")),
		SessionToken:         secret.New(get("session_token")),
		Region:               get("region"),
		Endpoint:             get("endpoint"),
		LocationConstraint:   get("location_constraint"),
		ACL:                  get("acl"),
		ServerSideEncryption: get("server_side_encryption"),
		SSEKMSKeyID:          get("sse_kms_key_id"),
		StorageClass:         get("storage_class"),
	}
	for _, key := range refused {
		if v := get(key); v != "" && v != "false" && v != "off" {
			return Config{}, object.Errorf(object.KindUnsupported, "option", key, "s3mount does not have it")
		}
	}
	envAuth, err := tristate(get, "env_auth")
	if err != nil {
		return Config{}, err
	}
	c.EnvAuth = envAuth != nil && *envAuth
	if c.ForcePathStyle, err = tristate(get, "force_path_style"); err != nil {
		return Config{}, err
	}
	v2, err := tristate(get, "v2_auth")
	if err != nil {
		return Config{}, err
	}
	if v2 != nil && *v2 {
		c.Region = regionV2
	}
	return c, c.Validate()
}

// tristate reads a boolean option; nil where it is not set.
func tristate(get func(string) string, key string) (*bool, error) {
	text := get(key)
	if text == "" {
		return nil, nil
	}
	v, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		return nil, badOption(key, "%q is neither true nor false", text)
	}
	return &v, nil
}

// String shows where a Config leads, without secrets.
func (c Config) String() string {
	where := c.Endpoint
	if where == "" {
		where = "AWS"
	}
	return fmt.Sprintf("%s (provider %q, region %q)", where, c.Provider, c.Region)
}
