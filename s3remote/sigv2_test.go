package s3remote

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/s3mount/s3mount/object"
)

// The requests and signatures are the examples of AWS's page on signing REST requests
// with version 2, made with its example keys.
func TestSignatureV2Examples(t *testing.T) {
	for _, c := range []struct{ method, url, date, contentType, want string }{
		{"GET", "http://johnsmith.s3.amazonaws.com/photos/puppy.jpg", "Tue, 27 Mar 2007 19:36:42 +0000", "", "bWq2s1WEIj+Ydj0vQ697zp+IXMU="},
		{"PUT", "http://johnsmith.s3.amazonaws.com/photos/puppy.jpg", "Tue, 27 Mar 2007 21:15:45 +0000", "image/jpeg", "MyyxeRY7whkBe+bq8fHCL/2kKUg="},
		{"GET", "http://johnsmith.s3.amazonaws.com/?prefix=photos&max-keys=50&marker=puppy", "Tue, 27 Mar 2007 19:42:41 +0000", "", "htDYFYduRNen8P9ZfE/s9SuKy0U="},
		{"GET", "http://johnsmith.s3.amazonaws.com/?acl", "Tue, 27 Mar 2007 19:44:46 +0000", "", "c2WLPFtWHVgbEmeEG93a4cG37dM="},
		{"GET", "http://s3.amazonaws.com/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", "Wed, 28 Mar 2007 01:49:49 +0000", "", "DNEZGsoieTZ92F3bUfSPQcbGmlM="},
	} {
		r, err := http.NewRequest(c.method, c.url, nil)
		ok(t, err)
		r.Header.Set("Date", c.date)
		if c.contentType != "" {
			r.Header.Set("Content-Type", c.contentType)
		}
		got := signerV2{host: "s3.amazonaws.com"}.signature(r, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
		if got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.url, got, c.want)
		}
	}
}

// The lines of headers are in the order of the names: sorted as lines, "-" of a longer
// name would come before ":".
func TestSignatureV2SortsHeadersByName(t *testing.T) {
	h := http.Header{"X-Amz-Copy-Source-If-Match": {"e"}, "X-Amz-Copy-Source": {"b/k"}, "X-Amz-Acl": {" private ", "x"}, "X-Other": {"no"}}
	if got := amzHeaders(h); got != "x-amz-acl:private ,x\nx-amz-copy-source:b/k\nx-amz-copy-source-if-match:e\n" {
		t.Errorf("%q", got)
	}
}

// Version 2 does not cover the body: its MD5 does, which is covered.
func TestSignatureV2Requests(t *testing.T) {
	for _, region := range []string{regionV2, "eu"} {
		s, b := serve(t, func(c *Config) {
			c.Region, c.V2Auth = region, true
		}, func(w http.ResponseWriter, r *request) {
			if r.URL.Query().Has("delete") {
				_, _ = w.Write([]byte("<DeleteResult></DeleteResult>"))
				return
			}
			put(w, "e")
		})
		_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
		ok(t, err)
		_, err = b.UploadPart(t.Context(), "k", "2~id", 7, section("part"))
		ok(t, err)
		ok(t, b.DeleteMany(t.Context(), []string{"x"}))
		for n, body := range []string{"data", "part", ""} {
			r := s.request(n + 1)
			if body == "" {
				body = string(r.body)
			}
			if got := r.Header.Get("Content-Md5"); got != base64MD5(body) {
				t.Errorf("%s: Content-MD5 %q", r, got)
			}
			if r.Header.Get("X-Amz-Content-Sha256") != "" || r.Header.Get("X-Amz-Date") != "" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS id:") {
				t.Errorf("%s: %v", r, r.Header)
			}
			if _, err := http.ParseTime(r.Header.Get("Date")); err != nil {
				t.Error(err)
			}
		}
		// What is received is signed as it was sent: the same string on both sides.
		r := s.request(2)
		if got := (signerV2{host: "s3.test"}).stringToSign(r.Request); !strings.HasSuffix(got, "\n/bkt/k?partNumber=7&uploadId=2~id") {
			t.Errorf("%q", got)
		}
	}
}

func TestSignatureV2OfTemporaryKeys(t *testing.T) {
	r, err := http.NewRequest("GET", "https://h/b/k", nil)
	ok(t, err)
	ok(t, signerV2{host: "h"}.SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T"}, r, "", "", "", time.Unix(0, 0)))
	if r.Header.Get("X-Amz-Security-Token") != "T" || !strings.Contains(signerV2{host: "h"}.stringToSign(r), "x-amz-security-token:T\n") {
		t.Errorf("%v", r.Header)
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS A:"))
	if err != nil || len(sum) != 20 {
		t.Errorf("%v", r.Header)
	}
}
