package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/config"
)

func newConfigRedactedCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "redacted [NAME]",
		Short: "Show the config file without secrets and key IDs, to send to others",
		Args:  arguments(1),
		RunE: func(c *cobra.Command, args []string) error {
			err := g.showConfig(c.Context(), append(args, "")[0], func(key string) bool {
				return config.IsSecret(key) || config.IsPrivate(key)
			})
			if err == nil {
				fmt.Fprintln(g.stdout, "### Look it through before you send it to others")
			}
			return err
		},
	}
}

func newConfigStringCmd(g *globals) *cobra.Command {
	var reveal bool
	c := &cobra.Command{
		Use:   "string REMOTE:[PATH]",
		Short: "Print a remote as a path that needs no config file",
		Long: `String prints the remote with all its options, as every command takes it where no
config file is: :s3,endpoint='http://localhost:9000':bucket. If a secret is among them
it prints nothing without --show-secrets.`,
		Args: arguments(0, "REMOTE:[PATH]"),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := g.readable(c.Context())
			if err != nil {
				return err
			}
			name, path, _ := strings.Cut(args[0], ":")
			if err := isS3(f, name); err != nil {
				return err
			}
			text := ":s3"
			for _, p := range f.Pairs(name) {
				value := p.Value.Reveal()
				if p.Key == "type" || value == "" {
					continue
				}
				if config.IsSecret(p.Key) && !reveal {
					return usageError{fmt.Errorf("%s has %s, which would be printed: give --show-secrets if that is meant", name, p.Key)}
				}
				text += "," + p.Key + "=" + quoteOption(value)
			}
			fmt.Fprintf(g.stdout, "%s:%s\n", text, path)
			return nil
		},
	}
	addShowSecrets(c, &reveal)
	return c
}

// plainOption is a value that needs no quotes in a path.
var plainOption = regexp.MustCompile(`^[0-9A-Za-z_./+@-]+$`)

// quoteOption writes a value so that config.ParsePath reads it.
func quoteOption(value string) string {
	if plainOption.MatchString(value) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

func newConfigOpenCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "edit",
		Short: "Ask question by question, as config alone does",
		Args:  arguments(0),
		RunE:  func(c *cobra.Command, _ []string) error { return g.configDialogue(c.Context()) },
	}
}

// notForS3 are words of rclone's config that remotes of type s3 have no use for, and
// what to do instead.
var notForS3 = []struct{ word, why string }{
	{"password", "a remote of type s3 has no password to hide: its keys are stored as they are, by s3mount config update; s3mount config encryption set protects the whole file"},
	{"reconnect", "a remote of type s3 has no sign-in to repeat: change its keys with s3mount config update"},
	{"disconnect", "a remote of type s3 has no sign-in to end: remove its keys with s3mount config unset"},
	{"userinfo", "S3 does not tell who a key belongs to"},
}

// newConfigForeignCmds answer notForS3.
func newConfigForeignCmds() []*cobra.Command {
	var cs []*cobra.Command
	for _, w := range notForS3 {
		cs = append(cs, &cobra.Command{
			Use:                w.word,
			Hidden:             true,
			DisableFlagParsing: true,
			RunE:               func(*cobra.Command, []string) error { return usageError{fmt.Errorf("config %s: %s", w.word, w.why)} },
		})
	}
	return cs
}
