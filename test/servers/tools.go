package servers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Tool returns the path of a program that "make tools" installs (minio, versitygw,
// rclone), and fails the test if it isn't there.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := tool(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// tool finds a program in $S3MOUNT_TOOLS, or in .tools/bin of the module.
func tool(name string) (string, error) {
	dir := os.Getenv("S3MOUNT_TOOLS")
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	if dir == "" {
		dir = filepath.Join(root, ".tools", "bin")
	}
	path := filepath.Join(dir, name)
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("%s is not installed in %s: run \"make -C %s tools\"", name, dir, root)
	}
	return path, nil
}

// moduleRoot returns the folder of s3mount's go.mod, at or above the current one.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte("module github.com/s3mount/s3mount\n")) {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("not inside s3mount's source: no go.mod of it at or above the current folder")
		}
		dir = filepath.Dir(dir)
	}
}
