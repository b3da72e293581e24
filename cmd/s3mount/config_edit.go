package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
)

func newConfigCreateCmd(g *globals) *cobra.Command {
	var replace bool
	c := &cobra.Command{
		Use:   "create NAME s3 [KEY=VALUE | KEY VALUE]...",
		Short: "Make a remote",
		Long: `Create adds a remote to the config file. What you type can be seen by others on this
machine while it runs: a secret is better given to s3mount config, or read from a file:

  s3mount config create home s3 endpoint=http://localhost:9000 \
      access_key_id=AKIA... secret_access_key="$(cat key)"`,
		Args: atLeast(2, "NAME", "TYPE"),
		RunE: func(c *cobra.Command, args []string) error {
			name := bareName(args[0])
			pairs, err := parsePairs(args[2:])
			if err == nil && args[1] != "s3" {
				err = fmt.Errorf("type %q: s3mount knows the type s3 only", args[1])
			}
			if err != nil {
				return usageError{err}
			}
			return g.change(c.Context(), func(f *config.File) error {
				if f.Has(name) && replace {
					f.Delete(name)
				}
				if err := f.Create(name); err != nil {
					return hinted(err, existsHint(err, "change it with config update, or give --replace"))
				}
				f.Set(name, "type", "s3")
				return g.setPairs(f, name, pairs)
			})
		},
	}
	c.Flags().BoolVar(&replace, "replace", false, "put it in the place of a remote that has the name")
	return c
}

func newConfigUpdateCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "update NAME KEY=VALUE | KEY VALUE...",
		Short: "Change options of a remote",
		Args:  atLeast(2, "NAME", "KEY=VALUE"),
		RunE: func(c *cobra.Command, args []string) error {
			name := bareName(args[0])
			pairs, err := parsePairs(args[1:])
			if err != nil {
				return usageError{err}
			}
			return g.change(c.Context(), func(f *config.File) error {
				if err := isS3(f, name); err != nil {
					return err
				}
				return g.setPairs(f, name, pairs)
			})
		},
	}
}

func newConfigUnsetCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "unset NAME KEY...",
		Short: "Remove options of a remote",
		Args:  atLeast(2, "NAME", "KEY"),
		RunE: func(c *cobra.Command, args []string) error {
			return g.change(c.Context(), func(f *config.File) error {
				for _, key := range args[1:] {
					if err := f.Unset(bareName(args[0]), key); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func newConfigDeleteCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a remote from the config file",
		Args:  arguments(0, "NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			return g.change(c.Context(), func(f *config.File) error { return f.Delete(bareName(args[0])) })
		},
	}
}

func newConfigRenameCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "rename NAME NEW",
		Short: "Give a remote another name",
		Args:  arguments(0, "NAME", "NEW"),
		RunE: func(c *cobra.Command, args []string) error {
			return g.change(c.Context(), func(f *config.File) error { return f.Rename(bareName(args[0]), bareName(args[1])) })
		},
	}
}

func newConfigCopyCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "copy NAME NEW",
		Short: "Make a remote with the options of another",
		Args:  arguments(0, "NAME", "NEW"),
		RunE: func(c *cobra.Command, args []string) error {
			return g.change(c.Context(), func(f *config.File) error { return f.Copy(bareName(args[0]), bareName(args[1])) })
		},
	}
}

// atLeast refuses fewer arguments than n, and names the one that is missing.
func atLeast(n int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError{fmt.Errorf("%s is missing: usage: %s", names[len(args)], c.UseLine())}
		}
		return nil
	}
}

// parsePairs reads "key=value" and "key value", in any mix.
func parsePairs(args []string) (pairs [][2]string, err error) {
	for i := 0; i < len(args); i++ {
		key, value, ok := strings.Cut(args[i], "=")
		if !ok {
			if i++; i == len(args) {
				return nil, fmt.Errorf("the value of %s is missing: write %s=VALUE", key, key)
			}
			value = args[i]
		}
		if err := checkPair(key, value); err != nil {
			return nil, err
		}
		pairs = append(pairs, [2]string{key, value})
	}
	return pairs, nil
}

// checkPair refuses an option that there is not, and a value that it can't have.
func checkPair(key, value string) error {
	if o, ok := config.S3Option(key); ok {
		if err := o.Check(value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	}
	known, _ := config.Known(key)
	switch nearest := config.Nearest(key); {
	case key == "type":
		return fmt.Errorf("type: it can't be changed: s3mount knows the type s3 only")
	case known:
		return nil
	case nearest != "":
		return fmt.Errorf("there is no option %q: did you mean %s?", key, nearest)
	}
	return fmt.Errorf("there is no option %q: see s3mount config providers", key)
}

// setPairs sets options of a remote, and warns of what will not work as it is.
func (g *globals) setPairs(f *config.File, name string, pairs [][2]string) error {
	for _, p := range pairs {
		if err := f.Set(name, p[0], p[1]); err != nil {
			return err
		}
	}
	writeNotes(g.stderr, "s3mount: note: ", f, name)
	return nil
}

// writeNotes tells what is legal in a remote, but looks wrong.
func writeNotes(w io.Writer, prefix string, f *config.File, name string) {
	values := map[string]string{}
	for _, p := range f.Pairs(name) {
		values[p.Key] = p.Value.Reveal()
		for _, slip := range config.Slips(p.Key, p.Value.Reveal()) {
			fmt.Fprintf(w, "%s%s %s\n", prefix, p.Key, slip)
		}
	}
	get := func(key string) string { return values[key] }
	for _, line := range config.PassedOver(get) {
		fmt.Fprintf(w, "%s%s\n", prefix, line)
	}
	err := config.Refusal(get)
	if err == nil {
		_, err = s3remote.FromRemote(get)
	}
	if err != nil {
		fmt.Fprintf(w, "%sthe remote can't be used yet: %v\n", prefix, err)
	}
}

// isS3 refuses to change the options of what s3mount does not know.
func isS3(f *config.File, name string) error {
	if !f.Has(name) {
		_, err := f.Remote(name)
		return err
	}
	for _, p := range f.Pairs(name) {
		if kind := p.Value.Reveal(); p.Key == "type" && kind != "s3" {
			return object.Errorf(object.KindUnsupported, "change remote", name, "it is of type %q, and s3mount knows the type s3 only: change it with rclone", kind)
		}
	}
	return nil
}

// existsHint is the hint for a name that is taken.
func existsHint(err error, hint string) string {
	if object.Is(err, object.KindExists) {
		return hint
	}
	return ""
}
