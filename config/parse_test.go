package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

func mustParse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("test.conf", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func get(t *testing.T, f *File, remote, key string) string {
	t.Helper()
	r, err := f.Remote(remote)
	if err != nil {
		t.Fatal(err)
	}
	return r.Get(key)
}

// The values are those that rclone 1.76 shows for the same lines.
func TestValuesAreKeptAsRcloneReadsThem(t *testing.T) {
	for line, want := range map[string]string{
		`k = plain`:                 `plain`,
		`k=plain`:                   `plain`,
		`k : plain`:                 `plain`,
		`  k   =   blanks inside  `: `blanks inside`,
		`k = a#b;c # no comment`:    `a#b;c # no comment`,
		`k = #x`:                    `#x`,
		`k = a=b==`:                 `a=b==`,
		`k = a:b=c`:                 `a:b=c`,
		`k = "quoted"`:              `"quoted"`,
		`k = 'quoted'`:              `'quoted'`,
		`k = a"b'c`:                 `a"b'c`,
		`k = back\slash\n\/`:        `back\slash\n\/`,
		"k = `back # tick` x":       `back # tick`,
		"k = a`b":                   "a`b",
		"k = `":                     "`",
		`k = """triple"""`:          `triple`,
		`k = "" `:                   `""`,
		`k = """`:                   `"""`,
		`k = $HOME %PATH% ~`:        `$HOME %PATH% ~`,
		`k =`:                       ``,
		`"k" = x`:                   `x`,
		`k = ünï ☃`:                 `ünï ☃`,
		"k = tab\tinside":           "tab\tinside",
		`k = [x]`:                   `[x]`,
	} {
		f := mustParse(t, "[r]\ntype = s3\n"+line+"\n")
		if got := get(t, f, "r", "k"); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestFileForms(t *testing.T) {
	text := "\xef\xbb\xbf# comment = x\r\n; [no]\r\n\r\n[a]\r\ntype = s3\r\nk = 1\r\nk = 2\r\n\r\n[ b ]\ntype=s3\n[a]\nj = 3\n[a.sub]\ntype = s3\nj = 4"
	f := mustParse(t, text)
	if got := strings.Join(f.Names(), "|"); got != "a|b|a.sub" {
		t.Errorf("names: %s", got)
	}
	for _, c := range [][3]string{{"a", "k", "2"}, {"a", "j", "3"}, {"a.sub", "j", "4"}, {"a.sub", "k", "2"}, {"b", "k", ""}} {
		if got := get(t, f, c[0], c[1]); got != c[2] {
			t.Errorf("%s.%s = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestBadFiles(t *testing.T) {
	const leak = "SECRETVALUE"
	for text, want := range map[string]string{
		"[a]\n" + leak + "\n":      "line 2: neither a [section] nor a key = value",
		"[a]\n= " + leak + "\n":    "line 2: neither",
		"[a]\n\"" + leak + "\n":    "line 2: neither",
		"[]\n":                     "line 1: the section has no name",
		"[a]\nk = `" + leak + "\n": "line 2: the quote",
		"# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n" + leak: "damaged",
		"RCLONE_ENCRYPT_V0:\n" + leak:                                          "damaged",
		string(sealBox([]byte(leak), secret.New("x"))):                         "no terminal to ask",
		"RCLONE_ENCRYPT_V1:\n" + leak:                                          "newer than this s3mount",
	} {
		_, err := Parse("x.conf", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.conf") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if strings.Contains(fmt.Sprint(err), leak) {
			t.Errorf("the error shows a value: %v", err)
		}
		if k := object.KindOf(err); k != object.KindInvalid && k != object.KindUnsupported && k != object.KindCredentials {
			t.Errorf("%q: kind %v", text, k)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[a]\ntype = s3\nk = `v`\n")
	f.Add("\xef\xbb\xbf[a.b]\r\n\"k\" = \"\"\"v\"\"\"")
	f.Add("[\n]\n=\n:\n\"\n`\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("x", []byte(text))
		if err != nil {
			return
		}
		for _, name := range file.Names() {
			if r, err := file.Remote(name); err == nil {
				_ = r.Warnings()
			}
		}
	})
}
