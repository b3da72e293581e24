package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/test/servers"
)

// goModule writes a module of two packages and a test into dir.
func goModule(t testing.TB, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir+"/greet", 0o755))
	for name, text := range map[string]string{
		"go.mod":  "module example.org/hello\n\ngo 1.24\n",
		"main.go": "package main\n\nimport (\n\t\"os\"\n\n\t\"example.org/hello/greet\"\n)\n\nfunc main() { os.Stdout.WriteString(greet.World() + \"\\n\") }\n",
		"greet/greet.go": "package greet\n\nimport _ \"embed\"\n\n//go:embed words.txt\nvar words string\n\n" +
			"// World greets.\nfunc World() string { return words }\n",
		"greet/words.txt":     "hello, bucket",
		"greet/greet_test.go": "package greet\n\nimport \"testing\"\n\nfunc TestWorld(t *testing.T) {\n\tif World() != \"hello, bucket\" {\n\t\tt.Error(World())\n\t}\n}\n",
	} {
		write(t, dir+"/"+name, text)
	}
}

// gocmd runs the go command in dir with a build cache, and returns what it printed.
func gocmd(t testing.TB, dir, cache string, args ...string) string {
	t.Helper()
	env := []string{"GOCACHE=" + cache, "GOFLAGS=-trimpath -buildvcs=false", "GOPROXY=off", "CGO_ENABLED=0", "go"}
	return sh(t, dir, "env", append(env, args...)...)
}

func TestGoBuild(t *testing.T) {
	outside := goEnv(t, "GOCACHE")
	eachServer(t, func(t *testing.T, s servers.Server) {
		m, _ := newMount(t, s)
		dir, inside := m.Dir+"/src/hello", m.Dir+"/go-cache"
		goModule(t, dir)
		gocmd(t, dir, outside, "build", "-o", "bin/outside", ".")
		same(t, "the program", sh(t, dir, "bin/outside"), "hello, bucket\n")
		gocmd(t, dir, outside, "test", "-count=1", "./...")

		gocmd(t, dir, inside, "build", "-o", "bin/inside", ".")
		same(t, "the program", sh(t, dir, "bin/inside"), "hello, bucket\n")
		write(t, dir+"/greet/words.txt", "changed")
		gocmd(t, dir, inside, "build", "-o", "bin/inside", ".")
		same(t, "the changed program", sh(t, dir, "bin/inside"), "changed\n")

		m.Remount(true)
		same(t, "the program after a remount", sh(t, dir, "bin/inside"), "changed\n")
		if log := gocmd(t, dir, inside, "build", "-x", "-o", "bin/inside", "."); strings.Contains(log, "/compile ") {
			t.Errorf("after a remount, go build did not trust its cache:\n%s", log)
		}
	})
}
