package main

import "testing"

func TestNumbersAreWrittenAsRcloneDoes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1500008: "1.431 MiB", 5 << 40: "5 TiB", 1<<63 - 1: "8 EiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1k", 1234: "1.234k", 2_000_000: "2M"} {
		if got := countText(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}
