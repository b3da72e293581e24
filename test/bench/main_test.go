package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/test/bench/mountbench"
)

// TestMain lets the test's binary be the servers, as the program's is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == serveName || os.Args[1] == mountbench.StoreName) {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	// A server that is built with -race would wait a second at its end, for reports.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// small is a run that takes seconds.
var small = []string{"-runs", "1", "-entries", "300", "-size", "4", "-small", "1", "-drop=false"}

// TestFuse runs the whole benchmark on little. Where FUSE is missing the answer must
// say so, in one line.
func TestFuse(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out, errs bytes.Buffer
	code := run(append([]string{"fuse"}, small...), &out, &errs)
	if missing := canFuse(); missing != nil {
		if code != 1 || !strings.Contains(errs.String(), missing.Error()) {
			t.Errorf("exit %d, %q", code, &errs)
		}
		return
	}
	if code != 0 {
		t.Fatalf("exit %d: %s%s", code, &out, &errs)
	}
	for _, s := range []string{"list and stat 300 entries", "read, 1 MiB at a time", "write, 4 KiB at a time", "×", "passthrough"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("no %q in %s", s, &out)
		}
	}
	nothingLeft(t, os.TempDir())
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestUnmountsAfterFailure: a failed or canceled workload, and a killed server, leave
// no mount behind.
func TestUnmountsAfterFailure(t *testing.T) {
	if canFuse() != nil {
		return // TestFuse holds the refusal to its word
	}
	for _, lib := range []library{goFuse, bazil} {
		t.Run(string(lib), func(t *testing.T) {
			dir, backing := t.TempDir(), filepath.Join(t.TempDir(), "backing")
			if err := os.WriteFile(backing, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			b := &fuseBench{fuseOptions: fuseOptions{entries: 10, size: 1 << 20}, dir: dir, backing: backing}
			failed := errors.New("failed")
			if _, err := b.once(t.Context(), variant{lib, func(context.Context, string) (float64, error) { return 0, failed }}); !errors.Is(err, failed) {
				t.Errorf("error %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := b.once(ctx, variant{lib, b.reader(zerosName)}); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			m, err := mount(t.Context(), lib, dir, backing, 10)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := m.unmount(); err == nil {
				t.Error("a killed server is no error")
			}
			nothingLeft(t, dir)
		})
	}
}

// nothingLeft says whether anything is mounted at or under dir.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mounts, []byte(" "+dir)) {
		t.Errorf("left mounted under %s: %s", dir, mounts)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"no-such"}} {
		var errs bytes.Buffer
		if code := run(args, nil, &errs); code != 2 || !strings.Contains(errs.String(), "fuse") || strings.Contains(errs.String(), serveName) {
			t.Errorf("%q: exit %d, %s", args, code, &errs)
		}
	}
	var errs bytes.Buffer
	if code := run([]string{"fuse", "-h"}, nil, &errs); code != 0 {
		t.Errorf("-h exits %d", code)
	}
	if code := run([]string{"fuse", "-runs", "0"}, nil, &errs); code != 1 || !strings.Contains(errs.String(), "range") {
		t.Errorf("exit %d, %s", code, &errs)
	}
}

func TestLookup(t *testing.T) {
	n := newNullFS(3, nil)
	for i := range 3 {
		if ino, ok := n.lookup(dirIno, entryName(i)); !ok || ino != firstEntry+uint64(i) {
			t.Errorf("entry %d: %d, %v", i, ino, ok)
		}
	}
	for _, name := range []string{"", "entry-", "entry-000003", "entry--00001", "entry-0000001", zerosName} {
		if ino, ok := n.lookup(dirIno, name); ok {
			t.Errorf("%q: %d", name, ino)
		}
	}
	if ino, ok := n.lookup(rootIno, dirName); !ok || ino != dirIno {
		t.Errorf("%d, %v", ino, ok)
	}
}
