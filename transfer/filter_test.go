package transfer

import (
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct{ pattern, yes, no string }{
		{"file.jpg", "file.jpg directory/file.jpg", "afile.jpg directory/afile.jpg file.jpgx fileXjpg"},
		{"/file.jpg", "file.jpg", "afile.jpg directory/file.jpg"},
		{"*.jpg", ".jpg a.jpg d/a.jpg", "a.png a.jpg/b"},
		{"/*.jpg", "a.jpg", "d/a.jpg"},
		{"*.{jpg,png}", "a.jpg d/b.png", "a.gif"},
		{"dir/**", "dir/a sub/dir/b/c", "adir/a sub/a"},
		{"*.t?t", "a.txt d/a.tzt", "a.qxt a.t/t"},
		{"*.[a-z]", "f.a", "f.0"},
		{`*.\?\?\?`, "f.???", "f.abc"},
		{`*.\d\d\d`, "f.012", "f.abc"},
		{"*.{{jpe?g}}", "f.jpg d/f.jpeg", "f.png"},
		{`/{{.*\.jpe?g}}`, "f.jpg d/f.jpg", "f.png"},
		{"[!a]", "b d/c", "a"},
		{"x[^a]y", "xby", "xay x/y"},
		{"[[:alpha:]]1", "a1", "11"},
		{"{a,b{c,d}}e", "ae bce bde", "be abe"},
		{"a**b/c", "ab/c axb/c a/x/b/c", "a/c"},
		{"ä?", "äö", "ä"},
		{"a+b(c)|$", "a+b(c)|$", "aab"},
	} {
		re, err := glob(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for p := range strings.FieldsSeq(c.yes) {
			if !re.MatchString(p) {
				t.Errorf("%s does not match %s", c.pattern, p)
			}
		}
		for p := range strings.FieldsSeq(c.no) {
			if re.MatchString(p) {
				t.Errorf("%s matches %s", c.pattern, p)
			}
		}
	}
}

func TestBadRules(t *testing.T) {
	for _, rule := range []string{"", "+", "-", "+a", "x a", "!x", "+ ***", "- {a", "- a}", "+ [a", "+ a]", "+ [!]", "+ {{a", "+ {{(}}", `- a\`, "- []"} {
		f := &Filter{}
		if err := f.AddRule(rule); !object.Is(err, object.KindInvalid) {
			t.Errorf("%q: %v", rule, err)
		}
	}
	f := &Filter{}
	if err := f.ReadRules(strings.NewReader("# fine\n\n+ a\n- [\n")); err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("%v", err)
	}
}

func TestFirstRuleDecides(t *testing.T) {
	f := &Filter{}
	rules := "- secret*.jpg\n; a comment\n + *.jpg\n- /dir/Trash/**\n+ /dir/**\n- *\n"
	if err := f.ReadRules(strings.NewReader(rules)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"a.jpg": true, "secret1.jpg": false, "d/secret.jpg": false, "dir/x": true, "dir/Trash/x": false, "x": false, "dir/Trash/a.jpg": true} {
		if got := f.Match(File{Path: path}); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	pruned := &Filter{}
	if err := pruned.ReadRules(strings.NewReader("- Trash/\n+ *.jpg\n- /tmp/**\n")); err != nil {
		t.Fatal(err)
	}
	if pruned.MatchDir("a/Trash") || pruned.MatchDir("Trash/below") || !pruned.MatchDir("a") {
		t.Error("folders")
	}
	inc := &Filter{}
	inc.Include("*.txt")
	inc.Exclude("a.txt")
	if !inc.Match(File{Path: "x/a.txt"}) || inc.Match(File{Path: "b"}) {
		t.Error("an included pattern comes first, and what none matches is left out")
	}
	var none *Filter
	if !none.Match(File{Path: "x"}) || !none.MatchDir("d") {
		t.Error("nil leaves something out")
	}
}

func TestSizesAndAges(t *testing.T) {
	least, most := int64(2), int64(4)
	now := time.Unix(1000, 0)
	f := &Filter{MinSize: &least, MaxSize: &most, MinAge: 10 * time.Second, MaxAge: 20 * time.Second, Now: now}
	for _, c := range []struct {
		size int64
		age  time.Duration
		want bool
	}{{2, 10 * time.Second, true}, {4, 20 * time.Second, true}, {1, 15 * time.Second, false}, {5, 15 * time.Second, false}, {3, 9 * time.Second, false}, {3, 21 * time.Second, false}} {
		if got := f.Match(File{Path: "p", Size: c.size, ModTime: now.Add(-c.age)}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestFiltersProtectTheDestination(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a.txt", "1", "b.bin", "2", "big", "123456")
	s.b().Put("x.txt", []byte("extra"), nil)
	s.b().Put("y.bin", []byte("extra"), nil)
	s.b().Put("big", []byte("old"), nil)
	most := int64(5)
	f := func() *Filter {
		f := &Filter{MaxSize: &most}
		f.Exclude("*.bin")
		return f
	}
	must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{Filter: f()}))
	equal(t, "kept", s.tree(""), "a.txt=1 big=old y.bin=extra")
	must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{Filter: f(), DeleteExcluded: true}))
	equal(t, "deleted", s.tree(""), "a.txt=1")
}

func TestFilesFromWalksNothing(t *testing.T) {
	s, up := newStore(t), newFolder(t)
	up.write("a", "1", "d/b", "2", "c", "3")
	s.b().Put("c", []byte("kept"), nil)
	s.b().Put("gone", []byte("x"), nil)
	f := &Filter{}
	if err := f.ReadFiles(strings.NewReader("# list\n/a\nd/b\n gone \nnowhere\n"), false); err != nil {
		t.Fatal(err)
	}
	s.StartTrace()
	must[Summary](t)(Sync(t.Context(), up.ep(), s.at(""), Options{Filter: f}))
	equal(t, "tree", s.tree(""), "a=1 c=kept d/b=2")
	for _, line := range s.Trace() {
		if strings.HasPrefix(line, "List") {
			t.Error(line)
		}
	}
}

func TestAgesOfObjectsAreAskedFor(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	s.b().Put("old", []byte("1"), map[string]string{"mtime": "1000000000"})
	s.b().Put("new", []byte("2"), nil)
	must[Summary](t)(Copy(t.Context(), s.at(""), down.ep(), Options{Filter: &Filter{MaxAge: time.Hour}}))
	equal(t, "tree", down.tree(), "new=2")
	n := 0
	for f, err := range List(t.Context(), s.at(""), WalkOptions{}, &Filter{MinAge: time.Hour}) {
		if err != nil || f.Path != "old" {
			t.Errorf("%v, %v", f.Path, err)
		}
		n++
	}
	equal(t, "listed", n, 1)
}
