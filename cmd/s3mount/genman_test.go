package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// runOut runs a command line in a new home and returns what is on standard output.
func runOut(t *testing.T, args ...string) string {
	t.Helper()
	home := t.TempDir()
	var stdout, stderr bytes.Buffer
	e := env{stdout: &stdout, stderr: &stderr, getenv: func(name string) string {
		if name == "HOME" {
			return home
		}
		return ""
	}}
	if code := run(t.Context(), args, e); code != exitOK || stderr.Len() > 0 {
		t.Fatalf("%v: exit code %d\n%s", args, code, &stderr)
	}
	return stdout.String()
}

// eachCommand calls f for each command that users see.
func eachCommand(c *cobra.Command, f func(*cobra.Command)) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	f(c)
	for _, sub := range c.Commands() {
		eachCommand(sub, f)
	}
}

func TestEachCommandHasAManPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man")
	runOut(t, "genman", dir)
	pages := 0
	eachCommand(commandLine(), func(c *cobra.Command) {
		pages++
		text, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		if !bytes.HasPrefix(text, []byte(".nh\n")) || !bytes.Contains(text, []byte(c.Short[:10])) {
			t.Errorf("the page of %s is odd:\n%s", c.CommandPath(), text)
		}
	})
	if pages < 25 {
		t.Errorf("only %d commands", pages)
	}
}

// A packager's home is not to be in the pages.
func TestManPagesAreTheSameOnEachMachine(t *testing.T) {
	var pages [2]string
	for i := range pages {
		dir := t.TempDir()
		runOut(t, "genman", dir) // with a home of its own
		text, err := os.ReadFile(filepath.Join(dir, "s3mount-mount.1"))
		if err != nil {
			t.Fatal(err)
		}
		pages[i] = string(text)
	}
	if pages[0] != pages[1] || !strings.Contains(pages[0], `="~/.cache/s3mount"`) {
		t.Error("they differ")
	}
}

// Where a shell is installed, it must take its script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := runOut(t, "completion", shell)
		if len(script) < 1000 || !strings.Contains(script, "s3mount") {
			t.Errorf("%s: %d bytes", shell, len(script))
		}
		path, err := exec.LookPath(shell)
		if err != nil || shell == "powershell" {
			continue
		}
		c := exec.Command(path, "-n")
		c.Stdin = strings.NewReader(script)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s does not take its script: %v\n%s", shell, err, out)
		}
	}
}

func TestCompletionOfCommandsAndFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"res"}, "restore\t"},
		{[]string{"config", "up"}, "update\t"},
		{[]string{"copy", "--s3-storage"}, "--s3-storage-class\t"},
	} {
		home := t.TempDir()
		var stdout, stderr bytes.Buffer
		e := env{stdout: &stdout, stderr: &stderr, getenv: func(string) string { return home }}
		if code := run(t.Context(), append([]string{"__complete"}, c.args...), e); code != exitOK || !strings.Contains(stdout.String(), c.want) {
			t.Errorf("%v: %d, %q\n%s", c.args, code, stdout.String(), &stderr)
		}
	}
}
