package config

import (
	"slices"
	"strings"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// The methods of this file change a File in memory, one line at a time: whatever they
// are not about stays as it was written, with comments, order and unknown keys. A
// method that fails has changed nothing. Save brings the changes to disk.

// Pair is an option and its value.
type Pair struct {
	Key   string
	Value secret.String
}

// Pairs returns the options of a section in the order of the file, those that are set
// twice as they count. It takes nothing from other sections or the environment.
func (f *File) Pairs(name string) []Pair {
	var pairs []Pair
	seen := map[string]bool{}
	for _, l := range f.lines {
		if l.section == name && l.key != "" && !seen[l.key] {
			seen[l.key] = true
			pairs = append(pairs, Pair{l.key, f.sections[name][l.key]})
		}
	}
	return pairs
}

// Has reports whether the file has a section of this name.
func (f *File) Has(name string) bool {
	_, ok := f.sections[name]
	return ok
}

// CheckName reports why a remote can't have this name, as an error of KindInvalid.
func CheckName(name string) error {
	if !remoteName.MatchString(name) || name == topSection {
		return object.Errorf(object.KindInvalid, "name remote", name, "it must be of letters, digits and _-.+@ and blanks, and not start with - or a blank")
	}
	return nil
}

// Create adds a remote without options at the end.
func (f *File) Create(name string) error {
	if err := f.free("create remote", name); err != nil {
		return err
	}
	if n := len(f.lines); n > 0 {
		f.endLastLine()
		if strings.TrimSpace(f.lines[n-1].text.Reveal()) != "" {
			f.lines = append(f.lines, line{text: secret.New(f.lineEnd()), section: f.lines[n-1].section})
		}
	}
	f.lines = append(f.lines, f.header(name))
	f.index()
	return nil
}

// Set gives an option of a remote a value, in place if it has one, else behind the
// last of the remote's options.
func (f *File) Set(name, key, value string) error {
	if !f.Has(name) {
		return f.missing("change remote", name)
	}
	if !optionName.MatchString(key) {
		return object.Errorf(object.KindInvalid, "change remote", name, "%q is no option: its name must be of letters, digits, dots and underscores", key)
	}
	text, ok := formatPair(key, value)
	if !ok {
		return object.Errorf(object.KindInvalid, "change remote", name, "%s: this value can't be written in a config file", key)
	}
	l := line{text: secret.New(text + f.lineEnd()), section: name, key: key, value: secret.New(value)}
	at := -1
	for i, old := range f.lines {
		if old.section == name && old.key == key {
			at = i // the last of equal keys counts
		}
	}
	if at >= 0 {
		f.lines[at] = l
	} else {
		at = f.endOf(name)
		f.endLastLine()
		f.lines = slices.Insert(f.lines, at, l)
	}
	f.index()
	return nil
}

// Unset removes an option of a remote; one that is not set is an error of
// KindNotFound.
func (f *File) Unset(name, key string) error {
	if !f.Has(name) {
		return f.missing("change remote", name)
	}
	if _, ok := f.sections[name][key]; !ok {
		return object.Errorf(object.KindNotFound, "change remote", name, "it has no option %s", key)
	}
	f.lines = slices.DeleteFunc(f.lines, func(l line) bool { return l.section == name && l.key == key })
	f.index()
	return nil
}

// Delete removes a remote, and the comments within it. Comments right above the next
// section belong to that and stay.
func (f *File) Delete(name string) error {
	if !f.Has(name) {
		return f.missing("delete remote", name)
	}
	drop := make([]bool, len(f.lines))
	for i := len(f.lines) - 1; i >= 0; i-- {
		l := f.lines[i]
		next := i+1 < len(f.lines) && !drop[i+1] && f.lines[i+1].section != name
		above := i+1 < len(f.lines) && !drop[i+1] && isComment(f.lines[i+1])
		drop[i] = l.section == name && !(isComment(l) && (next || above))
	}
	kept := f.lines[:0:0]
	section := topSection
	for i, l := range f.lines {
		if drop[i] {
			continue
		}
		if l.header || l.section != name {
			section = l.section
		}
		l.section = section
		kept = append(kept, l)
	}
	f.lines = kept
	f.index()
	return nil
}

// Rename gives a remote another name.
func (f *File) Rename(from, to string) error {
	if !f.Has(from) {
		return f.missing("rename remote", from)
	}
	if err := f.free("rename remote", to); err != nil {
		return err
	}
	for i, l := range f.lines {
		if l.section != from {
			continue
		}
		if l.header {
			l = f.header(to)
		}
		l.section = to
		f.lines[i] = l
	}
	f.index()
	return nil
}

// Copy adds a remote with the options of another at the end.
func (f *File) Copy(from, to string) error {
	if !f.Has(from) {
		return f.missing("copy remote", from)
	}
	pairs := f.Pairs(from)
	if err := f.Create(to); err != nil {
		return err
	}
	for _, p := range pairs {
		text, _ := formatPair(p.Key, p.Value.Reveal()) // it was read from a file
		f.lines = append(f.lines, line{text: secret.New(text + f.lineEnd()), section: to, key: p.Key, value: p.Value})
	}
	f.index()
	return nil
}

func isComment(l line) bool {
	text := strings.TrimSpace(l.text.Reveal())
	return text != "" && (text[0] == '#' || text[0] == ';')
}

// endOf returns the place behind the last option of a section, or behind its header.
func (f *File) endOf(name string) int {
	at := 0
	for i, l := range f.lines {
		if l.section == name && (l.header || l.key != "") {
			at = i + 1
		}
	}
	return at
}

// endLastLine ends the last line of the file if it has no end yet.
func (f *File) endLastLine() {
	if len(f.lines) == 0 {
		return
	}
	last := &f.lines[len(f.lines)-1]
	if text := last.text.Reveal(); !strings.HasSuffix(text, "\n") {
		last.text = secret.New(text + f.lineEnd())
	}
}

// lineEnd is what the file's first line ends in.
func (f *File) lineEnd() string {
	if len(f.lines) > 0 && strings.HasSuffix(f.lines[0].text.Reveal(), "\r\n") {
		return "\r\n"
	}
	return "\n"
}

func (f *File) header(name string) line {
	return line{text: secret.New("[" + name + "]" + f.lineEnd()), section: name, header: true}
}

// free reports why a new remote can't have a name.
func (f *File) free(op, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if f.Has(name) {
		return object.Errorf(object.KindExists, op, name, "%s has a remote of this name", f.path)
	}
	return nil
}

func (f *File) missing(op, name string) error {
	return object.Errorf(object.KindNotFound, op, name, "%s", f.unknown(name))
}

// formatPair writes "key = value" so that splitLine reads the value again; ok is
// false where there is no way to write it.
func formatPair(key, value string) (text string, ok bool) {
	if strings.ContainsAny(value, "\r\n\x00") {
		return "", false
	}
	if value == "" {
		return key + " =", true
	}
	for _, quote := range []string{"", "`", `"""`} {
		text = key + " = " + quote + value + quote
		if k, v, problem := splitLine(text); problem == "" && k == key && v == value && strings.TrimSpace(text) == text {
			return text, true
		}
	}
	return "", false
}
