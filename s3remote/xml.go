package s3remote

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Some stores write into XML what XML 1.0 cannot carry: control characters, as
// themselves or as character references (Ceph's &#x01;), and bytes that are no UTF-8.
// A parser gives up on the whole document then. legalXML makes such a document legal
// without losing anything: each illegal byte or reference becomes the escape mark and
// six digits in hexadecimal. plainText undoes that in the texts that were parsed.

// escapeMark is a character that is legal in XML and stands for nothing.
const (
	escapeRune = '\U0010FFFD'
	escapeMark = string(escapeRune)
)

// escapeDigits is how many hexadecimal digits follow the mark.
const escapeDigits = 6

// legalXML returns doc itself where it is legal, else an escaped copy.
func legalXML(doc []byte) []byte {
	if legal(doc) {
		return doc
	}
	out := make([]byte, 0, len(doc)+len(doc)/8)
	for i := 0; i < len(doc); {
		if c, size, ok := reference(doc[i:]); ok {
			if inXML(c) {
				out = append(out, doc[i:i+size]...)
			} else {
				out = appendEscape(out, c)
			}
			i += size
			continue
		}
		c, size := utf8.DecodeRune(doc[i:])
		switch {
		case c == utf8.RuneError && size <= 1:
			// 0x110000 and up are beyond Unicode: they stand for a lone byte.
			out = appendEscape(out, 0x110000+rune(doc[i]))
		case !inXML(c):
			out = appendEscape(out, c)
		default:
			out = append(out, doc[i:i+size]...)
		}
		i += size
	}
	return out
}

// legal reports whether doc can be parsed as it is. It is the fast path: nearly all
// documents are.
func legal(doc []byte) bool {
	for i := 0; i < len(doc); {
		switch b := doc[i]; {
		case b == '&':
			if c, _, ok := reference(doc[i:]); ok && !inXML(c) {
				return false
			}
			i++
		case b < utf8.RuneSelf:
			if b < ' ' && b != '\n' && b != '\r' && b != '\t' {
				return false
			}
			i++
		default:
			c, size := utf8.DecodeRune(doc[i:])
			if (c == utf8.RuneError && size <= 1) || !inXML(c) {
				return false
			}
			i += size
		}
	}
	return true
}

// reference reads a numeric character reference at the start of doc.
func reference(doc []byte) (c rune, size int, ok bool) {
	if len(doc) < 4 || doc[0] != '&' || doc[1] != '#' {
		return 0, 0, false
	}
	end := bytes.IndexByte(doc[:min(len(doc), 12)], ';')
	if end < 0 {
		return 0, 0, false
	}
	digits, base := string(doc[2:end]), 10
	if digits != "" && (digits[0] == 'x' || digits[0] == 'X') {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 31)
	if err != nil || n > utf8.MaxRune {
		return 0, 0, false
	}
	return rune(n), end + 1, true
}

// inXML reports whether XML 1.0 can carry c. The escape mark counts as illegal, so
// that it is escaped itself.
func inXML(c rune) bool {
	switch {
	case c == '\t' || c == '\n' || c == '\r':
		return true
	case c < ' ' || (c >= 0xD800 && c < 0xE000) || c == escapeRune:
		return false
	}
	return c <= 0xFFFD || (c >= 0x10000 && c <= utf8.MaxRune)
}

func appendEscape(out []byte, c rune) []byte {
	out = append(out, escapeMark...)
	var b [4]byte
	b[0], b[1], b[2] = byte(c>>16), byte(c>>8), byte(c)
	return append(out, hex.EncodeToString(b[:3])...)
}

// plainText undoes legalXML in a text of the document.
func plainText(s string) string {
	head, tail, found := strings.Cut(s, escapeMark)
	if !found {
		return s
	}
	var b strings.Builder
	b.WriteString(head)
	for found {
		if len(tail) < escapeDigits {
			b.WriteString(tail)
			break
		}
		n, err := strconv.ParseUint(tail[:escapeDigits], 16, 32)
		switch {
		case err != nil:
			b.WriteString(tail[:escapeDigits])
		case n >= 0x110000:
			b.WriteByte(byte(n))
		default:
			b.WriteRune(rune(n))
		}
		head, tail, found = strings.Cut(tail[escapeDigits:], escapeMark)
		b.WriteString(head)
	}
	return b.String()
}

// xmlRoot returns the name of the document's root element, without a namespace
// prefix; "" where doc is no XML.
func xmlRoot(doc []byte) string {
	for {
		doc = bytes.TrimLeft(doc, " \t\r\n\ufeff")
		if len(doc) < 2 || doc[0] != '<' {
			return ""
		}
		if doc[1] != '?' && doc[1] != '!' {
			break
		}
		end := bytes.IndexByte(doc, '>')
		if end < 0 {
			return ""
		}
		doc = doc[end+1:]
	}
	end := bytes.IndexAny(doc, " \t\r\n/>")
	if end < 0 {
		return ""
	}
	name := string(doc[1:end])
	return name[strings.IndexByte(name, ':')+1:]
}
