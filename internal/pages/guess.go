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

// guess is a text that a listing may be cut at.
type guess struct {
	at    string // keys up to here are before the cut
	level string // what the guesses beside it begin with
}

// guesses says where, behind the last of names and before end, a listing may be cut into
// parts that have about least names each. names are a page's, in order, without the prefix.
//
// A cut is the greatest name that the others let expect of its part: f1999 rather than f2.
// Whoever lists the part before then sees its end in the last name, and need not ask whether
// there is more.
func guesses(names []string, end string, least int) (all []guess) {
	if len(names) < worthwhile {
		return nil
	}
	last := names[len(names)-1]
	before := last
	seen, varies := classOf(names)
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
		bytes := here.bytes()
		for i, c := range bytes {
			if c <= last[pos] || i%step != 0 {
				continue
			}
			if first && step == 1 {
				first = false
				continue
			}
			prev := last[pos] // or the byte before c, if that is behind it
			if i > 0 {
				prev = max(prev, bytes[i-1])
			}
			g := last[:pos] + string([]byte{prev}) + greatest(last[pos+1:], seen, varies-pos-1)
			if g <= before || strings.Contains(last[pos:], "/") { // what is in another folder is not known
				g = last[:pos] + string([]byte{c})
			}
			if end != "" && g >= end {
				break
			}
			if g > before && utf8.ValidString(g) {
				all = append(all, guess{g, last[:pos]})
				before = g
			}
		}
	}
	return all[:min(len(all), maxGuesses)]
}

// greatest returns the greatest text that the first n bytes of s let expect, with the rest
// of s.
func greatest(s string, k class, n int) string {
	all := k.bytes()
	if len(all) == 0 {
		return s
	}
	b := []byte(s)
	for i := range min(n, len(b)) {
		if slices.Contains(all, b[i]) {
			b[i] = all[len(all)-1]
		}
	}
	return string(b)
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

// classOf looks at the bytes at which names differ from the first of them. The last of
// these is before n.
func classOf(names []string) (k class, n int) {
	first := names[0]
	varies := make([]bool, len(first))
	for _, name := range names {
		for i := range min(len(name), len(first)) {
			if name[i] != first[i] {
				varies[i] = true
			}
		}
	}
	for _, name := range names {
		for i := range min(len(name), len(first)) {
			if varies[i] {
				k.add(name[i])
			}
		}
	}
	return k, 1 + lastIndex(varies)
}

func lastIndex(set []bool) int {
	for i := len(set) - 1; i >= 0; i-- {
		if set[i] {
			return i
		}
	}
	return -1
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
