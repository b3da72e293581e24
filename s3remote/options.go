package s3remote

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/parts"
	"github.com/s3mount/s3mount/internal/secret"
)

// FromRemote makes a Config of the options of an rclone remote, by rclone's names;
// get returns "" for what is not set. The result is validated. Options that are not
// known here are passed over: package config knows which of rclone's are to be refused.
func FromRemote(get func(key string) string) (Config, error) {
	o := options{get: get}
	c := Config{
		Provider:              get("provider"),
		AccessKeyID:           get("access_key_id"),
		SecretAccessKey:       secret.New(get("secret_access_key")),
		SessionToken:          secret.New(get("session_token")),
		EnvAuth:               o.bool("env_auth"),
		Profile:               get("profile"),
		SharedCredentialsFile: get("shared_credentials_file"),
		RoleARN:               get("role_arn"),
		RoleSessionName:       get("role_session_name"),
		RoleSessionDuration:   o.duration("role_session_duration"),
		RoleExternalID:        get("role_external_id"),
		STSEndpoint:           get("sts_endpoint"),
		Region:                get("region"),
		V2Auth:                o.bool("v2_auth"),
		Endpoint:              get("endpoint"),
		ForcePathStyle:        o.tristate("force_path_style"),
		UseAccelerate:         o.bool("use_accelerate_endpoint"),
		UseDualStack:          o.bool("use_dual_stack"),
		LocationConstraint:    get("location_constraint"),
		ACL:                   get("acl"),
		BucketACL:             get("bucket_acl"),
		StorageClass:          get("storage_class"),
		RequesterPays:         o.bool("requester_pays"),
		ServerSideEncryption:  get("server_side_encryption"),
		SSEKMSKeyID:           get("sse_kms_key_id"),
		SSECustomerAlgorithm:  get("sse_customer_algorithm"),
		SSECustomerKey:        o.customerKey(),
		BucketObjectLock:      o.bool("bucket_object_lock_enabled"),
		ListChunk:             o.count("list_chunk"),
		ListVersion:           o.listVersion(),
		PlainListings:         o.isFalse("list_url_encode"),
		OtherPartETags:        o.isFalse("use_multipart_etag"),
		UploadCutoff:          o.cutoff(),
		ChunkSize:             o.size("chunk_size"),
		CopyCutoff:            o.size("copy_cutoff"),
		UploadConcurrency:     o.count("upload_concurrency"),
		SignPayload:           o.isFalse("use_data_integrity_protections"),
		DisableChecksum:       o.bool("disable_checksum"),
		NoCheckBucket:         o.bool("no_check_bucket"),
		NoHead:                o.bool("no_head"),
	}
	if o.err != nil {
		return Config{}, o.err
	}
	return c, c.Validate()
}

// options reads options and keeps the first error.
type options struct {
	get func(string) string
	err error
}

func (o *options) fail(name, format string, args ...any) {
	if o.err == nil {
		o.err = badOption(name, format, args...)
	}
}

// tristate reads a boolean option; nil where it is not set.
func (o *options) tristate(name string) *bool {
	text := o.get(name)
	if text == "" || strings.EqualFold(text, "unset") {
		return nil
	}
	v, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		o.fail(name, "%q is neither true nor false", text)
	}
	return &v
}

func (o *options) bool(name string) bool {
	v := o.tristate(name)
	return v != nil && *v
}

// isFalse reports whether a boolean option is set, and to false.
func (o *options) isFalse(name string) bool {
	v := o.tristate(name)
	return v != nil && !*v
}

// cutoff reads from which size on files go in parts. Nothing is below the least cutoff,
// but what is empty.
func (o *options) cutoff() int64 {
	if o.isFalse("use_multipart_uploads") {
		return parts.MaxSize
	}
	n := o.size("upload_cutoff")
	if n == 0 && o.get("upload_cutoff") != "" {
		return 1
	}
	return n
}

// listVersion reads a form of listings; 0 where it is left to the provider.
func (o *options) listVersion() int {
	text := o.get("list_version")
	if text == "" || text == "0" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 2 {
		o.fail("list_version", "%q is none of 0, 1 and 2", text)
	}
	return n
}

// duration reads how long something lasts; 0 where it is not set.
func (o *options) duration(name string) time.Duration {
	text := o.get(name)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		o.fail(name, "%q is no time like 1h or 30m", text)
	}
	return d
}

// count reads a number of things; 0 where it is not set.
func (o *options) count(name string) int {
	text := o.get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		o.fail(name, "%q is not a number from 1 on", text)
	}
	return n
}

// size reads a number of bytes; 0 where it is not set.
func (o *options) size(name string) int64 {
	text := o.get(name)
	if text == "" {
		return 0
	}
	n, err := parseSize(text)
	if err != nil {
		o.fail(name, "%q is not a size such as 64Mi", text)
	}
	return n
}

var errSize = errors.New("not a size")

// parseSize reads a size as rclone writes it: a number, and B, or one of K M G T P with
// or without "i" or "iB" behind it, in any case, all powers of 1,024. A bare number is
// of KiB.
func parseSize(text string) (int64, error) {
	end := len(text)
	for end > 0 && (text[end-1] < '0' || text[end-1] > '9') && text[end-1] != '.' {
		end--
	}
	units := map[string]float64{
		"": 1 << 10, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50,
	}
	suffix := strings.ToLower(text[end:])
	if s, ok := strings.CutSuffix(suffix, "b"); ok && s != "" {
		suffix = s
		if !strings.HasSuffix(suffix, "i") {
			return 0, errSize // 1KB: is it 1,000 or 1,024?
		}
	}
	if s, ok := strings.CutSuffix(suffix, "i"); ok && s != "" {
		suffix = s
	}
	unit, ok := units[suffix]
	n, err := strconv.ParseFloat(text[:end], 64)
	if !ok || err != nil || n < 0 || n*unit >= math.MaxInt64 {
		return 0, errSize
	}
	return int64(n * unit), nil
}

// customerKey reads the key of SSE-C, which has two forms. Errors don't show it.
func (o *options) customerKey() secret.String {
	key, coded := o.get("sse_customer_key"), o.get("sse_customer_key_base64")
	if coded != "" {
		plain, err := base64.StdEncoding.DecodeString(coded)
		switch {
		case err != nil:
			o.fail("sse_customer_key_base64", "it is not base64")
		case key != "" && key != string(plain):
			o.fail("sse_customer_key_base64", "it is another key than sse_customer_key: give one of them")
		}
		key = string(plain)
	}
	if sum := o.get("sse_customer_key_md5"); sum != "" && sum != base64MD5(key) {
		o.fail("sse_customer_key_md5", "it is not the sum of the customer's key; it may be left out")
	}
	return secret.New(key)
}

// base64MD5 is how headers have the MD5 of something.
func base64MD5(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
