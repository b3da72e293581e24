// Package rclone compares s3mount with a real rclone: each understands what the other
// wrote.
package rclone

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/test/servers"
)

// awkward are values that a reader of INI files could trip over.
var awkward = map[string]string{
	"type":                "s3",
	"access_key_id":       "AKIA/=+:;#",
	"secret_access_key":   `a#b;c=d:e/f+g"h'i\j`,
	"session_token":       "`tick` and \"quote\"",
	"region":              "other-v2-signature",
	"endpoint":            "http://192.168.1.106:9000",
	"location_constraint": "",
	"storage_class":       " blanks ",
	"description":         "ünï ☃ [x]",
}

const password = "pass wörd"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rclone runs the real one on a config file.
func rclone(t *testing.T, path string, env []string, args ...string) string {
	t.Helper()
	c := exec.Command(servers.Tool(t, "rclone"), append([]string{"--config", path}, args...)...)
	c.Env = append([]string{"HOME=" + filepath.Dir(path), "PATH=" + os.Getenv("PATH")}, env...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("rclone %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// ours writes the awkward values with package config.
func ours(t *testing.T, path, password string) {
	t.Helper()
	f := config.New(path)
	must(t, f.Create("a remote"))
	for key, value := range awkward {
		must(t, f.Set("a remote", key, value))
	}
	must(t, f.SetPassword(secret.New(password)))
	must(t, f.Save())
}

// dumped reads what rclone config dump printed of a remote.
func dumped(t *testing.T, out, name string) map[string]string {
	t.Helper()
	var all map[string]map[string]string
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return all[name]
}

func TestRcloneReadsOurConfig(t *testing.T) {
	for name, c := range map[string]struct {
		password string
		env      []string
		args     []string
	}{
		"plain":              {},
		"encrypted":          {password, []string{"RCLONE_CONFIG_PASS=" + password}, nil},
		"encrypted, command": {password, nil, []string{"--password-command", `echo "` + password + `"`}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.conf")
			ours(t, path, c.password)
			out := rclone(t, path, c.env, append([]string{"config", "dump"}, c.args...)...)
			if got := dumped(t, out, "a remote"); !maps.Equal(got, awkward) {
				t.Errorf("rclone reads %q,\nwe wrote   %q", got, awkward)
			}
		})
	}
}

func TestWeReadRclonesConfig(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "x.conf")
		var env []string
		args := []string{"config", "create", "r", "s3"}
		want := map[string]string{}
		for key, value := range awkward {
			// rclone writes a value with a backquote in quotes that it reads as part of it.
			if key != "type" && !strings.Contains(value, "`") && value != "" && value == strings.TrimSpace(value) {
				args = append(args, key, value)
			}
			want[key] = value
		}
		rclone(t, path, nil, args...)
		p := &config.Passwords{Getenv: func(string) string { return "" }}
		if encrypted {
			set := []string{"config", "encryption", "set", "--password-command", `echo "` + password + `"`}
			rclone(t, path, env, set...)
			p.Command = `echo "` + password + `"`
		}
		f, err := config.Load(t.Context(), path, p)
		must(t, err)
		if f.Encrypted() != encrypted {
			t.Errorf("encrypted: %v, want %v", f.Encrypted(), encrypted)
		}
		r, err := f.Remote("r")
		must(t, err)
		for i := 4; i < len(args); i += 2 {
			if got := r.Get(args[i]); got != args[i+1] {
				t.Errorf("%s: we read %q, rclone wrote %q", args[i], got, args[i+1])
			}
		}
	}
}

// What one changes in a file of the other stays to be read by both.
func TestBothEditOneEncryptedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.conf")
	ours(t, path, password)
	env := []string{"RCLONE_CONFIG_PASS=" + password}
	p := &config.Passwords{Getenv: func(k string) string {
		if k == "RCLONE_CONFIG_PASS" {
			return password
		}
		return ""
	}}
	rclone(t, path, env, "config", "create", "theirs", "s3", "region", "eu-west-1")
	f, err := config.Load(t.Context(), path, p)
	must(t, err)
	must(t, f.Set("theirs", "acl", "private"))
	must(t, f.Rename("theirs", "new name"))
	must(t, f.Save())
	got := dumped(t, rclone(t, path, env, "config", "dump"), "new name")
	if want := map[string]string{"type": "s3", "region": "eu-west-1", "acl": "private"}; !maps.Equal(got, want) {
		t.Errorf("rclone reads %q, want %q", got, want)
	}
	if f, err = config.Load(t.Context(), path, p); err != nil || !f.Has("a remote") {
		t.Errorf("our remote is gone: %v", err)
	}
}

// An empty config file that is encrypted is one without remotes, to both.
func TestAnEmptyEncryptedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.conf")
	f := config.New(path)
	must(t, f.SetPassword(secret.New(password)))
	must(t, f.Save())
	if out := rclone(t, path, []string{"RCLONE_CONFIG_PASS=" + password}, "config", "dump"); strings.TrimSpace(out) != "{}" {
		t.Errorf("got %s", out)
	}
}

// port is where a remote's endpoint leads; nothing listens there.
var port = regexp.MustCompile(`127\.0\.0\.1:([1-9])\b`)

// A value that is set in several ways is the same one to both programs.
func TestValuesComeFromWhereRcloneTakesThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.conf")
	must(t, os.WriteFile(path, []byte("[r]\ntype = s3\nprovider = Other\nendpoint = http://127.0.0.1:1\n"), 0o600))
	const general, special = "RCLONE_S3_ENDPOINT", "RCLONE_CONFIG_R_ENDPOINT"
	const flag, inPath = "http://127.0.0.1:4", `r,endpoint="http://127.0.0.1:5":b`
	for _, c := range []struct {
		place, flag string
		env         map[string]string
	}{
		{place: "r:b"},
		{place: "r:b", env: map[string]string{special: "http://127.0.0.1:2"}},
		{place: "r:b", env: map[string]string{general: "http://127.0.0.1:3"}},
		{place: "r:b", env: map[string]string{special: "http://127.0.0.1:2", general: "http://127.0.0.1:3"}},
		{place: "r:b", env: map[string]string{general: "http://127.0.0.1:3"}, flag: flag},
		{place: inPath, env: map[string]string{general: "http://127.0.0.1:3"}, flag: flag},
		// One that is empty, and one that is not there, are not the same.
		{place: "r:b", env: map[string]string{special: ""}},
		{place: "r:b", env: map[string]string{general: ""}},
		{place: "r:b", env: map[string]string{general: "", special: "http://127.0.0.1:2"}},
		{place: "r:b", env: map[string]string{general: "http://127.0.0.1:3", special: ""}},
	} {
		run := exec.Command(servers.Tool(t, "rclone"), "--config", path, "--retries", "1", "--low-level-retries", "1", "lsd", c.place)
		run.Env = []string{"HOME=" + filepath.Dir(path)}
		for k, v := range c.env {
			run.Env = append(run.Env, k+"="+v)
		}
		if c.flag != "" {
			run.Args = append(run.Args, "--s3-endpoint", c.flag)
		}
		out, _ := run.CombinedOutput() // it fails: nobody listens
		theirs := ""                   // AWS
		if found := port.FindStringSubmatch(string(out)); found != nil {
			theirs = ":" + found[1]
		} else if !strings.Contains(string(out), "amazonaws.com") {
			t.Fatalf("rclone tells no endpoint:\n%s", out)
		}

		f, err := config.Load(t.Context(), path, nil)
		must(t, err)
		f.LookupEnv = func(k string) (string, bool) { v, ok := c.env[k]; return v, ok }
		p, err := config.ParsePath(c.place)
		must(t, err)
		r, err := f.Open(p)
		must(t, err)
		r = r.WithFlags(func(key string) (string, bool) { return c.flag, c.flag != "" && key == "endpoint" })
		if got := r.Get("endpoint"); !strings.HasSuffix(got, theirs) || theirs == "" && got != "" {
			t.Errorf("%+v: we take %s, rclone takes port %s", c, got, theirs)
		}
	}
}
