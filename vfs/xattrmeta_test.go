package vfs

import (
	"maps"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// FuzzXattr sets and removes an attribute beside others: all of them come back byte by
// byte, in metadata that a header can carry, or nothing is changed.
func FuzzXattr(f *testing.F) {
	f.Add("a", "value", "b", "other")
	f.Add("Ü\"{},:%41", "\x00\xff\r\n", "ü", "")
	f.Add("x", strings.Repeat("v", 1500), "y", strings.Repeat("w", 400))
	f.Fuzz(func(t *testing.T, name, value, foreign, foreignValue string) {
		name = userPrefix + name
		m := object.Meta{"mode": "33188"}
		if k := strings.ToLower(percentEncode(foreign)); len(k) < 100 {
			m[k] = percentEncode(foreignValue)
		}
		before := userXattrs(m)
		got, err := withXattr(m, name, &value)
		if err != nil {
			return
		}
		if sizeOfMeta(got) > maxUserMeta {
			t.Fatalf("%d bytes of metadata", sizeOfMeta(got))
		}
		for k, v := range got {
			if strings.ContainsFunc(k+v, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Fatalf("%q: %q is no header", k, v)
			}
		}
		want := maps.Clone(before)
		addXattr(want, name, value)
		if all := userXattrs(got); !maps.Equal(all, want) {
			t.Fatalf("set %q to %q: %q, want %q", name, value, all, want)
		}
		removed, err := withXattr(got, name, nil)
		delete(want, name)
		if all := userXattrs(removed); err != nil || !maps.Equal(all, want) {
			t.Fatalf("removed %q: %q (%v), want %q", name, all, err, want)
		}
	})
}

func TestXattrNamesAreBounded(t *testing.T) {
	all := map[string]string{}
	for range 2000 {
		all[userPrefix+strings.Repeat("n", len(all)%200+1)+string(rune('a'+len(all)/200))] = ""
	}
	total := 0
	for _, n := range xattrNames(all) {
		total += len(n) + 1
	}
	if total == 0 || total > maxXattrList {
		t.Errorf("%d bytes of names", total)
	}
}
