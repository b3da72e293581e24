package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandLine is the program's commands in an environment with a home called "~".
func commandLine() *cobra.Command {
	return newRoot(env{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, getenv: func(name string) string {
		if name == "HOME" {
			return "~"
		}
		return ""
	}})
}

// mountFlags are all flags that mount takes.
func mountFlags(t *testing.T) map[string]*pflag.Flag {
	t.Helper()
	c, _, err := commandLine().Find([]string{"mount"})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*pflag.Flag{}
	for _, set := range []*pflag.FlagSet{c.LocalFlags(), c.InheritedFlags()} {
		set.VisitAll(func(f *pflag.Flag) { all[f.Name] = f })
	}
	return all
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	flagName  = regexp.MustCompile("`--([a-z-]+)`")
	anyFlag   = regexp.MustCompile(`--([a-z][a-z-]+)`)
	inCommand = regexp.MustCompile(`(?m)s3mount (mount|umount|demo)\b.*$`)
)

func TestReadmeTableHasAllFlagsOfMount(t *testing.T) {
	flags := mountFlags(t)
	listed := map[string]bool{}
	for line := range strings.Lines(readme(t)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`--") {
			continue
		}
		var names []string
		for _, m := range flagName.FindAllStringSubmatch(cells[1], -1) {
			names = append(names, m[1])
			listed[m[1]] = true
			if flags[m[1]] == nil {
				t.Errorf("README lists --%s, which mount does not have", m[1])
			}
		}
		checkDefaults(t, flags, names, cells[2])
	}
	for name, f := range flags {
		if strings.HasPrefix(name, "s3-") {
			continue // TestConfigPageHasAllOptions
		}
		if !listed[name] && !f.Hidden {
			t.Errorf("README does not list --%s", name)
		}
	}
}

// checkDefaults compares the defaults in a cell with those of the flags, where the cell
// has one for each.
func checkDefaults(t *testing.T, flags map[string]*pflag.Flag, names []string, cell string) {
	t.Helper()
	told := strings.FieldsFunc(cell, func(r rune) bool { return r == ' ' || r == ',' || r == '`' })
	if len(told) == 0 {
		for _, name := range names {
			if d := flags[name].DefValue; d != "" && d != "false" {
				t.Errorf("README tells no default of --%s: it is %s", name, d)
			}
		}
	}
	if len(told) != len(names) {
		return
	}
	for i, name := range names {
		is := flags[name].DefValue
		if d, err := time.ParseDuration(is); err == nil {
			want, err := time.ParseDuration(told[i])
			if err != nil || d != want {
				t.Errorf("README says that --%s is %s, and it is %s", name, told[i], is)
			}
			continue
		}
		if told[i] != is {
			t.Errorf("README says that --%s is %s, and it is %s", name, told[i], is)
		}
	}
}

func TestReadmeCommandsExist(t *testing.T) {
	for _, line := range inCommand.FindAllStringSubmatch(readme(t), -1) {
		c, _, err := commandLine().Find([]string{line[1]})
		if err != nil || c.Name() != line[1] {
			t.Errorf("README names the command %s: %v", line[1], err)
			continue
		}
		for _, m := range anyFlag.FindAllStringSubmatch(line[0], -1) {
			if c.Flags().Lookup(m[1]) == nil && c.InheritedFlags().Lookup(m[1]) == nil {
				t.Errorf("README writes %q, which has no --%s", line[0], m[1])
			}
		}
	}
}

func TestReadmeTellsTheExitCodes(t *testing.T) {
	if exitOK != 0 || exitError != 1 || exitUsage != 2 || !strings.Contains(readme(t), "Exit codes: 0 done, 1 failed, 2 wrong command line.") {
		t.Error("README and the exit codes differ")
	}
}

func TestEveryFlagTellsItsForm(t *testing.T) {
	var all func(c *cobra.Command)
	all = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if kind := f.Value.Type(); kind != "string" && forms[kind] == "" {
				t.Errorf("%s --%s: no form for a wrong value of type %s", c.CommandPath(), f.Name, kind)
			}
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: help %q", c.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, sub := range c.Commands() {
			all(sub)
		}
	}
	all(commandLine())
}
