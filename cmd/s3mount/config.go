package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/object"
)

func newConfigCmd(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Set up remotes: where they are, and the keys to them",
		Long: `Config without a further word asks question by question, and keeps the answers in
the config file. Each question takes a number of its list or an own value; enter takes
the default; ? explains. Nothing is written before you say yes.

The further words do the same without questions, for scripts. The file is rclone's:
both programs read and write it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q: see s3mount config --help", "config "+args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return g.configDialogue(c.Context()) },
	}
	c.AddCommand(
		newConfigCreateCmd(g), newConfigUpdateCmd(g), newConfigUnsetCmd(g), newConfigDeleteCmd(g), newConfigRenameCmd(g), newConfigCopyCmd(g),
		newConfigShowCmd(g), newConfigDumpCmd(g), newConfigFileCmd(g), newConfigPathsCmd(g), newConfigProvidersCmd(g), newConfigTouchCmd(g),
		newConfigEncryptionCmd(g), newConfigRedactedCmd(g), newConfigStringCmd(g), newConfigOpenCmd(g))
	c.AddCommand(newConfigForeignCmds()...)
	return c
}

// changeable opens the config file to change it; one that is not there yet is empty.
func (g *globals) changeable(ctx context.Context) (*config.File, error) {
	path, err := config.Place(g.config, g.getenv)
	if err != nil {
		return nil, err
	}
	file, err := config.Load(ctx, path, g.passwords())
	if object.Is(err, object.KindNotFound) {
		return config.New(path), nil
	}
	return file, hinted(err, configHints[object.KindOf(err)])
}

// readable opens the config file to show it.
func (g *globals) readable(ctx context.Context) (*config.File, error) {
	ctx, done := g.untilSignal(ctx)
	defer done()
	path, err := config.Find(g.config, g.getenv)
	if err != nil {
		return nil, hinted(err, "make one with s3mount config, or name one with --config")
	}
	file, err := config.Load(ctx, path, g.passwords())
	return file, hinted(err, configHints[object.KindOf(err)])
}

// change opens the config file, lets f change it in memory, and saves it.
func (g *globals) change(ctx context.Context, f func(*config.File) error) error {
	ctx, done := g.untilSignal(ctx)
	defer done()
	file, err := g.changeable(ctx)
	if err != nil {
		return err
	}
	if err := f(file); err != nil {
		return err
	}
	return saved(file.Save())
}

// saved adds to the error of a Save what to do about it.
func saved(err error) error {
	if object.Is(err, object.KindPermission) {
		return hinted(err, "your user needs the right to write into its folder")
	}
	return err
}

// bareName is a remote's name as an argument: "name:" is "name".
func bareName(arg string) string { return strings.TrimSuffix(arg, ":") }
