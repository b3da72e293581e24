package config

import (
	"strings"
	"testing"
)

// The order is rclone 1.76's.
func TestWhereAValueComesFrom(t *testing.T) {
	sources := []struct {
		name  string
		apply func(f *File, p *RemotePath, flags map[string]string, env map[string]string)
	}{
		{"file", func(f *File, _ *RemotePath, _, _ map[string]string) { f.Set("r", "region", "file") }},
		{"remote's env", func(_ *File, _ *RemotePath, _, env map[string]string) { env["RCLONE_CONFIG_R_REGION"] = "remote's env" }},
		{"RCLONE_S3", func(_ *File, _ *RemotePath, _, env map[string]string) { env["RCLONE_S3_REGION"] = "RCLONE_S3" }},
		{"S3MOUNT_S3", func(_ *File, _ *RemotePath, _, env map[string]string) { env["S3MOUNT_S3_REGION"] = "S3MOUNT_S3" }},
		{"flag", func(_ *File, _ *RemotePath, flags, _ map[string]string) { flags["region"] = "flag" }},
		{"connection string", func(_ *File, p *RemotePath, _, _ map[string]string) {
			*p, _ = ParsePath(`r,region="connection string":b`)
		}},
	}
	f := mustParse(t, "[r]\ntype = s3\n")
	p, _ := ParsePath("r:b")
	flags, env := map[string]string{}, map[string]string{}
	f.LookupEnv = lookIn(env)
	for _, s := range sources {
		s.apply(f, &p, flags, env)
		r, err := f.Open(p)
		must(t, err)
		r = r.WithFlags(func(k string) (string, bool) { v, ok := flags[k]; return v, ok })
		if got := r.Get("region"); got != s.name {
			t.Errorf("with %s added it is that of %s", s.name, got)
		}
	}
}

func TestRemotesMadeOnTheFlyHaveFlagsAndEnvironment(t *testing.T) {
	f := &File{LookupEnv: lookIn(map[string]string{"S3MOUNT_S3_REGION": "env", "RCLONE_S3_TYPE": "drive"})}
	p, _ := ParsePath(":s3,acl=private:b")
	r, err := f.Open(p)
	must(t, err)
	r = r.WithFlags(func(k string) (string, bool) { return "flag", k == "endpoint" })
	if got := r.Get("region") + "|" + r.Get("acl") + "|" + r.Get("endpoint"); got != "env|private|flag" {
		t.Errorf("got %s", got)
	}
}

func TestTheProviderIsToldFromTheEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                                   "",
		"nyc3.digitaloceanspaces.com":        "DigitalOcean",
		"https://s3.wasabisys.com":           "Wasabi",
		"S3.eu-central-1.wasabisys.com.":     "Wasabi",
		"https://s3.eu-west-1.amazonaws.com": "AWS",
		"objects-us-east-1.dream.io":         "Dreamhost",
		"http://192.168.1.106:9000":          "",
		"wasabisys.com.example.org":          "",
		"notwasabisys.com":                   "",
		"http://[::1":                        "",
	} {
		f := mustParse(t, "[r]\ntype = s3\nendpoint = "+endpoint+"\n")
		if got := get(t, f, "r", "provider"); got != want {
			t.Errorf("%s: %q, want %q", endpoint, got, want)
		}
	}
	f := mustParse(t, "[r]\ntype = s3\nendpoint = s3.wasabisys.com\nprovider = Other\n")
	if got := get(t, f, "r", "provider"); got != "Other" {
		t.Errorf("a provider that is set counts: %q", got)
	}
}

func TestTheTableOfOptions(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range S3Options() {
		if seen[o.Name] || !optionName.MatchString(o.Name) || o.Type == "" || !strings.HasSuffix(o.Question(), ".") {
			t.Errorf("%+v", o)
		}
		seen[o.Name] = true
		for _, c := range o.Choices {
			if err := o.Check(c.Value); err != nil {
				t.Errorf("%s: its own choice: %v", o.Name, err)
			}
		}
		if err := o.Check(o.Default); err != nil {
			t.Errorf("%s: its own default: %v", o.Name, err)
		}
	}
	for _, o := range Others() {
		if seen[o.Name] || o.Why == "" {
			t.Errorf("%s is in the tables twice, or not explained", o.Name)
		}
		seen[o.Name] = true
	}
}

func TestChecksOfValues(t *testing.T) {
	for _, c := range [][3]string{
		{"acl", "private", ""}, {"acl", "", ""}, {"acl", "pivate", `"pivate" is none of private,`},
		{"env_auth", "TRUE", ""}, {"env_auth", "perhaps", "neither true nor false"},
		{"endpoint", "s3.example.org:9000", ""}, {"endpoint", "ftp://x", "http or https"}, {"endpoint", "a b", "a host"},
		{"endpoint", "https://u:p@x", "may not have a user"}, {"endpoint", "http://", "a host"},
		{"chunk_size", "64Mi", ""}, {"chunk_size", "5", ""}, {"chunk_size", "1.5GiB", ""}, {"chunk_size", "lots", "no size like"}, {"chunk_size", "1KB", "no size"},
		{"upload_concurrency", "4", ""}, {"upload_concurrency", "0", "no number from 1"},
		{"storage_class", "ANYTHING", ""}, {"region", "mars-1", ""},
		{"secret_access_key", "a\x01b", "can't be printed"}, {"region", "\xff", "can't be printed"},
	} {
		o, ok := S3Option(c[0])
		if !ok {
			t.Fatal(c[0])
		}
		err := o.Check(c[1])
		if (err == nil) != (c[2] == "") || err != nil && !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s = %q: %v, want %q", c[0], c[1], err, c[2])
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"acces_key_id": "access_key_id", "secret_key": "", "secret_acces_key": "secret_access_key", "Region": "region",
		"end_point": "endpoint", "storageclass": "storage_class", "xyz": "", "access-key-id": "access_key_id",
	} {
		if got := Nearest(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestPlace(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct {
		flag, want string
		env        func(string) string
	}{
		{"/flag", "/flag", envOf("HOME", home)},
		{"", "/env", envOf("HOME", home, "S3MOUNT_CONFIG", "/env")},
		{"", "/not/there", envOf("HOME", home, "RCLONE_CONFIG", "/not/there")},
		{"", home + "/.config/s3mount/s3mount.conf", envOf("HOME", home)},
	} {
		if got, err := Place(c.flag, c.env); err != nil || got != c.want {
			t.Errorf("got %q, %v; want %q", got, err, c.want)
		}
	}
	if _, err := Place("", envOf()); err == nil {
		t.Error("a place without a home")
	}
}

// lookIn is an environment.
func lookIn(env map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := env[k]; return v, ok }
}

func TestWhatRcloneHasAndWeDoNot(t *testing.T) {
	for _, c := range []struct{ key, value, refusal, warning string }{
		{"versions", "true", "only the newest version", ""},
		{"versions", "false", "", ""},
		{"versions", "", "", ""},
		{"version_at", "off", "", ""},
		{"version_at", "2026-01-01", "only the newest version", ""},
		{"directory_bucket", "TRUE", "no order", ""},
		{"object_lock_mode", "GOVERNANCE", "without retention", ""},
		{"encoding", "Slash,InvalidUtf8,Dot", "", ""},
		{"encoding", "None", "other names", ""},
		{"max_upload_parts", "10000", "", ""},
		{"max_upload_parts", "1000", "", "max_upload_parts is passed over: "},
		{"use_unsigned_payload", "unset", "", ""},
		{"use_unsigned_payload", "0", "", ""},
		{"use_unsigned_payload", "true", "", "use_unsigned_payload is passed over: "},
		{"sdk_log_mode", "Off", "", ""},
		{"description", "mine", "", ""},
		{"acess_key_id", "AKIA", "", "there is no option acess_key_id: did you mean access_key_id?"},
		{"whatever", "SECRET", "", "there is no option whatever"},
	} {
		f := mustParse(t, "[r]\ntype = s3\n"+c.key+" = "+c.value+"\n")
		r, err := f.Remote("r")
		must(t, err)
		if err := r.Refusal(); (err == nil) != (c.refusal == "") || err != nil && !strings.Contains(err.Error(), c.refusal) {
			t.Errorf("%s = %s: refused with %v", c.key, c.value, err)
		}
		if got := strings.Join(r.Warnings(), "|"); (got == "") != (c.warning == "") || !strings.Contains(got, c.warning) || strings.Contains(got, "SECRET") {
			t.Errorf("%s = %s: warned with %q", c.key, c.value, got)
		}
	}
	f := mustParse(t, "[r]\ntype = s3\n")
	f.LookupEnv = lookIn(map[string]string{"RCLONE_S3_VERSIONS": "true"})
	r, err := f.Remote("r")
	must(t, err)
	if r.Refusal() == nil {
		t.Error("versions of the environment are passed over")
	}
	p, err := ParsePath(":s3,endpont=x:b")
	must(t, err)
	if r, err = (&File{}).Open(p); err != nil || len(r.Warnings()) != 1 {
		t.Errorf("%v, %v", r, err)
	}
}

// An empty variable is not one that is not there. test/rclone asks rclone for the same.
func TestAnEmptyVariableMakesAnOptionBlank(t *testing.T) {
	const general, ours, special = "RCLONE_S3_REGION", "S3MOUNT_S3_REGION", "RCLONE_CONFIG_R_REGION"
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "file"},
		{map[string]string{special: ""}, ""},
		{map[string]string{general: ""}, ""},
		{map[string]string{ours: ""}, ""},
		{map[string]string{general: "", special: "x"}, "x"},
		{map[string]string{general: "x", special: ""}, "x"},
		{map[string]string{ours: "", general: "x"}, "x"},
	} {
		f := mustParse(t, "[r]\ntype = s3\nregion = file\n")
		f.LookupEnv = lookIn(c.env)
		if got := get(t, f, "r", "region"); got != c.want {
			t.Errorf("%q: %q, want %q", c.env, got, c.want)
		}
	}
}
