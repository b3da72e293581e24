package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommands runs the benchmark on little, with the rclone that make tools installs.
func TestCommands(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := os.Getenv("S3MOUNT_TOOLS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".tools", "bin")
	}
	var out, errs bytes.Buffer
	code := run([]string{"commands", "-rclone", filepath.Join(dir, "rclone"), "-files", "20", "-big", "1", "-keys", "100", "-runs", "1", "-latency", "1ms"}, &out, &errs)
	if code != 0 {
		t.Fatalf("exit %d: %s%s", code, &out, &errs)
	}
	for _, row := range []string{"20 small files up", "small files, unchanged", "small files down", "1 MiB in one file up", "one large file down", "list 100 keys", "--fast-list"} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("no %q in %s", row, &out)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestCommandsWithoutRclone(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"commands", "-rclone", "no-such-rclone"}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "make tools") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}
