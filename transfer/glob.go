package transfer

import (
	"fmt"
	"regexp"
	"strings"
)

// glob is a pattern of rclone's grammar, made into a regular expression over whole
// paths. "*" and "?" stop at "/", "**" does not; [] are classes, {} alternatives, {{}}
// a regular expression. A pattern that begins with "/" is matched from the root, any
// other from any component on.
func glob(pattern string) (*regexp.Regexp, error) {
	body, anchored := strings.CutPrefix(pattern, "/")
	g := globber{in: body}
	if err := g.translate(); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	start := "(^|/)"
	if anchored {
		start = "^"
	}
	re, err := regexp.Compile(start + g.out.String() + "$")
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return re, nil
}

// globber is the state of a translation.
type globber struct {
	in    string
	out   strings.Builder
	depth int // of open braces
}

func (g *globber) translate() error {
	for g.in != "" {
		if err := g.next(); err != nil {
			return err
		}
	}
	if g.depth > 0 {
		return fmt.Errorf("a { has no }")
	}
	return nil
}

// take removes n bytes from the input and returns them.
func (g *globber) take(n int) string {
	head := g.in[:n]
	g.in = g.in[n:]
	return head
}

func (g *globber) next() error {
	switch c := g.in[0]; {
	case c == '*':
		return g.stars()
	case c == '?':
		g.take(1)
		g.out.WriteString("[^/]")
	case c == '[':
		return g.class()
	case c == ']':
		return fmt.Errorf("a ] has no [")
	case strings.HasPrefix(g.in, "{{"):
		return g.regexp()
	case c == '{':
		g.take(1)
		g.depth++
		g.out.WriteByte('(')
	case c == '}':
		g.take(1)
		if g.depth--; g.depth < 0 {
			return fmt.Errorf("a } has no {")
		}
		g.out.WriteByte(')')
	case c == ',' && g.depth > 0:
		g.take(1)
		g.out.WriteByte('|')
	case c == '\\':
		if len(g.in) < 2 {
			return fmt.Errorf(`a \ at the end escapes nothing`)
		}
		g.out.WriteString(g.take(2))
	default:
		g.out.WriteString(regexp.QuoteMeta(g.take(1)))
	}
	return nil
}

func (g *globber) stars() error {
	rest := strings.TrimLeft(g.in, "*")
	switch len(g.take(len(g.in) - len(rest))) {
	case 1:
		g.out.WriteString("[^/]*")
	case 2:
		g.out.WriteString(".*")
	default:
		return fmt.Errorf("more than two * in a row")
	}
	return nil
}

func (g *globber) class() error {
	end := strings.IndexByte(g.in, ']')
	if end < 0 {
		return fmt.Errorf("a [ has no ]")
	}
	class := g.take(end + 1)
	inner := class[1:end]
	negated := strings.HasPrefix(inner, "!") || strings.HasPrefix(inner, "^")
	if negated {
		inner = inner[1:]
	}
	if inner == "" {
		return fmt.Errorf("empty character class")
	}
	// A named class such as [[:alpha:]] ends in a second bracket.
	if strings.Contains(inner, "[:") && strings.HasSuffix(inner, ":") && strings.HasPrefix(g.in, "]") {
		inner += "]" + ""
		g.take(1)
	}
	if negated {
		inner = "^/" + inner
	}
	g.out.WriteString("[" + inner + "]")
	return nil
}

func (g *globber) regexp() error {
	end := strings.Index(g.in, "}}")
	if end < 0 {
		return fmt.Errorf("a {{ has no }}")
	}
	whole := g.take(end + 2)
	g.out.WriteString("(" + whole[2:end] + ")")
	return nil
}

// folderGlobs returns the patterns, ending in "/", of the folders that have to be walked
// to find what an including pattern matches. ok is false where they cannot be told, so
// that all folders have to be.
func folderGlobs(pattern string) (globs []string, ok bool) {
	if strings.Contains(pattern, "{{") || braced(pattern) {
		return nil, false
	}
	if !strings.Contains(pattern, "/") && !strings.Contains(pattern, "**") {
		return nil, false
	}
	if strings.HasSuffix(pattern, "/") {
		globs = append(globs, pattern)
	}
	for g := pattern; ; {
		if g = folderAbove(g); g == "" || g == "/" {
			return globs, true
		}
		globs = append(globs, g)
	}
}

// folderAbove returns the pattern of the folders that hold what g matches. "**" may
// stand for folders itself, so that it is kept once, with a "/" behind it.
func folderAbove(g string) string {
	if dir, ok := strings.CutSuffix(g, "/"); ok {
		g = strings.TrimSuffix(dir, "**")
		if g != dir && strings.HasSuffix(g, "/") {
			return g
		}
	}
	slash, stars := strings.LastIndexByte(g, '/'), strings.LastIndex(g, "**")
	if stars > slash {
		return g[:stars+2] + "/"
	}
	return g[:slash+1]
}

// braced reports whether alternatives in a pattern hold "/" or "**".
func braced(pattern string) bool {
	depth := 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '{':
			depth++
		case c == '}':
			depth--
		case depth > 0 && (c == '/' || strings.HasPrefix(pattern[i:], "**")):
			return true
		}
	}
	return false
}
