package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/object"
)

// usageError is a command line that can't be run.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

// exitCode is what a command that failed exits with.
func exitCode(err error) int {
	var usage usageError
	var child *childError
	var withCode *codedError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &child):
		return child.code
	case errors.As(err, &withCode):
		return withCode.code
	}
	return exitError
}

// hinted adds to an error what to do about it, in the same line.
func hinted(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, hint)
}

// checkHints tells what to do when a bucket can't be opened.
var checkHints = map[object.Kind]string{
	object.KindNoBucket:    "check the bucket's name, or make it first",
	object.KindCredentials: "check access_key_id and secret_access_key of the remote",
	object.KindPermission:  "the key needs s3:ListBucket on the bucket and s3:GetObject on its objects",
	object.KindWrongRegion: "check region of the remote",
	object.KindClockSkew:   "set this machine's clock",
	object.KindUnavailable: "check endpoint of the remote, and the network",
	object.KindTimeout:     "check endpoint of the remote, and the network",
	object.KindUnsupported: "check endpoint of the remote: it does not answer as S3 does",
	object.KindInvalid:     "check endpoint of the remote: it does not answer as S3 does",
	object.KindOther:       "check endpoint of the remote: it does not answer as S3 does",
}

// configHints tells what to do when the config file can't be read.
var configHints = map[object.Kind]string{
	object.KindNotFound:   "check --config or S3MOUNT_CONFIG",
	object.KindPermission: "give your user the right to read it",
	object.KindInvalid:    "it must be an INI file like rclone.conf",
	object.KindOther:      "check --config or S3MOUNT_CONFIG",
}

// remoteHints tells what to do when a remote can't be used.
var remoteHints = map[object.Kind]string{
	object.KindNotFound:    "check its name, or add it",
	object.KindUnsupported: "choose one of type s3",
}

// flagError says which flag is wrong, and how it is written.
func flagError(c *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
	}
	f := value.GetFlag()
	if _, ok := f.Value.(*s3Value); ok { // it may be a secret: its own error knows
		return usageError{fmt.Errorf("--%s is wrong: %w", f.Name, value.Unwrap())}
	}
	return usageError{fmt.Errorf("--%s %q is wrong: it is %s", f.Name, value.GetValue(), forms[f.Value.Type()])}
}

// forms says how a flag's value is written, by its type.
var forms = map[string]string{
	"bool":        "true or false",
	"duration":    "a time like 10s, 5m or 1h30m",
	"stringArray": "a text",
	"uint32":      "a number from 0 to 4294967295",
	"int64":       "a number",
	"count":       "a number, or nothing: -vv is -v twice",
	"AGE":         "an age like 30m, 2d or 1y, or a date like 2026-01-31",
	"COUNT":       "a number from 1 to 65535",
	"KIBSIZE":     "a size in KiB, or with a unit as in 100B, 512K or 10M",
	"LIMIT":       "a number from 0 on, or off",
	"MODE":        "permissions in octal like 0644",
	"RATE":        "KiB per second, or with a unit as in 512K or 10M, or off",
	"SIZE":        "a size like 512M or 10G",
}
