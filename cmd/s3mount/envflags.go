package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envPrefixes are what stands before a flag's name in the environment, the first one
// first: users of rclone have its variables set already.
var envPrefixes = []string{"S3MOUNT_", "RCLONE_"}

// notFromEnv are flags that the environment does not set here: config.Find reads
// S3MOUNT_CONFIG and RCLONE_CONFIG in an order of its own, S3MOUNT_DAEMON tells a process
// that it is the background half, and rclone's cache is not one of s3mount's.
var notFromEnv = map[string]bool{
	"S3MOUNT_CONFIG": true, "RCLONE_CONFIG": true, "S3MOUNT_DAEMON": true, "RCLONE_DAEMON": true, "RCLONE_CACHE_DIR": true,
	"S3MOUNT_HELP": true, "RCLONE_HELP": true, "S3MOUNT_VERSION": true, "RCLONE_VERSION": true,
}

// flagsFromEnv sets each flag that the command line does not: --bwlimit from
// S3MOUNT_BWLIMIT or RCLONE_BWLIMIT. The options of remotes (--s3-…) have their own
// way through the environment.
func flagsFromEnv(c *cobra.Command, getenv func(string) string) error {
	var errs []error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || strings.HasPrefix(f.Name, "s3-") {
			return
		}
		for _, prefix := range envPrefixes {
			name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
			value := getenv(name)
			if value == "" || notFromEnv[name] {
				continue
			}
			if err := c.Flags().Set(f.Name, value); err != nil {
				errs = append(errs, usageError{fmt.Errorf("%s=%s in the environment is wrong: it is %s", name, value, forms[f.Value.Type()])})
			}
			return
		}
	})
	return errors.Join(errs...)
}
