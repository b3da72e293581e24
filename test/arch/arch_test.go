package arch

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func root(t *testing.T) string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestImportsKeepTheRules(t *testing.T) {
	files, err := ReadModule(root(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("only %d files found", len(files))
	}
	for _, line := range Check(files) {
		t.Error(line)
	}
}

func TestNoFileNamesAMachine(t *testing.T) {
	lines, err := MachinePaths(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		t.Error(line)
	}
}

func TestRulesCatchViolations(t *testing.T) {
	tests := []struct {
		file, imports string
		want          string // in the line; "": allowed
	}{
		{"vfs/a.go", "github.com/hanwen/go-fuse/v2/fuse", "fusefs only"},
		{"vfs/a_test.go", "github.com/hanwen/go-fuse/v2/fuse", "fusefs only"},
		{"fusefs/a.go", "github.com/hanwen/go-fuse/v2/fuse", ""},
		{"test/bench/a.go", "bazil.org/fuse", ""},
		{"writeback/a.go", "github.com/aws/smithy-go", "s3remote only"},
		{"s3remote/a.go", "github.com/aws/aws-sdk-go-v2/service/s3", ""},
		{"object/a.go", "golang.org/x/sys/unix", "standard library only"},
		{"object/a.go", Module + "/internal/budget", "nothing else"},
		{"object/a.go", "encoding/xml", ""},
		{"objcache/a.go", Module + "/writeback", "objcache may import only"},
		{"objcache/a.go", Module + "/objcache/blocks", ""},
		{"vfs/a.go", Module + "/s3remote", "vfs may import only"},
		{"vfs/a.go", Module + "/objcache", ""},
		{"vfs/a_test.go", Module + "/test/s3fake", ""},
		{"fusefs/a.go", Module + "/config", "fusefs may import only"},
		{"cmd/s3mount/main.go", Module + "/config", ""},
		{"cmd/s3mount/main.go", Module + "/test/s3fake", "cmd may import only"},
		{"config/a.go", "github.com/spf13/cobra", "cmd's"},
		{"transfer/a.go", Module + "/s3remote", "transfer may import only"},
		{"transfer/a.go", Module + "/internal/mtime", ""},
		{"transfer/a.go", "golang.org/x/sync/errgroup", ""},
		{"transfer/a.go", "golang.org/x/net/http2", "standard library only, and golang.org/x/sync"},
		{"vfs/a.go", "golang.org/x/time/rate", "transfer's"},
		{"config/a.go", "golang.org/x/term", "cmd's"},
		{"cmd/s3mount/a.go", "golang.org/x/term", ""},
		{"cmd/s3mount/a.go", "golang.org/x/crypto/nacl/secretbox", "config's"},
		{"cmd/s3mount/a.go", "github.com/creack/pty", "for tests"},
		{"surprise/a.go", "fmt", "no layer"},
	}
	for _, tt := range tests {
		f, err := Parse("", tt.file, "package p\nimport \""+tt.imports+"\"\n")
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(Check([]File{f}), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s importing %s: %q, want %q", tt.file, tt.imports, got, tt.want)
		}
	}
}

func TestMachinePathsAreCaught(t *testing.T) {
	paths := machinePaths("/builds/me/s3mount")
	text := []byte("fine: /etc/fuse.conf\nbad: /builds/me/other\nbad: /root/x\n")
	got := NamesMachine("f", text, paths)
	if len(got) != 2 || !strings.HasPrefix(got[0], "f:2") || !strings.HasPrefix(got[1], "f:3") {
		t.Errorf("%q", got)
	}
	if paths := machinePaths("/tmp/s3mount"); slices.Contains(paths, "/tmp/") {
		t.Errorf("%q", paths)
	}
	if paths := machinePaths("/src"); slices.Contains(paths, "/src/") || slices.Contains(paths, "//") {
		t.Errorf("%q", paths)
	}
	if got := NamesMachine("f", []byte("import \"github.com/s3mount/s3mount/object\""), []string{"/s3mount/"}); got != nil {
		t.Errorf("part of an import: %q", got)
	}
	if got := NamesMachine("f", []byte("\x00/root/x"), paths); got != nil {
		t.Errorf("binary: %q", got)
	}
}
