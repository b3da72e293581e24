package s3remote

import (
	"testing"

	"github.com/s3mount/s3mount/internal/secret"
)

// One bucket has one place, however its remote is written down; others have others.
func TestPlaceKnowsAnEndpointByItsNames(t *testing.T) {
	place := func(c Config) string {
		t.Helper()
		c.AccessKeyID, c.SecretAccessKey = "k", secret.New("s")
		client, err := New(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		b, err := client.Bucket("bucket", "in")
		if err != nil {
			t.Fatal(err)
		}
		return b.Place()
	}
	same := func(name string, configs ...Config) string {
		t.Helper()
		first := place(configs[0])
		for _, c := range configs[1:] {
			if got := place(c); got != first {
				t.Errorf("%s: %q and %q", name, first, got)
			}
		}
		return first
	}
	at := func(endpoint string) Config { return Config{Provider: "Other", Endpoint: endpoint} }
	seen := map[string]bool{}
	for _, p := range []string{
		same("a port", at("http://127.0.0.1:9000"), at("http://127.0.0.1:9000/"), at("127.0.0.1:9000"), at("http://LOCALHOST:9000"), at("http://[::1]:9000")),
		same("another port", at("http://127.0.0.1:9001")),
		same("a host", at("s3.example.com"), at("https://S3.Example.com:443/"), at("http://s3.example.com:80"), at("s3.example.com.")),
		same("a path", at("s3.example.com/a"), at("https://s3.example.com/a/")),
		same("AWS", Config{Provider: "AWS"}, Config{Provider: "AWS", Region: "eu-west-1"}, at("https://s3.us-west-2.amazonaws.com")),
		same("China", Config{Provider: "AWS", Region: "cn-north-1"}, at("s3.cn-north-1.amazonaws.com.cn")),
	} {
		if seen[p] {
			t.Errorf("%q is two places", p)
		}
		seen[p] = true
	}
}
