// Package keyname maps the components of object keys to file names and back, so that
// every key has exactly one path and every path at most one key.
//
// A key is cut at each "/". Nearly every component is a legal file name and stands
// for itself. The others get a name that begins with the escape "%s3-":
//
//	component                         name
//	(empty, as in a//b or /a)         %s3-empty
//	.                                 %s3-dot
//	..                                %s3-dotdot
//	begins with %s3-                  %s3-raw-COMPONENT
//	holds a NUL byte                  %s3-hex-HEXDIGITS
//	longer than 255 bytes             %s3-part-tFIRST100BYTES/REST, a folder a piece (x and
//	                                  hex digits in place of t where it holds a NUL)
//	a file x beside a folder x/       %s3-file-x, the folder keeps x
//
// The last two depend on what else is there: a file is called by its file form only
// while a folder has its plain name, and a long component becomes nested folders, one
// a piece, although no "/" stands between the pieces in the key. Newlines, control
// characters and bytes that are not UTF-8 are legal in file names and stay as they are.
package keyname

import (
	"encoding/hex"
	"strings"
)

const (
	// MaxName is the longest file name in bytes (NAME_MAX).
	MaxName = 255
	// MaxKey is the longest key in bytes that S3 takes.
	MaxKey = 1024

	escape     = "%s3-"
	rawForm    = escape + "raw-"
	hexForm    = escape + "hex-"
	fileForm   = escape + "file-"
	partForm   = escape + "part-"
	emptyName  = escape + "empty"
	dotName    = escape + "dot"
	dotdotName = escape + "dotdot"

	// pieceLen is how many bytes of a long component go into one folder's name; a
	// piece with a NUL byte doubles in hex and still fits into MaxName.
	pieceLen = 100
)

// Form says how a name stands for its component.
type Form uint8

// The forms of a name.
const (
	Plain Form = iota // the component, or the last piece of a long one
	Part              // a folder that holds the continuations of a long component
	File              // a file whose plain name belongs to a folder
)

// encode returns the plain name of a component, or of the last piece of one.
func encode(c string) string {
	switch {
	case c == "":
		return emptyName
	case c == ".":
		return dotName
	case c == "..":
		return dotdotName
	case strings.IndexByte(c, 0) >= 0:
		return hexForm + hex.EncodeToString([]byte(c))
	case strings.HasPrefix(c, escape):
		return rawForm + c
	}
	return c
}

// decode is the inverse of encode; ok is false for what encode never returns.
func decode(name string) (c string, ok bool) {
	switch {
	case name == emptyName:
		return "", true
	case name == dotName:
		return ".", true
	case name == dotdotName:
		return "..", true
	case strings.HasPrefix(name, rawForm):
		c = name[len(rawForm):]
	case strings.HasPrefix(name, hexForm):
		b, err := hex.DecodeString(name[len(hexForm):])
		if err != nil {
			return "", false
		}
		c = string(b)
	default:
		c = name
	}
	return c, encode(c) == name
}

// formed returns the name of a component (or its rest) in a form that stands in one
// folder, whatever its length.
func formed(c string, file bool) string {
	if file {
		return fileForm + encode(c)
	}
	return encode(c)
}

// First returns the name under which a component shows in the folder that its prefix
// names: rest is what follows the folder's prefix in the key, up to the next "/"; held
// is how many bytes of the component the folder's own prefix holds already (0 unless
// it is a Part folder). file asks for the file form. Where form is Part, the name is a
// folder's that holds the continuations of rest[:n].
//
// ok is false where the component does not show in this folder: a Part folder shows
// only components that are too long for the folder above.
func First(heldPrefix, rest string, file bool) (name string, form Form, n int, ok bool) {
	if heldPrefix != "" && !reaches(heldPrefix, rest, file) {
		return "", Plain, 0, false
	}
	name = formed(rest, file)
	switch {
	case len(name) > MaxName:
		return partForm + hexIfNUL(rest[:pieceLen]), Part, pieceLen, true
	case file:
		return name, File, len(rest), true
	}
	return name, Plain, len(rest), true
}

// reaches reports whether a component comes into the Part folder that holds held of
// it: no folder above has a place for what is left there.
func reaches(held, rest string, file bool) bool {
	whole := held + rest
	for cut := 0; cut < len(held); cut += pieceLen {
		if len(formed(whole[cut:], file)) <= MaxName {
			return false
		}
	}
	return true
}

func hexIfNUL(piece string) string {
	if strings.IndexByte(piece, 0) >= 0 {
		return "x" + hex.EncodeToString([]byte(piece))
	}
	return "t" + piece
}

// Parse reads a file name: the bytes of the key that it stands for, and its form. ok
// is false for a name that begins with the escape but is none that First returns: no
// key has that name, and none can get it.
func Parse(heldPrefix, name string) (piece string, form Form, ok bool) {
	switch {
	case name == "" || name == "." || name == ".." || len(name) > MaxName || strings.ContainsAny(name, "/\x00"):
		return "", Plain, false
	case strings.HasPrefix(name, partForm):
		return parsePart(name[len(partForm):])
	case strings.HasPrefix(name, fileForm):
		piece, ok = decode(name[len(fileForm):])
		form = File
	default:
		piece, ok = decode(name)
	}
	if !ok {
		return "", Plain, false
	}
	again, _, _, shown := First(heldPrefix, piece, form == File)
	return piece, form, shown && again == name
}

func parsePart(s string) (piece string, form Form, ok bool) {
	if s == "" {
		return "", Part, false
	}
	piece = s[1:]
	if s[0] == 'x' {
		b, err := hex.DecodeString(piece)
		if err != nil {
			return "", Part, false
		}
		piece = string(b)
	}
	return piece, Part, len(piece) == pieceLen && hexIfNUL(piece) == s && !strings.Contains(piece, "/")
}

// Path returns the names of a key from the root, one a folder; the last is a folder's
// too where the key ends in "/" (a marker). file asks for the file form of the last.
// It is the whole mapping in one piece, for messages and for tests.
func Path(key string, file bool) []string {
	var names []string
	comps := strings.Split(key, "/")
	for i, c := range comps {
		held := ""
		for {
			name, _, n, ok := First(held, c, file && i == len(comps)-1)
			if !ok {
				return names
			}
			names = append(names, name)
			held, c = held+c[:n], c[n:]
			if n == 0 || c == "" {
				break
			}
		}
	}
	return names
}
