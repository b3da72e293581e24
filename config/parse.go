package config

import (
	"bytes"
	"strings"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// topSection is the name that keys before the first section header belong to.
const topSection = "DEFAULT"

// section is the keys of one remote.
type section map[string]secret.String

// Parse reads the text of a config file; path is used in errors only. Its errors are
// of KindInvalid, or of KindUnsupported for an encrypted file.
func Parse(path string, text []byte) (*File, error) {
	f := &File{path: path, sections: map[string]section{}}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	current, number := topSection, 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case strings.HasPrefix(line, "RCLONE_ENCRYPT_V") && len(f.sections) == 0:
			return nil, object.Errorf(object.KindUnsupported, "read config", path,
				"the file is encrypted, which s3mount cannot read yet: write it out in plain (rclone config show > FILE) and name that with --config")
		case line[0] == '[' && line[len(line)-1] == ']':
			current = strings.TrimSpace(line[1 : len(line)-1])
			if current == "" {
				return nil, lineError(path, number, "the section has no name")
			}
			f.add(current)
		default:
			key, value, problem := splitLine(line)
			if problem != "" {
				return nil, lineError(path, number, problem)
			}
			f.add(current)[key] = secret.New(value)
		}
	}
	return f, nil
}

// add finds or makes a section.
func (f *File) add(name string) section {
	s, ok := f.sections[name]
	if !ok {
		s = section{}
		f.sections[name] = s
		f.names = append(f.names, name)
	}
	return s
}

// lineError names the place but not the line's text, which may be a secret.
func lineError(path string, number int, problem string) error {
	return object.Errorf(object.KindInvalid, "read config", path, "line %d: %s", number, problem)
}

// splitLine takes "key = value" apart. The line is trimmed and not empty.
func splitLine(line string) (key, value, problem string) {
	const noKey = "neither a [section] nor a key = value"
	var rest string
	if quote := keyQuote(line); quote != "" {
		inner, behind, ok := strings.Cut(line[len(quote):], quote)
		i := strings.IndexAny(behind, "=:")
		if !ok || i < 0 {
			return "", "", noKey
		}
		key, rest = inner, behind[i+1:]
	} else {
		i := strings.IndexAny(line, "=:")
		if i <= 0 {
			return "", "", noKey
		}
		key, rest = strings.TrimSpace(line[:i]), line[i+1:]
	}
	rest = strings.TrimSpace(rest)
	quote := valueQuote(rest)
	if quote == "" {
		return key, rest, ""
	}
	end := strings.LastIndex(rest[len(quote):], quote)
	if end < 0 {
		return "", "", "the quote that opens the value is not closed"
	}
	return key, rest[len(quote) : len(quote)+end], ""
}

// keyQuote returns the quote that a key starts with, or "".
func keyQuote(line string) string {
	switch {
	case len(line) >= 6 && strings.HasPrefix(line, `"""`):
		return `"""`
	case line[0] == '"':
		return `"`
	case line[0] == '`':
		return "`"
	}
	return ""
}

// valueQuote returns the quote that a value starts with, or "". A plain double quote
// is none: it is part of the value.
func valueQuote(value string) string {
	switch {
	case len(value) >= 2 && value[0] == '`':
		return "`"
	case len(value) >= 6 && strings.HasPrefix(value, `"""`):
		return `"""`
	}
	return ""
}
