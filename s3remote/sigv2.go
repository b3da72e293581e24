package s3remote

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// signerV2 signs requests with signature version 2, which older Ceph gateways and
// other clones want. It takes the place of the SDK's signer.
//
// Version 2 covers the method, the path, three headers, all x-amz-* headers and the
// sub-resources among the parameters. It covers neither the region nor the body, so
// that bodies carry their MD5 in a header that is covered: see hashPayload.
type signerV2 struct {
	host string // of the endpoint, with its port
}

// subResources are the parameters that version 2 covers. Stores pass over those that
// they do not know, as long as no request has them.
var subResources = []string{
	"acl", "cors", "delete", "encryption", "lifecycle", "location", "logging", "notification", "object-lock", "partNumber",
	"policy", "policyStatus", "publicAccessBlock", "requestPayment", "response-cache-control", "response-content-disposition",
	"response-content-encoding", "response-content-language", "response-content-type", "response-expires", "restore",
	"tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

// SignHTTP implements the SDK's s3.HTTPSignerV4.
func (s signerV2) SignHTTP(_ context.Context, keys aws.Credentials, r *http.Request, _, _, _ string, now time.Time, _ ...func(*v4.SignerOptions)) error {
	r.Header.Set("Date", now.UTC().Format(http.TimeFormat))
	if keys.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", keys.SessionToken)
	}
	r.Header.Set("Authorization", "AWS "+keys.AccessKeyID+":"+s.signature(r, keys.SecretAccessKey))
	return nil
}

// signature signs a request that has all its headers.
func (s signerV2) signature(r *http.Request, secretKey string) string {
	mac := hmac.New(sha1.New, []byte(secretKey))
	mac.Write([]byte(s.stringToSign(r)))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// stringToSign is what of a request the signature covers.
func (s signerV2) stringToSign(r *http.Request) string {
	return strings.Join([]string{
		r.Method, r.Header.Get("Content-Md5"), r.Header.Get("Content-Type"), r.Header.Get("Date"),
	}, "\n") + "\n" + amzHeaders(r.Header) + s.resource(r.URL) + subResourcesOf(r.URL.Query())
}

// amzHeaders writes the x-amz-* headers, a line each, in the order of their names.
func amzHeaders(h http.Header) string {
	lines := make(map[string]string)
	for name, values := range h {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			lines[name] = strings.TrimSpace(strings.Join(values, ","))
		}
	}
	var b strings.Builder
	// In the order of the names, not of the lines: "-" sorts before ":".
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(name + ":" + lines[name] + "\n")
	}
	return b.String()
}

// resource is the path as it is sent, with the bucket in front where the host names it.
func (s signerV2) resource(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if bucket, found := strings.CutSuffix(u.Host, "."+s.host); found {
		path = "/" + bucket + path
	}
	return path
}

// subResourcesOf writes the parameters that count, in order and with plain values.
func subResourcesOf(q url.Values) string {
	var found []string
	for _, name := range subResources { // is sorted
		if values, there := q[name]; there {
			if values[0] != "" {
				name += "=" + values[0]
			}
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "?" + strings.Join(found, "&")
}

// hashPayload makes every request with a body carry the body's MD5, in place of the
// SHA-256 that version 4 signs.
func hashPayload(stack *middleware.Stack) error {
	compute := &v4.UnsignedPayload{} // version 4's name for the stage; nothing of it is sent
	if _, ok := stack.Finalize.Get(compute.ID()); ok {
		if _, err := stack.Finalize.Swap(compute.ID(), compute); err != nil {
			return err
		}
	}
	header := &v4.ContentSHA256Header{}
	if _, ok := stack.Finalize.Get(header.ID()); ok {
		if _, err := stack.Finalize.Remove(header.ID()); err != nil {
			return err
		}
	}
	return addContentMD5(stack)
}

// addContentMD5 computes the Content-MD5 header where there is a body and no such
// header yet.
func addContentMD5(stack *middleware.Stack) error {
	if _, ok := stack.Build.Get("ContentChecksum"); ok {
		return nil
	}
	return smithyhttp.AddContentChecksumMiddleware(stack)
}
