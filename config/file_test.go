package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestRemote(t *testing.T) {
	f := mustParse(t, "[ceph]\ntype = s3\nregion = x\n[gd]\ntype = drive\n[none]\nk = v\n")
	env := map[string]string{
		"RCLONE_CONFIG_CEPH_REGION": "from-env", "RCLONE_CONFIG_MY-ENV_TYPE": "s3",
		"RCLONE_CONFIG_MY-ENV_ENV_AUTH": "true",
	}
	if got := get(t, f, "ceph", "region"); got != "x" {
		t.Errorf("region = %q", got)
	}
	f.LookupEnv = lookIn(env)
	if got := get(t, f, "ceph", "region"); got != "from-env" {
		t.Errorf("region = %q, want the environment's", got)
	}
	if got := get(t, f, "my-env", "env_auth"); got != "true" {
		t.Errorf("a remote of the environment: env_auth = %q", got)
	}
	for name, c := range map[string]struct {
		kind object.Kind
		text string
	}{
		"nix":  {object.KindNotFound, `find remote "nix": not found: test.conf has no such remote; it has: ceph, gd, none`},
		"gd":   {object.KindUnsupported, `is of type "drive"`},
		"none": {object.KindInvalid, "has no type"},
	} {
		_, err := f.Remote(name)
		if !object.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRemotePrintsNoValues(t *testing.T) {
	f := mustParse(t, "[a]\ntype = s3\nsecret_access_key = HIDDEN\n")
	p, err := ParsePath("a,session_token=HIDDEN:b")
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if out := fmt.Sprintf(verb+verb+verb+verb, r, *r, f, p); strings.Contains(out, "HIDDEN") {
			t.Errorf("%s: %s", verb, out)
		}
	}
	if r.Secret("secret_access_key").Reveal() != "HIDDEN" || r.Get("session_token") != "HIDDEN" {
		t.Error("values are lost")
	}
}

func TestWarnings(t *testing.T) {
	f := mustParse(t, "[a]\ntype=s3\nsecret_access_key = ab\\/cd\naccess_key_id = \"AKIA\"\n[b]\ntype=s3\nsecret_access_key = a/b+\\c\n")
	a, _ := f.Remote("a")
	if w := a.Warnings(); len(w) != 2 || !strings.Contains(w[0], "quotes") || !strings.Contains(w[1], `\/`) || strings.Contains(strings.Join(w, ""), "cd") {
		t.Errorf("warnings: %q", w)
	}
	b, _ := f.Remote("b")
	if w := b.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c")
	if err := os.WriteFile(path, []byte("[a]\ntype = s3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(t.Context(), path, nil)
	if err != nil || f.Path() != path {
		t.Fatal(f, err)
	}
	if _, err := Load(t.Context(), path+"x", nil); !object.Is(err, object.KindNotFound) || strings.Count(err.Error(), path) != 1 {
		t.Errorf("missing: %v", err)
	}
	if _, err := Load(t.Context(), dir, nil); err == nil {
		t.Error("a directory was read")
	}
	empty, err := Load(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Remote("x"); !object.Is(err, object.KindNotFound) || !strings.Contains(err.Error(), "RCLONE_CONFIG_X_TYPE") {
		t.Errorf("no file: %v", err)
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	touch := func(names ...string) string {
		p := filepath.Join(append([]string{home}, names...)...)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	env := map[string]string{"HOME": home}
	check := func(flag, want string) {
		t.Helper()
		if got, err := Find(flag, func(k string) string { return env[k] }); err != nil || got != want {
			t.Errorf("Find = %q, %v; want %q", got, err, want)
		}
	}
	if _, err := Find("", func(k string) string { return env[k] }); !object.Is(err, object.KindNotFound) || !strings.Contains(err.Error(), ".config/s3mount/s3mount.conf") {
		t.Errorf("nothing there: %v", err)
	}
	check("", touch(".rclone.conf"))
	check("", touch(".config", "rclone", "rclone.conf"))
	env["RCLONE_CONFIG"] = filepath.Join(home, "gone")
	check("", filepath.Join(home, ".config", "rclone", "rclone.conf"))
	env["RCLONE_CONFIG"] = touch("mine")
	check("", env["RCLONE_CONFIG"])
	check("", touch(".config", "s3mount", "s3mount.conf"))
	env["XDG_CONFIG_HOME"] = filepath.Join(home, "xdg")
	check("", env["RCLONE_CONFIG"])
	check("", touch("xdg", "s3mount", "s3mount.conf"))
	env["S3MOUNT_CONFIG"] = "/not/there"
	check("", "/not/there")
	check("/flag", "/flag")
}
