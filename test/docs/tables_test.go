package docs

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/s3remote"
)

// row is the line of docs/S3.md about an option.
func row(o config.Option) string {
	values := map[string]string{"bool": "true, false", "tristate": "true, false", "int": "number", "size": "size", "url": "host or URL", "string": "text"}[o.Type]
	if n := len(o.Choices); o.Type == "string" && n > 0 && n < 10 {
		var choices []string
		for _, c := range o.Choices {
			if c.Value != "" {
				choices = append(choices, "`"+c.Value+"`")
			}
		}
		values = strings.Join(choices, ", ")
		if !o.Closed {
			values += ", or another"
		}
	}
	return "| `--s3-" + strings.ReplaceAll(o.Name, "_", "-") + "` | " + values + " | " + strings.TrimSuffix(o.Question(), ".") + " |\n"
}

func TestS3PageHasAllFlags(t *testing.T) {
	d, err := readDocument("docs/S3.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got strings.Builder
	for _, o := range config.S3Options() {
		want.WriteString(row(o))
	}
	for line := range strings.Lines(d.text) {
		if strings.HasPrefix(line, "| `--s3-") {
			got.WriteString(line)
		}
	}
	if got.String() != want.String() {
		t.Errorf("the table of docs/S3.md should be\n%s", want.String())
	}
}

// Each piece of a config file in the documents is one that the dialogue would write and
// the remote takes.
func TestConfigBlocksAreTaken(t *testing.T) {
	for _, path := range pages {
		d, err := readDocument(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range d.blocks {
			if b.kind == "ini" {
				checkSections(t, path, b)
			}
		}
	}
}

func checkSections(t *testing.T, path string, b block) {
	t.Helper()
	for name, options := range sections(b.text) {
		for key, value := range options {
			o, known := config.S3Option(key)
			switch {
			case key == "type" && value == "s3":
			case !known:
				t.Errorf("%s:%d: [%s] has %s, which is no option", path, b.line, name, key)
			case o.Check(value) != nil:
				t.Errorf("%s:%d: [%s] %s: %v", path, b.line, name, key, o.Check(value))
			}
		}
		if options["type"] != "s3" {
			t.Errorf("%s:%d: [%s] has no type", path, b.line, name)
		}
		if _, err := s3remote.FromRemote(func(key string) string { return options[key] }); err != nil {
			t.Errorf("%s:%d: [%s]: %v", path, b.line, name, err)
		}
	}
}

// sections reads the simple form of config files that documents have.
func sections(text string) map[string]map[string]string {
	all := map[string]map[string]string{}
	now := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			now = map[string]string{}
			all[strings.Trim(line, "[]")] = now
		} else if key, value, ok := strings.Cut(line, "="); ok {
			now[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return all
}

// The policy grants what the contract suite proves to be enough on a real store
// (TestDocumentedPermissionsSuffice), and the right to set ACLs, which MinIO does not have.
func TestPolicyOfTheS3Page(t *testing.T) {
	d, err := readDocument("docs/S3.md")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(d.blocks, func(b block) bool { return b.kind == "json" && strings.Contains(b.text, "Statement") })
	if i < 0 {
		t.Fatal("there is no policy")
	}
	var policy struct {
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(d.blocks[i].text), &policy); err != nil || len(policy.Statement) != 1 {
		t.Fatal(err, policy)
	}
	s := policy.Statement[0]
	slices.Sort(s.Action)
	if s.Effect != "Allow" || strings.Join(s.Action, " ") != "s3:DeleteObject s3:GetObject s3:ListBucket s3:PutObject s3:PutObjectAcl" ||
		strings.Join(s.Resource, " ") != "arn:aws:s3:::BUCKET arn:aws:s3:::BUCKET/*" {
		t.Errorf("%+v", s)
	}
}

// What is run must not become less unnoticed: a fence that has lost its word is not run.
func TestPagesAreMarked(t *testing.T) {
	for _, path := range pages {
		d, err := readDocument(path)
		if err != nil {
			t.Fatal(err)
		}
		sessions := 0
		for _, b := range d.blocks {
			if b.kind == "console" {
				sessions++
			} else if strings.HasPrefix(b.text, "$ ") || strings.Contains(b.text, "\n$ ") {
				t.Errorf("%s:%d: a session that is not marked as console", path, b.line)
			}
			if b.kind == "" && strings.HasPrefix(b.text, "[") {
				t.Errorf("%s:%d: a config file that is not marked as ini", path, b.line)
			}
		}
		if sessions == 0 {
			t.Errorf("%s has no session", path)
		}
	}
}
