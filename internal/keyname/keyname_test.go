package keyname

import (
	"slices"
	"strings"
	"testing"
)

// join undoes Path with Parse alone.
func join(t *testing.T, names []string) string {
	t.Helper()
	key, _, ok := keyOf(names)
	if !ok {
		t.Fatalf("Parse refuses what Path returned in %q", names)
	}
	return key
}

// keyOf reads a path as a file system does, name by name; ok is false where there is none.
func keyOf(names []string) (key string, last Form, ok bool) {
	var held string
	for i, name := range names {
		piece, form, ok := Parse(held, name)
		if !ok || form == File && i < len(names)-1 {
			return "", Plain, false
		}
		key, last = key+piece, form
		switch {
		case form == Part:
			held += piece
		case i < len(names)-1:
			key, held = key+"/", ""
		}
	}
	return key, last, true
}

func TestPath(t *testing.T) {
	long := strings.Repeat("l", 300)
	for _, c := range []struct {
		key  string
		file bool
		want []string
	}{
		{"a/b c/ü\n\xff", false, []string{"a", "b c", "ü\n\xff"}},
		{"a//b", false, []string{"a", "%s3-empty", "b"}},
		{"/a", false, []string{"%s3-empty", "a"}},
		{"a/", false, []string{"a", "%s3-empty"}},
		{"./../x", false, []string{"%s3-dot", "%s3-dotdot", "x"}},
		{"%s3-empty", false, []string{"%s3-raw-%s3-empty"}},
		{"%s3x", false, []string{"%s3x"}},
		{"a\x00b", false, []string{"%s3-hex-610062"}},
		{"x", true, []string{"%s3-file-x"}},
		{"d/", true, []string{"d", "%s3-file-%s3-empty"}},
		{long + "/y", false, []string{"%s3-part-t" + long[:100], long[100:], "y"}},
		{strings.Repeat("m", 250), true, []string{"%s3-part-t" + strings.Repeat("m", 100), "%s3-file-" + strings.Repeat("m", 150)}},
	} {
		if got := Path(c.key, c.file); !slices.Equal(got, c.want) {
			t.Errorf("Path(%q, %v) = %q, want %q", c.key, c.file, got, c.want)
		}
	}
}

func TestParseRefusesNamesThatNoKeyHas(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a\x00", "%s3-", "%s3-x", "%s3-hex-6", "%s3-hex-61", "%s3-raw-x",
		"%s3-part-", "%s3-part-tshort", "%s3-hex-6100FF", "%s3-file-%s3-file-x", "%s3-file-", strings.Repeat("x", 256)} {
		if piece, form, ok := Parse("", name); ok {
			t.Errorf("Parse(%q) = %q, %v, want it refused", name, piece, form)
		}
	}
	held := strings.Repeat("h", 100)
	if _, _, ok := Parse(held, "short"); ok {
		t.Error("a component that fits into the folder above also shows in a Part folder")
	}
}

func FuzzBijection(f *testing.F) {
	for _, k := range []string{"a", "a//b", "%s3-raw-", strings.Repeat("\x00", 200), strings.Repeat("%s3-", 90), "./.", strings.Repeat("x", 247) + "/" + strings.Repeat("y", 256)} {
		f.Add(k, true)
		f.Add(k, false)
	}
	f.Fuzz(func(t *testing.T, key string, file bool) {
		if key == "" || len(key) > MaxKey {
			return
		}
		names := Path(key, file)
		for _, n := range names {
			if n == "" || n == "." || n == ".." || len(n) > MaxName || strings.ContainsAny(n, "/\x00") {
				t.Fatalf("Path(%q) holds %q, which is no file name", key, n)
			}
		}
		if got := join(t, names); got != key {
			t.Fatalf("key %q becomes %q, which is key %q", key, names, got)
		}
	})
}

// FuzzPaths is FuzzBijection from the other side: a path that leads to a key is the one
// that the key is shown under, and no other path leads there.
func FuzzPaths(f *testing.F) {
	long := strings.Repeat("l", 100)
	for _, p := range []string{"a/b", "a/%s3-empty/b", "%s3-dot/%s3-dotdot", "%s3-raw-%s3-x", "%s3-hex-6100", "d/%s3-empty",
		"%s3-part-t" + long + "/" + strings.Repeat("r", 156), "%s3-part-t" + long + "/short", "%s3-file-x", "%s3-file-x/y"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		names := strings.Split(path, "/")
		key, last, ok := keyOf(names)
		if !ok || last == Part || len(key) > MaxKey {
			return
		}
		if again := Path(key, last == File); !slices.Equal(again, names) {
			t.Fatalf("the path %q leads to the key %q, which is shown as %q", names, key, again)
		}
	})
}
