package docs

import (
	"reflect"
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"a|b", "a|b", true},
		{"a|b", "a|b|c", false},
		{"a|⋮|c", "a|x|y|c", true},
		{"a|...|c", "a|c", true},
		{"a|⋮", "b", false},
		{"⋮|c", "c|d", false},
		{"a (…) b", "a (x y) b", true},
		{"a …", "b x", false},
		{"a.c", "abc", false},
		{"-1 2026-11-24 00:44:29        -1 x", "-1 2027-01-02 10:00:00        -1 x", true},
		{"-1 2026-11-24 00:44:29        -1 x", "-1 2027-01-02 10:00:00        -1 y", false},
		{"2026-07-01 10:00:00.000000000 x", "2026-07-01 10:00:01.000000000 x", false},
		{"s3mount: 3 copied in 340ms", "s3mount: 3 copied in 1.2s", true},
		{"s3mount: 3 copied in 340ms", "s3mount: 3 copied in 1m2s", true},
		{"s3mount: 3 copied in 340ms", "s3mount: 2 copied in 340ms", false},
		{`s3mount: copied "a" (1 B)|s3mount: copied "b" (2 B)|end`, `s3mount: copied "b" (2 B)|s3mount: copied "a" (1 B)|end`, true},
		{`s3mount: copied "a"|s3mount: deleted "a"`, `s3mount: deleted "a"|s3mount: copied "a"`, false},
		{"a|b", "b|a", false},
	} {
		if got := matches(lines(c.want), lines(c.got)); got != c.ok {
			t.Errorf("%q for %q: %v", c.got, c.want, got)
		}
	}
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "|")
}

func TestParseBlocks(t *testing.T) {
	const page = "text\n```ini\n[a]\n```\n<!-- a comment -->\n<!-- console\n$ one\n-->\n```\nplain\n```\n```console\n$ two\nout\n\n$ three \\\n  more\n```\n"
	blocks, err := parseBlocks(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []block{{"ini", 3, "[a]\n"}, {"console", 7, "$ one\n"}, {"", 10, "plain\n"}, {"console", 13, "$ two\nout\n\n$ three \\\n  more\n"}}
	if !reflect.DeepEqual(blocks, want) {
		t.Fatalf("%+v", blocks)
	}
	steps, err := parseSession(blocks[3])
	if err != nil {
		t.Fatal(err)
	}
	if want := []step{{13, "two", []string{"out", ""}}, {16, "three \\\n  more", nil}}; !reflect.DeepEqual(steps, want) {
		t.Errorf("%+v", steps)
	}
	if _, err := parseSession(block{text: "no command\n"}); err == nil {
		t.Error("a session without a command")
	}
	if _, err := parseBlocks("```console\n$ x\n"); err == nil {
		t.Error("a block without an end")
	}
}

func TestAnswers(t *testing.T) {
	got := answers([]string{"No remotes", "n/s/q> n", "name> a b", "region [x]> ", "secret_access_key>", "New configuration password: ", "a > b"})
	want := [][2]string{{"n/s/q> ", "n"}, {"name> ", "a b"}, {"region [x]> ", ""}, {"secret_access_key> ", ""}, {"New configuration password: ", ""}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

// A command whose output is not that of the page, or that fails without a word of it, is
// an error.
func TestSessionsCanFail(t *testing.T) {
	s := &session{home: t.TempDir()}
	for command, c := range map[string]struct {
		output string
		ok     bool
	}{
		"echo a":                  {"a", true},
		"echo b":                  {"a", false},
		"echo a; echo b >&2":      {"a|b", true},
		"false":                   {"", false},
		"echo s3mount: x; exit 2": {"s3mount: x", true},
	} {
		err := s.run(t.Context(), step{command: command, output: lines(c.output)})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", command, err)
		}
	}
}
