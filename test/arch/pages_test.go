package arch

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each package has its row in the tables of ARCHITECTURE.md.
func TestArchitectureTellsOfEachPackage(t *testing.T) {
	files, err := ReadModule(root(t))
	if err != nil {
		t.Fatal(err)
	}
	text := page(t, "docs/ARCHITECTURE.md")
	seen := map[string]bool{}
	for _, f := range files {
		dir := path.Dir(f.Path)
		if parts := strings.Split(dir, "/"); len(parts) > 2 {
			dir = path.Join(parts[:2]...) // what lies deeper belongs to it
		}
		if seen[dir] {
			continue
		}
		seen[dir] = true
		row := "`" + strings.TrimPrefix(dir, "test/") + "`"
		if !slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
			return strings.HasPrefix(line, "| ") && strings.Contains(line, row)
		}) {
			t.Errorf("no table of docs/ARCHITECTURE.md has %s", row)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d packages were found", len(seen))
	}
}

// Each module that go.mod asks for itself has a line in DEPENDENCIES.md, with its version.
func TestDependenciesAreExplained(t *testing.T) {
	text := page(t, "docs/DEPENDENCIES.md")
	line := regexp.MustCompile(`(?m)^(?:require )?\t(\S+) (v\S+)$`) // without "// indirect"
	modules := line.FindAllStringSubmatch(page(t, "go.mod"), -1)
	if len(modules) < 10 {
		t.Errorf("only %d modules were found", len(modules))
	}
	for _, m := range modules {
		name := m[1]
		if base := "github.com/aws/aws-sdk-go-v2/"; strings.HasPrefix(name, base) {
			name = strings.TrimPrefix(name, base) // they share a line
		}
		if !strings.Contains(text, name+" "+m[2]) {
			t.Errorf("docs/DEPENDENCIES.md does not have %s %s", name, m[2])
		}
	}
}

// proof is what docs/REQUIREMENTS.md names: `folder.TestName`, or the path of a file.
var proof = regexp.MustCompile("`([^` ]+)`")

// rows are the requirements that there are.
var rows = map[string]int{"M": 14, "C": 5, "K": 6, "S": 12}

// Each requirement has a proof, and each proof is in the tree.
func TestRequirementsHaveProofs(t *testing.T) {
	got := map[string]int{}
	row := regexp.MustCompile(`^\| ([MCKS])(\d+) \| .* \| (.*) \|$`)
	for _, line := range strings.Split(page(t, "docs/REQUIREMENTS.md"), "\n") {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		got[m[1]]++
		proofs := proof.FindAllStringSubmatch(m[3], -1)
		if len(proofs) == 0 {
			t.Errorf("%s%s has no proof", m[1], m[2])
		}
		for _, p := range proofs {
			if why := missing(t, p[1]); why != "" {
				t.Errorf("%s%s: %s", m[1], m[2], why)
			}
		}
	}
	for letter, n := range rows {
		if got[letter] != n {
			t.Errorf("%d rows %s, want %d", got[letter], letter, n)
		}
	}
}

// missing tells why a proof is none; "" if it is there.
func missing(t *testing.T, name string) string {
	t.Helper()
	dir, test, isTest := strings.Cut(name, ".Test")
	if !isTest {
		if _, err := os.Stat(filepath.Join(root(t), name)); err != nil {
			return "there is no " + name
		}
		return ""
	}
	files, err := filepath.Glob(filepath.Join(root(t), dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.Contains(string(text), "\nfunc Test"+test+"(t *testing.T)") {
			return ""
		}
	}
	return "there is no test " + name
}

func TestMissingProofsAreSeen(t *testing.T) {
	for name, there := range map[string]bool{
		"test/arch.TestMissingProofsAreSeen": true, "test/arch.TestMissingProofs": false, "nowhere.TestX": false,
		"docs/ARCHITECTURE.md": true, "docs/NOTHING.md": false,
	} {
		if why := missing(t, name); (why == "") != there {
			t.Errorf("%s: %q", name, why)
		}
	}
}
