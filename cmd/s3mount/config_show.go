package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/config"
)

// hidden stands for a secret in what is shown, as it does in rclone.
const hidden = "XXX"

func newConfigShowCmd(g *globals) *cobra.Command {
	var reveal bool
	c := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show the config file, or one remote of it",
		Long:  "Show prints the config file in plain, or one remote of it. Secrets stand there as " + hidden + ",\nbut for --show-secrets.",
		Args:  arguments(1),
		RunE: func(c *cobra.Command, args []string) error {
			some := false
			err := g.showConfig(c.Context(), append(args, "")[0], func(key string) bool {
				hide := !reveal && config.IsSecret(key)
				some = some || hide
				return hide
			})
			g.tellHidden(some)
			return err
		},
	}
	addShowSecrets(c, &reveal)
	return c
}

// showConfig prints the config file, or one remote of it, with something else for the
// values of keys that are to be hidden.
func (g *globals) showConfig(ctx context.Context, remote string, hide func(key string) bool) error {
	f, err := g.readable(ctx)
	if err != nil {
		return err
	}
	name := bareName(remote)
	if name != "" && !f.Has(name) {
		_, err := f.Remote(name)
		return err
	}
	_, err = fmt.Fprint(g.stdout, f.Text(name, func(_, key string) bool { return hide(key) }, hidden))
	return err
}

func addShowSecrets(c *cobra.Command, reveal *bool) {
	c.Flags().BoolVar(reveal, "show-secrets", false, "show secrets too")
}

// tellHidden says that something is not shown.
func (g *globals) tellHidden(some bool) {
	if some {
		fmt.Fprintf(g.stderr, "s3mount: note: secrets are shown as %s: --show-secrets shows them\n", hidden)
	}
}

func newConfigDumpCmd(g *globals) *cobra.Command {
	var reveal bool
	c := &cobra.Command{
		Use:   "dump",
		Short: "Print all remotes as JSON",
		Args:  arguments(0),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := g.readable(c.Context())
			if err != nil {
				return err
			}
			some := false
			all := map[string]map[string]string{}
			for _, name := range f.Names() {
				all[name] = map[string]string{}
				for _, p := range f.Pairs(name) {
					value := p.Value.Reveal()
					if value != "" && !reveal && config.IsSecret(p.Key) {
						value, some = hidden, true
					}
					if !reveal {
						value = config.WithoutPassword(value, hidden)
					}
					all[name][p.Key] = value
				}
			}
			g.tellHidden(some)
			return g.printJSON(all)
		},
	}
	addShowSecrets(c, &reveal)
	return c
}

func (g *globals) printJSON(v any) error {
	e := json.NewEncoder(g.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	return e.Encode(v)
}

func newConfigFileCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "file",
		Short: "Print where the config file is",
		Args:  arguments(0),
		RunE: func(*cobra.Command, []string) error {
			path, err := config.Place(g.config, g.getenv)
			if err != nil {
				return err
			}
			if _, err := os.Stat(path); err != nil {
				fmt.Fprintf(g.stdout, "There is no config file yet; it will be:\n%s\n", path)
				return nil
			}
			fmt.Fprintf(g.stdout, "The config file is:\n%s\n", path)
			return nil
		},
	}
}

func newConfigPathsCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "paths",
		Short: "Print where config file, cache and temporary files are",
		Args:  arguments(0),
		RunE: func(*cobra.Command, []string) error {
			path, err := config.Place(g.config, g.getenv)
			if err != nil {
				return err
			}
			fmt.Fprintf(g.stdout, "Config file: %s\nCache dir:   %s\nTemp dir:    %s\n", path, defaultCacheDir(g.getenv), filepath.Clean(os.TempDir()))
			return nil
		},
	}
}

func newConfigTouchCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "touch",
		Short: "Make the config file, if there is none",
		Args:  arguments(0),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := g.changeable(c.Context())
			if err != nil {
				return err
			}
			if _, err := os.Stat(f.Path()); err == nil {
				return nil
			}
			return saved(f.Save())
		},
	}
}

// provider is a type of storage in the form that rclone prints it.
type provider struct {
	Name, Description, Prefix string
	Options                   []providerOption
}

type providerOption struct {
	Name, Help, Default, DefaultStr, Type                       string
	Examples                                                    []config.Choice `json:",omitempty"`
	Required, IsPassword, Sensitive, Advanced, Exclusive, IsSet bool
}

func newConfigProvidersCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "providers",
		Short: "Print the types of storage and their options as JSON",
		Args:  arguments(0),
		RunE: func(*cobra.Command, []string) error {
			p := provider{Name: "s3", Description: storageName, Prefix: "s3"}
			for _, o := range config.S3Options() {
				kind := o.Type
				if kind == "url" {
					kind = "string"
				}
				p.Options = append(p.Options, providerOption{
					Name: o.Name, Help: o.Help, Default: o.Default, DefaultStr: o.Default, Type: kind,
					Examples: o.Choices, Sensitive: o.Secret, Advanced: o.Advanced, Exclusive: o.Closed,
				})
			}
			return g.printJSON([]provider{p})
		},
	}
}
