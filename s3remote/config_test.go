package s3remote

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

func from(options map[string]string) (Config, error) {
	return FromRemote(func(key string) string { return options[key] })
}

func TestFromRemote(t *testing.T) {
	c, err := from(map[string]string{
		"provider": "ceph", "endpoint": "h:7480", "access_key_id": "A", "secret_access_key": "S/+", "region": "r",
		"force_path_style": "false", "env_auth": "True", "acl": "public-read", "server_side_encryption": "aws:kms",
		"sse_kms_key_id": "key", "storage_class": "GLACIER", "location_constraint": "lc", "session_token": "T", "chunk_size": "5M",
	})
	ok(t, err)
	if c.SecretAccessKey.Reveal() != "S/+" || c.SessionToken.Reveal() != "T" || *c.ForcePathStyle || !c.EnvAuth || c.StorageClass != "GLACIER" {
		t.Errorf("%+v", c)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(text, "S/+") {
		t.Errorf("the secret shows: %s", text)
	}
	q := c.provider()
	if q.name != "Ceph" || q.pathStyle || q.region != "r" || !q.bareMatch {
		t.Errorf("%+v", q)
	}
	if c, err = from(nil); err != nil || c.ForcePathStyle != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestBadOptions(t *testing.T) {
	for option, options := range map[string]map[string]string{
		"env_auth":                {"env_auth": "maybe"},
		"force_path_style":        {"force_path_style": "2"},
		"v2_auth":                 {"v2_auth": "x"},
		"endpoint":                {"region": "other-v2-signature"}, // it needs one
		"access_key_id":           {"access_key_id": "A"},
		"session_token":           {"session_token": "A"},
		"acl":                     {"acl": "everyone"},
		"bucket_acl":              {"bucket_acl": "Private"},
		"server_side_encryption":  {"server_side_encryption": "rot13"},
		"sse_kms_key_id":          {"sse_kms_key_id": "k"},
		"sse_customer_algorithm":  {"sse_customer_key": strings.Repeat("k", 32)},
		"sse_customer_key":        {"sse_customer_algorithm": "AES256", "sse_customer_key": "sécret"},
		"sse_customer_key_base64": {"sse_customer_algorithm": "AES256", "sse_customer_key_base64": "sécret"},
		"sse_customer_key_md5":    {"sse_customer_algorithm": "AES256", "sse_customer_key": strings.Repeat("k", 32), "sse_customer_key_md5": "x"},
		"requester_pays":          {"requester_pays": "1.5"},
		"storage_class":           {"storage_class": "a\nb"},
		"secret_access_key":       {"access_key_id": "A", "secret_access_key": "sécret"},
		"upload_cutoff":           {"upload_cutoff": "6Gi"},
		"chunk_size":              {"chunk_size": "4Mi"},
		"copy_cutoff":             {"copy_cutoff": "-1"},
		"upload_concurrency":      {"upload_concurrency": "0"},
		"disable_checksum":        {"disable_checksum": "perhaps"},
		"no_check_bucket":         {"no_check_bucket": "-"},
		"no_head":                 {"no_head": "-"},
		"use_accelerate_endpoint": {"use_accelerate_endpoint": "true", "endpoint": "h"},
		"use_dual_stack":          {"use_dual_stack": "true", "endpoint": "h"},
		"role_arn":                {"role_arn": "arn:aws:iam::1:role/x"},
		"role_session_duration":   {"env_auth": "true", "role_arn": "arn", "role_session_duration": "5m"},
		"sts_endpoint":            {"env_auth": "true", "role_arn": "arn", "sts_endpoint": "https://u:p@h"},
		"list_version":            {"list_version": "3"},
		"list_chunk":              {"list_chunk": "0"},
		"list_url_encode":         {"list_url_encode": "maybe"},
	} {
		_, err := from(options)
		var kinds = []object.Kind{object.KindInvalid, object.KindUnsupported}
		if err == nil || !slices.Contains(kinds, object.KindOf(err)) || !strings.Contains(err.Error(), `"`+option+`"`) {
			t.Errorf("%v: %v", options, err)
		}
		if strings.Contains(fmt.Sprint(err), "sécret") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
	for _, endpoint := range []string{"http://", "https://u:p@h", "h?x", "h#x", ":", "http://:80", "a b"} {
		if _, err := from(map[string]string{"endpoint": endpoint}); !object.Is(err, object.KindInvalid) {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	if _, err := from(map[string]string{"provider": "Minio"}); !object.Is(err, object.KindInvalid) {
		t.Errorf("no endpoint: %v", err)
	}
	for _, off := range []string{"false", ""} {
		if _, err := from(map[string]string{"requester_pays": off, "v2_auth": off}); err != nil {
			t.Errorf("%q: %v", off, err)
		}
	}
}

func TestProviders(t *testing.T) {
	for _, c := range []struct{ provider, endpoint, region, want, wantRegion string }{
		{"", "", "", "AWS", "us-east-1"}, {"", "h", "", "Other", "us-east-1"}, {"AWS", "", "eu-1", "AWS", "eu-1"},
		{"mInIo", "h", "", "Minio", "us-east-1"}, {"Scaleway", "h", "fr", "Other", "fr"}, {"Ceph", "h", regionV4, "Ceph", "us-east-1"},
	} {
		q := Config{Provider: c.provider, Endpoint: c.endpoint, Region: c.region}.provider()
		if q.name != c.want || q.region != c.wantRegion {
			t.Errorf("%+v: %+v", c, q)
		}
	}
	if got := Providers(); len(got) != 7 || got[len(got)-1] != "Other" {
		t.Errorf("%q", got)
	}
}

func TestEndpoints(t *testing.T) {
	for in, want := range map[string]string{
		"h": "https://h", "h:9000": "https://h:9000", "http://h/": "http://h", "https://h/base/": "https://h/base", "http://[::1]:80": "http://[::1]:80",
	} {
		u, err := Config{Endpoint: in}.endpointURL()
		if err != nil || u.String() != want {
			t.Errorf("%s: %v, %v", in, u, err)
		}
	}
}

func TestBucketNames(t *testing.T) {
	yes := true
	path, err := New(t.Context(), Config{Endpoint: "http://s3.test", ForcePathStyle: &yes})
	ok(t, err)
	host, err := New(t.Context(), Config{})
	ok(t, err)
	for name, want := range map[string][2]bool{
		"abc": {true, true}, "a.b-c": {true, true}, "With_Upper": {true, false}, "": {}, "ab": {}, "a/b": {}, "..": {}, "a..b": {},
		"-ab": {}, "a b": {}, "ab?": {}, "127.0.0.1": {}, "x--x-s3": {}, strings.Repeat("a", 64): {true, false}, "a\nb": {},
	} {
		for i, c := range []*Client{path, host} {
			_, err := c.Bucket(name, "")
			if (err == nil) != want[i] {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	b, err := path.Bucket("abc", "p/q")
	ok(t, err)
	if b.Name() != "abc" || b.Prefix() != "p/q/" {
		t.Errorf("%s %s", b.Name(), b.Prefix())
	}
}

func TestVirtualHost(t *testing.T) {
	no := false
	s, b := serve(t, func(c *Config) { c.Provider, c.ForcePathStyle = "AWS", &no }, func(w http.ResponseWriter, r *request) { serveObject(w, r, "x", "e") })
	_, err := b.Head(t.Context(), "/a//b")
	ok(t, err)
	if r := s.request(1); r.Host != "bkt.s3.test" || r.RequestURI != "//a//b" {
		t.Errorf("%s %s", r.Host, r)
	}
}

func TestAnonymousRequestsAreNotSigned(t *testing.T) {
	s, b := serve(t, func(c *Config) { c.AccessKeyID, c.SecretAccessKey = "", secret.String{} }, func(w http.ResponseWriter, r *request) { serveObject(w, r, "x", "e") })
	_, err := b.Head(t.Context(), "k")
	ok(t, err)
	if got := s.request(1).Header.Get("Authorization"); got != "" {
		t.Errorf("%q", got)
	}
}
