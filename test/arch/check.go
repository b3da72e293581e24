package arch

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// File is a Go source file as the check sees it.
type File struct {
	Path    string // relative to the module, with slashes
	Imports []string
}

func (f File) test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Parse reads the imports of a source file. src is as go/parser has it: nil reads the
// file.
func Parse(root, name string, src any) (File, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), src, parser.ImportsOnly)
	if err != nil {
		return File{}, err
	}
	f := File{Path: filepath.ToSlash(name)}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, err
		}
		f.Imports = append(f.Imports, imported)
	}
	return f, nil
}

// Check returns a line for each import that breaks a rule.
func Check(files []File) []string {
	var out []string
	for _, f := range files {
		layer, ok := layerOf(f.Path)
		if !ok {
			out = append(out, fmt.Sprintf("%s: no layer in test/arch/rules.go covers this package", f.Path))
			continue
		}
		for _, imported := range f.Imports {
			if why := forbidden(f, layer, imported); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", f.Path, imported, why))
			}
		}
	}
	return out
}

// layerOf finds the layer with the longest Dir that covers a file.
func layerOf(file string) (Layer, bool) {
	var best Layer
	for _, l := range Layers {
		if within(file, l.Dir) && len(l.Dir) > len(best.Dir) {
			best = l
		}
	}
	return best, best.Dir != ""
}

// within reports whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// forbidden returns why f may not import a package, or "".
func forbidden(f File, layer Layer, imported string) string {
	for _, o := range Owners {
		mayKnow := slices.ContainsFunc(o.Dirs, func(dir string) bool { return within(f.Path, dir) })
		if within(imported, o.Import) && !mayKnow {
			return o.Why
		}
	}
	if f.test() {
		return ""
	}
	own, ok := strings.CutPrefix(imported, Module+"/")
	if !ok {
		first, _, _ := strings.Cut(imported, "/")
		outside := slices.ContainsFunc(layer.Outside, func(dir string) bool { return within(imported, dir) })
		if layer.StdOnly && strings.Contains(first, ".") && !outside {
			return layer.Dir + " may import the standard library only" + butOf(layer.Outside)
		}
		return ""
	}
	if within(own, layer.Dir) {
		return ""
	}
	for _, dir := range layer.Allow {
		if within(own, dir) || dir == "*" && !within(own, "test") {
			return ""
		}
	}
	return fmt.Sprintf("%s may import %s of this module", layer.Dir, orNothing(layer.Allow))
}

func butOf(outside []string) string {
	if len(outside) == 0 {
		return ""
	}
	return ", and " + strings.Join(outside, ", ")
}

func orNothing(dirs []string) string {
	if len(dirs) == 0 {
		return "nothing else"
	}
	return "only " + strings.Join(dirs, ", ")
}

// skipped are folders that hold no source of the project.
var skipped = []string{".git", ".tools", ".cache", "bin", "testdata", "node_modules"}

// walk calls visit for every file of the source under root, with its relative name.
func walk(root string, visit func(name string) error) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skipped, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(name))
	})
}

// ReadModule parses all Go files under root.
func ReadModule(root string) ([]File, error) {
	var files []File
	err := walk(root, func(name string) error {
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := Parse(root, name, nil)
		files = append(files, f)
		return err
	})
	return files, err
}

// machinePaths returns the beginnings of paths that the source must not name, for
// source that lies in root.
func machinePaths(root string) []string {
	out := slices.Clone(homes)
	for _, dir := range []string{root, filepath.Dir(root)} {
		if strings.Count(dir, "/") > 1 || !slices.Contains(systemDirs, dir) {
			out = append(out, dir+"/")
		}
	}
	return out
}

// systemDirs are named in the source for good reasons, even when it lies in one.
var systemDirs = []string{"/", "/tmp", "/src", "/usr", "/var", "/opt", "/mnt", "/srv", "/data"}

// NamesMachine returns a line for each line of a file that names a path of the machine.
func NamesMachine(name string, text []byte, paths []string) []string {
	if bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) {
		return nil // no text
	}
	var out []string
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		for _, p := range paths {
			if beginsPath(line, p) {
				out = append(out, fmt.Sprintf("%s:%d names %s, which is a path of one machine", name, number, p))
			}
		}
	}
	return out
}

// beginsPath reports whether line has a path that begins with p: p inside of a longer
// path or word is something else.
func beginsPath(line, p string) bool {
	for i := 0; ; i++ {
		at := strings.Index(line[i:], p)
		if at < 0 {
			return false
		}
		if i += at; i == 0 || !strings.ContainsRune(pathRunes, rune(line[i-1])) {
			return true
		}
	}
}

// pathRunes are what may stand before a slash within a path.
const pathRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.~}$)*%/"

// MachinePaths returns such lines for all files under root.
func MachinePaths(root string) ([]string, error) {
	var out []string
	paths := machinePaths(root)
	err := walk(root, func(name string) error {
		if within(name, "test/arch") {
			return nil // the rules name what they look for
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		out = append(out, NamesMachine(name, text, paths)...)
		return err
	})
	return out, err
}
