package transfer

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mount/s3mount/object"
)

// Filter chooses files by rclone's rules. The zero value, and nil, choose all. It must
// not be changed any more once it is used; after that it is safe for concurrent use.
type Filter struct {
	// MinSize and MaxSize bound the size in bytes, both included. Nil: no bound.
	MinSize, MaxSize *int64
	// MinAge and MaxAge bound the time since the last modification. Zero: no bound.
	MinAge, MaxAge time.Duration
	// Now is what ages count from. Zero: the moment of the first Match.
	Now time.Time

	files     []rule // the first that matches a file decides
	dirs      []rule // the first that matches a folder, with "/" behind it, decides
	including bool   // Include was called: what no rule matches is left out
	list      []string
	listed    bool // Files was called

	nowOnce sync.Once
}

// rule includes or leaves out what matches.
type rule struct {
	include bool
	re      *regexp.Regexp
}

// AddRule adds a rule: "+ pattern" includes, "- pattern" leaves out, and "!" forgets all
// rules before. The first rule that matches decides; a file that none matches is
// chosen. Errors are of KindInvalid.
func (f *Filter) AddRule(text string) error {
	line := strings.TrimSpace(text)
	var err error
	switch {
	case line == "!":
		f.files, f.dirs, f.including = nil, nil, false
	case len(line) > 2 && strings.HasPrefix(line, "+ "):
		err = f.include(line[2:])
	case len(line) > 2 && strings.HasPrefix(line, "- "):
		err = f.exclude(line[2:])
	default:
		err = fmt.Errorf(`rule %q: want "+ pattern", "- pattern" or "!"`, text)
	}
	return invalidFilter(err)
}

// Include adds "+ pattern"; once there is one, what no rule matches is left out.
func (f *Filter) Include(pattern string) error {
	f.including = true
	return invalidFilter(f.include(pattern))
}

// Exclude adds "- pattern".
func (f *Filter) Exclude(pattern string) error { return invalidFilter(f.exclude(pattern)) }

func invalidFilter(err error) error {
	if err == nil {
		return nil
	}
	return &object.Error{Op: "filter", Kind: object.KindInvalid, Err: err}
}

func (f *Filter) include(pattern string) error {
	re, err := glob(pattern)
	if err != nil {
		return err
	}
	wide := strings.Contains(pattern, "**")
	if !strings.HasSuffix(pattern, "/") || wide {
		f.files = append(f.files, rule{true, re})
	}
	globs, ok := folderGlobs(pattern)
	if !ok {
		f.dirs = append(f.dirs, rule{true, everything})
	}
	for _, g := range globs {
		above, err := glob(g)
		if err != nil {
			return err
		}
		f.dirs = append(f.dirs, rule{true, above})
	}
	if wide {
		f.dirs = append(f.dirs, rule{true, re})
	}
	return nil
}

var everything = regexp.MustCompile("")

func (f *Filter) exclude(pattern string) error {
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	re, err := glob(pattern)
	if err != nil {
		return err
	}
	f.files = append(f.files, rule{false, re})
	switch {
	case pattern == "*":
		f.dirs = append(f.dirs, rule{false, everything})
	case strings.Contains(pattern, "**"):
		f.dirs = append(f.dirs, rule{false, re})
	}
	return nil
}

// ReadRules adds the rules of a file, one a line. Empty lines and those that begin with
// "#" or ";" say nothing.
func (f *Filter) ReadRules(r io.Reader) error { return eachLine(r, f.AddRule) }

// ReadIncludes calls Include for each line, as ReadRules does.
func (f *Filter) ReadIncludes(r io.Reader) error { return eachLine(r, f.Include) }

// ReadExcludes calls Exclude for each line, as ReadRules does.
func (f *Filter) ReadExcludes(r io.Reader) error { return eachLine(r, f.Exclude) }

// eachLine calls add for each line that says something, without the blanks around it.
func eachLine(r io.Reader, add func(string) error) error {
	return lines(r, func(line string) error {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			return nil
		}
		return add(line)
	})
}

// maxLine bounds a line of a rules file: more than any path.
const maxLine = 1 << 20

func lines(r io.Reader, add func(string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for n := 1; s.Scan(); n++ {
		if err := add(s.Text()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return invalidFilter(s.Err())
}

// Files makes the filter an exact list of paths: only these are asked for, nothing is
// walked, and no rule, size or age counts. Called again, it adds. A "/" in front is left
// out. Called without paths, the list is empty and chooses nothing.
func (f *Filter) Files(paths ...string) {
	f.listed = true
	for _, p := range paths {
		if p = strings.Trim(p, "/"); p != "" {
			f.list = append(f.list, p)
		}
	}
	slices.Sort(f.list)
	f.list = slices.Compact(f.list)
}

// ReadFiles is Files for the lines of r. With raw, lines are taken as they are; without,
// blanks around them are left out, and lines that begin with "#" or ";".
func (f *Filter) ReadFiles(r io.Reader, raw bool) error {
	var paths []string
	add := func(line string) error {
		paths = append(paths, line)
		return nil
	}
	read := eachLine
	if raw {
		read = lines
	}
	err := read(r, add)
	f.Files(paths...)
	return err
}

// paths returns the exact list, in order; ok is false if there is none.
func (f *Filter) paths() (list []string, ok bool) {
	if f == nil || !f.listed {
		return nil, false
	}
	return f.list, true
}

// needsTime reports whether Match looks at a ModTime.
func (f *Filter) needsTime() bool { return f != nil && !f.listed && (f.MinAge > 0 || f.MaxAge > 0) }

// Match reports whether a file is chosen. Its ModTime counts only with MinAge or MaxAge.
func (f *Filter) Match(file File) bool {
	switch {
	case f == nil:
		return true
	case f.listed:
		_, found := slices.BinarySearch(f.list, file.Path)
		return found
	}
	return f.matchSize(file.Size) && f.matchAge(file.ModTime) && f.matchPath(file.Path)
}

func (f *Filter) matchSize(size int64) bool {
	return (f.MinSize == nil || size >= *f.MinSize) && (f.MaxSize == nil || size <= *f.MaxSize)
}

func (f *Filter) matchAge(t time.Time) bool {
	if !f.needsTime() {
		return true
	}
	f.nowOnce.Do(func() {
		if f.Now.IsZero() {
			f.Now = time.Now()
		}
	})
	age := f.Now.Sub(t)
	return (f.MinAge <= 0 || age >= f.MinAge) && (f.MaxAge <= 0 || age <= f.MaxAge)
}

// matchPath reports whether the rules choose a path: those for files do, and none for
// folders leaves out a folder above it.
func (f *Filter) matchPath(path string) bool {
	if len(f.dirs) > 0 {
		for i := 0; i < len(path); i++ {
			if path[i] == '/' && !f.matchFolder(path[:i+1]) {
				return false
			}
		}
	}
	return decideRule(f.files, path, !f.including)
}

// matchFolder is for one folder, without those above; path ends in "/".
func (f *Filter) matchFolder(path string) bool {
	return decideRule(f.dirs, path, !f.including)
}

func decideRule(rules []rule, path string, otherwise bool) bool {
	for _, r := range rules {
		if r.re.MatchString(path) {
			return r.include
		}
	}
	return otherwise
}

// MatchDir reports whether anything below a folder can be chosen.
func (f *Filter) MatchDir(path string) bool {
	switch {
	case f == nil:
		return true
	case f.listed:
		at, _ := slices.BinarySearch(f.list, path+"/")
		return at < len(f.list) && strings.HasPrefix(f.list[at], path+"/")
	}
	return f.matchFolder(path + "/")
}
