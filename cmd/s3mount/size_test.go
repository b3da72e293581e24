package main

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "64K": 64 << 10, "64k": 64 << 10, "64KiB": 64 << 10, "64KB": 64 << 10, "256M": 256 << 20,
		"10G": 10 << 30, "1.5T": 3 << 39, "1P": 1 << 50, " 1G ": 1 << 30, "100B": 100,
	} {
		var s size
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%q: %d, %v", text, int64(s), err)
		}
		var again size
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%q is written %q, which is %d: %v", text, s, int64(again), err)
		}
	}
	for _, text := range []string{"", "G", "-1", "-1G", "lots", "1X", "1e30", "NaN", "Inf", "8192P"} {
		var s size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is taken for %d", text, int64(s))
		}
	}
}

func TestModes(t *testing.T) {
	for text, want := range map[string]uint32{"644": 0o644, "0644": 0o644, "0o755": 0o755, "0": 0, "7777": 0o7777} {
		var o octal
		if err := o.Set(text); err != nil || uint32(o) != want {
			t.Errorf("%q: %o, %v", text, uint32(o), err)
		}
	}
	for _, text := range []string{"", "8", "rw", "-1", "10000", "0x1"} {
		var o octal
		if err := o.Set(text); err == nil {
			t.Errorf("%q is taken for %o", text, uint32(o))
		}
	}
}
