package s3remote

import (
	"encoding/base64"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/s3mount/s3mount/object"
)

// encodeMeta makes header values of user metadata. A name that is no lower-case
// header name is an error of KindInvalid; any value can be encoded.
func encodeMeta(op, key string, m object.Meta) (map[string]string, error) {
	if len(m) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(m))
	for name, value := range m {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !inMetaName(r) }) {
			return nil, object.Errorf(object.KindInvalid, op, key, "the metadata name %q is none of a header in lower case", name)
		}
		out[name] = encodeValue(value)
	}
	return out, nil
}

// inMetaName reports whether a character may be in a header's name (RFC 9110, section
// 5.6.2), but for capital letters, which mean nothing there: what other clients have
// stored must be kept by who changes the rest.
func inMetaName(r rune) bool {
	return (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') || strings.ContainsRune("-_.!#$%&'*+^`|~", r)
}

// encodedChunk is how many bytes go into one encoded word, which has at most 75
// characters (RFC 2047, section 2).
const encodedChunk = 45

// encodeValue returns v itself where a header carries it unchanged, else encoded
// words. Runs of blanks are encoded too: signatures fold them.
func encodeValue(v string) string {
	if !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) &&
		strings.TrimSpace(v) == v && !strings.Contains(v, "=?") && !strings.Contains(v, "  ") {
		return v
	}
	var words []string
	for len(v) > 0 {
		n := min(len(v), encodedChunk)
		for cut := n; n < len(v) && cut > n-utf8.UTFMax; cut-- {
			if utf8.RuneStart(v[cut]) { // a word holds whole characters
				n = cut
				break
			}
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(v[:n]))+"?=")
		v = v[n:]
	}
	return strings.Join(words, " ")
}

// decodeMeta undoes encodeMeta. It returns an empty map rather than nil.
func decodeMeta(m map[string]string) object.Meta {
	out := make(object.Meta, len(m))
	var words mime.WordDecoder
	for name, value := range m {
		if strings.Contains(value, "=?") {
			// What cannot be decoded was not encoded.
			if text, err := words.DecodeHeader(value); err == nil {
				value = text
			}
		}
		out[strings.ToLower(name)] = value
	}
	return out
}

// checkContentType refuses what a header cannot carry.
func checkContentType(op, key, contentType string) error {
	if strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r > '~' }) {
		return object.Errorf(object.KindInvalid, op, key, "the content type %q has a character that a header cannot carry", contentType)
	}
	return nil
}

// defaultContentType is what an object gets that says nothing of its own.
const defaultContentType = "application/octet-stream"

func orDefaultType(contentType string) string {
	if contentType == "" {
		return defaultContentType
	}
	return contentType
}
