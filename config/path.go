package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// RemotePath is a place as written on a command line:
//
//	remote:bucket/prefix
//	remote,option=value,option="quoted value":bucket/prefix
//	:s3,endpoint=http://…,access_key_id=…:bucket/prefix
//
// A value within single or double quotes may hold anything, the quote itself
// doubled; one without ends at the next "," or ":", but for the "://" of a URL and
// a port behind it. An option without a value is "true".
type RemotePath struct {
	Remote  string // the remote's name; empty for one made on the fly
	Backend string // the type of a remote made on the fly, e.g. "s3"; else empty
	Bucket  string // may be empty: the whole account
	Path    string // what stands behind the bucket and one "/", as written
	Prefix  string // Path as a prefix of keys: empty, or ending in "/"

	options section
}

// Option returns an option of the command line, and whether it is there.
func (p RemotePath) Option(key string) (string, bool) {
	v, ok := p.options[key]
	return v.Reveal(), ok
}

// String returns the place without its options, which may be secret.
func (p RemotePath) String() string {
	name := p.Remote
	if p.Backend != "" {
		name = ":" + p.Backend
	}
	if p.Path == "" {
		return name + ":" + p.Bucket
	}
	return name + ":" + p.Bucket + "/" + p.Path
}

// remoteName is what rclone allows as a remote's name.
var remoteName = regexp.MustCompile(`^[\w\p{L}\p{N}.+@]+(?:[ -]+[\w\p{L}\p{N}.+@-]+)*$`)

// optionName is what rclone allows as an option's name.
var optionName = regexp.MustCompile(`^[0-9A-Za-z_.]+$`)

// ParsePath takes a place apart. Its errors are of KindInvalid and show the remote's
// name at most: an option may be secret.
func ParsePath(s string) (RemotePath, error) {
	var p RemotePath
	rest, fly := strings.CutPrefix(s, ":")
	end := strings.IndexAny(rest, ":,/")
	if end < 0 || rest[end] == '/' {
		return p, pathError("", "this is no remote:bucket/prefix")
	}
	name := rest[:end]
	if !remoteName.MatchString(name) {
		return p, pathError(name, "a remote's name is of letters, digits and _-.+@ and blanks, and does not start with - or a blank")
	}
	if fly {
		p.Backend = name
	} else {
		p.Remote = name
	}
	sep, rest := rest[end], rest[end+1:]
	for sep == ',' {
		var key, value string
		var err error
		key, value, sep, rest, err = cutOption(rest)
		if err != nil {
			return RemotePath{}, pathError(name, err.Error())
		}
		if p.options == nil {
			p.options = section{}
		}
		p.options[key] = secret.New(value)
	}
	p.Bucket, p.Path, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	p.Prefix = p.Path
	if p.Prefix != "" && !strings.HasSuffix(p.Prefix, "/") {
		p.Prefix += "/"
	}
	return p, nil
}

func pathError(name, problem string) error {
	return object.Errorf(object.KindInvalid, "parse remote", name, "%s", problem)
}

// cutOption takes the first option off s, and the separator behind it, which is ","
// before a further option and ":" before the path.
func cutOption(s string) (key, value string, sep byte, rest string, err error) {
	i := strings.IndexAny(s, "=,:")
	if i < 0 {
		return "", "", 0, "", fmt.Errorf("the options must end with a : before the bucket")
	}
	key = s[:i]
	if !optionName.MatchString(key) {
		return "", "", 0, "", fmt.Errorf("an option's name must be of letters, digits, dots and underscores")
	}
	if s[i] != '=' {
		return key, "true", s[i], s[i+1:], nil
	}
	s = s[i+1:]
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		value, rest, err = cutQuoted(s)
	} else {
		value, rest, err = cutPlain(s)
	}
	if err != nil {
		return "", "", 0, "", fmt.Errorf("option %s: %w", key, err)
	}
	if rest == "" || (rest[0] != ',' && rest[0] != ':') {
		return "", "", 0, "", fmt.Errorf("option %s: a , or : must follow the value", key)
	}
	return key, value, rest[0], rest[1:], nil
}

// cutQuoted takes a quoted value off s. A doubled quote stands for one.
func cutQuoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for quote, i := s[0], 1; i < len(s); i++ {
		if s[i] != quote {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return b.String(), s[i+1:], nil
	}
	return "", "", fmt.Errorf("the quote is not closed")
}

// plainURL is a URL's scheme, host and port at the start of an unquoted value.
var plainURL = regexp.MustCompile(`^https?://(\[[0-9A-Fa-f:.%]*\]|[^\[\]:/,]*)(:[0-9]+)?`)

// cutPlain takes an unquoted value off s. rclone ends it at the first ":", so that a
// URL must be quoted; here the colons of a URL's scheme and port belong to it, as
// what rclone would make of such an argument is never meant.
func cutPlain(s string) (value, rest string, err error) {
	from := 0
	if url := plainURL.FindStringIndex(s); url != nil {
		from = url[1]
	}
	i := strings.IndexAny(s[from:], ",:")
	if i < 0 {
		return "", "", fmt.Errorf("the options must end with a : before the bucket")
	}
	return s[:from+i], s[from+i:], nil
}
