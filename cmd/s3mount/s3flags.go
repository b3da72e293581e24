package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/config"
)

// addS3Flags adds the options of the remote as flags to a command: --s3-acl, --s3-region
// and so on, one for each of config.S3Options. openRemote lays what they hold over the
// remote.
func (g *globals) addS3Flags(f *pflag.FlagSet) {
	if g.s3 == nil {
		g.s3 = map[string]*s3Value{}
	}
	for _, o := range config.S3Options() {
		v, ok := g.s3[o.Name]
		if !ok {
			v = &s3Value{option: o}
			g.s3[o.Name] = v // all commands share it: one of them runs
		}
		help := strings.TrimSuffix(o.Question(), ".")
		if o.Secret {
			help += " (others on this machine can see flags: better the config file or " + s3Variable(o.Name) + ")"
		}
		flag := f.VarPF(v, s3FlagName(o.Name), "", help)
		if o.Type == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

// s3Flag returns the value of an option whose flag was given.
func (g *globals) s3Flag(key string) (string, bool) {
	v, ok := g.s3[key]
	if !ok || !v.given {
		return "", false
	}
	return v.text, true
}

// s3FlagName is the flag of an option: --s3-storage-class for storage_class.
func s3FlagName(option string) string { return "s3-" + strings.ReplaceAll(option, "_", "-") }

// s3Variable is the variable of an option: S3MOUNT_S3_STORAGE_CLASS for storage_class.
func s3Variable(option string) string { return "S3MOUNT_S3_" + strings.ToUpper(option) }

// s3Value is the value of one option.
type s3Value struct {
	option config.Option
	text   string
	given  bool
}

// Set takes a value that the option can have.
func (v *s3Value) Set(text string) error {
	if err := v.option.Check(text); err != nil {
		return err
	}
	v.text, v.given = text, true
	return nil
}

// String shows the value, but no secret.
func (v *s3Value) String() string {
	if v.option.Secret {
		return ""
	}
	return v.text
}

// Type is the word for the value in the help.
func (v *s3Value) Type() string {
	if v.option.Type == "bool" {
		return "bool"
	}
	return "string"
}
