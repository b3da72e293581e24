// Package config reads the remotes that a user has set up, in the file format of
// rclone, and takes apart what is written on a command line to name a place in one.
//
// A file is a list of sections, one a remote, each with lines "key = value":
//
//	[home]
//	type = s3
//	provider = Ceph
//	endpoint = storage.example.org
//	access_key_id = AKIA…
//	secret_access_key = …
//
// What stands behind the first "=" or ":" is the value, to the end of the line,
// without the blanks around it: there are no comments behind a value, no escapes,
// and quotes are part of it, so that a secret with "#", ";", "=", `"` or `\` comes
// through as it is. The two exceptions are rclone's: a value within backticks or
// within triple double quotes is taken without them. A line that starts with "#" or
// ";" is a comment. The last of equal keys counts. A section "a.b" takes what it
// does not say itself from the section "a". Unlike rclone, "%(name)s" in a value is
// not replaced.
//
// The environment goes before the file: RCLONE_CONFIG_HOME_ENDPOINT is the endpoint
// of the remote "home", and a remote may live in the environment alone.
// RCLONE_S3_ENDPOINT, the endpoint of all remotes, goes before that; flags go before
// the environment, and options within a path ("home,region=eu-1:bucket") before all.
//
// A File can be changed (edit.go) and saved. It is kept as lines, so that what a change
// is not about stays as it was written. Save replaces the file on disk in one step, and
// refuses if somebody else changed it since it was read. A file may be encrypted with a
// password, in rclone's way (crypt.go).
//
// options_s3.go is the one table of a remote's options: questions, flags, checks and
// docs are made of it.
//
// Values are kept as secret.String: a File or Remote that is printed or logged by
// mistake shows none of them. Errors name files, lines and keys, never values.
package config
