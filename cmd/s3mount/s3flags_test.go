package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/s3remote"
)

func TestS3Flags(t *testing.T) {
	g := &globals{}
	f := pflag.NewFlagSet("x", pflag.ContinueOnError)
	g.addS3Flags(f)
	g.addS3Flags(pflag.NewFlagSet("another command", pflag.ContinueOnError))
	if err := f.Parse([]string{"--s3-acl=private", "--s3-env-auth", "--s3-region", "", "--s3-secret-access-key", "HIDDEN"}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"acl": "private", "env_auth": "true", "region": "", "secret_access_key": "HIDDEN"} {
		if got, ok := g.s3Flag(key); !ok || got != want {
			t.Errorf("%s: %q, %v", key, got, ok)
		}
	}
	if _, ok := g.s3Flag("endpoint"); ok {
		t.Error("endpoint is set")
	}
	if _, ok := g.s3Flag("type"); ok {
		t.Error("type is a flag")
	}
	if strings.Contains(f.FlagUsages(), "HIDDEN") {
		t.Error("the usage shows a secret")
	}
}

// What a wrong secret is must not be seen in the error.
func TestAWrongSecretInAFlagIsNotShown(t *testing.T) {
	var stderr bytes.Buffer
	e := env{stdout: &stderr, stderr: &stderr, getenv: func(string) string { return "" }}
	code := run(t.Context(), []string{"mount", "r:b", "dir", "--s3-secret-access-key", "HID\aDEN"}, e)
	if code != exitUsage || strings.Contains(stderr.String(), "DEN") || !strings.Contains(stderr.String(), "--s3-secret-access-key is wrong") {
		t.Errorf("%d: %s", code, stderr.String())
	}
}

// Each option that the dialogue asks for and flags set is one that the remote acts on.
func TestS3RemoteReadsEveryOption(t *testing.T) {
	for _, o := range config.S3Options() {
		asked := false
		s3remote.FromRemote(func(key string) string {
			asked = asked || key == o.Name
			return ""
		})
		if !asked {
			t.Errorf("s3remote does not look at %s", o.Name)
		}
	}
}

func TestConfigPageHasAllOptions(t *testing.T) {
	page, err := os.ReadFile("../../docs/CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range config.S3Options() {
		row := "| `" + o.Name + "` | " + strings.ReplaceAll(o.Question(), "|", "\\|") + " |"
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/CONFIG.md does not have the line\n%s", row)
		}
	}
	for _, o := range config.Others() {
		what := "passed over"
		if o.Refused {
			what = "refused"
		}
		row := "| `" + o.Name + "` | " + what + " | " + o.Why + " |"
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/CONFIG.md does not have the line\n%s", row)
		}
	}
}
