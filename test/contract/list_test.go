package contract

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/object"
)

// putAll stores keys with their own names as bytes, some at a time.
func (e *env) putAll(keys []string) {
	e.Helper()
	g, ctx := errgroup.WithContext(e.ctx)
	g.SetLimit(16)
	for _, key := range keys {
		g.Go(func() error {
			_, err := e.bucket.Put(ctx, key, section([]byte(key)), object.PutOptions{})
			return err
		})
	}
	e.must(g.Wait())
}

// manyKeys are 1203 keys whose names trip over every encoding that a listing can have,
// some in folders.
func (e *env) manyKeys() []string {
	var keys []string
	for i := range 1200 {
		odd := []string{"+", "%", " ", "é", "&", "%2B", "=~", "x"}[i%8]
		keys = append(keys, fmt.Sprintf("d%d/%s%04d", i%3, odd, i))
	}
	keys = append(keys, "d0-after", "d3/%2F/deep", "z")
	slices.Sort(keys)
	return keys
}

func TestListingSeesAllOnce(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		want := e.manyKeys()
		e.putAll(want)
		for _, size := range []int{0, 400, 7000} {
			got, _, pages, err := names(e.ctx, e.bucket, object.Query{Max: size})
			e.must(err)
			if !slices.Equal(got, want) {
				t.Errorf("by %d: %d keys, want %d; first difference: %s", size, len(got), len(want), difference(got, want))
			}
			if size == 400 && pages < 4 {
				t.Errorf("%d keys came in %d pages of %d", len(got), pages, size)
			}
		}
		page, err := e.bucket.List(e.ctx, object.Query{Prefix: "z"})
		e.must(err)
		head, err := e.bucket.Head(e.ctx, "z")
		e.must(err)
		if len(page.Objects) != 1 || !page.Objects[0].SameVersion(head) || page.Objects[0].Meta != nil {
			t.Errorf("listed as %+v, Head says %+v", page.Objects, head)
		}
		e.listFolders(t)
		e.listAfter(t, want)
	})
}

// listFolders looks at the same keys with a delimiter.
func (e *env) listFolders(t *testing.T) {
	for _, size := range []int{0, 1, 2} {
		keys, prefixes, _, err := names(e.ctx, e.bucket, object.Query{Delimiter: "/", Max: size})
		e.must(err)
		if !slices.Equal(keys, []string{"d0-after", "z"}) || !slices.Equal(prefixes, []string{"d0/", "d1/", "d2/", "d3/"}) {
			t.Errorf("by %d: keys %q, prefixes %q", size, keys, prefixes)
		}
	}
	keys, prefixes, _, err := names(e.ctx, e.bucket, object.Query{Prefix: "d1/", Delimiter: "/", Max: 150})
	e.must(err)
	if len(keys) != 400 || prefixes != nil {
		t.Errorf("a folder of 400: %d keys, prefixes %q", len(keys), prefixes)
	}
	_, prefixes, _, err = names(e.ctx, e.bucket, object.Query{Prefix: "d3/", Delimiter: "/"})
	e.must(err)
	if !slices.Equal(prefixes, []string{"d3/%2F/"}) {
		t.Errorf("prefixes %q", prefixes)
	}
}

// listAfter begins in the middle.
func (e *env) listAfter(t *testing.T, all []string) {
	for _, i := range []int{0, 100, 401, 802, len(all) - 2} {
		got, _, _, err := names(e.ctx, e.bucket, object.Query{After: all[i]})
		e.must(err)
		if !slices.Equal(got, all[i+1:]) {
			t.Errorf("after %q: %d keys, want %d; first difference: %s", all[i], len(got), len(all)-i-1, difference(got, all[i+1:]))
		}
	}
	got, _, _, err := names(e.ctx, e.bucket, object.Query{Prefix: "d2/", After: "d2/x"})
	e.must(err)
	want := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return k <= "d2/x" || k >= "d20" })
	if !slices.Equal(got, want) {
		t.Errorf("after d2/x in d2/: %s", difference(got, want))
	}
}

func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%q is missing", want[i])
		case i >= len(want):
			return fmt.Sprintf("%q is too much", got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("%q instead of %q", got[i], want[i])
		}
	}
	return "none"
}

func TestPrefixCannotBeLeft(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		e.put("in/side/k", "inside")
		e.put("in/sider", "outside")
		e.put("k", "outside")
		b := e.open("in/side")
		keys, prefixes, _, err := names(e.ctx, b, object.Query{})
		e.must(err)
		if !slices.Equal(keys, []string{"k"}) || prefixes != nil {
			t.Errorf("keys %q, prefixes %q", keys, prefixes)
		}
		if got, err := readRange(e.ctx, b, object.ID{Key: "k"}, 0, 6); err != nil || got != "inside" {
			t.Errorf("%q, %v", got, err)
		}
		for _, key := range []string{"../sider", "../../k", "/k"} {
			if info, err := b.Head(e.ctx, key); err == nil {
				t.Errorf("%q was found: %+v", key, info)
			}
		}
		info, err := b.Copy(e.ctx, object.ID{Key: "k"}, "copy", object.CopyOptions{Size: 6})
		e.must(err)
		if info.Key != "copy" {
			t.Errorf("the copy is called %q", info.Key)
		}
		e.holds("in/side/copy", "inside")
		e.must(b.DeleteMany(e.ctx, []string{"k", "copy"}))
		e.must(b.Delete(context.WithoutCancel(e.ctx), "sider"))
		keys, _, _, err = names(e.ctx, e.bucket, object.Query{})
		e.must(err)
		if !slices.Equal(keys, []string{"in/sider", "k"}) {
			t.Errorf("left in the bucket: %q", keys)
		}
	})
}
