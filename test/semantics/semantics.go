// Package semantics holds docs/SEMANTICS.md to its word: a test that proves a promise
// quotes it with Claim, and the package's own test fails if a promise has no test.
package semantics

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Claim says that the test proves promises of docs/SEMANTICS.md. It fails for one that
// is not there word for word.
func Claim(t testing.TB, promises ...string) {
	t.Helper()
	all, err := Promises()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range promises {
		if !slices.Contains(all, p) {
			t.Errorf("docs/SEMANTICS.md does not promise: %s", p)
		}
	}
}

// Promises returns the items of the lists in docs/SEMANTICS.md.
func Promises() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(Root(), "docs", "SEMANTICS.md"))
	if err != nil {
		return nil, err
	}
	var items []string
	for line := range strings.Lines(string(text)) {
		if item, ok := strings.CutPrefix(line, "- "); ok {
			items = append(items, strings.TrimSpace(item))
		}
	}
	return items, nil
}

// Root returns the module's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
