package vfs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// namesOf lists a folder through a namer, in pages of the given size.
func namesOf(t *testing.T, m *memStore, prefix, held string, page int) (names []string) {
	t.Helper()
	m.pageMax = page
	fs := New(Options{Store: m})
	l := fs.newLister(prefix, held)
	for {
		more, last, err := l.next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range more {
			name := e.name
			if e.dir {
				name += "/"
			}
			names = append(names, name)
		}
		if last {
			slices.Sort(names)
			return names
		}
	}
}

func TestNamesOfKeys(t *testing.T) {
	long := strings.Repeat("n", 300)
	for _, c := range []struct {
		what         string
		keys         []string
		prefix, held string
		want         []string
	}{
		{"plain", []string{"a", "b/c", "b/d"}, "", "", []string{"a", "b/"}},
		{"file beside folder", []string{"x", "x!", "x-y", "x.z", "x/1", "xx"}, "", "", []string{"%s3-file-x", "x!", "x-y", "x.z", "x/", "xx"}},
		{"chain of files, some beside folders", []string{"a", "a!", "a!!", "a!!/q", "a!/q", "a/q"}, "", "", []string{"%s3-file-a", "%s3-file-a!", "%s3-file-a!!", "a!!/", "a!/", "a/"}},
		{"double slash", []string{"a//b"}, "a/", "", []string{"%s3-empty/"}},
		{"leading slash", []string{"/b"}, "", "", []string{"%s3-empty/"}},
		{"dots", []string{"./a", "..", "../b"}, "", "", []string{"%s3-dot/", "%s3-dotdot/", "%s3-file-%s3-dotdot"}},
		{"marker", []string{"d/", "d/x"}, "d/", "", []string{"x"}},
		{"over-long", []string{long + "1", long + "2", long[:120]}, "", "", []string{"%s3-part-t" + long[:100] + "/", long[:120]}},
		{"inside an over-long", []string{long + "1", long[:120]}, long[:100], long[:100], []string{long[:200] + "1"}},
	} {
		for page := 1; page < 8; page++ {
			m := newMemStore()
			for _, k := range c.keys {
				m.put(k, "", nil)
			}
			if got := namesOf(t, m, c.prefix, c.held, page); !slices.Equal(got, c.want) {
				t.Errorf("%s, pages of %d: %q becomes %q, want %q", c.what, page, c.keys, got, c.want)
			}
		}
	}
}

func TestMarkerWithDataIsShown(t *testing.T) {
	m := newMemStore()
	m.put("d/", "data", nil)
	m.put("d/x", "", nil)
	if got := namesOf(t, m, "d/", "", 100); !slices.Equal(got, []string{"%s3-empty", "x"}) {
		t.Errorf("got %q", got)
	}
}

func TestListingHoldsBackNoMoreThanAChain(t *testing.T) {
	var n namer
	most := 0
	n.emit = func(listed) { most = max(most, len(n.waiting)) }
	for i := range 10_000 {
		n.object(memObjectInfo(fmt.Sprintf("file-%05d", i)))
		most = max(most, len(n.waiting))
	}
	if most > 2 {
		t.Errorf("%d files were held back in a plain folder", most)
	}
}
