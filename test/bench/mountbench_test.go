package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/bench/mountbench"
)

// TestMount runs every workload on little, with s3mount and the limit.
func TestMount(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	at := func(name string) string { return filepath.Join(dir, name) }
	var out, errs bytes.Buffer
	code := run([]string{
		"mount", "-tiny", "-runs", "1", "-only", "limit|s3mount", "-drop=false", "-first-byte", "1ms", "-list", "1ms", "-put", "1ms",
		"-md", at("table.md"), "-json", at("raw.json"), "-svg", at("plot.svg"), "-profile", at("profiles"),
	}, &out, &errs)
	if missing := canFuse(); missing != nil {
		if code != 1 {
			t.Errorf("exit %d, %q", code, &errs)
		}
		return
	}
	if code != 0 {
		t.Fatalf("exit %d: %s%s", code, &errs, &out)
	}
	table, err := os.ReadFile(at("table.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"| read 8 MiB in order, cold |", "after a remount |", "SQLite", "| git | s3mount |"} {
		if !bytes.Contains(table, []byte(s)) {
			t.Errorf("no %q in %s", s, table)
		}
	}
	if bytes.Contains(table, []byte("failed")) {
		t.Errorf("%s", table)
	}
	checkRaw(t, at("raw.json"))
	var again bytes.Buffer
	if code := run([]string{"mount", "-tiny", "-run", "^$", "-only", "^limit$", "-from", at("raw.json"), "-md", at("again.md")}, &again, &errs); code != 0 {
		t.Errorf("exit %d: %s", code, &errs)
	}
	if second, err := os.ReadFile(at("again.md")); err != nil || rows(second) != rows(table) {
		t.Errorf("from the raw figures: %v\n%s\nnot\n%s", err, second, table)
	}
	if plot, err := os.ReadFile(at("plot.svg")); err != nil || xml.Unmarshal(plot, new(any)) != nil {
		t.Errorf("the plot is no XML: %v", err)
	}
	if profile, err := os.Stat(at("profiles/seq.cpu")); err != nil || profile.Size() == 0 {
		t.Errorf("profile: %v", err)
	}
	nothingLeft(t, os.TempDir())
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// rows are the lines of a table.
func rows(table []byte) string {
	at := bytes.IndexByte(table, '|')
	return string(table[max(at, 0):])
}

// checkRaw looks for the figures of one run.
func checkRaw(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	var runs map[string][]struct {
		Seconds float64
		Peak    int64
		Out     int64
	}
	if err := errors.Join(json.Unmarshal(text, &raw), json.Unmarshal(raw["seq"], &runs)); err != nil {
		t.Fatal(err)
	}
	if r := runs["s3mount"]; len(r) != 1 || r[0].Seconds <= 0 || r[0].Peak < 1<<20 || r[0].Out < 8<<20 {
		t.Errorf("figures of s3mount: %+v", r)
	}
	if r := runs["limit"]; len(r) != 1 || r[0].Out != 8<<20 {
		t.Errorf("figures of the limit: %+v", r)
	}
}

// TestMountEndsInOrder: an interrupted benchmark, and one whose mount hangs or fails,
// leave no mount, no process and no file.
func TestMountEndsInOrder(t *testing.T) {
	if canFuse() != nil {
		return // TestMount holds the refusal to its word
	}
	script := filepath.Join(t.TempDir(), "fails")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no luck >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "s3mount")
	build := exec.Command("go", "build", "-o", binary, "./cmd/s3mount")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, c := range map[string]struct {
		args []string
		ctx  time.Duration
		want string
	}{
		"a mount that fails":  {[]string{"-binary", script}, time.Minute, "no luck"},
		"a run that is late":  {[]string{"-binary", binary, "-limit", "1s", "-first-byte", "1h"}, time.Minute, "over 1s"},
		"the user interrupts": {[]string{"-binary", binary, "-first-byte", "1h"}, 3 * time.Second, context.DeadlineExceeded.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			ctx, cancel := context.WithTimeout(t.Context(), c.ctx)
			defer cancel()
			var out bytes.Buffer
			args := append([]string{"-tiny", "-runs", "1", "-only", "s3mount", "-run", "^random1$", "-drop=false"}, c.args...)
			err := mountbench.Run(ctx, args, &out)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			nothingLeft(t, os.TempDir())
			if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}
