package semantics

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestEachPromiseHasATest fails for a promise that no test quotes.
func TestEachPromiseHasATest(t *testing.T) {
	quoted := quotes(t, Root())
	all, err := Promises()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Errorf("only %d promises were found in docs/SEMANTICS.md: is its form another?", len(all))
	}
	for _, p := range all {
		if !quoted[p] {
			t.Errorf("no test quotes: %s", p)
		}
	}
}

// quotes returns the string arguments of all calls of Claim in the test files below dir.
func quotes(t *testing.T, dir string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isClaim(call.Fun) {
				return true
			}
			for _, a := range call.Args {
				if lit, ok := a.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if s, err := strconv.Unquote(lit.Value); err == nil {
						found[s] = true
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func isClaim(f ast.Expr) bool {
	sel, ok := f.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Claim"
}
