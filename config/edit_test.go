package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

const editable = `# at the top
loose = 1

[a]
# of the type
type = s3
  region : x
unknown=kept   as  it is

; above b
[b]
type = drive
token = {"a":"b"}

[a]
region = second
`

// edit changes a file and returns its text.
func edit(t *testing.T, text string, change func(f *File) error) string {
	t.Helper()
	f := mustParse(t, text)
	if err := change(f); err != nil {
		t.Fatal(err)
	}
	again := mustParse(t, string(f.plain()))
	if fmt.Sprint(f.Names()) != fmt.Sprint(again.Names()) {
		t.Errorf("in memory %v, written %v", f.Names(), again.Names())
	}
	for _, name := range f.Names() {
		for _, p := range f.Pairs(name) {
			if got := again.sections[name][p.Key].Reveal(); got != p.Value.Reveal() {
				t.Errorf("%s.%s: %q in memory, %q written", name, p.Key, p.Value.Reveal(), got)
			}
		}
	}
	return string(f.plain())
}

func replaced(text, old, new string) string { return strings.Replace(text, old, new, 1) }

func TestAChangeLeavesTheRestAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *File) error
		want   string
	}{
		"the last of equal keys is set": {func(f *File) error { return f.Set("a", "region", "new") },
			replaced(editable, "region = second", "region = new")},
		"a new key goes behind the section's last": {func(f *File) error { return f.Set("b", "acl", "private") },
			replaced(editable, "token = {\"a\":\"b\"}\n", "token = {\"a\":\"b\"}\nacl = private\n")},
		"a key with a colon": {func(f *File) error { return f.Set("a", "unknown", "") },
			replaced(editable, "unknown=kept   as  it is", "unknown =")},
		"unset takes all of a key": {func(f *File) error { return f.Unset("a", "region") },
			replaced(replaced(editable, "  region : x\n", ""), "region = second\n", "")},
		"delete": {func(f *File) error { return f.Delete("b") },
			replaced(editable, "[b]\ntype = drive\ntoken = {\"a\":\"b\"}\n\n", "")},
		"delete keeps what is said above the next": {func(f *File) error { return f.Delete("a") },
			"# at the top\nloose = 1\n\n; above b\n[b]\ntype = drive\ntoken = {\"a\":\"b\"}\n\n"},
		"rename": {func(f *File) error { return f.Rename("a", "new name") },
			strings.ReplaceAll(editable, "[a]", "[new name]")},
		"copy": {func(f *File) error { return f.Copy("b", "c") },
			editable + "\n[c]\ntype = drive\ntoken = {\"a\":\"b\"}\n"},
		"create": {func(f *File) error { return f.Create("c") }, editable + "\n[c]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := edit(t, editable, c.change); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestEditingKeepsLineEndsAndTheByteOrderMark(t *testing.T) {
	got := edit(t, bom+"[a]\r\ntype = s3", func(f *File) error {
		if err := f.Set("a", "k", "v"); err != nil {
			return err
		}
		return f.Create("b")
	})
	if want := bom + "[a]\r\ntype = s3\r\nk = v\r\n\r\n[b]\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnyValueOfOneLineComesBack(t *testing.T) {
	for _, value := range []string{
		"", "plain", "a=b:c#d;e", `"quoted"`, "`", "`tick`", "``", `"""x"""`, " blanks ", "\ttab", `\/`, "a`b\"c", "[x]", "ünï ☃", `"`, "`a` b", "x`",
	} {
		text := edit(t, "[a]\n", func(f *File) error { return f.Set("a", "k", value) })
		if got := mustParse(t, text).sections["a"]["k"].Reveal(); got != value {
			t.Errorf("%q was written as %q and read as %q", value, text, got)
		}
	}
	f := mustParse(t, "[a]\n")
	for _, value := range []string{"a\nb", "a\rb", "a\x00b"} {
		if err := f.Set("a", "k", value); !object.Is(err, object.KindInvalid) || strings.Contains(err.Error(), value) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestChangesThatFailChangeNothing(t *testing.T) {
	f := mustParse(t, editable)
	for name, c := range map[string]struct {
		err  error
		kind object.Kind
	}{
		"create, taken":      {f.Create("a"), object.KindExists},
		"create, bad name":   {f.Create("-x"), object.KindInvalid},
		"create, reserved":   {f.Create("DEFAULT"), object.KindInvalid},
		"set, unknown":       {f.Set("x", "k", "v"), object.KindNotFound},
		"set, bad key":       {f.Set("a", "k=", "v"), object.KindInvalid},
		"unset, unknown":     {f.Unset("x", "k"), object.KindNotFound},
		"unset, not set":     {f.Unset("a", "k"), object.KindNotFound},
		"delete, unknown":    {f.Delete("x"), object.KindNotFound},
		"rename, unknown":    {f.Rename("x", "y"), object.KindNotFound},
		"rename, taken":      {f.Rename("a", "b"), object.KindExists},
		"rename, to itself":  {f.Rename("a", "a"), object.KindExists},
		"copy, taken":        {f.Copy("a", "b"), object.KindExists},
		"copy, bad new name": {f.Copy("a", "b/c"), object.KindInvalid},
	} {
		if !object.Is(c.err, c.kind) {
			t.Errorf("%s: %v, want %v", name, c.err, c.kind)
		}
	}
	if string(f.plain()) != editable {
		t.Errorf("it is\n%s", f.plain())
	}
}

func FuzzEdit(f *testing.F) {
	f.Add(editable, "b", "k", "v")
	f.Add("[a]\r\n#x\r\n[b]", "a", "type", "`")
	f.Fuzz(func(t *testing.T, text, name, key, value string) {
		file, err := Parse("x", []byte(text))
		if err != nil {
			return
		}
		if string(file.plain()) != text {
			t.Fatalf("%q became %q", text, file.plain())
		}
		if file.Set(name, key, value) == nil {
			again, err := Parse("x", file.plain())
			if err != nil || again.sections[name][key].Reveal() != value {
				t.Fatalf("%q.%q = %q was written as %q: %v", name, key, value, file.plain(), err)
			}
		}
		if file.Delete(name) == nil {
			if again, err := Parse("x", file.plain()); err != nil || again.Has(name) {
				t.Fatalf("%q is still there: %q, %v", name, file.plain(), err)
			}
		}
	})
}
