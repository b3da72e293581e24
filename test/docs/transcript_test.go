package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// step is a command of a session and what it prints.
type step struct {
	line    int // of the document
	command string
	output  []string
}

// parseSession cuts the text of a console block into steps. A command begins with "$ ";
// after a backslash at its end it goes on with the next line.
func parseSession(b block) ([]step, error) {
	var steps []step
	continued := false
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		command, is := strings.CutPrefix(line, "$ ")
		switch last := len(steps) - 1; {
		case continued:
			steps[last].command += "\n" + line
			continued = strings.HasSuffix(line, `\`)
		case is:
			steps = append(steps, step{line: b.line + i, command: command})
			continued = strings.HasSuffix(command, `\`)
		case last < 0:
			return nil, fmt.Errorf("line %d: a session begins with a command: \"$ …\"", b.line+i)
		default:
			steps[last].output = append(steps[last].output, line)
		}
	}
	return steps, nil
}

// fails reports whether the session shows an error of s3mount at the command's end.
func (s step) fails() bool {
	n := len(s.output)
	return n > 0 && strings.HasPrefix(s.output[n-1], "s3mount: ")
}

// What differs from run to run is written as it was once, and any other will do: a time
// in whole seconds (those of files have a fraction, and are what they are) and how long
// something took.
var varying = []struct {
	form *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\s|$)`), "<time>$1"},
	{regexp.MustCompile(`\bin (\d+(\.\d+)?(µs|ms|s|m|h))+$`), "in <while>"},
}

// settle puts a word in the place of what varies, and lines that come in any order, as
// files are copied, into one.
func settle(lines []string) []string {
	out := slices.Clone(lines)
	for i := range out {
		for _, v := range varying {
			out[i] = v.form.ReplaceAllString(out[i], v.with)
		}
	}
	for begin := 0; begin < len(out); {
		end := begin + 1
		if first := verb(out[begin]); first != "" {
			for end < len(out) && verb(out[end]) == first {
				end++
			}
			slices.Sort(out[begin:end])
		}
		begin = end
	}
	return out
}

// fileLine is a line about one file that a command writes when it is done with it.
var fileLine = regexp.MustCompile(`^s3mount: ([a-z ]+) "`)

// verb returns what such a line says that was done; empty for other lines.
func verb(line string) string {
	if m := fileLine.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

// matches reports whether a command printed what the document shows. A line of the
// document that is "⋮" or "..." stands for any number of lines, and "…" within a line for
// any text of it.
func matches(want, got []string) bool {
	var form strings.Builder
	form.WriteString(`^`)
	for _, line := range settle(want) {
		if isGap(line) {
			form.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		for i, piece := range strings.Split(line, "…") {
			if i > 0 {
				form.WriteString(`[^\n]*`)
			}
			form.WriteString(regexp.QuoteMeta(piece))
		}
		form.WriteString(`\n`)
	}
	form.WriteString(`$`)
	text := strings.Join(settle(got), "\n")
	if len(got) > 0 {
		text += "\n"
	}
	return regexp.MustCompile(form.String()).MatchString(text)
}

func isGap(line string) bool { return line == "⋮" || line == "..." }

// prompt is what a dialogue waits behind: the name of an option or the letters of a menu,
// or the words of a question for a password.
var prompt = regexp.MustCompile(`^(?:[A-Za-z_/]+(?: \[[^\]]*\])?> |(?:New configuration password|The same once more|Password of [^:]*): )`)

// answers are the prompts that a transcript shows, with what is typed behind them.
func answers(output []string) [][2]string {
	var all [][2]string
	for _, line := range output {
		if p := prompt.FindString(line); p != "" {
			all = append(all, [2]string{p, line[len(p):]})
		} else if p := prompt.FindString(line + " "); p != "" { // a blank at a line's end is easily lost
			all = append(all, [2]string{p, ""})
		}
	}
	return all
}
