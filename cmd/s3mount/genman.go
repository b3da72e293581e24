package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manDate stands in the man pages, so that they are the same whenever they are made.
var manDate = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newManCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:    "genman DIR",
		Short:  "Write the man pages into a directory",
		Hidden: true, // for packagers: make man
		Args:   arguments(0, "DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := newRoot(anyonesEnv(g))
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "S3MOUNT", Section: "1", Source: "s3mount " + version, Manual: "s3mount", Date: &manDate}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
			return nil
		},
	}
}

// anyonesEnv is an environment with nothing of this machine in it: defaults that depend
// on the home are told as "~/…".
func anyonesEnv(g *globals) env {
	return env{stdout: g.stdout, stderr: g.stderr, getenv: func(name string) string {
		if name == "HOME" {
			return "~"
		}
		return ""
	}}
}
