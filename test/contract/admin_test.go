package contract

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/servers"
)

// What s3mount has no use for, but its tests have: setting a bucket's policy, and
// temporary keys that are bound by one. Both are single requests, signed here.

// documentedPolicy grants what the documentation says that sync needs, and nothing else.
// PutObjectAcl is missing: MinIO does not know it, and takes PutObject for both.
func documentedPolicy(bucket string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:ListBucket","s3:DeleteObject","s3:GetObject","s3:PutObject"],
"Resource":["arn:aws:s3:::%[1]s/*","arn:aws:s3:::%[1]s"]}]}`, bucket)
}

// publicPolicy lets everybody list and read.
func publicPolicy(bucket string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:ListBucket","s3:GetObject"],
"Resource":["arn:aws:s3:::%[1]s/*","arn:aws:s3:::%[1]s"]}]}`, bucket)
}

// setPolicy makes policy the bucket's.
func setPolicy(t *testing.T, s servers.Server, bucket, policy string) {
	t.Helper()
	admin(t, s, "s3", http.MethodPut, s.Endpoint+"/"+bucket+"?policy=", []byte(policy), "application/json")
}

// temporary returns s with keys that live for an hour and are bound by policy.
func temporary(t *testing.T, s servers.Server, policy string) (_ servers.Server, sessionToken string) {
	t.Helper()
	form := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "DurationSeconds": {"3600"}, "Policy": {policy}}
	answer := admin(t, s, "sts", http.MethodPost, s.Endpoint+"/", []byte(form.Encode()), "application/x-www-form-urlencoded")
	var doc struct {
		Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken string } `xml:"AssumeRoleResult>Credentials"`
	}
	if err := xml.Unmarshal(answer, &doc); err != nil || doc.Credentials.AccessKeyId == "" {
		t.Fatalf("odd answer: %v\n%s", err, answer)
	}
	s.AccessKey, s.SecretKey = doc.Credentials.AccessKeyId, doc.Credentials.SecretAccessKey
	return s, doc.Credentials.SessionToken
}

// admin sends a request with signature version 4 and returns the answer's body.
func admin(t *testing.T, s servers.Server, service, method, address string, body []byte, contentType string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Date", stamp)
	r.Header.Set("X-Amz-Content-Sha256", payload)
	const signed = "content-type;host;x-amz-content-sha256;x-amz-date"
	canonical := fmt.Sprintf("%s\n%s\n%s\ncontent-type:%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s",
		method, r.URL.EscapedPath(), r.URL.RawQuery, contentType, r.URL.Host, payload, stamp, signed, payload)
	whole := sha256.Sum256([]byte(canonical))
	scope := day + "/" + s.Region + "/" + service + "/aws4_request"
	key := []byte("AWS4" + s.SecretKey)
	for _, part := range []string{day, s.Region, service, "aws4_request", "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(whole[:])} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x", s.AccessKey, scope, signed, key))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s, %v\n%s", method, address, resp.Status, err, answer)
	}
	return answer
}
