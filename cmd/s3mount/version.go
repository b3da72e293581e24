package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersionCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell the version",
		Args:  arguments(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(g.stdout, "s3mount %s\n%s/%s, %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return outputError(err)
		},
	}
}
