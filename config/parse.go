package config

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// topSection is the name that keys before the first section header belong to.
const topSection = "DEFAULT"

// section is the keys of one remote.
type section map[string]secret.String

// line is a line of a file as it stands there, and what was read from it.
type line struct {
	text    secret.String // with its line end, if it has one
	section string        // the section that it stands in, or begins
	header  bool          // "[section]"
	key     string        // of "key = value"; empty for headers, comments and blank lines
	value   secret.String
}

// Parse reads the text of a config file; path is used in errors only. Its errors are
// of KindInvalid, or of KindCredentials for an encrypted file: Load opens those.
func Parse(path string, text []byte) (*File, error) {
	if box, err := findBox(path, text); box != nil || err != nil {
		return nil, cmp.Or(err, noPassword(path))
	}
	f := &File{path: path}
	rest, hasBOM := bytes.CutPrefix(text, []byte(bom))
	f.bom = hasBOM
	current, number := topSection, 0
	for text := range strings.Lines(string(rest)) {
		number++
		l, problem := parseLine(text, current)
		if problem != "" {
			return nil, lineError(path, number, problem)
		}
		current = l.section
		f.lines = append(f.lines, l)
	}
	f.index()
	return f, nil
}

const bom = "\xef\xbb\xbf"

// parseLine reads one line of a file. current is the section that the line before it
// stands in.
func parseLine(text, current string) (l line, problem string) {
	l = line{text: secret.New(text), section: current}
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
	case trimmed[0] == '[' && trimmed[len(trimmed)-1] == ']':
		l.header = true
		l.section = strings.TrimSpace(trimmed[1 : len(trimmed)-1])
		if l.section == "" {
			return l, "the section has no name"
		}
	default:
		key, value, problem := splitLine(trimmed)
		if problem != "" {
			return l, problem
		}
		l.key, l.value = key, secret.New(value)
	}
	return l, ""
}

// index makes the sections of the lines.
func (f *File) index() {
	f.names, f.sections = nil, map[string]section{}
	for _, l := range f.lines {
		if !l.header && l.key == "" {
			continue
		}
		s, ok := f.sections[l.section]
		if !ok {
			s = section{}
			f.sections[l.section] = s
			f.names = append(f.names, l.section)
		}
		if !l.header {
			s[l.key] = l.value
		}
	}
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
