package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestParsePath(t *testing.T) {
	for in, want := range map[string]string{
		"r:":                        "r||||",
		"r:b":                       "r||b||",
		"r:b/":                      "r||b||",
		"r:/b/p":                    "r||b|p|p/",
		"r:b/p/q":                   "r||b|p/q|p/q/",
		"r:b/p/q/":                  "r||b|p/q/|p/q/",
		"r:b//p":                    "r||b|/p|/p/",
		"r:b/a:b,c=d":               "r||b|a:b,c=d|a:b,c=d/",
		"my remote-1.x@y+z:b":       "my remote-1.x@y+z||b||",
		"größe:b":                   "größe||b||",
		":s3:b":                     "|s3|b||",
		":s3,env_auth:b/p":          "|s3|b|p|p/|env_auth=true",
		"r,region=eu,acl=private:b": "r||b|||acl=private|region=eu",
		`r,a="x:y,z""q'":b`:         `r||b|||a=x:y,z"q'`,
		`r,a='it''s',c=:b`:          `r||b|||a=it's|c=`,
		`r,a=mid"quote:b`:           `r||b|||a=mid"quote`,
		"r,a=b=c:b":                 "r||b|||a=b=c",
		":s3,endpoint=http://h:9000,access_key_id=A:b/p": "|s3|b|p|p/|access_key_id=A|endpoint=http://h:9000",
		":s3,endpoint=https://h:b":                       "|s3|b|||endpoint=https://h",
		":s3,endpoint=http://[::1]:9000:b":               "|s3|b|||endpoint=http://[::1]:9000",
		`:s3,endpoint="http://h:9000":b`:                 "|s3|b|||endpoint=http://h:9000",
		"r,a=1,a=2:b":                                    "r||b|||a=2",
	} {
		p, err := ParsePath(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got := strings.Join([]string{p.Remote, p.Backend, p.Bucket, p.Path, p.Prefix}, "|")
		for _, k := range slices.Sorted(maps.Keys(p.options)) {
			v, _ := p.Option(k)
			got += "|" + k + "=" + v
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
}

func TestParsePathErrors(t *testing.T) {
	const leak = "HIDDEN"
	for _, in := range []string{
		"", "/local/path", "./a:b", "plain", ":", "-r:b", " r:b", "r :b", "a*b:c", ":s3", ":s3/x:b",
		"r,:b", "r,=x:b", "r,k-y=" + leak + ":b", "r,k=" + leak, "r,k='" + leak, "r,k='" + leak + "'x:b", "r,k='x'", "r,k",
	} {
		_, err := ParsePath(in)
		if !object.Is(err, object.KindInvalid) {
			t.Errorf("%q: %v", in, err)
		}
		if strings.Contains(fmt.Sprint(err), leak) {
			t.Errorf("the error shows a value: %v", err)
		}
	}
}

func TestOpen(t *testing.T) {
	f := mustParse(t, "[r]\ntype = s3\nregion = file\nacl = private\n")
	f.LookupEnv = lookIn(map[string]string{"RCLONE_CONFIG_R_REGION": "env"})
	for in, want := range map[string]string{
		"r:b":            "env|private",
		"r,region=cmd:b": "cmd|private",
		":s3,acl=x:b":    "|x",
		"r,region=:b":    "|private",
	} {
		p, err := ParsePath(in)
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Get("region") + "|" + r.Get("acl"); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	p, _ := ParsePath(":drive:b")
	if _, err := f.Open(p); !object.Is(err, object.KindUnsupported) {
		t.Errorf("another backend: %v", err)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"r:b/p", ":s3,a=\"x\"\"y\":b", "r,a='", ",:=", ":s3,endpoint=http://[::1]:9:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err == nil && p.Prefix != "" && !strings.HasSuffix(p.Prefix, "/") {
			t.Errorf("prefix %q", p.Prefix)
		}
	})
}
