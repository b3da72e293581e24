package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/transfer"
)

func TestLinesAppearAboveTheBlock(t *testing.T) {
	var b bytes.Buffer
	s := &screen{w: &b, live: true}
	s.show([]string{"one", "two"})
	s.Write([]byte("a line\n"))
	s.show(nil)
	want := "one\ntwo\n" + "\r\x1b[2A\x1b[Ja line\none\ntwo\n" + "\r\x1b[2A\x1b[J"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestNoBlockWithoutATerminal(t *testing.T) {
	s := newScreen(&bytes.Buffer{}, func(string) string { return "xterm" })
	if s.live || s.width() != 80 {
		t.Errorf("live %v, width %d", s.live, s.width())
	}
}

func TestLinesFitTheWidth(t *testing.T) {
	for _, c := range []struct {
		line, want string
		width      int
	}{{"short", "short", 10}, {"0123456789", "012345678…", 10}, {"日本語日本語", "日本…", 6}} {
		if got := fit(c.line, c.width); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.line, c.width, got, c.want)
		}
	}
}

func TestNamesCannotWriteToTheTerminal(t *testing.T) {
	for in, want := range map[string]string{"a\x1b[2Jb": `a\x1b[2Jb`, "a\nb": "a; b", "ü 🎉": "ü 🎉", "\x9b": "\uFFFD", "\u009b": `\x9b`} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSpeedIsThatOfTheLastSeconds(t *testing.T) {
	var s speedometer
	start := time.Unix(0, 0)
	if s.bytesPerSecond() != 0 {
		t.Error("a speed without samples")
	}
	for i := range 100 {
		bytes := int64(i) * 100
		if i > 50 {
			bytes = 5000 + int64(i-50)*1000
		}
		s.add(start.Add(time.Duration(i)*time.Second), bytes)
	}
	if got := s.bytesPerSecond(); got != 1000 {
		t.Errorf("%v bytes/s", got)
	}
	if len(s.samples) > 20 {
		t.Errorf("%d samples are kept", len(s.samples))
	}
}

func TestStatusTellsHowFarItIs(t *testing.T) {
	snap := transfer.Snapshot{Summary: transfer.Summary{Bytes: 1 << 20, Copied: 3, Errors: 1}, TotalBytes: 3 << 20, TotalFiles: 10}
	if got, want := status(snap, 1<<20), "1 MiB of 3 MiB+, 1 MiB/s, ETA -, 3 of 10+ files, 1 failed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	snap.Listed = true
	if got, want := status(snap, 1<<20), "1 MiB of 3 MiB (33%), 1 MiB/s, ETA 2s, 3 of 10 files, 1 failed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	snap.Active = []transfer.Transfer{{Path: "dir/\x1bname", Size: 4 << 20, Bytes: 1 << 20}}
	lines := block(snap, 0, 80)
	if len(lines) != 2 || !strings.Contains(lines[1], ` 25% of       4 MiB  dir/\x1bname`) {
		t.Errorf("%q", lines)
	}
}

func TestSummarySaysWhatWasDone(t *testing.T) {
	s := transfer.Summary{Bytes: 2048, Copied: 2, Deleted: 1, Same: 5}
	if got, want := summaryText(s, 1234*time.Millisecond, false), "2 copied, 1 deleted, 5 unchanged, 2 KiB in 1.23s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := summaryText(transfer.Summary{}, 0, true), "nothing to do in 0s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
