package keyname

import (
	"strings"
	"testing"
	"time"
)

func TestConflict(t *testing.T) {
	at := time.Date(2026, 11, 28, 13, 5, 9, 7, time.FixedZone("", 3600))
	const mark = ".conflict-box.lan-20261128T120509Z"
	for _, c := range []struct {
		name, host string
		try, room  int
		want       string
	}{
		{"f.txt", "box.lan", 1, 1000, "f.txt" + mark},
		{"f.txt", "box.lan", 3, 1000, "f.txt" + mark + "-3"},
		{"", "a/b c\nd", 1, 1000, ".conflict-a_b_c_d-20261128T120509Z"},
		{"f", "", 1, 1000, "f.conflict-unknown-20261128T120509Z"},
		{strings.Repeat("x", 250), "box.lan", 1, 1000, strings.Repeat("x", 255-len(mark)) + mark},
		{"f.txt", "box.lan", 1, len(mark) + 2, "f." + mark},
		{"f.txt", "box.lan", 1, len(mark) - 1, ""},
		{"aä", "box.lan", 1, len(mark) + 2, "a" + mark},
	} {
		if got := Conflict(c.name, c.host, at, c.try, c.room); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := Conflict(strings.Repeat("ä", 200), strings.Repeat("h", 500), at, 12, 2000); len(got) > MaxName {
		t.Errorf("%d bytes", len(got))
	}
}
