package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

func newConfigEncryptionCmd(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "encryption",
		Short: "Encrypt the config file with a password, or don't",
		Long: `The encryption is rclone's: both programs open the file with the password. It comes
from --password-command, from S3MOUNT_CONFIG_PASS or RCLONE_CONFIG_PASS, or s3mount
asks for it at the terminal. A password can be found by trying if it is short.`,
		Args: arguments(0),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newEncryptionSetCmd(g), &cobra.Command{
		Use:   "remove",
		Short: "Write it in plain from now on",
		Args:  arguments(0),
		RunE:  func(c *cobra.Command, _ []string) error { return g.removePassword(c) },
	}, &cobra.Command{
		Use:   "check",
		Short: "Fail unless it is encrypted, and the password opens it",
		Args:  arguments(0),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := g.readable(c.Context())
			if err == nil && !f.Encrypted() {
				err = fmt.Errorf("%s is not encrypted", f.Path())
			}
			return err
		},
	})
	return c
}

func newEncryptionSetCmd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "set",
		Short: "Encrypt it, or change its password",
		Long: `Set encrypts the config file, or changes its password. The new password is asked for
twice. With --password-command, the command is run for the old password, and again
with RCLONE_PASSWORD_CHANGE=1 in its environment for the new one.`,
		Args: arguments(0),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, done := g.untilSignal(c.Context())
			defer done()
			f, err := g.changeable(ctx)
			if err != nil {
				return err
			}
			password, err := g.passwords().New(ctx)
			if err != nil {
				return &object.Error{Op: "set password", Key: f.Path(), Kind: object.KindInvalid, Err: err}
			}
			if err := f.SetPassword(password); err != nil {
				return err
			}
			return saved(f.Save())
		},
	}
}

// removePassword is s3mount config encryption remove.
func (g *globals) removePassword(c *cobra.Command) error {
	return g.change(c.Context(), func(f *config.File) error {
		if !f.Encrypted() {
			return object.Errorf(object.KindInvalid, "remove password", f.Path(), "the file is not encrypted")
		}
		return f.SetPassword(secret.String{})
	})
}
