package rclone

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/test/servers"
	"github.com/s3mount/s3mount/transfer"
)

// TestFiltersChooseWhatRcloneChooses compares random rules on a tree: the same files are
// chosen, and the same rules are refused.
func TestFiltersChooseWhatRcloneChooses(t *testing.T) {
	tree, rules := t.TempDir(), filepath.Join(t.TempDir(), "rules")
	names := []string{"a", "b", "ab", "a.txt", "b.jpg", "A", "a b"}
	for _, x := range names {
		for _, y := range names[:5] {
			for _, z := range names[:4] {
				dir := filepath.Join(tree, "d"+x, "d"+y)
				must(t, os.MkdirAll(dir, 0o755))
				must(t, os.WriteFile(filepath.Join(dir, z), nil, 0o644))
			}
			must(t, os.WriteFile(filepath.Join(tree, "d"+x, y), nil, 0o644))
		}
		must(t, os.WriteFile(filepath.Join(tree, x), nil, 0o644))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	fixed := []string{"+ da/**\n- *\n", "+ da/a.txt\n- **\n", "- /da/\n", "+ /da/db/*\n- *\n", "- da**a\n", "+ d{a,b}/**\n- *\n", "+ {da/**,b}\n- *\n",
		"- {{d[ab]}}/*\n", "+ *.txt\n!\n- a\n", "+ /\n- *\n", "- /*\n", "+ dab/\n+ *.txt\n- *\n", "+ **/db/\n- *\n"}
	for i := range 60 {
		text := randomRules(rnd)
		if i < len(fixed) {
			text = fixed[i]
		}
		must(t, os.WriteFile(rules, []byte(text), 0o644))
		theirs, refused := rcloneChooses(t, tree, rules)
		ours, err := weChoose(t, tree, text)
		switch {
		case refused != (err != nil):
			t.Errorf("%q: rclone refuses it: %v; we: %v", text, refused, err)
		case !slices.Equal(ours, theirs):
			t.Errorf("%q: we choose %d, rclone %d\nonly we: %q\nonly rclone: %q", text, len(ours), len(theirs), without(ours, theirs), without(theirs, ours))
		}
	}
}

func randomRules(rnd *rand.Rand) string {
	parts := []string{"a", "b", "d", "da", "db", "*", "**", "?", "/", "/", "/", ".txt", "*.txt", "[ab]", "[!a]", "{a,b}", "{da,db}", "{a,b*}", "{{d.}}", "A", `\*`, " "}
	var b strings.Builder
	for range 1 + rnd.IntN(4) {
		b.WriteString([]string{"+ ", "- ", "- "}[rnd.IntN(3)])
		for range 1 + rnd.IntN(5) {
			b.WriteString(parts[rnd.IntN(len(parts))])
		}
		b.WriteByte('\n')
	}
	if rnd.IntN(2) == 0 {
		b.WriteString("- *\n")
	}
	return b.String()
}

func rcloneChooses(t *testing.T, tree, rules string) (files []string, refused bool) {
	t.Helper()
	c := exec.CommandContext(t.Context(), servers.Tool(t, "rclone"), "lsf", "-R", "--files-only", "--config", "", "--filter-from", rules, tree)
	c.Env = []string{"HOME=" + t.TempDir()}
	out, err := c.Output()
	if err != nil {
		return nil, true
	}
	for line := range strings.Lines(string(out)) {
		files = append(files, strings.TrimSuffix(line, "\n"))
	}
	slices.Sort(files)
	return files, false
}

func weChoose(t *testing.T, tree, rules string) ([]string, error) {
	t.Helper()
	f := &transfer.Filter{}
	if err := f.ReadRules(strings.NewReader(rules)); err != nil {
		return nil, err
	}
	ep, err := transfer.NewLocal(tree, transfer.LocalOptions{})
	must(t, err)
	var files []string
	for file, err := range transfer.List(t.Context(), ep, transfer.WalkOptions{}, f) {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		files = append(files, file.Path)
	}
	slices.Sort(files)
	return files, nil
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
