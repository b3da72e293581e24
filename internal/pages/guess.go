package pages

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// worthwhile is how many keys a segment should have at least, by what its neighbours
	// have: fewer are had with the page before.
	worthwhile = 300
	// maxGuesses bounds the guesses that one page leads to.
	maxGuesses = 64
)

// guesses says where, behind the last of names and before end, there may be more, about
// least names from one to the next. names are a page's, in order, without the prefix.
func guesses(names []string, end string, least int) (all []string) {
	if len(names) < worthwhile {
		return nil
	}
	last := names[len(names)-1]
	seen := classOf(names)
	for pos := len(last) - 1; pos >= 0 && len(all) < maxGuesses; pos-- {
		group, distinct, own := density(names, last, pos)
		each := group / max(1, distinct)
		if each < worthwhile {
			continue
		}
		first := len(all) == 0 && own >= each/2 // what the page had of it is most of it: the next goes with the rest
		step := (least + each - 1) / each
		here := seen
		here.add(last[pos])
		for i, c := range here.bytes() {
			if c <= last[pos] || i%step != 0 {
				continue
			}
			g := last[:pos] + string(c)
			if end != "" && g >= end {
				break
			}
			if first && step == 1 {
				first = false
				continue
			}
			if utf8.ValidString(g) {
				all = append(all, g)
			}
		}
	}
	return all[:min(len(all), maxGuesses)]
}

// spent reports whether the last of names is the greatest before end that the others let
// expect: 0999 before 1.
func spent(names []string, end string) bool {
	last := names[len(names)-1]
	all := classOf(names).bytes()
	at := commonLen(last, end)
	if len(all) == 0 {
		return false
	}
	for i := at + 1; i < len(last); i++ {
		c := last[i]
		if !slices.Contains(all, c) {
			return i > at+1
		}
		if c != all[len(all)-1] {
			return false
		}
	}
	return at+1 < len(last)
}

func commonLen(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// density counts the names that agree with last before pos, how many different bytes they
// have at pos, and those that agree with last there as well.
func density(names []string, last string, pos int) (group, distinct, own int) {
	before := -1
	for i := len(names) - 1; i >= 0 && strings.HasPrefix(names[i], last[:pos]); i-- {
		group++
		c := -1
		if len(names[i]) > pos {
			c = int(names[i][pos])
		}
		if c == int(last[pos]) {
			own++
		}
		if c != before {
			distinct++
			before = c
		}
	}
	return group, distinct, own
}

// class is a set of kinds of ASCII bytes.
type class struct {
	digit        bool
	lower, upper byte // the greatest; 0: none
}

func (k *class) add(c byte) {
	switch {
	case c >= '0' && c <= '9':
		k.digit = true
	case c >= 'a' && c <= 'z':
		k.lower = max(k.lower, c)
	case c >= 'A' && c <= 'Z':
		k.upper = max(k.upper, c)
	}
}

// classOf looks at the bytes at which names differ from the first of them.
func classOf(names []string) (k class) {
	first := names[0]
	varies := make([]bool, len(first))
	for _, n := range names {
		for i := range min(len(n), len(first)) {
			if n[i] != first[i] {
				varies[i] = true
			}
		}
	}
	for _, n := range names {
		for i := range min(len(n), len(first)) {
			if varies[i] {
				k.add(n[i])
			}
		}
	}
	return k
}

// bytes returns the bytes that the class stands for, in order: a digit for all digits,
// letters up to f beside digits for hexadecimal ones, others for all letters of their case.
func (k class) bytes() (all []byte) {
	add := func(from, to byte) {
		for c := from; c <= to; c++ {
			all = append(all, c)
		}
	}
	if k.digit {
		add('0', '9')
	}
	if k.upper != 0 {
		add('A', letters(k.upper, 'F', 'Z', k.digit))
	}
	if k.lower != 0 {
		add('a', letters(k.lower, 'f', 'z', k.digit))
	}
	return all
}

func letters(greatest, hex, all byte, digit bool) byte {
	if digit && greatest <= hex {
		return hex
	}
	return all
}
