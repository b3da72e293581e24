package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// byRclone was written by rclone 1.76 with the password "pass word".
const byRclone = `# Encrypted rclone configuration File

RCLONE_ENCRYPT_V0:
yYuroz+/Ms7hKEscPnyQKaRNJU4Rf6sF865uWKA/23asW4LG/yt+6CoMIcqti/ooEu1dKmsyjpYVU1TCL0ftcee6xs4Ds4GkGA0leqK29jNy9NmEYC4IE4aRKyEFtD1KFLVsf4ZpU5Muzx4CKXJRwYjknffftOFZISOYHMpt3G4RNWhiSGaoQQ==`

func envOf(pairs ...string) func(string) string {
	return func(k string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == k {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// typing answers prompts, one after the other.
func typing(answers ...string) func(context.Context, string) (secret.String, error) {
	return func(context.Context, string) (secret.String, error) {
		if len(answers) == 0 {
			return secret.String{}, errors.New("nobody types")
		}
		a := answers[0]
		answers = answers[1:]
		return secret.New(a), nil
	}
}

func TestPasswordsOfAnEncryptedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.conf")
	must(t, os.WriteFile(path, []byte(byRclone), 0o600))
	for name, c := range map[string]struct {
		p    *Passwords
		want string // part of the error; empty: it opens
	}{
		"ours":                  {&Passwords{Getenv: envOf("S3MOUNT_CONFIG_PASS", "pass word", "RCLONE_CONFIG_PASS", "x")}, ""},
		"rclone's":              {&Passwords{Getenv: envOf("RCLONE_CONFIG_PASS", "pass word")}, ""},
		"command":               {&Passwords{Command: `printf "pass word\n\n"`, Getenv: envOf("S3MOUNT_CONFIG_PASS", "x")}, ""},
		"command of env":        {&Passwords{Getenv: envOf("S3MOUNT_PASSWORD_COMMAND", `echo "pass word"`)}, ""},
		"command of rclone":     {&Passwords{Getenv: envOf("RCLONE_PASSWORD_COMMAND", `echo "pass word"`)}, ""},
		"typed":                 {&Passwords{Prompt: typing("pass word")}, ""},
		"mistyped":              {&Passwords{Prompt: typing("a", "b", "pass word")}, ""},
		"wrong":                 {&Passwords{Getenv: envOf("S3MOUNT_CONFIG_PASS", "SECRET"), Prompt: typing("pass word")}, "the password in S3MOUNT_CONFIG_PASS is wrong"},
		"wrong command":         {&Passwords{Command: "echo SECRET"}, "the password from --password-command is wrong"},
		"mistyped three times":  {&Passwords{Prompt: typing("a", "b", "c", "pass word")}, "the password that was typed is wrong"},
		"none":                  {nil, "there is no terminal to ask for the password: set S3MOUNT_CONFIG_PASS or give --password-command"},
		"nobody":                {&Passwords{}, "there is no terminal"},
		"no answer":             {&Passwords{Prompt: typing()}, "nobody types"},
		"command fails":         {&Passwords{Command: `ls "/not there"`}, "--password-command failed: exit status 2: ls:"},
		"command is missing":    {&Passwords{Command: "no-such-program"}, "--password-command failed"},
		"command says nothing":  {&Passwords{Command: "true"}, "--password-command printed nothing"},
		"command is none":       {&Passwords{Command: `"`}, "--password-command: it must be a program"},
		"no shell runs it":      {&Passwords{Command: "echo pass word; echo x"}, "is wrong"},
		"blanks are part of it": {&Passwords{Getenv: envOf("S3MOUNT_CONFIG_PASS", " pass word")}, "is wrong"},
	} {
		f, err := Load(t.Context(), path, c.p)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			if got := string(f.plain()); !strings.HasPrefix(got, "# top comment\n[r]\n") {
				t.Errorf("%s: read %q", name, got)
			}
		case !object.Is(err, object.KindCredentials) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		case strings.Contains(err.Error(), "SECRET"):
			t.Errorf("%s shows the password: %v", name, err)
		}
	}
}

func TestTheSamePasswordInAnotherUnicodeForm(t *testing.T) {
	box := sealBox([]byte("x"), secret.New("e\u0301")) // e and an accent
	sealed, err := findBox("x", box)
	must(t, err)
	if text, ok := openBox(sealed, secret.New("\u00e9")); !ok || string(text) != "x" {
		t.Errorf("%q, %v", text, ok)
	}
}

func TestDamagedEncryptedFiles(t *testing.T) {
	p := &Passwords{Getenv: envOf("S3MOUNT_CONFIG_PASS", "pass word")}
	for name, text := range map[string]string{
		"no base64": "RCLONE_ENCRYPT_V0:\n*",
		"too short": "RCLONE_ENCRYPT_V0:\nAAAA",
		"nothing":   "RCLONE_ENCRYPT_V0:",
		"half":      byRclone[:len(byRclone)-40],
		"a bit":     strings.Replace(byRclone, "yYuroz", "yYurox", 1),
	} {
		path := filepath.Join(t.TempDir(), "x.conf")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := Load(t.Context(), path, p); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewPassword(t *testing.T) {
	change := &Passwords{Command: `sh -c "echo new$RCLONE_PASSWORD_CHANGE"`}
	for name, c := range map[string]struct {
		p    *Passwords
		want string
		err  string
	}{
		"typed twice":        {&Passwords{Prompt: typing("a", "a"), Getenv: envOf("S3MOUNT_CONFIG_PASS", "old")}, "a", ""},
		"differ once":        {&Passwords{Prompt: typing("a", "b", "c", "c")}, "c", ""},
		"empty once":         {&Passwords{Prompt: typing("", "c", "c")}, "c", ""},
		"differ thrice":      {&Passwords{Prompt: typing("a", "b", "a", "b", "a", "b", "a", "a")}, "", "typed twice alike"},
		"command, to change": {change, "new1", ""},
		"nobody":             {&Passwords{Getenv: envOf("S3MOUNT_CONFIG_PASS", "old")}, "", "no terminal"},
	} {
		got, err := c.p.New(t.Context())
		if c.err == "" && (err != nil || got.Reveal() != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %q, %v", name, got.Reveal(), err)
		}
	}
}
