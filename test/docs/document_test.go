package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// block is a fenced block of a document: a session to run, a piece of the config file,
// or something only to be looked at.
type block struct {
	kind string // what follows the fence: "console", "ini", "json", …
	line int    // of the file, of the block's first line of text
	text string
}

// document is a page of the documentation.
type document struct {
	path   string // below the module's root
	text   string
	blocks []block
}

// hidden is how a comment begins whose lines are run but not shown.
const hidden = "<!-- console"

// readDocument reads a page.
func readDocument(path string) (*document, error) {
	text, err := os.ReadFile(filepath.Join("..", "..", path))
	if err != nil {
		return nil, err
	}
	d := &document{path: path, text: string(text)}
	d.blocks, err = parseBlocks(d.text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// parseBlocks finds the fenced blocks of a page, and the sessions in its comments.
func parseBlocks(text string) ([]block, error) {
	var all []block
	var open *block
	end := ""
	var body strings.Builder
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		kind, fenced := strings.CutPrefix(line, "```")
		switch {
		case open != nil && line == end:
			open.text = body.String()
			all = append(all, *open)
			open = nil
			body.Reset()
		case open != nil:
			body.WriteString(line + "\n")
		case fenced:
			open, end = &block{kind: strings.TrimSpace(kind), line: number + 1}, "```"
		case line == hidden:
			open, end = &block{kind: "console", line: number + 1}, "-->"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block has no end", open.line)
	}
	return all, nil
}
